/** How servers are opened: in parallel, with a pause after failures, and with the server's own errors for the clients that wait. */

import { describe, expect, test } from 'vitest'
import type { FlowClient } from '../support/flow/client.ts'
import { busy, command, reload } from '../support/flow/commands.ts'
import { quiet } from '../support/flow/inbox.ts'
import { FlowPostgres, type FlowServer, type LoginScript } from '../support/flow/postgres.ts'
import {
  authenticationOk,
  complete,
  copyIn,
  error,
  int32,
  notice,
  parameterStatus,
  ready,
  rows,
} from '../support/flow/replies.ts'
import { message, query, startup } from '../support/flow/requests.ts'
import { type Flow, startFlow, startPair } from '../support/flow/start.ts'

const NO_DATABASE = error('3D000', 'database "app" does not exist', 'FATAL')
const STARTING = error('57P03', 'the database system is starting up', 'FATAL')

function refuseWith(words: Buffer): LoginScript {
  return (server) => {
    server.send(words)
    server.close()
  }
}

const silent: LoginScript = () => {}

/** Connects a client that has sent its startup packet, and waits for the end of its login. */
async function arrive(flow: Flow): Promise<FlowClient> {
  const client = await flow.dial()
  client.send(startup({ user: 'ada', database: 'app' }))
  await quiet()
  return client
}

test('servers for several waiting clients are opened at the same time', async () => {
  const { flow, client, postgres } = await startPair({ settings: { default_pool_size: 5 } })
  flow.postgres.login = silent
  client.send(query('0'))
  await postgres.expect('Query(0)')
  const others: FlowClient[] = []
  for (const name of ['1', '2', '3']) {
    const other = await flow.connect()
    other.send(query(name))
    others.push(other)
  }
  await flow.expectCounts({ login: 3, leased: 1, waiting: 3 })
  const opened = [await flow.postgres.next(), await flow.postgres.next(), await flow.postgres.next()]
  for (const server of opened) server.welcome()
  for (const [index, server] of opened.entries()) {
    await server.expect(`Query(${index + 1})`)
    server.send(rows('x'), ready())
    await others[index]?.answer()
  }
  postgres.send(rows('0'), ready())
  await client.answer()
  expect(flow.counts()).toEqual({ idle: 4 })
})

test('at most ten servers of a pool are opened at a time', async () => {
  const { flow, client, postgres } = await startPair({ settings: { default_pool_size: 30 } })
  client.send(query('0'))
  await postgres.expect('Query(0)')
  flow.postgres.login = silent
  for (let number = 0; number < 14; number++) (await flow.connect()).send(query('n'))
  await flow.expectCounts({ login: 10, leased: 1, waiting: 14 })
  for (let number = 0; number < 10; number++) (await flow.postgres.next()).welcome()
  await flow.expectCounts({ login: 4, leased: 11, waiting: 4 })
  flow.postgres.servers.slice(-4).forEach((server) => {
    server.welcome()
  })
  await flow.expectCounts({ leased: 15 })
})

test('no more servers are opened than clients wait, and a server that becomes free first is used', async () => {
  const { flow, client, postgres } = await startPair()
  client.send(query('one'))
  await postgres.expect('Query(one)')
  flow.postgres.login = silent
  const other = await flow.connect()
  other.send(query('two'))
  const second = await flow.postgres.next()
  postgres.send(rows('1'), ready())
  await client.answer()
  await postgres.expect('Query(two)')
  second.welcome()
  await flow.expectCounts({ idle: 1, leased: 1 })
  postgres.send(rows('2'), ready())
  await other.answer()
  await flow.postgres.expectNoMore()
})

