import { once } from 'node:events'
import { createServer } from 'node:net'
import { networkInterfaces } from 'node:os'
import pg from 'pg'
import { expect, test } from 'vitest'
import { silentLog } from '../../src/base/log.ts'
import { startPooler } from '../../src/daemon/start.ts'
import type { Listener, Transport } from '../../src/net/channel.ts'
import { createNodeTransport } from '../../src/net/node-transport.ts'
import { loadSettings } from '../../src/settings/load.ts'
import { writeFiles } from '../support/e2e/files.ts'
import { type Pgweir, startPgweir } from '../support/e2e/pgweir.ts'
import { untilNotRunning, untilRunning } from '../support/e2e/server-side.ts'
import { failureOf } from '../support/e2e/until.ts'
import { createDatabase } from '../support/postgres.ts'

const database = await createDatabase()

const hasIpv6 = Object.values(networkInterfaces()).some((addresses) =>
  addresses?.some(({ address }) => address === '::1'),
)

async function answers(pgweir: Pgweir, host: string): Promise<unknown> {
  const client = await pgweir.client({ host })
  return (await client.query('select 1 as one')).rows
}

test('pgweir listens on 127.0.0.1 by default', async () => {
  const pgweir = await startPgweir({ database })
  expect(pgweir.addresses.map(({ host }) => host)).toEqual(['127.0.0.1'])
})

test('listen_addr may name several addresses, which share one port', async () => {
  const pgweir = await startPgweir({ database, settings: { listen_addr: '127.0.0.1, 127.0.0.2' } })
  const { addresses } = pgweir
  expect(addresses.map(({ host }) => host)).toEqual(['127.0.0.1', '127.0.0.2'])
  expect(new Set(addresses.map(({ port }) => port)).size).toBe(1)
  for (const { host } of addresses) expect(await answers(pgweir, host)).toEqual([{ one: 1 }])
})

test.runIf(hasIpv6)('pgweir listens on IPv6 alone or along with IPv4', async () => {
  const alone = await startPgweir({ database, settings: { listen_addr: '::1' } })
  expect(await answers(alone, '::1')).toEqual([{ one: 1 }])
  expect(alone.log.some((line) => /@\[::1\]:\d+ login attempt/.test(line))).toBe(true)
  expect(alone.log.some((line) => /listening on \[::1\]:\d+$/.test(line))).toBe(true)
  const both = await startPgweir({ database, settings: { listen_addr: '127.0.0.1,::1' } })
  for (const host of ['127.0.0.1', '::1']) expect(await answers(both, host)).toEqual([{ one: 1 }])
})

test('listen_addr = * listens on all addresses', async () => {
  const pgweir = await startPgweir({ database, settings: { listen_addr: '*' } })
  for (const host of ['127.0.0.1', '127.0.0.9', ...(hasIpv6 ? ['::1'] : [])])
    expect(await answers(pgweir, host)).toEqual([{ one: 1 }])
})

test('listen_addr may be a host name', async () => {
  const pgweir = await startPgweir({ database, settings: { listen_addr: 'localhost' } })
  expect(await answers(pgweir, 'localhost')).toEqual([{ one: 1 }])
})

test('if listen_port is in use, pgweir fails with an error and releases its other addresses', async () => {
  const holder = createServer().listen(0, '127.0.0.1')
  await once(holder, 'listening')
  const address = holder.address()
  const port = typeof address === 'object' && address ? address.port : 0
  const { iniFile } = await writeFiles({
    database,
    settings: { listen_addr: '127.0.0.2, 127.0.0.1', listen_port: port },
  })
  const { settings } = loadSettings({ iniFile })
  expect(await failureOf(startPooler(settings, { log: silentLog }))).toMatchObject({ code: 'EADDRINUSE' })
  // The address that was free has been released again.
  const again = createServer().listen(port, '127.0.0.2')
  await once(again, 'listening')
  again.close()
  holder.close()
})

test('if pgweir cannot switch to its user, it fails with an error and closes its listeners', async () => {
  const { iniFile } = await writeFiles({ database, settings: { listen_port: 0, user: 'nobody' } })
  const { settings } = loadSettings({ iniFile })
  const opened: Listener[] = []
  const transport = createNodeTransport()
  const listen: Transport['listen'] = async (options, onAccepted) => {
    const listener = await transport.listen(options, onAccepted)
    opened.push(listener)
    return listener
  }
  // Even root fails: the user of a process cannot be changed from a worker thread, in which tests run.
  await failureOf(startPooler(settings, { log: silentLog, transport: { ...transport, listen } }))
  expect(opened).toHaveLength(1)
  for (const { address } of opened) {
    const again = createServer().listen(address.port, address.host)
    await once(again, 'listening')
    again.close()
  }
})

test('when pgweir stops, connected clients get an error and new connections are refused', async () => {
  const pgweir = await startPgweir({ database, settings: { default_pool_size: 2 } })
  const [idle, busy] = [await pgweir.raw(), await pgweir.client()]
  const answer = failureOf(busy.query('select pg_sleep(60)'))
  await untilRunning(database, 'pg_sleep(60)')
  await pgweir.stop()
  expect(await idle.rest()).toEqual(['ErrorResponse FATAL 57P01 pooler is shutting down'])
  expect(await answer).toMatchObject({ code: '57P01', message: 'pooler is shutting down' })
  await untilNotRunning(database, 'pg_sleep(60)')
  const { host, port } = pgweir.address
  expect(await failureOf(new pg.Client({ host, port }).connect())).toMatchObject({ code: 'ECONNREFUSED' })
})
