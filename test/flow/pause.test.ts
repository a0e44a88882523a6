/** PAUSE closes the servers and makes clients wait; KILL disconnects the clients; RESUME lets clients use servers again. */

import { describe, expect, test } from 'vitest'
import type { FlowClient } from '../support/flow/client.ts'
import { ask, command, ROOT, reload, run } from '../support/flow/commands.ts'
import { quiet } from '../support/flow/inbox.ts'
import { FlowPostgres } from '../support/flow/postgres.ts'
import { complete, error, ready, rows } from '../support/flow/replies.ts'
import { bind, cancelRequest, execute, parse, query, startup, sync } from '../support/flow/requests.ts'
import { type Flow, startFlow, startPair } from '../support/flow/start.ts'

const PAUSED = ['CommandComplete(PAUSE)', 'ReadyForQuery(I)']

/** Returns a console that has sent this command and has no answer yet. */
async function pausing(flow: Flow, text = 'pause'): Promise<FlowClient> {
  const console = await flow.connect(ROOT)
  console.send(query(text))
  await quiet()
  await console.expectNothing()
  return console
}

/** Answers the query of a client that has had to wait. */
async function served(client: FlowClient, flow: Flow, text: string): Promise<void> {
  const server = await flow.postgres.next()
  await server.expect(`Query(${text})`)
  server.send(rows('1'), ready())
  expect(await client.answer()).toContain('DataRow(1)')
}

