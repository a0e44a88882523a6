/** Settings of a user take precedence over those of the database and over the general ones. */

import { expect, test } from 'vitest'
import { ask } from '../support/flow/commands.ts'
import { complete, ready } from '../support/flow/replies.ts'
import { query } from '../support/flow/requests.ts'
import { type Pair, startFlow, startPair } from '../support/flow/start.ts'

async function begin({ client, postgres }: Pair): Promise<void> {
  client.send(query('begin'))
  await postgres.expect('Query(begin)')
  postgres.send(complete('BEGIN'), ready('T'))
  await client.answer()
}

test('idle_transaction_timeout of a user takes precedence over the general one', async () => {
  const pair = await startPair({
    settings: { idle_transaction_timeout: 60 },
    users: ['ada = idle_transaction_timeout=5'],
  })
  await begin(pair)
  await pair.flow.advance(4_900)
  await pair.client.expectNothing()
  await pair.flow.advance(200)
  expect((await pair.client.expect('ErrorResponse')).shown).toContain('idle transaction timeout')
  await pair.client.expectClosed()
  await pair.postgres.expectClosed()
})

test('transaction_timeout of a user takes precedence over the general one', async () => {
  const pair = await startPair({ settings: { transaction_timeout: 60 }, users: ['ada = transaction_timeout=5'] })
  await begin(pair)
  await pair.flow.advance(5_100)
  expect((await pair.client.expect('ErrorResponse')).shown).toContain('transaction timeout')
  await pair.client.expectClosed()
  await pair.postgres.expectClosed()
})

/** Returns how many servers there are while three clients are in a transaction, or want to be, and one of them has waited for long. */
async function serversInNeed(options: { users?: string[]; databases?: string[] }): Promise<number> {
  const flow = await startFlow({
    ...options,
    settings: { default_pool_size: 1, reserve_pool_size: 0, reserve_pool_timeout: 1 },
  })
  const clients = [await flow.connect(), await flow.connect(), await flow.connect()]
  flow.postgres.onRequest = (server, { shown }) => {
    if (shown === 'Query(begin)') server.send(complete('BEGIN'), ready('T'))
  }
  for (const client of clients) client.send(query('begin'))
  await flow.advance(1_100)
  await flow.advance(1_100)
  const { live } = flow.pool()
  for (const client of clients) {
    client.inbox.clear()
    client.vanish()
  }
  flow.postgres.onRequest = null
  return live
}

test('reserve_pool_size of a user or a database takes precedence over the general one', async () => {
  expect(await serversInNeed({})).toBe(1)
  expect(await serversInNeed({ users: ['ada = reserve_pool_size=1'] })).toBe(2)
  expect(await serversInNeed({ databases: ['app = host=db reserve_pool_size=2'] })).toBe(3)
})

test('server_lifetime of a database takes precedence over the general one', async () => {
  const flow = await startFlow({ settings: { server_lifetime: 3600 }, databases: ['app = host=db server_lifetime=60'] })
  const client = await flow.connect()
  const server = await ask(client, flow)
  await flow.advance(59_000)
  expect(server.isClosed).toBe(false)
  await flow.advance(2_000)
  await server.expectClosed()
})

test('servers are opened with client_encoding, datestyle, timezone and application_name of their database', async () => {
  const words = { client_encoding: 'LATIN1', datestyle: 'German', timezone: 'Asia/Tokyo', application_name: 'pooled' }
  const line = Object.entries(words).map(([key, value]) => `${key}=${value}`)
  const flow = await startFlow({ databases: [`app = host=db ${line.join(' ')}`] })
  await ask(await flow.connect(), flow)
  expect(Object.fromEntries(flow.postgres.servers[0]?.parameters ?? [])).toMatchObject(words)
})
