/** pgweir as a systemd service: the notifications it sends, and the sockets it receives. */

import { join } from 'node:path'
import pg from 'pg'
import { expect, onTestFinished, test } from 'vitest'
import { openListeningDescriptor } from '../../src/net/epoll/epoll-transport.ts'
import { receiveDatagrams, temporaryFolder } from '../support/datagrams.ts'
import { runProgram } from '../support/e2e/program.ts'
import { RawClient } from '../support/e2e/raw-client.ts'
import { until } from '../support/e2e/until.ts'
import { createDatabase } from '../support/postgres.ts'

const database = await createDatabase({ method: 'trust' })

function listening(host: string) {
  const opened = openListeningDescriptor({ host, port: 0, backlog: 16, keepAlive: { isOn: false, idleMs: 0 } })
  onTestFinished(() => opened.close())
  return opened
}

test('systemd is notified of the start, of reloads, of statistics and of the end', async () => {
  const manager = receiveDatagrams(`@pgweir-e2e-${process.pid}`)
  const env = { NOTIFY_SOCKET: manager.path, WATCHDOG_USEC: '200000' }
  const { program, raw } = await runProgram({ database, settings: { stats_period: 1 } }, env)
  const all: string[] = []
  const hears = (what: string, pattern: RegExp) =>
    until(`it hears ${what}`, () => {
      all.push(...manager.messages())
      return all.some((message) => pattern.test(message))
    })
  await hears('that clients are served', new RegExp(`^READY=1\nMAINPID=${program.pid}$`))
  const client = await raw()
  await hears('statistics', /^STATUS=stats: \d+ xacts\/s/)
  await hears('that we live', /^WATCHDOG=1$/)
  all.length = 0
  program.kill('SIGHUP')
  await hears('of the reload', /^RELOADING=1\nMONOTONIC_USEC=\d+$/)
  await hears('of its end', /^READY=1/)
  program.kill('SIGTERM')
  await hears('who is waited for', /^STATUS=ending: /)
  expect(all).not.toContain('STOPPING=1')
  await client.end()
  await hears('of the end', /^STOPPING=1$/)
  expect(await program.ended()).toBe(0)
})

test('pgweir accepts clients on the sockets that systemd passes, instead of those in the settings', async () => {
  const folder = temporaryFolder()
  const [tcp, unix] = [listening('127.0.0.1'), listening(join(folder, '.s.PGSQL.7001'))]
  const settings = { listen_addr: '203.0.113.1', unix_socket_dir: '/nowhere', admin_users: database.user }
  const { program } = await runProgram({ database, settings }, {}, [tcp.descriptor, unix.descriptor])
  expect(program.stderr).toContain('listen_addr and unix_socket_dir are ignored')
  for (const { host, port } of [tcp.address, { host: folder, port: 7001 }]) {
    const client = new pg.Client({ host, port, user: database.user, database: database.database })
    await client.connect()
    expect((await client.query('select 1 as one')).rows).toEqual([{ one: 1 }])
    await client.end()
  }
  program.kill('SIGQUIT')
  expect(await program.ended()).toBe(0)
  // The socket still listens. A client that connects now waits for the next pgweir that gets this socket.
  const early = await RawClient.connect(tcp.address)
  early.vanish()
})
