/** Hosts that are given by name: servers are opened at the addresses of the name, and closed when it no longer has their address. */

import { expect, test } from 'vitest'
import { createMemoryTransport } from '../../src/net/memory-transport.ts'
import type { NameService } from '../../src/net/names/look-up.ts'
import type { FlowClient } from '../support/flow/client.ts'
import { ask, command, run } from '../support/flow/commands.ts'
import { FlowPostgres } from '../support/flow/postgres.ts'
import { ready, rows } from '../support/flow/replies.ts'
import { query } from '../support/flow/requests.ts'
import { startFlow } from '../support/flow/start.ts'

const ONE = { host: '10.0.0.1', port: 5432 }
const OTHER = { host: '10.0.0.2', port: 5432 }

/** Starts a pooler whose database is on `db.test`, and two servers that this name may stand for. */
async function start(settings: Readonly<Record<string, string | number>> = {}) {
  const transport = createMemoryTransport()
  const where = { addresses: [ONE.host] as readonly string[], serial: 1 }
  const names: NameService = {
    async lookUp() {
      if (where.addresses.length === 0) throw Object.assign(new Error('there is no db.test'), { code: 'ENOTFOUND' })
      return { addresses: where.addresses, lifetimeMs: null }
    },
    serialOf: async () => where.serial,
    namesOf: () => Promise.reject(new Error('nobody is asked')),
  }
  const flow = await startFlow({ transport, names, postgres: ONE, databases: ['app=host=db.test'], settings })
  const other = new FlowPostgres(transport, OTHER)
  await other.listen()
  return { flow, where, other }
}

/** Expects that a new server there answers a query of the client. */
async function answerAt(postgres: FlowPostgres, client: FlowClient): Promise<void> {
  client.send(query('select 2'))
  const server = await postgres.next()
  await server.expect('Query(select 2)')
  server.send(rows('2'), ready())
  await client.answer()
}

test('a server is opened at the address of the host name', async () => {
  const { flow } = await start()
  const client = await flow.connect()
  await ask(client, flow)
  const shown = (await command(flow, 'show dns_hosts')).filter((reply) => reply.startsWith('DataRow'))
  expect(shown).toEqual(['DataRow(db.test, 15, 10.0.0.1)'])
})

test('when the host has another address, a replication client is disconnected, so that it connects there', async () => {
  const { flow, where, other } = await start()
  const parameters = { replication: 'database' }
  const follower = await flow.connect({ parameters })
  where.addresses = [OTHER.host]
  await flow.advance(15_000)
  await follower.expect(
    'ErrorResponse(FATAL 57P01 terminating replication connection: the host now has a different address)',
  )
  await follower.expectClosed()
  await flow.connect({ parameters })
  expect((await other.next()).parameters.get('replication')).toBe('database')
})

test('when the host has another address, idle servers are closed and the next server is opened there', async () => {
  const { flow, where, other } = await start()
  const client = await flow.connect()
  const before = await ask(client, flow)
  where.addresses = [OTHER.host]
  await flow.advance(15_000)
  await before.expectClosed()
  expect(flow.logged('closing because: the host now has a different address')).toHaveLength(1)
  await answerAt(other, client)
})

test('when the host has another address, a server in use is closed once it is free', async () => {
  const { flow, where } = await start()
  const client = await flow.connect()
  const { server, finish } = await run(client, flow)
  where.addresses = [OTHER.host]
  await flow.advance(15_000)
  expect(server.isClosed).toBe(false)
  await finish()
  await server.expectClosed()
})

test('servers stay open when the host name can no longer be resolved', async () => {
  const { flow, where } = await start()
  const client = await flow.connect()
  const server = await ask(client, flow)
  where.addresses = []
  await flow.advance(15_000)
  expect(server.isClosed).toBe(false)
  await ask(client, flow)
})

test('a host name that does not exist is an error, and is looked up again after dns_nxdomain_ttl', async () => {
  const { flow, where } = await start({ dns_nxdomain_ttl: 3, server_login_retry: 0 })
  where.addresses = []
  const client = await flow.dial()
  await expect(client.login()).rejects.toThrow('there is no db.test')
  await client.expectClosed()
  where.addresses = [ONE.host]
  await flow.advance(1_000)
  const tooEarly = await flow.dial()
  await expect(tooEarly.login()).rejects.toThrow('there is no db.test')
  await flow.advance(3_000)
  await ask(await flow.connect(), flow)
})

test('RECONNECT looks the host name up again', async () => {
  const { flow, where, other } = await start()
  const client = await flow.connect()
  const before = await ask(client, flow)
  where.addresses = [OTHER.host]
  await command(flow, 'reconnect')
  await before.expectClosed()
  await answerAt(other, client)
})

test('the hosts of a zone are looked up again when its serial changes (dns_zone_check_period)', async () => {
  const { flow, where } = await start({ dns_max_ttl: 3600, dns_zone_check_period: 10 })
  const client = await flow.connect()
  const server = await ask(client, flow)
  await flow.advance(10_000)
  where.addresses = [OTHER.host]
  await flow.advance(10_000)
  await flow.advance(1_000)
  expect(server.isClosed).toBe(false)
  const shown = (await command(flow, 'show dns_zones')).filter((reply) => reply.startsWith('DataRow'))
  expect(shown).toEqual(['DataRow(test, 1, 1)'])
  where.serial = 2
  await flow.advance(10_000)
  await flow.advance(1_000)
  await server.expectClosed()
})
