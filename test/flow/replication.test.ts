/** Replication: a replication client has a server of its own from its login until it disconnects, and other clients are not affected. */

import { describe, expect, test } from 'vitest'
import type { FlowClient } from '../support/flow/client.ts'
import { arrive, ask, askOn, command, openedWith, ROOT, reload } from '../support/flow/commands.ts'
import { quiet } from '../support/flow/inbox.ts'
import { Others } from '../support/flow/member.ts'
import type { FlowServer } from '../support/flow/postgres.ts'
import { complete, copyBoth, copyData, copyDone, copyOut, error, ready, rows } from '../support/flow/replies.ts'
import { cancelRequest, message, parse, query, startup, sync, terminate } from '../support/flow/requests.ts'
import { type Flow, startFlow, startPair } from '../support/flow/start.ts'

const LOGICAL = { replication: 'database' }
const PHYSICAL = { replication: 'true' }
const START = 'START_REPLICATION SLOT s LOGICAL 0/0'

interface Follower {
  readonly client: FlowClient
  readonly server: FlowServer
}

async function follow(flow: Flow, parameters: Readonly<Record<string, string>> = LOGICAL): Promise<Follower> {
  const client = await flow.connect({ parameters })
  return { client, server: await flow.postgres.next() }
}

async function stream(flow: Flow, text = START): Promise<Follower> {
  const { client, server } = await follow(flow)
  client.send(query(text))
  await server.expect(`Query(${text})`)
  server.send(copyBoth())
  await client.expect('CopyBothResponse')
  return { client, server }
}

/** Begins a base backup. */
async function backUp(flow: Flow): Promise<Follower> {
  const { client, server } = await follow(flow, PHYSICAL)
  client.send(query('BASE_BACKUP'))
  await server.expect('Query(BASE_BACKUP)')
  server.send(rows('0/2000028'), copyOut(), copyData('the first file'))
  await client.inbox.through('CopyData')
  return { client, server }
}

async function finishBackup({ client, server }: Follower): Promise<void> {
  server.send(copyDone, rows('0/3000000'), complete('BASE_BACKUP'), ready())
  await client.answer()
}

