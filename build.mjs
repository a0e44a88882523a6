/**
 * Builds `dist/` from `src/`: a few files instead of one for each module, because loading hundreds of modules takes half of the time that a
 * process needs to start.
 */

import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { build } from 'rolldown'
import { isolatedDeclarationSync } from 'rolldown/experimental'

const { dependencies, optionalDependencies } = JSON.parse(
  readFileSync(new URL('package.json', import.meta.url), 'utf8'),
)
const installed = Object.keys({ ...dependencies, ...optionalDependencies })

await build({
  input: {
    'cli/main': 'src/cli/main.ts',
    'cli/worker': 'src/cli/worker.ts',
    'cli/pam-helper': 'src/cli/pam-helper.ts',
    library: 'src/daemon/library.ts',
  },
  platform: 'node',
  external: (id) => installed.some((name) => id === name || id.startsWith(`${name}/`)),
  tsconfig: 'tsconfig.json',
  transform: { target: 'node20' },
  logLevel: 'warn',
  output: {
    dir: 'dist',
    cleanDir: true,
    entryFileNames: '[name].js',
    // As deep as the modules are, for code that looks for files relative to itself.
    chunkFileNames: 'parts/[name].js',
  },
})

// The parts find this file at the same relative path as the modules do.
mkdirSync('dist/metrics')
copyFileSync('src/metrics/live.html', 'dist/metrics/live.html')

// The library's declarations must not name types of other modules.
const { code, errors } = isolatedDeclarationSync('library.ts', readFileSync('src/daemon/library.ts', 'utf8'))
if (errors.length > 0 || /\bimport\b/.test(code))
  throw new Error(`library.ts cannot be declared by itself: ${errors.map(String).join(', ')}`)
writeFileSync('dist/library.d.ts', code)
