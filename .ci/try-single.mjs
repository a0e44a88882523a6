// Builds the single file, copies it to a folder without any other file of pgweir, and runs it there: in the background, with workers.

import { execFileSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import pg from 'pg'
import { freePort } from './free-port.mjs'

const END_MS = 30_000

const folder = mkdtempSync(join(tmpdir(), 'pgweir-single-'))
const program = join(folder, 'pgweir')
const pidFile = join(folder, 'pid')
const run = (...args) =>
  execFileSync(program, args, {
    ...{ cwd: folder, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] },
    env: { PATH: process.env.PATH, PGWEIR_ALLOW_ROOT: '1' },
  })
try {
  // Messages about the sections of the executable are of no interest, unless the build fails.
  execFileSync(process.execPath, ['build-single.mjs'], { stdio: ['ignore', 'ignore', 'pipe'] })
  copyFileSync('dist-single/pgweir', program)
  const { version } = JSON.parse(readFileSync('package.json', 'utf8'))
  const said = run('--version')
  if (said !== `pgweir ${version}\n`) throw new Error(`--version said ${said}`)

  const [port, httpPort] = [await freePort(), await freePort()]
  writeFileSync(
    join(folder, 'pgweir.ini'),
    `[databases]
* = host=127.0.0.1 port=1
[pgweir]
listen_port = ${port}
unix_socket_dir =
auth_type = any
admin_users = ada
workers = 2
http_listen = 127.0.0.1:${httpPort}
pidfile = ${pidFile}
logfile = ${join(folder, 'log')}
`,
  )
  run('-d', 'pgweir.ini')
  const client = new pg.Client({ host: '127.0.0.1', port, user: 'ada', database: 'pgweir', password: 'any' })
  await client.connect()
  const { rows } = await client.query('show workers')
  await client.end()
  if (rows.length !== 2) throw new Error(`there are ${rows.length} workers`)
  const page = await (await fetch(`http://127.0.0.1:${httpPort}/`)).text()
  if (page !== readFileSync('src/metrics/live.html', 'utf8')) throw new Error('the live page is another one')
  process.kill(Number(readFileSync(pidFile, 'utf8')), 'SIGINT')
  for (let waitedMs = 0; existsSync(pidFile); waitedMs += 50) {
    if (waitedMs > END_MS) throw new Error('it does not end')
    await delay(50)
  }
  console.log(`one file of ${(statSync(program).size / 2 ** 20).toFixed(0)} MiB, in the background, with two workers`)
} catch (problem) {
  console.error(problem)
  if (existsSync(join(folder, 'log'))) console.error(readFileSync(join(folder, 'log'), 'utf8'))
  process.exitCode = 1
} finally {
  if (existsSync(pidFile)) process.kill(Number(readFileSync(pidFile, 'utf8')), 'SIGKILL')
  rmSync(folder, { recursive: true, force: true })
}