describe('a replication client', () => {
  test.each([LOGICAL, PHYSICAL, { replication: 'on' }, { replication: 'yes' }])(
    'gets a new server that is opened with its own parameters, even if other servers are idle: %o',
    async (kind) => {
      const { flow, client, postgres } = await startPair()
      const options = '-c datestyle=ISO -c intervalstyle=postgres -B 5'
      const parameters = { ...kind, options, application_name: 'sub', client_encoding: 'UTF8', work_mem: '1MB' }
      const follower = await follow(flow, parameters)
      expect(openedWith(follower.server)).toEqual(parameters)
      await askOn(follower.client, follower.server, 'IDENTIFY_SYSTEM')
      await askOn(client, postgres, 'other')
      follower.client.leave()
      await follower.server.expectClosed()
      await flow.postgres.expectNoMore()
      expect(flow.counts()).toEqual({ idle: 1 })
    },
  )

  test('gets the parameters of its own server', async () => {
    const { flow } = await startPair()
    flow.postgres.login = (server) => server.welcome({ server_version: '18.1', TimeZone: 'Asia/Tokyo' })
    const { client } = await follow(flow)
    expect(Object.fromEntries(client.parameters)).toEqual({ server_version: '18.1', TimeZone: 'Asia/Tokyo' })
    // Other clients get the parameters that the servers of their pool have reported.
    expect((await flow.connect()).parameters.get('server_version')).toBe('17.5')
  })

  test('keeps its server between requests in any pool_mode', async () => {
    const flow = await startFlow({ settings: { pool_mode: 'statement' } })
    const { client, server } = await follow(flow)
    await askOn(client, server, 'one')
    client.send(query('begin'))
    await server.expect('Query(begin)')
    server.send(complete('BEGIN'), ready('T'))
    await client.answer()
    await askOn(client, server, 'two')
    await flow.advance(1_000_000)
    await askOn(client, server, 'three')
  })

  test('gets Postgres’ own errors', async () => {
    const flow = await startFlow()
    const { client, server } = await follow(flow)
    client.send(parse('s', 'select 1'), sync)
    await server.expect('Parse(s, select 1)', 'Sync')
    server.send(error('08P01', 'extended query protocol not supported in a replication connection'), ready())
    await client.expect('ErrorResponse', 'ReadyForQuery(I)')
  })

  test('has its options forwarded even if ignore_startup_parameters names them, but no other such parameter', async () => {
    const flow = await startFlow({ settings: { ignore_startup_parameters: 'options,extra_float_digits' } })
    const { server } = await follow(flow, { ...LOGICAL, options: '-c datestyle=ISO', extra_float_digits: '3' })
    expect(openedWith(server)).toEqual({ ...LOGICAL, options: '-c datestyle=ISO' })
  })

  test('is treated as an ordinary client if ignore_startup_parameters names replication', async () => {
    const flow = await startFlow({ settings: { ignore_startup_parameters: 'replication' } })
    await flow.connect({ parameters: LOGICAL })
    expect(openedWith(await flow.postgres.next())).toEqual({})
  })

  test('has its own parameters take precedence over those of the database, but not its user over the forced user', async () => {
    const flow = await startFlow({ databases: ['app=host=db user=eve application_name=ini timezone=UTC dbname=real'] })
    const { server } = await follow(flow, { ...LOGICAL, application_name: 'sub' })
    expect(Object.fromEntries(server.parameters)).toEqual({
      ...{ user: 'eve', database: 'real', application_name: 'sub', timezone: 'UTC' },
      ...LOGICAL,
    })
  })

  test('has its host added to application_name with application_name_add_host', async () => {
    const flow = await startFlow({ settings: { application_name_add_host: 1 } })
    const { server } = await follow(flow, { ...LOGICAL, application_name: 'sub' })
    expect(openedWith(server)['application_name']).toMatch(/^sub - /)
  })

  test('has connect_query run, unless it is a physical one', async () => {
    const flow = await startFlow({ databases: [`app=host=db connect_query='set work_mem = 1'`] })
    await follow(flow, PHYSICAL)
    const logical = await arrive(flow, LOGICAL)
    const server = await flow.postgres.next()
    await server.expect('Query(set work_mem = 1)')
    server.send(complete('SET'), ready())
    await logical.inbox.through('ReadyForQuery')
  })

  test('for physical replication names a database entry', async () => {
    const flow = await startFlow({ databases: ['app=host=db', 'replication=host=db'] })
    const client = await flow.dial()
    client.send(startup({ user: 'ada', database: 'nowhere', ...PHYSICAL }))
    const refusal = await client.expect('ErrorResponse(FATAL 3D000 no such database: nowhere)')
    expect(refusal.read?.['hint']).toContain('"nowhere = host=…"')
    await client.expectClosed()
    const { parameters } = await flow
      .connect({ database: 'replication', parameters: PHYSICAL })
      .then(() => flow.postgres.next())
    expect(parameters.get('replication')).toBe('true')
  })
})

test('a replication client is connected to the first of several hosts that works', async () => {
  const flow = await startFlow({ databases: ['app=host=nowhere,db,db'] })
  const { client, server } = await follow(flow)
  await askOn(client, server, 'IDENTIFY_SYSTEM')
  await flow.postgres.expectNoMore()
})

test('the console ignores the parameter replication', async () => {
  const flow = await startFlow()
  const console = await flow.connect({ ...ROOT, parameters: LOGICAL })
  console.send(query('show clients'))
  expect((await console.answer()).filter((line) => line.includes('logical'))).toEqual([])
})