describe('a failed login to a server', () => {
  test('is reported with the server’s own message to the clients that wait for it', async () => {
    const flow = await startFlow()
    flow.postgres.login = silent
    const [first, second] = [await arrive(flow), await arrive(flow)]
    await flow.expectCounts({ login: 2, waiting: 2 })
    for (const server of flow.postgres.servers) refuseWith(NO_DATABASE)(server)
    for (const client of [first, second]) {
      await client.expect('ErrorResponse(FATAL 3D000 database "app" does not exist)')
      await client.expectClosed()
    }
  })

  test('is reported to clients that arrive before the next attempt, with the name of the setting', async () => {
    const flow = await startFlow({ settings: { server_login_retry: 15 } })
    flow.postgres.login = refuseWith(NO_DATABASE)
    const first = await arrive(flow)
    await first.expect('ErrorResponse(FATAL 3D000 database "app" does not exist)')
    const tries = flow.postgres.servers.length
    const second = await arrive(flow)
    await second.expect(
      'ErrorResponse(FATAL 08006 server login has been failing, cached error: database "app" does not exist (server_login_retry))',
    )
    expect(flow.postgres.servers).toHaveLength(tries)
    await first.expectClosed()
    await second.expectClosed()
    const told = flow.logged('pooler error: ')
    expect(told[0]).toMatch(/does not exist HINT: PostgreSQL has said so/)
    expect(told.at(-1)).toMatch(/\(server_login_retry\) HINT: Check the host, the port, the firewall, /)
    expect(flow.logged('closing because: login failed')[0]).toMatch(/ HINT: See the reason\. /)
  })

  test('is retried after a pause, which grows up to server_login_retry', async () => {
    const flow = await startFlow({ settings: { server_login_retry: 2 } })
    flow.postgres.login = refuseWith(STARTING)
    const client = await arrive(flow)
    const pauses: number[] = []
    for (let tries = flow.postgres.servers.length; tries < 12; tries++) {
      let pauseMs = 0
      while (flow.postgres.servers.length === tries) {
        await flow.advance(25)
        pauseMs += 25
        expect(pauseMs).toBeLessThan(2_100)
      }
      pauses.push(pauseMs)
    }
    expect(pauses[0]).toBeLessThanOrEqual(125)
    expect(pauses.at(-1)).toBeGreaterThanOrEqual(1_000)
    flow.postgres.login = (server) => server.welcome()
    await flow.advance(2_100)
    await client.inbox.through('ReadyForQuery')
  })

  test('is retried sooner when server_login_retry is reduced', async () => {
    const flow = await startFlow({
      settings: { server_login_retry: 3_600, client_login_timeout: 0, query_wait_timeout: 0 },
    })
    flow.postgres.login = refuseWith(STARTING)
    const client = await arrive(flow)
    // The pause before each next try is twice as long.
    for (let pauseMs = 100; pauseMs < 600_000; pauseMs *= 2) await flow.advance(pauseMs)
    const tries = flow.postgres.servers.length
    flow.postgres.login = (server) => server.welcome()
    await flow.advance(60_000)
    expect(flow.postgres.servers).toHaveLength(tries)
    await command(flow, 'set server_login_retry = 1')
    await flow.advance(1_000)
    await client.inbox.through('ReadyForQuery')
  })

  test('counts once however many servers were being opened, so that it is soon retried after a short outage', async () => {
    const flow = await startFlow({ settings: { default_pool_size: 10, query_wait_notify: 0 } })
    flow.postgres.login = silent
    const clients = await Promise.all(Array.from({ length: 10 }, () => arrive(flow)))
    await flow.expectCounts({ login: 10, waiting: 10 })
    flow.postgres.login = (server) => server.welcome()
    for (const server of flow.postgres.servers) refuseWith(STARTING)(server)
    await flow.expectCounts({ waiting: 10 })
    await flow.advance(100)
    for (const client of clients) await client.inbox.through('ReadyForQuery')
  })

  test('because the server is starting up keeps clients waiting', async () => {
    const flow = await startFlow()
    flow.postgres.login = refuseWith(STARTING)
    const client = await arrive(flow)
    await flow.advance(200)
    await client.expectNothing()
    const again = await arrive(flow)
    await again.expectNothing()
    flow.postgres.login = (server) => server.welcome()
    await flow.advance(15_000)
    await client.inbox.through('ReadyForQuery')
    await again.inbox.through('ReadyForQuery')
  })

  test('is not reported to clients while the pool has another server', async () => {
    const { flow, client, postgres } = await startPair()
    client.send(query('one'))
    await postgres.expect('Query(one)')
    flow.postgres.login = refuseWith(error('53300', 'too many connections', 'FATAL'))
    const other = await flow.connect()
    other.send(query('two'))
    await quiet()
    await other.expectNothing()
    postgres.send(rows('1'), ready())
    await client.answer()
    await postgres.expect('Query(two)')
    postgres.send(rows('2'), ready())
    expect(await other.answer()).toContain('DataRow(2)')
  })

  test('disconnects the waiting clients if the pool has no server left', async () => {
    const { flow, client, postgres } = await startPair()
    flow.postgres.login = refuseWith(NO_DATABASE)
    postgres.close()
    await flow.expectCounts({})
    client.send(query('one'))
    await client.expect('ErrorResponse(FATAL 3D000 database "app" does not exist)')
    await client.expectClosed()
  })

  test('is no longer reported once a login succeeds', async () => {
    const flow = await startFlow()
    flow.postgres.login = refuseWith(NO_DATABASE)
    const first = await arrive(flow)
    await first.expect('ErrorResponse')
    flow.postgres.login = (server) => server.welcome()
    await flow.advance(15_000)
    await flow.connect()
    await first.expectClosed()
    await flow.expectCounts({ idle: 1 })
  })
})