describe('PAUSE', () => {
  test('closes idle servers and answers at once; clients wait, and RESUME serves them in order', async () => {
    const { flow, client, postgres } = await startPair({ settings: { default_pool_size: 1 } })
    expect(await command(flow, 'pause')).toEqual(PAUSED)
    await postgres.expect('Terminate')
    expect(flow.logged('closing because: pause mode')).toHaveLength(1)
    expect(flow.pool().state).toBe('paused')
    const other = await flow.connect()
    client.send(query('one'))
    await quiet()
    other.send(query('two'))
    await flow.expectCounts({ waiting: 2 })
    await flow.postgres.expectNoMore()
    expect(await command(flow, 'resume')).toEqual(['CommandComplete(RESUME)', 'ReadyForQuery(I)'])
    const server = await flow.postgres.next()
    for (const [text, waiting] of [
      ['one', client],
      ['two', other],
    ] as const) {
      await server.expect(`Query(${text})`)
      server.send(rows('1'), ready())
      await waiting.answer()
    }
  })

  test('in transaction mode waits for the end of each transaction, and is answered right then', async () => {
    const { flow, client, postgres } = await startPair()
    client.send(query('begin'))
    await postgres.expect('Query(begin)')
    postgres.send(complete('BEGIN'), ready('T'))
    await client.answer()
    const console = await pausing(flow)
    expect(flow.pool().state).toBe('pausing')
    client.send(query('select 1'))
    await postgres.expect('Query(select 1)')
    postgres.send(rows('1'), ready('T'))
    await client.answer()
    await console.expectNothing()
    client.send(query('commit'))
    await postgres.expect('Query(commit)')
    postgres.send(complete('COMMIT'), ready())
    await client.answer()
    expect(await console.answer()).toEqual(PAUSED)
    await postgres.expect('Terminate')
    client.send(query('again'))
    await flow.expectCounts({ waiting: 1 })
    await command(flow, 'resume')
    await served(client, flow, 'again')
  })

  test('in session mode waits for the client to disconnect', async () => {
    const { flow, client, postgres } = await startPair({ settings: { pool_mode: 'session' } })
    postgres.send(complete('DISCARD ALL'), ready())
    await postgres.expect('Query(DISCARD ALL)')
    await ask(client, flow)
    const console = await pausing(flow)
    await ask(client, flow)
    await console.expectNothing()
    client.leave()
    expect(await console.answer()).toEqual(PAUSED)
    await postgres.expect('Terminate')
  })

  test('lets new clients log in if their login needs no server; other clients wait', async () => {
    const { flow } = await startPair({ databases: ['app=host=db', 'new=host=db'] })
    await command(flow, 'pause')
    const known = await flow.connect()
    known.send(query('one'))
    const unknown = await flow.dial()
    unknown.send(startup({ user: 'ada', database: 'new' }))
    await quiet()
    await flow.postgres.expectNoMore()
    await unknown.expectNothing()
    await command(flow, 'resume')
    await served(known, flow, 'one')
    await unknown.answer()
    expect(flow.pool('new').state).toBe('open')
  })

  test('of one database does not affect other databases', async () => {
    const flow = await startFlow({ databases: ['app=host=db', 'other=host=db'] })
    const [one, two] = [await flow.connect(), await flow.connect({ database: 'other' })]
    expect(await command(flow, 'pause app')).toEqual(PAUSED)
    await ask(two, flow)
    const databases = await flow.pooler.parts.fleet.databases()
    expect(databases.filter(({ isPaused }) => isPaused).map(({ name }) => name)).toEqual(['app'])
    expect(await flow.pooler.parts.fleet.state()).toBe('active')
    expect((await command(flow, 'resume'))[0]).toBe('ErrorResponse(ERROR 55000 pooler is not paused/suspended)')
    expect((await command(flow, 'resume other'))[0]).toBe('ErrorResponse(ERROR 55000 database other is not paused)')
    expect(await command(flow, 'resume app')).toContain('CommandComplete(RESUME)')
    await ask(one, flow)
  })

  test('of all databases and of one database are each ended by their own RESUME', async () => {
    const { flow, client } = await startPair()
    await command(flow, 'pause')
    await command(flow, 'pause app')
    expect(await flow.pooler.parts.fleet.state()).toBe('paused')
    await command(flow, 'resume')
    client.send(query('one'))
    await flow.expectCounts({ waiting: 1 })
    await command(flow, 'resume app')
    await served(client, flow, 'one')
  })

  test('is answered in the extended protocol too, for several consoles, and when it is repeated', async () => {
    const { flow, client, postgres } = await startPair()
    const { finish } = await run(client, flow)
    const first = await pausing(flow)
    const second = await flow.connect(ROOT)
    second.send(parse('', 'PAUSE'), bind('', ''), execute(), sync)
    await second.expect('ParseComplete', 'BindComplete')
    await second.expectNothing()
    await finish()
    expect(await first.answer()).toEqual(PAUSED)
    expect(await second.answer()).toEqual(PAUSED)
    expect(await command(flow, 'pause')).toEqual(PAUSED)
    await postgres.expect('Terminate')
  })

  test('continues when the console that waits for it is cancelled or disconnects', async () => {
    const { flow, client, postgres } = await startPair()
    const { finish } = await run(client, flow)
    const [one, two] = [await pausing(flow), await pausing(flow)]
    const canceller = await flow.dial()
    canceller.send(cancelRequest(one.key))
    await canceller.expectClosed()
    expect((await one.answer())[0]).toBe('ErrorResponse(ERROR 57014 canceling statement due to user request)')
    two.vanish()
    await finish()
    await postgres.expect('Terminate')
    expect(flow.pool().state).toBe('paused')
  })

  test('that RESUME ends before it is complete is answered with an error, and no server is closed', async () => {
    const { flow, client, postgres } = await startPair()
    const { finish } = await run(client, flow)
    const console = await pausing(flow)
    await command(flow, 'resume')
    expect((await console.answer())[0]).toBe(
      'ErrorResponse(ERROR 55000 the pause was ended by RESUME before all servers were free)',
    )
    await finish()
    await flow.expectCounts({ idle: 1 })
    expect(await ask(client, flow)).toBe(postgres)
  })

  test('does not suspend query_wait_timeout and client_login_timeout', async () => {
    const { flow, client } = await startPair({ settings: { query_wait_timeout: 5, query_wait_notify: 1 } })
    await command(flow, 'pause')
    client.send(query('one'))
    await quiet()
    await flow.advance(2_000)
    expect((await client.inbox.next()).name).toBe('NoticeResponse')
    await flow.advance(4_000)
    expect((await client.inbox.next()).shown).toBe('ErrorResponse(FATAL 57014 query_wait_timeout)')
    await client.expectClosed()
  })

  test('opens nothing for min_pool_size, before RESUME does', async () => {
    const { flow } = await startPair({ settings: { min_pool_size: 2 } })
    await command(flow, 'pause')
    await flow.advance(1_000)
    await flow.expectCounts({})
    await command(flow, 'resume')
    await flow.advance(100)
    await flow.advance(100)
    await flow.expectCounts({ idle: 2 })
  })

  test('lets a client whose server is being prepared run its query first', async () => {
    const { flow, client, postgres } = await startPair()
    const other = await flow.connect({ parameters: { application_name: 'reports' } })
    other.send(query('one'))
    await postgres.expect('Query')
    await flow.expectCounts({ aligning: 1 })
    const console = await pausing(flow)
    postgres.send(rows('reports'), ready())
    await postgres.expect('Query(one)')
    client.send(query('two'))
    postgres.send(rows('1'), ready())
    await other.answer()
    expect(await console.answer()).toEqual(PAUSED)
    await command(flow, 'resume')
    await served(client, flow, 'two')
  })

  test('closes a server that was being prepared for a client that has left meanwhile', async () => {
    const { flow, postgres } = await startPair()
    const other = await flow.connect({ parameters: { application_name: 'other' } })
    other.send(query('one'))
    await postgres.expect('Query')
    await flow.expectCounts({ aligning: 1 })
    const console = await pausing(flow)
    other.vanish()
    await quiet()
    postgres.send(rows('other'), ready())
    expect(await console.answer()).toEqual(PAUSED)
    await postgres.expectClosed()
    await flow.expectCounts({})
  })

  test('together with a reload moves a database without clients noticing', async () => {
    const { flow, client, postgres } = await startPair()
    const other = new FlowPostgres(flow.transport, { host: 'other', port: 5432 })
    await other.listen()
    await command(flow, 'pause app')
    await postgres.expect('Terminate')
    await reload(flow, { databases: ['app=host=other'] })
    const newcomer = await flow.connect()
    client.send(query('one'))
    await quiet()
    await other.expectNoMore()
    await command(flow, 'resume app')
    const server = await other.next()
    await server.expect('Query(one)')
    server.send(rows('1'), ready())
    await client.answer()
    newcomer.leave()
    await flow.postgres.expectNoMore()
  })

  test('is an error for an unknown or the admin database, and so are RESUME and KILL', async () => {
    const { flow } = await startPair()
    for (const [text, words] of [
      ['resume', 'ERROR 55000 pooler is not paused/suspended'],
      ['resume app', 'ERROR 55000 database app is not paused'],
      ['pause nowhere', 'ERROR 3D000 no such database: nowhere'],
      ['pause pgbouncer', 'ERROR 0A000 cannot pause admin db: pgbouncer'],
      ['kill pgweir', 'ERROR 0A000 cannot kill admin db: pgweir'],
    ] as const)
      expect((await command(flow, text))[0], text).toBe(`ErrorResponse(${words})`)
  })
})