describe('Postgres’ answer to the login of a replication client', () => {
  const REFUSAL = 'ErrorResponse(FATAL 42501 permission denied to start WAL sender)'

  test('affects that client alone: no other client waits, and the failure is not remembered', async () => {
    const { flow, client, postgres } = await startPair({ settings: { server_login_retry: 15 } })
    flow.postgres.login = (server) => {
      if (!server.parameters.has('replication')) server.welcome()
      else {
        server.send(error('42501', 'permission denied to start WAL sender', 'FATAL'))
        server.close()
      }
    }
    for (let tries = 0; tries < 3; tries++) {
      const refused = await arrive(flow, LOGICAL)
      await refused.expect(REFUSAL)
      await refused.expectClosed()
      await flow.postgres.next()
    }
    client.send(query('first'))
    await postgres.expect('Query(first)')
    const other = await flow.connect()
    other.send(query('second'))
    const second = await flow.postgres.next()
    await second.expect('Query(second)')
    for (const [who, server] of [
      [client, postgres],
      [other, second],
    ] as const) {
      server.send(rows('1'), ready())
      await who.answer()
    }
  })

  test('does not count against other clients if it is that there are too many WAL senders', async () => {
    const others = new Others()
    const asked: string[] = []
    const membership: Others['membership'] = (clock, permits) => {
      const member = others.membership(clock, permits)
      return {
        ...member,
        openPermits(...about) {
          const granted = member.openPermits(...about)
          granted.refused = (sqlstate) => asked.push(sqlstate)
          return granted
        },
      }
    }
    const { flow, client, postgres } = await startPair({ others: Object.assign(new Others(), { membership }) })
    flow.postgres.login = (server) => {
      server.send(error('53300', 'number of requested standby connections exceeds max_wal_senders', 'FATAL'))
      server.close()
    }
    const refused = await arrive(flow, LOGICAL)
    await refused.expect('ErrorResponse(FATAL 53300 number of requested standby connections exceeds max_wal_senders)')
    await refused.expectClosed()
    await askOn(client, postgres, 'unharmed')
    expect(asked).toEqual([])
  })

  test('makes it wait like other clients if Postgres is starting up', async () => {
    const flow = await startFlow()
    flow.postgres.login = (server) => {
      server.send(error('57P03', 'the database system is starting up', 'FATAL'))
      server.close()
    }
    const client = await arrive(flow, LOGICAL)
    await flow.postgres.next()
    await client.expectNothing()
    flow.postgres.login = (server) => server.welcome()
    await flow.advance(1_000)
    await client.inbox.through('ReadyForQuery')
  })

  test('is not waited for if the client disconnects meanwhile: its server is closed', async () => {
    const flow = await startFlow()
    flow.postgres.login = () => {}
    const client = await arrive(flow, LOGICAL)
    const server = await flow.postgres.next()
    client.vanish()
    await server.expectClosed()
    expect([...flow.pooler.parts.pools].map(({ connected }) => connected)).toEqual([0])
    await flow.advance(1_000)
    expect(flow.pooler.parts.pools.count).toBe(0)
  })
})

describe('limits and replication clients:', () => {
  test('a replication client counts towards default_pool_size: an idle server is closed for it, and other clients wait', async () => {
    const { flow, client, postgres } = await startPair({ settings: { default_pool_size: 1 } })
    const follower = await follow(flow)
    await postgres.expectClosed()
    client.send(query('waits'))
    await client.expectNothing()
    expect(flow.counts()).toEqual({ waiting: 1 })
    follower.client.leave()
    await follower.server.expectClosed()
    const next = await flow.postgres.next()
    await next.expect('Query(waits)')
    next.send(rows('1'), ready())
    await client.answer()
  })

  test('a replication client waits if all servers are busy, but not beyond query_wait_timeout', async () => {
    const { flow, client, postgres } = await startPair({
      settings: { default_pool_size: 1, query_wait_timeout: 5, client_login_timeout: 60 },
    })
    client.send(query('long'))
    await postgres.expect('Query(long)')
    const [patient, late] = [await arrive(flow, LOGICAL), await arrive(flow, LOGICAL)]
    await flow.postgres.expectNoMore()
    postgres.send(rows('1'), ready())
    await client.answer()
    await postgres.expectClosed()
    await patient.inbox.through('ReadyForQuery')
    await flow.postgres.next()
    await flow.advance(6_000)
    await late.expect('ErrorResponse(FATAL 57014 query_wait_timeout)')
    await late.expectClosed()
  })

  test('a replication client counts towards max_user_connections', async () => {
    const { flow, client, postgres } = await startPair({ settings: { max_user_connections: 1 } })
    const follower = await follow(flow)
    await postgres.expectClosed()
    follower.client.leave()
    await follower.server.expectClosed()
    await ask(client, flow)
  })

  test('a replication client does not make its pool open servers for min_pool_size', async () => {
    const flow = await startFlow({ settings: { min_pool_size: 2 } })
    await follow(flow)
    await flow.advance(1_000)
    await flow.postgres.expectNoMore()
  })
})