describe('the client gets an error when the server does not complete a login because', () => {
  const WITHIN: readonly [what: string, script: LoginScript, code: string, words: string][] = [
    ['it hangs up', (server) => server.close(), '08006', 'the server closed the connection during the login'],
    ['it breaks the connection', (server) => server.reset(), '08006', 'read ECONNRESET'],
    ['it talks nonsense', (server) => server.send(message('?')), '08006', 'does not speak the protocol'],
    ['it is ready too soon', (server) => server.send(ready()), '08006', 'ReadyForQuery before the login was complete'],
    ['it speaks HTTP', (server) => server.send(Buffer.from('HTTP/1.1 400 Bad Request\r\n')), '08006', 'does not speak'],
    [
      'it cannot start a process, which it reports as in protocol 2',
      (server) => server.send(Buffer.from('Ecould not fork new process for connection: Cannot allocate memory\n\0')),
      '08006',
      'cannot start a process for a connection; see its log',
    ],
    [
      'it asks for a password although auth_type is any',
      (server) => server.send(message('R', int32(3))),
      'F0000',
      'auth_type=any requires forced user',
    ],
    [
      'it asks for a method that is not supported',
      (server) => server.send(message('R', int32(7))),
      '08006',
      'authentication method 7, which is not supported',
    ],
  ]
  for (const [what, script, code, words] of WITHIN)
    test(what, async () => {
      const flow = await startFlow()
      flow.postgres.login = script
      const client = await arrive(flow)
      const reply = await client.expect('ErrorResponse')
      expect(reply.shown).toContain(`FATAL ${code}`)
      expect(`${reply.shown} ${reply.read?.['hint']}`).toContain(words)
      await client.expectClosed()
      await flow.expectCounts({})
    })

  test.each<[what: string, codes: readonly number[], words: string]>([
    ['ends the SASL exchange right after offering it', [10, 12], 'the server ended the SASL exchange out of turn'],
    ['continues the SASL exchange twice', [10, 11, 11], 'the server continued the SASL exchange out of turn'],
    [
      'ends the SASL exchange while keys are being derived',
      [10, 11, 12],
      'the server ended the SASL exchange out of turn',
    ],
  ])('it %s', async (_, codes, words) => {
    const flow = await startFlow({ settings: { auth_type: 'trust' }, authFile: ['"ada" "secret"'] })
    flow.postgres.login = async (server) => {
      server.send(message('R', Buffer.concat([int32(codes[0] as number), Buffer.from('SCRAM-SHA-256\0\0')])))
      const nonce = /r=(.*)/.exec((await server.inbox.next()).texts.join())?.[1]
      const first = Buffer.from(`r=${nonce}more,s=c2FsdA==,i=4096`)
      server.send(...codes.slice(1).map((code) => message('R', Buffer.concat([int32(code), first]))))
    }
    const client = await arrive(flow)
    expect((await client.expect('ErrorResponse')).shown).toContain(words)
    await client.expectClosed()
  })

  test('it refuses the connection', async () => {
    const flow = await startFlow()
    flow.postgres.refuse()
    const client = await arrive(flow)
    const reply = await client.expect('ErrorResponse')
    expect(reply.shown).toContain('08006')
    expect(reply.shown).toContain('ECONNREFUSED')
    await client.expectClosed()
    await flow.expectCounts({})
  })

  test('it accepts the connection and never answers (server_connect_timeout)', async () => {
    const flow = await startFlow({ settings: { server_connect_timeout: 15 } })
    flow.postgres.login = silent
    const client = await arrive(flow)
    await flow.advance(14_900)
    await client.expectNothing()
    await flow.advance(200)
    const reply = await client.expect('ErrorResponse')
    expect(reply.shown).toContain('connect timeout')
    await client.expectClosed()
    await flow.expectCounts({})
  })

  test('it never accepts the connection (server_connect_timeout)', async () => {
    const flow = await startFlow({ settings: { server_connect_timeout: 15 } })
    flow.transport.silence(flow.postgres.address)
    const client = await arrive(flow)
    await flow.expectCounts({ dialing: 1, waiting: 1 })
    await flow.advance(15_100)
    expect((await client.expect('ErrorResponse')).shown).toContain('connect timeout')
    await client.expectClosed()
    await flow.expectCounts({})
  })
})