describe('KILL', () => {
  test('disconnects the clients of a database, and makes new ones wait for RESUME', async () => {
    const flow = await startFlow({ databases: ['app=host=db', 'other=host=db'], settings: { default_pool_size: 2 } })
    const [idle, busy, waits] = [await flow.connect(), await flow.connect(), await flow.connect()]
    const stays = await flow.connect({ database: 'other' })
    const { server } = await run(busy, flow)
    const transaction = await flow.connect()
    const second = await run(transaction, flow)
    waits.send(query('three'))
    await flow.expectCounts({ leased: 2, waiting: 1 })
    const console = await pausing(flow, 'kill app')
    for (const client of [idle, busy, waits, transaction]) {
      expect((await client.inbox.next()).shown).toBe('ErrorResponse(FATAL 57P01 database removed)')
      await client.expectClosed()
    }
    for (const each of [server, second.server]) {
      await flow.postgres.nextCancel()
      each.send(error('57014', 'canceling statement due to user request'), ready())
    }
    expect(await console.answer()).toEqual(['CommandComplete(KILL)', 'ReadyForQuery(I)'])
    await flow.expectCounts({})
    await ask(stays, flow)
    const newcomer = await flow.connect()
    newcomer.send(query('four'))
    await flow.expectCounts({ waiting: 1 })
    await command(flow, 'resume app')
    while ((await flow.postgres.next()) !== flow.postgres.servers.at(-1));
    const last = flow.postgres.servers.at(-1)
    await last?.expect('Query(four)')
    last?.send(rows('4'), ready())
    await newcomer.answer()
  })

  test('without a name affects all databases, and is ended by RESUME without a name', async () => {
    const flow = await startFlow({ databases: ['app=host=db', 'other=host=db'] })
    const clients = [await flow.connect(), await flow.connect({ database: 'other' })]
    expect(await command(flow, 'kill')).toEqual(['CommandComplete(KILL)', 'ReadyForQuery(I)'])
    for (const client of clients) {
      await client.inbox.next()
      await client.expectClosed()
    }
    await command(flow, 'resume')
    await ask(await flow.connect(), flow)
  })
})

describe('while the pooler is shutting down', () => {
  test('PAUSE, RESUME and KILL are refused, and a PAUSE in progress ends with an error', async () => {
    const { flow, client } = await startPair()
    const { finish } = await run(client, flow)
    const console = await pausing(flow)
    const { control } = flow.pooler
    await control.shutdown('wait_for_clients')
    expect((await console.answer())[0]).toBe('ErrorResponse(ERROR 55000 pooler is shutting down)')
    for (const work of [control.pause(null), control.resume(null), control.kill(null)])
      await expect(work).rejects.toThrow('pooler is shutting down')
    await finish()
  })

  test('a paused pool shuts down with wait_for_servers, and its waiting clients get an error', async () => {
    const { flow, client } = await startPair()
    await command(flow, 'pause')
    client.send(query('one'))
    await flow.expectCounts({ waiting: 1 })
    await flow.pooler.control.shutdown('wait_for_servers')
    expect((await client.inbox.next()).shown).toBe('ErrorResponse(FATAL 57P01 server shutting down)')
    await flow.pooler.stopped
    await client.expectClosed()
  })
})

describe('a worker that is being replaced', () => {
  test('pauses the clients that it still has', async () => {
    const { flow, client, postgres } = await startPair()
    client.send(query('begin'))
    await postgres.expect('Query(begin)')
    postgres.send(complete('BEGIN'), ready('T'))
    await client.answer()
    const pause = flow.pooler.control.pause(null)
    pause.catch(() => {})
    flow.pooler.parts.drain(10_000)
    client.send(query('commit'))
    await postgres.expect('Query(commit)')
    postgres.send(complete('COMMIT'), ready())
    await client.answer()
    await pause
    await expect(flow.pooler.control.pause(null)).resolves.toBeUndefined()
    client.send(query('one'))
    await quiet()
    await client.expectNothing()
    await flow.pooler.control.resume(null)
    await served(client, flow, 'one')
  })
})