describe('a replication stream', () => {
  test('goes both ways until both sides have ended it', async () => {
    const flow = await startFlow()
    const { client, server } = await stream(flow)
    server.send(copyData('w1'), copyData('w2'))
    await client.expect('CopyData(w1)', 'CopyData(w2)')
    client.send(copyData('r1'))
    await server.expect('CopyData(r1)')
    client.send(copyDone)
    await server.expect('CopyDone')
    server.send(copyData('w3'), copyDone, complete('COPY 0'), complete('START_REPLICATION'), ready())
    await client.expect('CopyData(w3)', 'CopyDone', 'CommandComplete(COPY 0)', 'CommandComplete(START_REPLICATION)')
    await client.expect('ReadyForQuery(I)')
    await askOn(client, server, 'next')
  })

  test('may be ended by the server first, as at the end of a timeline', async () => {
    const flow = await startFlow()
    const { client, server } = await stream(flow, 'START_REPLICATION 0/0 TIMELINE 1')
    server.send(copyDone)
    await client.expect('CopyDone')
    client.send(copyData('r1'), copyDone)
    await server.expect('CopyData(r1)', 'CopyDone')
    server.send(rows('2'), complete('START_STREAMING'), ready())
    expect(await client.answer()).toContain('DataRow(2)')
    await askOn(client, server, 'TIMELINE_HISTORY 2')
  })

  test('that fails leaves the server usable; Postgres itself drops what the client still sends for the stream', async () => {
    const flow = await startFlow()
    const { client, server } = await stream(flow)
    server.send(error('XX000', 'could not read the log'), ready())
    await client.expect('ErrorResponse', 'ReadyForQuery(I)')
    client.send(copyData('late'), copyDone)
    await server.expect('CopyData(late)', 'CopyDone')
    await askOn(client, server, 'next')
  })

  test('is not ended by any timeout', async () => {
    const seconds = { query_timeout: 1, transaction_timeout: 1, idle_transaction_timeout: 1, client_idle_timeout: 1 }
    const flow = await startFlow({ settings: { ...seconds, server_lifetime: 1, server_idle_timeout: 1 } })
    const { client, server } = await stream(flow)
    for (let days = 0; days < 3; days++) {
      await flow.advance(86_400_000)
      server.send(copyData('w'))
      await client.expect('CopyData(w)')
      client.send(copyData('r'))
      await server.expect('CopyData(r)')
    }
    client.send(copyDone)
    await server.expect('CopyDone')
    server.send(copyDone, complete('COPY 0'), ready())
    await client.inbox.through('ReadyForQuery')
    await flow.advance(86_400_000)
    await askOn(client, server, 'next')
  })

  test('counts as a query, but not in query times, and is not logged as a slow query', async () => {
    const flow = await startFlow({ settings: { log_min_duration: 1 } })
    await flow.advance(86_400_000)
    const { client, server } = await stream(flow)
    await flow.advance(86_400_000)
    client.send(copyDone)
    await server.expect('CopyDone')
    server.send(copyDone, complete('COPY 0'), ready())
    await client.inbox.through('ReadyForQuery')
    const { fleet } = flow.pooler.parts
    expect(fleet.totals().get('app')).toMatchObject({ queries: 1, transactions: 1, queryUs: 0, transactionUs: 0 })
    const [pool] = [...flow.pooler.parts.pools]
    const { query: queries, transaction, response } = pool?.durations ?? {}
    for (const histogram of [queries, transaction, response]) expect(histogram?.counts.every((n) => n === 0)).toBe(true)
    expect(flow.logged('slow query')).toEqual([])
  })

  test('is not a long transaction, but a block of the same client is', async () => {
    const flow = await startFlow()
    const { fleet } = flow.pooler.parts
    const longest = async () => {
      const [pool] = (await fleet.pools()).filter(({ database }) => database === 'app')
      return [pool?.oldestTransactionUs, (await fleet.transactions()).map(({ ageUs }) => ageUs)]
    }
    const { client, server } = await stream(flow)
    await flow.advance(86_400_000)
    expect(await longest()).toEqual([0, []])
    client.send(copyDone)
    await server.expect('CopyDone')
    server.send(copyDone, complete('COPY 0'), ready())
    await client.inbox.through('ReadyForQuery')
    client.send(query('begin'))
    await server.expect('Query(begin)')
    server.send(complete('BEGIN'), ready('T'))
    await client.answer()
    await flow.advance(5_000)
    expect(await longest()).toEqual([5_000_000, [5_000_000]])
  })

  test('whose client does not read takes bounded memory, and the client’s messages still get through', async () => {
    const windowBytes = 16 * 1024
    const flow = await startFlow({ windowBytes })
    const { client, server } = await stream(flow)
    client.stopReading()
    client.isDeaf = true
    const before = client.receivedBytes
    const piece = copyData('x'.repeat(10_000))
    let sent = 0
    for (; sent < 4 * 1024 * 1024; sent += piece.length) server.send(piece)
    await quiet()
    expect(server.channel.owedBytes).toBeGreaterThan(sent - 256 * 1024)
    for (let reports = 0; reports < 3; reports++) {
      client.send(copyData(`report ${reports}`))
      await server.expect(`CopyData(report ${reports})`)
    }
    client.startReading()
    await client.receive(before + sent)
  })

  test('whose server does not read stops the reading from the client, but not the other direction', async () => {
    const flow = await startFlow({ windowBytes: 16 * 1024 })
    const { client, server } = await stream(flow)
    server.stopReading()
    for (let reports = 0; reports < 400; reports++) client.send(copyData('x'.repeat(10_000)))
    await quiet()
    expect(client.channel.owedBytes).toBeGreaterThan(4_000_000 - 256 * 1024)
    server.send(copyData('w'))
    await client.expect('CopyData(w)')
    server.startReading()
    await server.expect(...Array.from({ length: 400 }, () => 'CopyData'))
  })

  test('can be cancelled', async () => {
    const flow = await startFlow()
    const { client, server } = await stream(flow)
    const canceller = await flow.dial()
    canceller.send(cancelRequest(client.key))
    expect((await flow.postgres.nextCancel()).target).toBe(server)
    server.endCancelled()
    await client.expect('ErrorResponse', 'ReadyForQuery(I)')
  })
})

