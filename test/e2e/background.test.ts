/** `pgweir -d` starts a daemon as PgBouncer does, and the command fails if the start of the daemon fails. */

import { existsSync, readFileSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { serialize } from 'pg-protocol'
import { expect, onTestFinished, test } from 'vitest'
import { writeFiles } from '../support/e2e/files.ts'
import { WORKERS } from '../support/e2e/pgweir.ts'
import { Program } from '../support/e2e/program.ts'
import { RawClient } from '../support/e2e/raw-client.ts'
import { activity } from '../support/e2e/server-side.ts'
import { until } from '../support/e2e/until.ts'
import { createDatabase } from '../support/postgres.ts'

const database = await createDatabase({ method: 'trust' })

async function files(settings: Readonly<Record<string, string | number>> = {}) {
  const { directory, iniFile } = await writeFiles({ database, settings: { workers: WORKERS } })
  const [pidfile, logfile] = [join(directory, 'pgweir.pid'), join(directory, 'pgweir.log')]
  const all = { pidfile, logfile, ...settings }
  const lines = Object.entries(all).map(([key, value]) => `${key} = ${value}`)
  await writeFile(iniFile, `${await readFile(iniFile, 'utf8')}${lines.join('\n')}\n`)
  onTestFinished(() => {
    const pid = pidIn(pidfile)
    if (pid !== null) process.kill(pid, 'SIGKILL')
  })
  const pidIn = (path: string) => (existsSync(path) ? Number(readFileSync(path, 'utf8')) : null)
  return { iniFile, pidfile, logfile, log: () => readFile(logfile, 'utf8') }
}

test('pgweir -d serves clients once the command has ended, until SIGTERM; the pidfile has the process id of the daemon', async () => {
  const { iniFile, pidfile, log } = await files()
  const starter = new Program(['-d', iniFile])
  expect(await starter.ended()).toBe(0)
  expect(starter.stderr).toBe('')
  const [, port = ''] = /listening on 127\.0\.0\.1:(\d+)/.exec(await log()) ?? []
  const client = await RawClient.connect({ host: '127.0.0.1', port: Number(port) })
  onTestFinished(() => client.vanish())
  await client.logIn({ user: database.user, database: database.database })
  expect(await client.ask(serialize.query('select 1'))).toContain('DataRow 1')
  const pid = Number(await readFile(pidfile, 'utf8'))
  expect(pid).not.toBe(starter.pid)

  const second = new Program(['-d', iniFile])
  expect(await second.ended()).toBe(1)
  expect(second.stderr).toBe(`pgweir: error: pidfile '${pidfile}' exists, another instance running?\n`)

  process.kill(pid, 'SIGTERM')
  await client.end()
  await until('its pidfile is gone', () => !existsSync(pidfile))
  await until('no server is left', async () => (await activity(database)).length === 0)
  expect(await log()).toContain('shutting down')
})

test('problems that occur after the command has ended are logged', async () => {
  const { iniFile, pidfile, log } = await files()
  expect(await new Program(['-d', iniFile]).ended()).toBe(0)
  process.kill(Number(await readFile(pidfile, 'utf8')), 'SIGUSR2')
  await until('the log has the error', async () =>
    (await log()).includes('pgweir: SIGUSR2: pooler is not paused/suspended\n'),
  )
})

test.each(['pidfile', 'logfile'])(
  'pgweir -d reports a %s that cannot be written, with the name of the setting',
  async (key) => {
    const { iniFile } = await files({ [key]: '/nowhere/at/all' })
    const starter = new Program(['-d', iniFile])
    expect(await starter.ended()).toBe(1)
    const reason = "ENOENT: no such file or directory, open '/nowhere/at/all'"
    expect(starter.stderr).toBe(`pgweir: error: ${key} cannot be written: ${reason}\n`)
  },
)

test('pgweir -d reports on standard error that it cannot listen, and leaves no pidfile behind', async () => {
  const { iniFile, pidfile } = await files({ listen_addr: '203.0.113.1' })
  const starter = new Program(['-d', iniFile])
  expect(await starter.ended()).toBe(1)
  expect(starter.stderr).toContain('pgweir: error: ')
  expect(starter.stderr).toContain('EADDRNOTAVAIL')
  expect(existsSync(pidfile)).toBe(false)
})