describe('notices during the login of a server', () => {
  /** As PostgreSQL warns of a changed collation, and as a login trigger greets. */
  async function startWithNotices(settings: Readonly<Record<string, number>>) {
    const flow = await startFlow({ settings })
    flow.postgres.login = (server) => {
      const mismatch = 'database "app" has a collation version mismatch'
      server.send(notice(mismatch, 'WARNING', { H: 'Refresh it.' }), authenticationOk, notice('welcome'))
      server.welcome()
    }
    const client = await flow.connect()
    await client.expectNothing()
    return flow.logged('notice at the login')
  }

  test('are logged, and no client gets them', async () => {
    expect(await startWithNotices({})).toEqual([
      expect.stringMatching(
        / WARNING S-0x.*: WARNING: database "app" has a collation version mismatch HINT: Refresh it\.$/,
      ),
      expect.stringMatching(/ LOG S-0x.*: NOTICE: welcome$/),
    ])
  })

  test('are logged without log_connections only if they are warnings', async () => {
    expect(await startWithNotices({ log_connections: 0 })).toEqual([expect.stringContaining('mismatch')])
  })
})

describe('a server that reports without end before it is open is closed', () => {
  const LINES = 2_000
  const REPORTS = {
    'settings of ever new names': (line: number) => parameterStatus(`name${line}`, 'x'.repeat(1_000)),
    notices: (line: number) => notice(`${line}${'x'.repeat(1_000)}`),
  }
  const PHASES = {
    login: (server: FlowServer) => server.send(authenticationOk),
    connect_query: (server: FlowServer) => server.welcome(),
  }
  for (const [what, report] of Object.entries(REPORTS))
    for (const [phase, begin] of Object.entries(PHASES))
      test(`${what}, in its ${phase}`, async () => {
        const flow = await startFlow({ databases: ["app=host=db connect_query='select prepare_me()'"] })
        flow.postgres.login = begin
        const client = await arrive(flow)
        const server = await flow.postgres.next()
        if (phase === 'connect_query') await server.expect('Query(select prepare_me())')
        for (let line = 0; line < LINES; line++) server.send(report(line))
        await server.expectClosed()
        expect((await client.inbox.next()).shown).toContain(
          'the server sent more than 1048576 bytes of settings and notices',
        )
        expect(flow.logged('notice at the login').length).toBeLessThan(LINES)
      })
})

test('connect_query runs before any client uses the server', async () => {
  const flow = await startFlow({ databases: ["app=host=db connect_query='select prepare_me()'"] })
  const client = await arrive(flow)
  const server = await flow.postgres.next()
  await server.expect('Query(select prepare_me())')
  await client.expectNothing()
  server.send(rows(''), ready())
  await client.inbox.through('ReadyForQuery')
  await flow.expectCounts({ idle: 1 })
})

test('a connect_query that fails counts as a failed login', async () => {
  const flow = await startFlow({ databases: ["app=host=db connect_query='selct'"] })
  const client = await arrive(flow)
  const server = await flow.postgres.next()
  await server.expect('Query(selct)')
  server.send(error('42601', 'syntax error'), ready())
  await client.expect('ErrorResponse(FATAL 42601 syntax error)')
  await client.expectClosed()
  await server.expectClosed()
})

test.each([
  ['begins a transaction', ready('T'), 'cached error: connect_query ended within a transaction (server_login_retry)'],
  ['gets an unexpected answer', copyIn(), 'server conn crashed?'],
])('a connect_query that %s counts as a failed login, and is not retried at once', async (_, answer, reason) => {
  const flow = await startFlow({ databases: ["app=host=db connect_query='begin'"] })
  const client = await arrive(flow)
  const server = await flow.postgres.next()
  await server.expect('Query(begin)')
  server.send(answer)
  expect((await client.expect('ErrorResponse')).shown).toContain(reason)
  await client.expectClosed()
  await server.expectClosed()
  const tries = flow.postgres.servers.length
  const next = await arrive(flow)
  await next.expect('ErrorResponse')
  expect(flow.postgres.servers).toHaveLength(tries)
})

test('the startup packet for a server has the user, the database and the settings of the entry', async () => {
  const flow = await startFlow({
    databases: ['app=host=db dbname=real user=forced timezone=Asia/Tokyo application_name=pool'],
  })
  await flow.connect()
  const server = await flow.postgres.next()
  expect(Object.fromEntries(server.parameters)).toEqual({
    user: 'forced',
    database: 'real',
    timezone: 'Asia/Tokyo',
    application_name: 'pool',
  })
})