describe('a replication client that disconnects', () => {
  test.each(['with Terminate', 'without Terminate'])(
    'during a stream %s is not cancelled: its last message still reaches Postgres',
    async (how) => {
      const flow = await startFlow()
      const { client, server } = await stream(flow)
      server.send(copyData('w1'))
      await client.expect('CopyData(w1)')
      client.send(copyData('flushed up to w1'), copyDone)
      if (how === 'with Terminate') client.leave()
      else client.hangUp()
      await server.expect('CopyData(flushed up to w1)', 'CopyDone', 'Terminate')
      await server.expectClosed()
      await flow.postgres.expectNoCancel()
    },
  )

  test('in the middle of a message does not have the message completed by one of ours', async () => {
    const flow = await startFlow()
    const { client, server } = await stream(flow)
    client.send(message('d', Buffer.from('half'), 100))
    await quiet()
    client.vanish()
    await server.expectClosed()
    expect(server.pendingBytes).toBe(9)
  })

  test('while another command runs has that cancelled, and its server closed', async () => {
    const flow = await startFlow()
    const { client, server } = await backUp(flow)
    client.vanish()
    expect((await flow.postgres.nextCancel()).target).toBe(server)
    server.send(copyData('the second file'))
    server.endCancelled()
    await server.expectClosed()
  })

  test('between two requests has its server closed, within a transaction too', async () => {
    const flow = await startFlow()
    const { client, server } = await follow(flow)
    client.send(query('begin'))
    await server.expect('Query(begin)')
    server.send(complete('BEGIN'), ready('T'))
    await client.answer()
    client.send(terminate)
    await server.expectClosed()
    await client.expectClosed()
  })

  test('leaves nothing behind except its counters', async () => {
    const flow = await startFlow()
    for (let round = 0; round < 3; round++) {
      const { client, server } = await follow(flow)
      await askOn(client, server, 'IDENTIFY_SYSTEM')
      client.leave()
      await server.expectClosed()
    }
    await flow.advance(1_000)
    expect(flow.pooler.parts.pools.count).toBe(0)
    const totals = flow.pooler.parts.fleet.totals().get('app')
    expect(totals).toMatchObject({ queries: 3, clientLogins: 3 })
  })
})

