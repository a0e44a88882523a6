/** SUSPEND: data that was received is delivered, then no connection is read, and nothing is lost. */

import { expect, test } from 'vitest'
import type { FlowClient } from '../support/flow/client.ts'
import { ask, command, ROOT, run } from '../support/flow/commands.ts'
import { quiet } from '../support/flow/inbox.ts'
import type { FlowServer } from '../support/flow/postgres.ts'
import { complete, join, notice, ready, rows } from '../support/flow/replies.ts'
import { query } from '../support/flow/requests.ts'
import { type Flow, startFlow, startPair } from '../support/flow/start.ts'

const SUSPENDED = ['CommandComplete(SUSPEND)', 'ReadyForQuery(I)']

/** Returns the console that has sent SUSPEND. When that console leaves, SUSPEND ends. */
async function suspend(flow: Flow): Promise<FlowClient> {
  const root = await flow.connect(ROOT)
  root.send(query('suspend'))
  expect(await root.answer()).toEqual(SUSPENDED)
  return root
}

async function state(flow: Flow): Promise<string[]> {
  return (await command(flow, 'show state')).filter((reply) => reply.startsWith('DataRow'))
}

/** Sends more than the client, which does not read, can take. All of it is in the pooler then. */
async function sayTooMuch(client: FlowClient, server: FlowServer): Promise<void> {
  client.stopReading()
  for (const message of [notice('x'.repeat(50)), join(rows('1'), ready())]) {
    server.send(message)
    await quiet()
  }
}

const SAYS_SO = ['DataRow(active, no)', 'DataRow(paused, no)', 'DataRow(suspended, yes)']

test('during SUSPEND, requests of clients are not forwarded until RESUME', async () => {
  const { flow, client, postgres } = await startPair()
  const root = await suspend(flow)
  expect(await state(flow)).toEqual(SAYS_SO)
  client.send(query('select 1'))
  await postgres.expectNothing()
  root.send(query('resume'))
  expect(await root.answer()).toEqual(['CommandComplete(RESUME)', 'ReadyForQuery(I)'])
  await postgres.expect('Query(select 1)')
  postgres.send(rows('1'), ready())
  expect(await client.answer()).toContain('DataRow(1)')
})

test('during SUSPEND, answers of servers are not forwarded until RESUME', async () => {
  const { flow, client } = await startPair()
  const { server } = await run(client, flow)
  const root = await suspend(flow)
  server.send(rows('1'), ready())
  await client.expectNothing()
  root.send(query('resume'))
  await root.answer()
  expect(await client.answer()).toContain('DataRow(1)')
})

test('SUSPEND ends when its console disconnects', async () => {
  const { flow, client, postgres } = await startPair()
  const root = await suspend(flow)
  client.send(query('select 1'))
  await postgres.expectNothing()
  root.leave()
  await postgres.expect('Query(select 1)')
  postgres.send(rows('1'), ready())
  await client.answer()
})

test('SUSPEND does not end when the console of an earlier SUSPEND disconnects', async () => {
  const { flow, client, postgres } = await startPair()
  const first = await suspend(flow)
  await command(flow, 'resume')
  await suspend(flow)
  first.leave()
  client.send(query('select 1'))
  await postgres.expectNothing()
  await command(flow, 'resume')
  await postgres.expect('Query(select 1)')
  postgres.send(rows('1'), ready())
  await client.answer()
})

test('SUSPEND is answered once clients have read what was sent to them', async () => {
  const flow = await startFlow({ windowBytes: 100 })
  const client = await flow.connect()
  const { server } = await run(client, flow)
  await sayTooMuch(client, server)
  const root = await flow.connect(ROOT)
  root.send(query('suspend'))
  await root.expectNothing()
  client.startReading()
  await client.answer()
  expect(await root.answer()).toEqual(SUSPENDED)
})

test('SUSPEND is answered as soon as a server without a client has read its last data', async () => {
  const settings = { pool_mode: 'session', server_reset_query: `reset ${'x'.repeat(300)}` }
  const { flow, client, postgres } = await startPair({ windowBytes: 100, settings })
  await postgres.expect('Query')
  postgres.send(complete('RESET'), ready())
  await flow.expectCounts({ idle: 1 })
  await ask(client, flow)
  postgres.stopReading()
  client.leave()
  await flow.expectCounts({ cleaning: 1 })
  const root = await flow.connect(ROOT)
  root.send(query('suspend'))
  await root.expectNothing()
  postgres.startReading()
  await postgres.expect('Query')
  expect(await root.answer()).toEqual(SUSPENDED)
  root.send(query('resume'))
  await root.answer()
  postgres.send(complete('RESET'), ready())
  await flow.expectCounts({ idle: 1 })
})

test('a client that does not read is disconnected after suspend_timeout', async () => {
  const flow = await startFlow({ windowBytes: 100, settings: { suspend_timeout: 5, default_pool_size: 2 } })
  const client = await flow.connect()
  const other = await flow.connect()
  const { server } = await run(client, flow)
  await sayTooMuch(client, server)
  const root = await flow.connect(ROOT)
  root.send(query('suspend'))
  await flow.advance(4_900)
  await root.expectNothing()
  await flow.advance(200)
  expect(await root.answer()).toEqual(SUSPENDED)
  expect(flow.logged('suspend_timeout')).not.toEqual([])
  root.send(query('resume'))
  await root.answer()
  client.startReading()
  await client.inbox.through('ErrorResponse')
  await client.expectClosed()
  await ask(other, flow)
})

