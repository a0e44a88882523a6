/** The console answers in order, in both protocols, and shows the present state of the pooler. */

import { describe, expect, test } from 'vitest'
import { stampCancelKey } from '../../src/wire/cancel-key.ts'
import type { FlowClient } from '../support/flow/client.ts'
import { run } from '../support/flow/commands.ts'
import { quiet, until } from '../support/flow/inbox.ts'
import { complete, error, ready, rows } from '../support/flow/replies.ts'
import {
  bind,
  cancelRequest,
  closePortal,
  closeStatement,
  copyDone,
  describePortal,
  describeStatement,
  execute,
  flush,
  functionCall,
  message,
  parse,
  query,
  startup,
  sync,
  terminate,
} from '../support/flow/requests.ts'
import { type Flow, type FlowOptions, startFlow, startPair } from '../support/flow/start.ts'
import { everySplit, showSplit } from '../support/splits.ts'

async function startConsole(options: FlowOptions = {}) {
  const flow = await startFlow(options)
  return { flow, console: await connect(flow) }
}

function connect(flow: Flow): Promise<FlowClient> {
  return flow.connect({ database: 'pgweir', user: 'root' })
}

/** Returns the rows of a SHOW, each value by the name of its column. */
async function show(console: FlowClient, topic: string): Promise<Record<string, string>[]> {
  console.send(query(`show ${topic}`))
  const found: Record<string, string>[] = []
  let names: string[] = []
  for (let reply = await console.inbox.next(); reply.name !== 'ReadyForQuery'; reply = await console.inbox.next()) {
    const fields = reply.read?.['fields']
    if (reply.name === 'RowDescription') names = (fields as { name: string }[]).map(({ name }) => name)
    if (reply.name === 'DataRow')
      found.push(Object.fromEntries((fields as string[]).map((cell, index) => [names[index], cell])))
    if (reply.name === 'ErrorResponse') throw new Error(reply.shown)
  }
  return found
}

/** Returns the row of the pool `app` in SHOW POOLS, without the values that are 0. */
async function pool(console: FlowClient): Promise<Record<string, string>> {
  const row = (await show(console, 'pools')).find(({ database }) => database === 'app') ?? {}
  return Object.fromEntries(Object.entries(row).filter(([name, value]) => value !== '0' && /^(cl|sv|maxw)/.test(name)))
}