describe('a server of a replication client that closes its connection', () => {
  test('disconnects the client with the server’s own message', async () => {
    const flow = await startFlow()
    const { client, server } = await stream(flow)
    server.send(error('57P01', 'terminating connection due to administrator command', 'FATAL'))
    server.close()
    await client.expect('ErrorResponse(FATAL 57P01 terminating connection due to administrator command)')
    await client.expectClosed()
  })

  test('without a message disconnects the client, even if nothing runs', async () => {
    const flow = await startFlow()
    const { client, server } = await follow(flow)
    server.reset()
    await client.expect('ErrorResponse(FATAL 08006 server conn crashed?)')
    await client.expectClosed()
  })

  test('in the middle of a message disconnects the client without another message', async () => {
    const flow = await startFlow()
    const { client, server } = await stream(flow)
    server.send(message('d', Buffer.from('half'), 100))
    await quiet()
    server.close()
    await client.expectClosed()
  })
})

describe('the console and replication clients:', () => {
  const ended = (reason: string) => `ErrorResponse(FATAL 57P01 terminating replication connection: ${reason})`

  test('SHOW CLIENTS and SHOW SERVERS show the kind of replication', async () => {
    const flow = await startFlow({ databases: ['app=host=db', 'replication=host=db'] })
    await stream(flow)
    await flow.connect({ database: 'replication', parameters: PHYSICAL })
    await flow.postgres.next()
    const kinds = async (text: string) => {
      const lines = (await command(flow, text)).filter((line) => line.startsWith('DataRow'))
      return lines.map((line) => line.split(', ').slice(2, 5).join(' '))
    }
    expect((await kinds('show clients')).sort()).toEqual([
      'app logical active',
      'pgbouncer none idle',
      'replication physical active',
    ])
    expect(await kinds('show servers')).toEqual(['app logical active', 'replication physical active'])
    expect(flow.logged('login attempt: db=app user=ada tls=no replication=logical')).toHaveLength(1)
  })

  test('RECONNECT disconnects them at once, since their servers would never become free', async () => {
    const flow = await startFlow()
    const [streaming, backup] = [await stream(flow), await backUp(flow)]
    await command(flow, 'reconnect')
    for (const { client, server } of [streaming, backup]) {
      await client.expect(ended('RECONNECT'))
      await client.expectClosed()
      server.inbox.take()
      await server.expectClosed()
    }
    await flow.postgres.expectNoMore()
  })

  test('a reload disconnects them at once if it moves their database, but not if it changes limits only', async () => {
    const flow = await startFlow()
    const { client, server } = await stream(flow)
    await reload(flow, { databases: ['app=host=db pool_size=3'] })
    server.send(copyData('w'))
    await client.expect('CopyData(w)')
    await reload(flow, { databases: ['app=host=db dbname=other pool_size=3'] })
    await client.expect(ended('database configuration changed'))
    await client.expectClosed()
    await server.expectClosed()
    const next = await follow(flow)
    expect(next.server.parameters.get('database')).toBe('other')
  })

  test('a reload disconnects them if it removes their database or forces another user', async () => {
    const flow = await startFlow({ databases: ['app=host=db', 'other=host=db'] })
    const gone = await stream(flow)
    await reload(flow, { databases: ['other=host=db'] })
    await gone.client.expect('ErrorResponse(FATAL 57P01 database removed)')
    await gone.server.expectClosed()
    const client = await flow.connect({ database: 'other', parameters: LOGICAL })
    const server = await flow.postgres.next()
    await reload(flow, { databases: ['other=host=db user=eve'] })
    await client.expect(ended('database configuration changed'))
    await server.expectClosed()
    await flow.advance(1_000)
    expect([...flow.pooler.parts.pools].map(({ subject }) => subject)).toEqual(['other/eve'])
  })

  test('a reload right after one has disconnected leaves no trace of it', async () => {
    const flow = await startFlow({ databases: ['app=host=db user=eve', 'other=host=db'] })
    const { client, server } = await follow(flow)
    client.leave()
    await server.expectClosed()
    await reload(flow, { databases: ['app=host=db user=bob', 'other=host=db'] })
    await reload(flow, { databases: ['other=host=db'] })
    await flow.advance(1_000)
    expect([...flow.pooler.parts.permits.limits]).toEqual([])
    expect(flow.pooler.parts.pools.count).toBe(0)
  })

  test('PAUSE ends streams, waits for other commands, and keeps new ones waiting until RESUME', async () => {
    const flow = await startFlow()
    const [streaming, backup] = [await stream(flow), await backUp(flow)]
    const console = await flow.connect(ROOT)
    console.send(query('pause'))
    await streaming.client.expect(ended('pause mode'))
    await streaming.client.expectClosed()
    await streaming.server.expectClosed()
    const newcomer = await arrive(flow, LOGICAL)
    await console.expectNothing()
    await finishBackup(backup)
    await console.expectNothing()
    backup.client.leave()
    await backup.server.expectClosed()
    await console.expect('CommandComplete(PAUSE)', 'ReadyForQuery(I)')
    await newcomer.expectNothing()
    await command(flow, 'resume')
    await newcomer.inbox.through('ReadyForQuery')
    await flow.postgres.next()
  })

  test('PAUSE ends streams that begin after it', async () => {
    const flow = await startFlow()
    const { client, server } = await follow(flow)
    const console = await flow.connect(ROOT)
    console.send(query('pause'))
    await console.expectNothing()
    client.send(query(START))
    await server.expect(`Query(${START})`)
    server.send(copyBoth(), copyData('w'))
    await client.expect('CopyBothResponse', 'CopyData(w)')
    await flow.advance(1_000)
    await client.expect(ended('pause mode'))
    await console.expect('CommandComplete(PAUSE)', 'ReadyForQuery(I)')
  })

  test('SUSPEND stops a stream in both directions, and RESUME lets it go on', async () => {
    const flow = await startFlow()
    const { client, server } = await stream(flow)
    const console = await flow.connect(ROOT)
    console.send(query('suspend'))
    await console.answer()
    server.send(copyData('w'))
    client.send(copyData('r'))
    await client.expectNothing()
    await server.expectNothing()
    console.send(query('resume'))
    await console.answer()
    await client.expect('CopyData(w)')
    await server.expect('CopyData(r)')
  })

  test('KILL and KILL_CLIENT disconnect them', async () => {
    const flow = await startFlow()
    const [first, second] = [await stream(flow), await stream(flow)]
    const [session] = [...flow.pooler.parts.sessions]
    await command(flow, `kill_client ${session?.id}`)
    await first.client.expect('ErrorResponse(FATAL 57P01 admin forced disconnect)')
    await first.server.expectClosed()
    expect(await command(flow, 'kill app')).toEqual(['CommandComplete(KILL)', 'ReadyForQuery(I)'])
    await second.client.expect('ErrorResponse(FATAL 57P01 database removed)')
    await second.server.expectClosed()
  })

  test('SHUTDOWN WAIT_FOR_SERVERS ends streams and waits for other commands', async () => {
    const flow = await startFlow()
    const [streaming, backup] = [await stream(flow), await backUp(flow)]
    await command(flow, 'shutdown wait_for_servers')
    await streaming.client.expect('ErrorResponse(FATAL 57P01 server shutting down)')
    await streaming.server.expectClosed()
    await finishBackup(backup)
    backup.client.leave()
    await flow.pooler.stopped
  })

  test('SHUTDOWN WAIT_FOR_CLIENTS waits for them, and a second SHUTDOWN does not', async () => {
    const flow = await startFlow()
    const { client, server } = await stream(flow)
    await command(flow, 'shutdown wait_for_clients')
    server.send(copyData('w'))
    await client.expect('CopyData(w)')
    flow.pooler.control.shutdown('at_once')
    await client.expect('ErrorResponse(FATAL 57P01 pooler is shutting down)')
    await server.expectClosed()
    await flow.pooler.stopped
  })

  test('a worker that is being replaced ends streams after its grace period', async () => {
    const flow = await startFlow()
    const [streaming, backup] = [await stream(flow), await backUp(flow)]
    flow.pooler.parts.drain(10_000)
    await flow.advance(9_000)
    await streaming.client.expectNothing()
    await flow.advance(2_000)
    await streaming.client.expect('ErrorResponse(FATAL 57P01 terminating connection due to administrator command)')
    await streaming.server.expectClosed()
    await finishBackup(backup)
    await flow.advance(1_000)
    await backup.client.expect('ErrorResponse(FATAL 57P01 terminating connection due to administrator command)')
    await flow.pooler.stopped
  })
})
