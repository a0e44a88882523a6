/**
 * Makes `dist/` from `src/`: a few files instead of one for each module, since loading hundreds of them is half of what the start of a
 * process costs.
 */

import { readFileSync } from 'node:fs'
import { build } from 'rolldown'

const { dependencies, optionalDependencies } = JSON.parse(
  readFileSync(new URL('package.json', import.meta.url), 'utf8'),
)
const installed = Object.keys({ ...dependencies, ...optionalDependencies })

await build({
  input: { main: 'src/cli/main.ts', worker: 'src/cli/worker.ts' },
  platform: 'node',
  external: (id) => installed.some((name) => id === name || id.startsWith(`${name}/`)),
  tsconfig: 'tsconfig.json',
  transform: { target: 'node20' },
  logLevel: 'warn',
  output: {
    dir: 'dist',
    cleanDir: true,
    entryFileNames: 'cli/[name].js',
    // As deep as the modules are, for what looks beside itself.
    chunkFileNames: 'parts/[name].js',
  },
})
