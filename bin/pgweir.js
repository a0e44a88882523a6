#!/usr/bin/env node
import { existsSync } from 'node:fs'

const PROGRAM = new URL('../dist/cli/main.js', import.meta.url)

if (existsSync(PROGRAM)) {
  const { main } = await import(PROGRAM.href)
  process.exitCode = await main(process.argv.slice(2))
} else {
  process.stderr.write('pgweir: this clone has not been built yet: run npm ci && npm run build\n')
  process.exitCode = 1
}