test('the log names a server by the database that clients ask for, as PgBouncer does', async () => {
  const flow = await startFlow({ databases: ['app=host=db dbname=real'] })
  await flow.connect()
  expect(flow.logged('new connection to server')).toEqual([
    expect.stringMatching(/ S-0x\w+: app\/ada@db:5432 new connection to server \(from /),
  ])
})

test('the log reports a server that cannot be reached in PgBouncer’s words, with the cause', async () => {
  const flow = await startFlow({ databases: ['app=host=nowhere'] })
  await expect(flow.connect()).rejects.toThrow('connect to nowhere:5432 failed')
  expect(flow.logged('closing because: connect failed')[0]).toMatch(
    / S-0x\w+: app\/ada@nowhere:5432 closing because: connect failed: connect ECONNREFUSED nowhere:5432 \(age=0s\) HINT: See the reason\. Check host, /,
  )
  expect(flow.logged('S-0x').join()).not.toContain('has been failing')
})

test('with log_connections and log_disconnections off, only servers that cannot be opened are logged', async () => {
  const flow = await startFlow({ settings: { log_connections: 0, log_disconnections: 0 } })
  await flow.connect()
  await command(flow, 'reconnect')
  await flow.expectCounts({})
  expect(flow.logged(' LOG S-0x')).toEqual([])
  await reload(flow, { databases: ['app=host=nowhere'] })
  await expect(flow.connect()).rejects.toThrow('connect to nowhere:5432 failed')
  expect(flow.logged(' LOG S-0x')).toEqual([expect.stringContaining('closing because: connect failed')])
})

test('a setting that connect_query changes is what clients start with', async () => {
  const flow = await startFlow({ databases: ["app=host=db connect_query='set timezone to japan'"] })
  const client = await arrive(flow)
  const server = await flow.postgres.next()
  await server.expect('Query(set timezone to japan)')
  server.send(parameterStatus('TimeZone', 'Japan'), complete('SET'), ready())
  const welcome = await client.inbox.through('ReadyForQuery')
  expect(welcome).toContain('ParameterStatus(TimeZone=Japan)')
  client.send(query('select now()'))
  await server.expect('Query(select now())')
  server.send(rows('1'), ready())
  await client.answer()
})

test('when a host refuses several logins at the same time, the next host is tried', async () => {
  const flow = await startFlow({
    databases: ['app=host=db,standby load_balance_hosts=disable'],
    settings: { default_pool_size: 2 },
  })
  const standby = new FlowPostgres(flow.transport, { host: 'standby', port: 5432 })
  await standby.listen()
  flow.postgres.login = silent
  const [first, second] = [await arrive(flow), await arrive(flow)]
  await flow.expectCounts({ login: 2, waiting: 2 })
  for (const server of flow.postgres.servers) server.send(error('53300', 'too many connections', 'FATAL'))
  for (const client of [first, second]) await client.inbox.through('ReadyForQuery')
})

test('a host that is available again is tried before a client gets an earlier error', async () => {
  const { flow, postgres, client } = await startPair({ databases: ['app=host=db,standby load_balance_hosts=disable'] })
  flow.postgres.refuse()
  postgres.close()
  await flow.expectCounts({})
  const early = await flow.connect()
  early.send(query('one'))
  await early.expect('ErrorResponse')
  await early.expectClosed()
  await flow.advance(15_000)
  const standby = new FlowPostgres(flow.transport, { host: 'standby', port: 5432 })
  await standby.listen()
  client.send(query('two'))
  const server = await standby.next()
  await server.expect('Query(two)')
  server.send(rows('1'), ready())
  await client.answer()
})

test('of several hosts, one that does not answer is not tried again for server_login_retry, or until RECONNECT', async () => {
  const flow = await startFlow({
    databases: ['app=host=db,standby'],
    settings: { server_connect_timeout: 5, server_login_retry: 15 },
  })
  const standby = new FlowPostgres(flow.transport, { host: 'standby', port: 5432 })
  await standby.listen()
  flow.transport.silence(flow.postgres.address)
  const first = await arrive(flow)
  await flow.advance(5_100)
  await first.inbox.through('ReadyForQuery')
  const begin = async (client: FlowClient) => {
    client.send(query('begin'))
    const server = await busy({ postgres: standby }, 'Query(begin)')
    server.send(complete('BEGIN'), ready('T'))
    await client.answer()
  }
  for (const client of [first, await flow.connect(), await flow.connect()]) await begin(client)
  await flow.expectCounts({ leased: 3 })
  await command(flow, 'reconnect')
  const late = await flow.connect()
  late.send(query('begin'))
  await flow.expectCounts({ dialing: 1, leased: 3, waiting: 1 })
  late.leave()
})
