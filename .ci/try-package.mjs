// Packs what would be published, installs it in an empty folder, and uses it as a newcomer does: with npx, and from TypeScript.

import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'

const EXPECTED = [
  'CHANGELOG.md',
  'CONTRIBUTING.md',
  'LICENSE',
  'README.md',
  'bin',
  'deploy',
  'dist',
  'docs',
  'examples',
  'package.json',
]
const MOST_MIB = 3

const USE = `
import { type EmbeddedPooler, startPooler } from 'pgweir'

const pooler: EmbeddedPooler = await startPooler({ upstream: 'postgres://ada:secret@127.0.0.1:1/', settings: { default_pool_size: 5 } })
const [address] = pooler.addresses
if (address === undefined || address.port === 0) throw new Error('it listens nowhere')
if ((await pooler.snapshot()).length > 1) throw new Error('there are pools that nobody asked for')
await pooler.stop()
`

/** Returns all files that `exports` names, under any condition. */
function targetsOf(exports) {
  return typeof exports === 'string' ? [exports] : Object.values(exports).flatMap(targetsOf)
}

const folder = mkdtempSync(join(tmpdir(), 'pgweir-package-'))
const run = (program, args, cwd = folder) =>
  execFileSync(program, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] })
try {
  const [{ filename, files, unpackedSize }] = JSON.parse(
    run('npm', ['pack', '--json', '--pack-destination', folder], process.cwd()),
  )
  const tops = [...new Set(files.map(({ path }) => path.split('/')[0]))].sort()
  if (String(tops) !== String(EXPECTED)) throw new Error(`the package holds ${tops}`)
  if (unpackedSize > MOST_MIB * 2 ** 20) throw new Error(`the package takes ${unpackedSize} bytes`)

  const { exports, publishConfig } = JSON.parse(readFileSync('package.json', 'utf8'))
  const missing = targetsOf(exports).filter((target) => !files.some(({ path }) => `./${path}` === target))
  if (missing.length > 0) throw new Error(`exports names ${missing}, which the package does not hold`)
  // With provenance, npm signs where the package was built. Only a CI that can prove its identity can do that.
  if (publishConfig?.provenance !== true) throw new Error('it would be published without provenance')
  run('npm', ['publish', '--dry-run', '--ignore-scripts', '--loglevel=error', `./${filename}`])

  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }\n')
  // Optional dependencies are large, and the package has to work without them.
  run('npm', ['install', '--omit=optional', '--ignore-scripts', '--no-audit', '--no-fund', `./${filename}`])
  const version = run('npx', ['--no-install', 'pgweir', '--version'])
  if (!version.startsWith('pgweir ')) throw new Error(`--version said ${version}`)
  writeFileSync(join(folder, 'userlist.txt'), '"ada" "a secret of hers"\n')
  for (const name of readdirSync('deploy').filter((file) => file.endsWith('.ini'))) {
    const text = readFileSync(join(folder, 'node_modules/pgweir/deploy', name), 'utf8')
    writeFileSync(join(folder, name), text.replaceAll('/etc/pgweir/userlist.txt', join(folder, 'userlist.txt')))
    process.stdout.write(run('npx', ['--no-install', 'pgweir', 'check', name]))
  }

  writeFileSync(join(folder, 'use.ts'), USE)
  writeFileSync(join(folder, 'use.js'), USE.replace('type EmbeddedPooler, ', '').replace(': EmbeddedPooler', ''))
  run(resolve('node_modules/.bin/tsc'), [
    '--noEmit',
    '--strict',
    '--module',
    'nodenext',
    '--target',
    'es2023',
    '--types',
    '',
    'use.ts',
  ])
  run(process.execPath, ['use.js'])
  console.log(
    `${filename}: ${files.length} files, ${(unpackedSize / 2 ** 20).toFixed(1)} MiB; it works where it is installed`,
  )
} catch (problem) {
  console.error(problem)
  process.exitCode = 1
} finally {
  rmSync(folder, { recursive: true, force: true })
}