test('no client times out during SUSPEND', async () => {
  const { flow, client } = await startPair({
    settings: { query_timeout: 1, client_idle_timeout: 1, query_wait_timeout: 1 },
  })
  const idle = await flow.connect()
  const { finish } = await run(client, flow)
  const root = await suspend(flow)
  await flow.advance(2_000)
  await client.expectNothing()
  await idle.expectNothing()
  root.vanish()
  await finish()
})

test('no client times out after SUSPEND before the data that has arrived meanwhile is read', async () => {
  const { flow, client } = await startPair({
    settings: {
      default_pool_size: 1,
      query_wait_notify: 0,
      client_idle_timeout: 10,
      query_timeout: 10,
      query_wait_timeout: 10,
    },
  })
  const [waiting, idle] = [await flow.connect(), await flow.connect()]
  const { server } = await run(client, flow)
  waiting.send(query('two'))
  await quiet()
  const root = await suspend(flow)
  server.send(rows('1'), ready())
  idle.send(query('three'))
  await flow.advance(60_000)
  const resumed = flow.pooler.parts.control.resume(null)
  // The janitor runs before anything is read.
  flow.pooler.parts.sweep()
  await resumed
  expect(await client.answer()).toContain('DataRow(1)')
  for (const [next, text] of [
    [waiting, 'two'],
    [idle, 'three'],
  ] as const) {
    await server.expect(`Query(${text})`)
    server.send(rows(text), ready())
    expect(await next.answer()).toContain(`DataRow(${text})`)
  }
  root.leave()
})

test('clients that connect during SUSPEND are let in, and wait like others', async () => {
  const { flow, postgres } = await startPair()
  await suspend(flow)
  const late = await flow.connect()
  late.send(query('select 1'))
  await postgres.expectNothing()
  await command(flow, 'resume')
  await postgres.expect('Query(select 1)')
  postgres.send(rows('1'), ready())
  await late.answer()
})

test('servers that were logging in at SUSPEND continue afterwards', async () => {
  const { flow, client, postgres } = await startPair({ settings: { default_pool_size: 2 } })
  const { server, finish } = await run(client, flow)
  expect(server).toBe(postgres)
  const other = await flow.connect()
  // The login at the other client's server is answered only after SUSPEND.
  flow.postgres.login = () => {}
  other.send(query('select 2'))
  const late = await flow.postgres.next()
  await suspend(flow)
  late.welcome()
  await late.expectNothing()
  await command(flow, 'resume')
  await late.expect('Query(select 2)')
  late.send(rows('2'), ready())
  await other.answer()
  await finish()
})

test('SUSPEND is refused during a PAUSE or another SUSPEND, and so is PAUSE during SUSPEND', async () => {
  const { flow } = await startPair()
  await command(flow, 'pause app')
  expect((await command(flow, 'suspend'))[0]).toContain('ERROR 55000 cannot suspend with paused databases')
  await command(flow, 'resume app')
  await command(flow, 'pause')
  expect((await command(flow, 'suspend'))[0]).toContain('ERROR 55000 already suspended/paused')
  await command(flow, 'resume')
  await suspend(flow)
  expect((await command(flow, 'suspend'))[0]).toContain('ERROR 55000 already suspended/paused')
  expect((await command(flow, 'pause'))[0]).toContain('ERROR 55000 already suspended/paused')
  expect(await state(flow)).toEqual(SAYS_SO)
  await command(flow, 'resume')
  expect((await command(flow, 'resume'))[0]).toContain('pooler is not paused/suspended')
})

test('RESUME ends a SUSPEND that has not been answered yet', async () => {
  const flow = await startFlow({ windowBytes: 100 })
  const client = await flow.connect()
  const { server } = await run(client, flow)
  await sayTooMuch(client, server)
  const root = await flow.connect(ROOT)
  root.send(query('suspend'))
  await root.expectNothing()
  await command(flow, 'resume')
  expect((await root.answer())[0]).toContain('ERROR 55000 the suspension was ended by RESUME')
  client.startReading()
  await client.answer()
})

test('SHUTDOWN WAIT_FOR_CLIENTS ends SUSPEND', async () => {
  const { flow, client, postgres } = await startPair()
  await suspend(flow)
  await command(flow, 'shutdown wait_for_clients')
  client.send(query('select 1'))
  await postgres.expect('Query(select 1)')
  postgres.send(rows('1'), ready())
  await client.answer()
})

test('during SUSPEND, a server whose connection was being made is not read either', async () => {
  const { flow, client, postgres } = await startPair()
  client.send(query('one'))
  await postgres.expect('Query(one)')
  const other = await flow.connect()
  const dial = flow.transport.dial
  let connect = () => {}
  flow.transport.dial = (options, listener) => {
    if (options.address.host !== flow.postgres.address.host) return dial(options, listener)
    connect = () => void dial(options, listener)
    return { abandon() {} }
  }
  other.send(query('two'))
  await flow.expectCounts({ dialing: 1, leased: 1, waiting: 1 })
  await suspend(flow)
  connect()
  await quiet()
  expect(flow.counts()).toEqual({ login: 1, leased: 1, waiting: 1 })
  await command(flow, 'resume')
  const late = await flow.postgres.next()
  await late.expect('Query(two)')
  for (const server of [postgres, late]) server.send(rows('1'), ready())
  await client.answer()
  await other.answer()
})