const VERSION = ['RowDescription(version)', expect.stringMatching(/^DataRow\(pgweir /), 'CommandComplete(SHOW)']

describe('the extended protocol on the console', () => {
  test('prepares, describes, executes and closes statements, with and without names', async () => {
    const { console } = await startConsole()
    console.send(parse('s', 'show version'), describeStatement('s'), sync)
    expect(await console.answer()).toEqual([
      'ParseComplete',
      'ParameterDescription()',
      'RowDescription(version)',
      'ReadyForQuery(I)',
    ])
    console.send(bind('p', 's'), describePortal('p'), execute('p'), closePortal('p'), closeStatement('s'), sync)
    expect(await console.answer()).toEqual([
      'BindComplete',
      ...VERSION,
      'CloseComplete',
      'CloseComplete',
      'ReadyForQuery(I)',
    ])
    console.send(parse('', 'show help'), bind('', ''), describePortal(), execute(), sync)
    expect(await console.answer()).toEqual([
      'ParseComplete',
      'BindComplete',
      'NoData',
      'NoticeResponse(Console usage)',
      'CommandComplete(SHOW)',
      'ReadyForQuery(I)',
    ])
    console.send(parse('', ' ; '), bind('', ''), execute(), sync)
    expect(await console.answer()).toEqual(['ParseComplete', 'BindComplete', 'EmptyQueryResponse', 'ReadyForQuery(I)'])
  })

  test('skips everything after an error up to the Sync, simple queries too, and goes on', async () => {
    const { flow, console } = await startConsole()
    console.send(
      ...[parse('', 'show poolz'), bind('', ''), execute(), query('show version'), functionCall(1), sync],
      ...[parse('', 'show version'), bind('', ''), execute(), sync],
    )
    expect(await console.answer()).toEqual([
      "ErrorResponse(ERROR 42601 invalid command 'show poolz', use SHOW HELP;)",
      'ReadyForQuery(I)',
    ])
    expect(await console.answer()).toEqual(['ParseComplete', 'BindComplete', ...VERSION.slice(1), 'ReadyForQuery(I)'])
    expect(flow.logged("pooler error: invalid command 'show poolz', use SHOW HELP;")).toHaveLength(1)
  })

  test('reports errors at the same messages as Postgres', async () => {
    const { console } = await startConsole()
    const failure = async (...messages: Buffer[]) => {
      console.send(...messages, sync)
      const shown = await console.answer()
      return shown.find((line) => line.startsWith('ErrorResponse'))
    }
    expect(await failure(bind('', 'nobody'))).toContain('26000 prepared statement "nobody" does not exist')
    expect(await failure(describeStatement('nobody'))).toContain('26000')
    expect(await failure(describePortal('nobody'))).toContain('34000 portal "nobody" does not exist')
    expect(await failure(execute('nobody'))).toContain('34000')
    expect(await failure(parse('s', 'show version'), parse('s', 'show version'))).toContain('42P05')
    expect(await failure(bind('p', 's'), bind('p', 's'))).toContain('42P03')
    expect(await failure(parse('', 'show version; show version'))).toContain('42601 cannot insert multiple commands')
    expect(await failure(parse('', 'pause $1'))).toContain('0A000 console commands take no parameters')
    expect(await failure(parse('', 'pause', [23]))).toContain('0A000 console commands take no parameters')
    expect(await failure(bind('', 's', 'value'))).toContain('0A000 console commands take no parameters')
    expect(await failure(parse('', 'show fds'), bind('', ''), execute())).toContain('0A000 SHOW FDS is not supported')
    expect(await failure(closeStatement('nobody'), closePortal('nobody'))).toBe(undefined)
  })

  test('returns as many rows as Execute asks for, and the rest later', async () => {
    const { console } = await startConsole()
    console.send(parse('', 'show state'), bind('', ''), execute('', 2), flush)
    await console.expect('ParseComplete', 'BindComplete', 'DataRow(active, yes)', 'DataRow(paused, no)')
    await console.expect('PortalSuspended')
    console.send(execute('', 1), execute('', 1), execute('', 1), sync)
    expect(await console.answer()).toEqual([
      'DataRow(suspended, no)',
      'PortalSuspended',
      'CommandComplete(SHOW)',
      'CommandComplete(SHOW)',
      'ReadyForQuery(I)',
    ])
  })

  test('keeps portals beyond a Sync only within a transaction', async () => {
    const { console } = await startConsole()
    const ask = async (...messages: Buffer[]) => {
      console.send(...messages)
      return (await console.answer()).slice(-2)
    }
    expect(await ask(query('begin'))).toEqual(['CommandComplete(BEGIN)', 'ReadyForQuery(T)'])
    expect(await ask(parse('s', 'show state'), bind('p', 's'), execute('p', 1), sync)).toEqual([
      'PortalSuspended',
      'ReadyForQuery(T)',
    ])
    expect(await ask(execute('p'), sync)).toEqual(['CommandComplete(SHOW)', 'ReadyForQuery(T)'])
    expect(await ask(query('commit'))).toEqual(['CommandComplete(COMMIT)', 'ReadyForQuery(I)'])
    expect(await ask(execute('p'), sync)).toEqual([
      'ErrorResponse(ERROR 34000 portal "p" does not exist)',
      'ReadyForQuery(I)',
    ])
  })
})

describe('simple queries on the console', () => {
  test('may contain several commands, which are answered in order with one ReadyForQuery', async () => {
    const { console } = await startConsole()
    console.send(query('show version; set client_encoding = utf8; select 1'))
    expect(await console.answer()).toEqual([
      ...VERSION,
      'NoticeResponse(SET ignored)',
      'CommandComplete(SET)',
      'RowDescription(?column?)',
      'DataRow(1)',
      'CommandComplete(SELECT 1)',
      'ReadyForQuery(I)',
    ])
    console.send(query('show version; show fds; show version'))
    expect(await console.answer()).toEqual([
      ...VERSION,
      'ErrorResponse(ERROR 0A000 SHOW FDS is not supported)',
      'ReadyForQuery(I)',
    ])
    console.send(query(' ; -- nothing'))
    expect(await console.answer()).toEqual(['EmptyQueryResponse', 'ReadyForQuery(I)'])
  })

  test('discard the unnamed statement', async () => {
    const { console } = await startConsole()
    console.send(parse('', 'show version'), sync, query('select 1'), bind('', ''), sync)
    await console.answer()
    await console.answer()
    expect(await console.answer()).toEqual([
      'ErrorResponse(ERROR 26000 prepared statement "" does not exist)',
      'ReadyForQuery(I)',
    ])
  })
})

test('the console refuses a function call, and the client may go on', async () => {
  const { console } = await startConsole()
  console.send(functionCall(1), message('f', Buffer.from('late\0')), copyDone, query('select 1'))
  expect(await console.answer()).toEqual([
    'ErrorResponse(ERROR 0A000 function calls are not supported on the console)',
    'ReadyForQuery(I)',
  ])
  expect(await console.answer()).toContain('DataRow(1)')
})

describe('the console disconnects a client that sends', () => {
  for (const [what, bytes, words] of [
    ['a message of an unknown type', message('y'), 'FATAL 08P01 unknown pkt'],
    ['a password', message('p', Buffer.from('x\0')), 'FATAL 08P01 a message of type'],
    ['a broken Parse', message('P', Buffer.from('x')), 'FATAL 08P01 broken Parse packet'],
    ['a message with a length of 3', message('Q', Buffer.alloc(0), 3), 'FATAL 08P01 bad packet header'],
    ['a query of a gigabyte', message('Q', Buffer.alloc(0), 2 ** 30), 'FATAL 54000 a message of'],
  ] as const)
    test(what, async () => {
      const { console } = await startConsole()
      console.send(query('select 1'), bytes)
      await console.answer()
      expect((await console.inbox.next()).shown).toContain(words)
      await console.expectClosed()
    })
})

test('the console does not answer messages after Terminate', async () => {
  const { console } = await startConsole()
  console.send(terminate, query('show version'))
  await console.expectClosed()
})

const CONVERSATION = Buffer.concat([
  startup({ user: 'root', database: 'pgbouncer' }),
  query('select 1'),
  ...[parse('s', 'show version'), bind('', 's'), execute(), sync],
  ...[parse('', 'shwo'), bind('', ''), sync],
  terminate,
])

for (const cut of ['glued', 1] as const)
  test(`a console conversation gets the same answers however it is cut into chunks (${cut})`, async () => {
    const { flow, console } = await startConsole({ cut })
    console.leave()
    for (const pieces of everySplit(CONVERSATION).filter((_, index) => index % 7 === 0)) {
      const client = await flow.dial()
      await client.sendPieces(pieces)
      await client.expect('AuthenticationOk')
      await client.answer()
      expect(await client.answer(), showSplit(pieces)).toContain('DataRow(1)')
      expect(await client.answer(), showSplit(pieces)).toHaveLength(5)
      expect(await client.answer(), showSplit(pieces)).toHaveLength(2)
      await client.expectClosed()
    }
  })

describe('back-pressure on the console:', () => {
  test('a long answer is produced only as fast as the client reads it, and other clients are served meanwhile', async () => {
    const { flow, console } = await startConsole({ windowBytes: 4_096 })
    const crowd = 400
    for (let count = 0; count < crowd; count++) await connect(flow)
    const session = [...flow.pooler.parts.sessions].find(
      ({ channel }) => channel.peer.port === console.channel.local.port,
    )
    console.stopReading()
    console.send(query('show clients'), query('show clients'), query('select 1'))
    await quiet()
    const owed = session?.channel.owedBytes ?? 0
    expect(owed).toBeGreaterThan(0)
    expect(owed).toBeLessThan(64 * 1024)
    const other = flow.clients.at(-1) as FlowClient
    expect(await show(other, 'version')).toHaveLength(1)
    expect(session?.channel.owedBytes, 'nothing more is written').toBe(owed)
    console.startReading()
    for (let times = 0; times < 2; times++)
      expect((await console.answer()).filter((line) => line.startsWith('DataRow'))).toHaveLength(crowd + 1)
    expect(await console.answer()).toContain('DataRow(1)')
  })

  test('a client that sends commands without reading the answers is no longer read', async () => {
    const { flow, console } = await startConsole({ windowBytes: 4_096 })
    const [session] = flow.pooler.parts.sessions
    console.stopReading()
    console.send(parse('s', 'show stats'), sync)
    const batch = Buffer.concat(Array.from({ length: 1_000 }, () => describeStatement('s')))
    for (let times = 0; times < 50; times++) console.send(batch)
    await quiet(20)
    expect(session?.channel.owedBytes).toBeLessThan(128 * 1024)
    expect(console.channel.owedBytes, 'the client’s own writes are blocked').toBeGreaterThan(100_000)
    console.isDeaf = true
    console.inbox.take()
  })

  test('a cancel request ends a long answer', async () => {
    const { flow, console } = await startConsole({ windowBytes: 4_096 })
    for (let count = 0; count < 400; count++) await connect(flow)
    console.stopReading()
    console.send(query('show clients'))
    await quiet()
    const canceller = await flow.dial()
    canceller.send(cancelRequest(console.key))
    await canceller.expectClosed()
    console.startReading()
    const answer = await console.answer()
    expect(answer.length).toBeLessThan(400)
    expect(answer.slice(-2)).toEqual([
      'ErrorResponse(ERROR 57014 canceling statement due to user request)',
      'ReadyForQuery(I)',
    ])
    console.send(query('select 1'))
    expect(await console.answer()).toContain('DataRow(1)')
  })

  test('a client that vanishes in the middle of an answer leaves no session behind', async () => {
    const { flow, console } = await startConsole({ windowBytes: 4_096 })
    for (let count = 0; count < 400; count++) await connect(flow)
    console.stopReading()
    console.send(query('show clients'))
    await quiet()
    console.vanish()
    await until(
      () => flow.pooler.parts.sessions.count === 400,
      () => 'its session stays',
    )
  })
})

describe('SHOW POOLS, SHOW CLIENTS and SHOW SERVERS show', () => {
  test('idle and active clients and servers', async () => {
    const { flow, client, postgres } = await startPair()
    const console = await connect(flow)
    expect(await pool(console)).toEqual({ cl_active: '1', sv_idle: '1' })
    client.send(query('select 1'))
    await postgres.expect('Query')
    expect(await pool(console)).toEqual({ cl_active: '1', sv_active: '1' })
    const [row] = (await show(console, 'clients')).filter(({ database }) => database === 'app')
    const [server] = await show(console, 'servers')
    expect(row).toMatchObject({ type: 'C', user: 'ada', state: 'active', link: server?.['ptr'], tls: '', wait: '0' })
    expect(server).toMatchObject({ type: 'S', user: 'ada', database: 'app', state: 'active', link: row?.['ptr'] })
    expect(server?.['remote_pid']).toBe(String(postgres.pid))
    postgres.send(rows('1'), ready())
    await client.answer()
    expect(await pool(console)).toEqual({ cl_active: '1', sv_idle: '1' })
    expect((await show(console, 'clients'))[0]).toMatchObject({ state: 'idle', link: '' })
  })

  test('waiting clients, and for how long they have waited', async () => {
    const { flow, client, postgres } = await startPair({ settings: { default_pool_size: 1 } })
    const console = await connect(flow)
    client.send(query('one'))
    await postgres.expect('Query')
    const other = await flow.connect()
    other.send(query('two'))
    await quiet()
    await flow.advance(2_250)
    expect(await pool(console)).toEqual({
      cl_active: '1',
      cl_waiting: '1',
      sv_active: '1',
      maxwait: '2',
      maxwait_us: '250000',
    })
    const states = (await show(console, 'clients')).map(({ state, wait, wait_us }) => [state, wait, wait_us])
    expect(states).toEqual([
      ['active', '0', '0'],
      ['idle', '0', '0'],
      ['waiting', '2', '250000'],
    ])
    postgres.send(rows('1'), ready())
    await client.answer()
    await postgres.expect('Query')
    expect(await pool(console)).toEqual({ cl_active: '2', sv_active: '1' })
    postgres.send(rows('2'), ready())
    await other.answer()
  })

  test('servers that are being opened, and a client that waits for its login to finish', async () => {
    const { flow, console } = await startConsole()
    flow.postgres.login = () => {}
    const client = await flow.dial()
    client.send(startup({ user: 'ada', database: 'app' }))
    const postgres = await flow.postgres.next()
    await quiet()
    expect(await pool(console)).toMatchObject({ cl_waiting: '1', sv_login: '1' })
    expect((await show(console, 'servers'))[0]).toMatchObject({ state: 'new', remote_pid: '0' })
    expect((await show(console, 'clients')).at(-1)).toMatchObject({ state: 'waiting', user: 'ada', database: 'app' })
    postgres.welcome()
    await client.answer()
    expect(await pool(console)).toEqual({ cl_active: '1', sv_idle: '1' })
  })

  test('servers that have to be checked, and servers that are being checked', async () => {
    const { flow, client, postgres } = await startPair({
      settings: { server_check_delay: 30, server_check_query: 'select 7' },
    })
    const console = await connect(flow)
    await flow.advance(30_500)
    expect(await pool(console)).toEqual({ cl_active: '1', sv_used: '1' })
    expect((await show(console, 'servers'))[0]).toMatchObject({ state: 'used' })
    client.send(query('one'))
    await postgres.expect('Query(select 7)')
    expect(await pool(console)).toMatchObject({ cl_waiting: '1', sv_tested: '1' })
    postgres.send(rows('7'), ready())
    await postgres.expect('Query(one)')
    expect(await pool(console)).toMatchObject({ cl_active: '1', sv_active: '1' })
    postgres.send(rows('1'), ready())
    await client.answer()
  })

  test('servers that are being reset', async () => {
    const { flow, client, postgres } = await startPair({ settings: { server_reset_query_always: 1 } })
    const console = await connect(flow)
    client.send(query('one'))
    // The server was also reset after the login of the client.
    while ((await postgres.inbox.next()).shown !== 'Query(one)') postgres.send(complete('DISCARD ALL'), ready())
    postgres.send(rows('1'), ready())
    await client.answer()
    await postgres.expect('Query(DISCARD ALL)')
    expect(await pool(console)).toEqual({ cl_active: '1', sv_tested: '1' })
    postgres.send(complete('DISCARD ALL'), ready())
    await quiet()
    expect(await pool(console)).toEqual({ cl_active: '1', sv_idle: '1' })
  })

  test('cancel requests in progress, and the servers that they may still reach', async () => {
    const { flow, client, postgres } = await startPair()
    const console = await connect(flow)
    flow.postgres.holdsCancels = true
    client.send(query('select pg_sleep(60)'))
    await postgres.expect('Query')
    const canceller = await flow.dial()
    canceller.send(cancelRequest(client.key))
    await flow.postgres.nextCancel()
    expect(await pool(console)).toEqual({
      cl_active: '1',
      cl_active_cancel_req: '1',
      sv_active: '1',
      sv_active_cancel: '1',
    })
    postgres.send(error('57014', 'canceling statement due to user request'), ready())
    await client.answer()
    expect(await pool(console)).toMatchObject({ sv_being_canceled: '1', sv_active_cancel: '1' })
    flow.postgres.finishCancels()
    await quiet()
    expect(await pool(console)).toEqual({ cl_active: '1', sv_idle: '1' })
    await canceller.expectClosed()
  })

  test('each server state under the same name in SHOW SERVERS as in SHOW POOLS', async () => {
    const { flow, console } = await startConsole({ settings: { default_pool_size: 3 } })
    for (const text of ['one', 'two', 'three']) {
      const client = await flow.connect()
      client.send(query(text))
    }
    await quiet()
    const [row] = (await show(console, 'pools')).filter(({ database }) => database === 'app')
    const states = (await show(console, 'servers')).map(({ state }) => `sv_${state}`)
    expect(row?.['sv_active']).toBe('3')
    expect(states).toEqual(['sv_active', 'sv_active', 'sv_active'])
    expect((await show(console, 'lists')).find(({ list }) => list === 'used_servers')?.['items']).toBe('3')
  })

  test('peers, and the cancel requests that are being sent to them', async () => {
    const { flow, console } = await startConsole({
      settings: { peer_id: 1, default_pool_size: 5, cancel_wait_timeout: 10 },
      peers: ['1 = host=a', '20 = host=b port=7000 pool_size=1', '3 = host=c'],
    })
    expect(await show(console, 'peers')).toEqual([
      { peer_id: '3', host: 'c', port: '6432', pool_size: '5' },
      { peer_id: '20', host: 'b', port: '7000', pool_size: '1' },
    ])
    flow.transport.silence({ host: 'b', port: 7000 })
    for (let number = 0; number < 3; number++) {
      const canceller = await flow.dial()
      canceller.send(cancelRequest(stampCancelKey(Buffer.alloc(8, number), { peerId: 20, worker: 0 })))
    }
    await quiet()
    const none = { cl_active_cancel_req: '0', cl_waiting_cancel_req: '0', sv_active_cancel: '0', sv_login: '0' }
    expect(await show(console, 'peer_pools')).toEqual([
      { peer_id: '3', ...none },
      { peer_id: '20', ...none, cl_waiting_cancel_req: '3', sv_login: '1' },
    ])
    const lists = (await show(console, 'lists')).filter(({ list }) => list === 'peers' || list === 'peer_pools')
    expect(lists.map(({ items }) => items)).toEqual(['2', '2'])
    await flow.advance(10_001)
    await flow.advance(10_001)
    await flow.advance(10_001)
  })
})

describe('sockets and memory', () => {
  test('SHOW SOCKETS lists clients and servers in one table, with PgBouncer’s names for their states', async () => {
    const { flow, client } = await startPair({ settings: { default_pool_size: 2 } })
    const console = await connect(flow)
    const { finish } = await run(client, flow)
    const waiting = await flow.connect()
    const shown = async (topic: string) =>
      (await show(console, topic)).map(({ type, state, send_avail }) => `${type} ${state} ${send_avail}`).toSorted()
    expect(await shown('sockets')).toEqual(['C cl_active 0', 'C cl_active 0', 'C cl_active 0', 'S sv_active 0'])
    expect(await shown('active_sockets')).toEqual(['C cl_active 0', 'S sv_active 0'])
    await finish()
    expect(await shown('active_sockets')).toEqual([])
    waiting.leave()
  })

  test('SHOW SOCKETS lists clients that are logging in, with what is known about them', async () => {
    const flow = await startFlow({ settings: { auth_type: 'md5', admin_users: 'ada' }, authFile: ['"ada" "secret"'] })
    await flow.dial()
    const asked = await flow.dial()
    asked.send(startup({ user: 'bob', database: 'app' }))
    await asked.expect('AuthenticationMD5Password')
    const console = await flow.connect({ user: 'ada', password: 'secret', database: 'pgbouncer' })
    const shown = async (topic: string) =>
      (await show(console, topic)).map(({ user, database, state }) => `${user} ${database} ${state}`).toSorted()
    expect(await shown('sockets')).toEqual([
      '(nouser) (nodb) cl_login',
      'ada pgbouncer cl_active',
      'bob (nodb) cl_login',
    ])
    expect(await shown('active_sockets')).toEqual([])
    expect(await shown('clients')).toEqual(['ada pgbouncer idle'])
  })

  test('SHOW SOCKETS replaces control characters in the names of clients that are logging in, since psql prints them as they are', async () => {
    const flow = await startFlow({ settings: { auth_type: 'md5', admin_users: 'ada' }, authFile: ['"ada" "secret"'] })
    const stranger = await flow.dial()
    stranger.send(startup({ user: 'evil\x1b[31mRED', database: 'app', application_name: 'a\x9b2J' }))
    await stranger.expect('AuthenticationMD5Password')
    const console = await flow.connect({ user: 'ada', password: 'secret', database: 'pgbouncer' })
    const told = (await show(console, 'sockets')).find(({ state }) => state === 'cl_login')
    expect(told).toMatchObject({ user: 'evil?[31mRED' })
    expect(JSON.stringify(told)).not.toMatch(/\\u00|[\u007f-\u009f]/)
  })

  test('SHOW SOCKETS shows how much a client has not yet read', async () => {
    const flow = await startFlow({ windowBytes: 100 })
    const client = await flow.connect()
    const { server } = await run(client, flow)
    client.stopReading()
    server.send(rows('1'))
    await quiet()
    server.send(rows('2'), ready())
    await quiet()
    const console = await connect(flow)
    const owed = (await show(console, 'sockets')).map(({ send_avail }) => Number(send_avail))
    expect(owed.some((bytes) => bytes > 0)).toBe(true)
    client.startReading()
    await client.answer()
  })

  test('SHOW MEM lists the parts of the process’ memory', async () => {
    const { console } = await startConsole()
    const parts = await show(console, 'mem')
    expect(parts.map(({ name }) => name)).toEqual(expect.arrayContaining(['heap_old_space', 'buffers', 'rest']))
    for (const { size, used, free, memtotal } of parts)
      expect(Number(memtotal)).toBe(Number(size) * (Number(used) + Number(free)))
  })
})

describe('statistics', () => {
  async function threeQueries() {
    const pair = await startPair({ settings: { stats_period: 10 } })
    const { flow, client, postgres } = pair
    for (const text of ['one', 'two', 'three']) {
      client.send(query(text))
      await postgres.expect('Query')
      flow.clock.advance(2)
      postgres.send(rows('1'), ready())
      await client.answer()
    }
    return pair
  }

  test('are totals since the start and averages over the last stats_period', async () => {
    const { flow } = await threeQueries()
    const console = await connect(flow)
    await flow.advance(994)
    const of = async (topic: string) =>
      (await show(console, topic)).find(({ database }) => database === 'app') as Record<string, string>
    expect(await of('stats')).toMatchObject({
      total_xact_count: '3',
      total_query_count: '3',
      total_query_time: '6000',
      total_client_login_count: '1',
      avg_query_count: '3',
      avg_query_time: '2000',
      avg_xact_time: '2000',
    })
    await flow.advance(9_000)
    await flow.advance(10_000)
    expect(await of('stats_averages')).toMatchObject({ query_count: '0', query_time: '0' })
    expect(await of('stats_totals')).toMatchObject({ query_count: '3', query_time: '6000' })
    expect((await show(console, 'totals')).find(({ name }) => name === 'total_query_time')?.['value']).toBe('6000')
  })

  test('are logged at the end of each stats_period', async () => {
    const { flow } = await threeQueries()
    await flow.advance(9_993)
    expect(flow.logged('stats:')).toEqual([])
    await flow.advance(1)
    expect(flow.logged('stats:')).toEqual([expect.stringContaining('xact 2000 us, query 2000 us, wait 0 us')])
    await flow.advance(10_000)
    expect(flow.logged('stats:').at(-1)).toContain('in 0 B/s, out 0 B/s, xact 0 us')
  })

  test('include queries to the console', async () => {
    const { console } = await startConsole()
    await show(console, 'version')
    expect(await show(console, 'stats')).toMatchObject([{ database: 'pgbouncer', total_query_count: '1' }])
  })

  test('show a minute for times beyond it, which is not the same as no times', async () => {
    const { flow, client, postgres } = await startPair()
    const console = await connect(flow)
    const queryP99 = async () =>
      (await show(console, 'latencies')).find(({ database }) => database === 'app')?.['query_p99_us']
    expect(await queryP99()).toBe(null)
    client.send(query('long'))
    await postgres.expect('Query')
    await flow.advance(90_000)
    postgres.send(rows('1'), ready())
    await client.answer()
    expect(await queryP99()).toBe('60000000')
  })

  test('of all databases together are without the console, whose commands would lower the averages', async () => {
    const { flow } = await threeQueries()
    const console = await connect(flow)
    for (let count = 0; count < 9; count++) await show(console, 'version')
    await flow.advance(994)
    const figures = new Map((await show(console, 'totals')).map(({ name, value }) => [name, value]))
    const names = ['total_xact_count', 'total_client_login_count', 'avg_query_count', 'avg_query_time', 'avg_xact_time']
    expect(names.map((name) => figures.get(name))).toEqual(['3', '1', '3', '2000', '2000'])
    await flow.advance(9_000)
    expect(flow.logged('stats:')).toEqual([expect.stringContaining('xact 2000 us, query 2000 us, wait 0 us')])
    expect(await show(console, 'stats_totals')).toContainEqual(
      expect.objectContaining({ database: 'pgbouncer', query_count: '10' }),
    )
  })
})

describe('access to the console:', () => {
  const authFile = ['"ada" "a"', '"bob" "b"', '"eve" "e"']
  const options = { settings: { auth_type: 'plain', admin_users: 'ada', stats_users: 'bob' }, authFile }

  test('admin_users may run everything, stats_users may only SHOW, other users are refused', async () => {
    const flow = await startFlow(options)
    const ada = await flow.connect({ user: 'ada', password: 'a', database: 'pgweir' })
    const bob = await flow.connect({ user: 'bob', password: 'b', database: 'pgbouncer' })
    expect(await show(bob, 'version')).toHaveLength(1)
    for (const [client, words] of [
      [ada, 'ERROR 55000 pooler is not paused/suspended'],
      [bob, 'ERROR 42501 admin access needed'],
    ] as const) {
      client.send(query('resume'), parse('', 'resume'), bind('', ''), execute(), sync)
      expect((await client.answer())[0]).toContain(words)
      expect((await client.answer())[2]).toContain(words)
    }
    const eve = await flow.dial()
    eve.send(startup({ user: 'eve', database: 'pgweir' }))
    await eve.authenticate('eve', 'e').catch(() => {})
    await until(
      () => eve.isClosed,
      () => 'eve is let in',
    )
    expect(eve.inbox.all.at(-1)?.shown).toBe('ErrorResponse(FATAL 42501 not allowed)')
    eve.inbox.take()
    expect(flow.logged('login attempt: db=pgbouncer user=bob')).toHaveLength(1)
  })

  test('an admin may connect even when max_client_conn is reached', async () => {
    const { flow } = await startPair({ settings: { max_client_conn: 1 } })
    const console = await connect(flow)
    expect(await show(console, 'version')).toHaveLength(1)
  })

  test('the console reports the parameters that drivers look for', async () => {
    const { console } = await startConsole()
    expect(Object.fromEntries(console.parameters)).toEqual({
      server_version: expect.stringMatching(/^\d+\.\d+\.\d+\/pgweir$/),
      client_encoding: 'UTF8',
      server_encoding: 'UTF8',
      DateStyle: 'ISO',
      TimeZone: 'GMT',
      standard_conforming_strings: 'on',
      is_superuser: 'on',
      integer_datetimes: 'on',
    })
  })
})
