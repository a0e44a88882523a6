/** A user that is not in auth_file is looked up on a server, whatever happens to that server or to the client. */

import { describe, expect, test } from 'vitest'
import { quiet } from '../support/flow/inbox.ts'
import { LOOKUP, LOOKUP_BEGUN } from '../support/flow/lookup.ts'
import type { FlowServer } from '../support/flow/postgres.ts'
import {
  bindComplete,
  complete,
  dataRow,
  error,
  join,
  parameterStatus,
  parseComplete,
  ready,
} from '../support/flow/replies.ts'
import { startup } from '../support/flow/requests.ts'
import { type Flow, startFlow } from '../support/flow/start.ts'

const SETTINGS = { auth_type: 'plain', auth_user: 'asker', default_pool_size: 1, server_reset_query: '' }

function start(settings: Record<string, string | number> = {}): Promise<Flow> {
  return startFlow({ settings: { ...SETTINGS, ...settings }, authFile: ['"asker" "secret"'] })
}

/** Connects a client as the user eve. The server of `asker` is asked about that user. */
async function ask(flow: Flow) {
  const client = await flow.dial()
  client.send(startup({ user: 'eve', database: 'app' }))
  const postgres = await flow.postgres.next()
  await postgres.expect(...LOOKUP)
  return { client, postgres }
}

function answer(postgres: FlowServer, ...row: readonly (string | null)[]): void {
  postgres.send(LOOKUP_BEGUN, parseComplete, bindComplete, dataRow(...row), complete('SELECT 1'), ready())
}

test('the client is asked for its password once Postgres has answered auth_query', async () => {
  const flow = await start()
  const { client, postgres } = await ask(flow)
  await client.expectNothing()
  answer(postgres, 'eve', 'hers')
  await client.authenticate('eve', 'hers')
  const own = await flow.postgres.next()
  expect((await client.answer()).at(-1)).toBe('ReadyForQuery(I)')
  expect(flow.counts(flow.pool('app', 'asker'))).toEqual({ idle: 1 })
  await own.expectNothing()
})

describe('with auth_type = md5, a client whose user does not exist in Postgres is asked', () => {
  const MD5 = `md5${'a'.repeat(32)}`
  const SCRAM =
    'SCRAM-SHA-256$4096:c2FsdHNhbHRzYWx0c2FsdA==$q4uXFPoUzFxmpsqPRtFrEpFmvBFjcpEPpd2ZVxLYQ3g=:q4uXFPoUzFxmpsqPRtFrEpFmvBFjcpEPpd2ZVxLYQ3g='

  /** Returns how clients are asked to authenticate if Postgres has these secrets for them; undefined is a user that Postgres does not have. */
  async function askedFor(...secrets: readonly (string | null | undefined)[]): Promise<string[]> {
    const flow = await start({ auth_type: 'md5' })
    const shown: string[] = []
    let postgres: FlowServer | null = null
    for (const [n, secret] of secrets.entries()) {
      const client = await flow.dial()
      client.send(startup({ user: `user${n}`, database: 'app' }))
      postgres ??= await flow.postgres.next()
      await postgres.expect(...LOOKUP)
      const found =
        secret === undefined ? complete('SELECT 0') : join(dataRow(`user${n}`, secret), complete('SELECT 1'))
      postgres.send(LOOKUP_BEGUN, parseComplete, bindComplete, found, ready())
      shown.push((await client.inbox.next()).name.replace('Authentication', ''))
      client.vanish()
    }
    return shown
  }

  test('for SCRAM if most users that were found have a SCRAM secret', async () => {
    expect(await askedFor(undefined, SCRAM, undefined)).toEqual(['SASL', 'SASL', 'SASL'])
  })

  test('for md5 if most users that were found have an MD5 secret', async () => {
    expect(await askedFor(MD5, undefined)).toEqual(['MD5Password', 'MD5Password'])
  })

  for (const [what, wishes] of [
    ['if the database does not exist', { user: 'eve', database: 'nowhere' }],
    ['if its user is the auth_user of the database', { user: 'other', database: 'theirs' }],
  ] as const)
    test(`for SCRAM too ${what}`, async () => {
      const flow = await startFlow({
        settings: { ...SETTINGS, auth_type: 'md5' },
        databases: ['app=host=db', 'theirs=host=db auth_user=other'],
        authFile: ['"asker" "secret"'],
      })
      const client = await flow.dial()
      client.send(startup(wishes))
      await client.expect('AuthenticationSASL')
      client.vanish()
    })

  test('for SCRAM if a user that was found has no password', async () => {
    expect(await askedFor(null, undefined)).toEqual(['SASL', 'SASL'])
  })
})

test('the answer to auth_query may come in pieces, with settings and notices in between', async () => {
  const flow = await start()
  const { client, postgres } = await ask(flow)
  await postgres.sendPieces([
    parameterStatus('TimeZone', 'Europe/Rome'),
    LOOKUP_BEGUN,
    join(parseComplete, bindComplete),
    dataRow('eve', 'hers').subarray(0, 9),
    join(dataRow('eve', 'hers').subarray(9), complete('SELECT 1')),
    ready(),
  ])
  await client.authenticate('eve', 'hers')
  await flow.postgres.next()
  expect((await client.answer()).at(-1)).toBe('ReadyForQuery(I)')
})

test('a client that leaves while it waits for its lookup does not keep others waiting', async () => {
  const flow = await start()
  const { client, postgres } = await ask(flow)
  const strangers = await Promise.all(['bob', 'bob', 'mallory'].map(() => flow.dial()))
  for (const [n, stranger] of strangers.entries())
    stranger.send(startup({ user: n < 2 ? 'bob' : 'mallory', database: 'app' }))
  await quiet()
  const { waiting } = flow.pool('app', 'asker')
  expect(waiting.length).toBe(2)
  strangers[0]?.vanish()
  strangers[2]?.vanish()
  await quiet()
  expect(waiting.length).toBe(1)
  answer(postgres, 'eve', 'hers')
  await client.expect('AuthenticationCleartextPassword')
  // The other bob is still wanted.
  await postgres.expect(...LOOKUP)
  strangers[1]?.vanish()
  await quiet()
  const late = await flow.dial()
  late.send(startup({ user: 'bob', database: 'app' }))
  await quiet()
  answer(postgres, 'bob', 'his')
  await late.expect('AuthenticationCleartextPassword')
  await postgres.expectNothing()
})

describe('the client is refused, and only the log has the reason, when the server that is asked', () => {
  async function expectRefused(flow: Flow, client: Awaited<ReturnType<typeof ask>>['client'], reason: string) {
    await client.expect('ErrorResponse(FATAL F0000 bouncer config error)')
    await client.expectClosed()
    expect(flow.log.join('\n')).toContain(`auth_query of asker in database app failed: ${reason}`)
  }

  test('answers with an error', async () => {
    const flow = await start()
    const { client, postgres } = await ask(flow)
    postgres.send(LOOKUP_BEGUN, error('42P01', 'relation does not exist'), ready())
    await expectRefused(flow, client, 'relation does not exist')
    expect(flow.counts(flow.pool('app', 'asker'))).toEqual({ idle: 1 })
  })

  test('closes the connection', async () => {
    const flow = await start()
    const { client, postgres } = await ask(flow)
    postgres.send(LOOKUP_BEGUN, error('57P01', 'terminating connection', 'FATAL'))
    postgres.channel.hangUp()
    await expectRefused(flow, client, 'terminating connection')
    expect(flow.counts(flow.pool('app', 'asker'))).toEqual({})
  })

  test('sends an invalid answer', async () => {
    const flow = await start()
    const { client, postgres } = await ask(flow)
    postgres.send(LOOKUP_BEGUN, bindComplete)
    await expectRefused(flow, client, 'server conn crashed?')
    await postgres.expectClosed()
  })

  test('does not answer within client_login_timeout', async () => {
    const flow = await start({ client_login_timeout: 20 })
    const { client, postgres } = await ask(flow)
    await flow.advance(15_000)
    const patient = await flow.dial()
    patient.send(startup({ user: 'eve', database: 'app' }))
    await quiet()
    await flow.advance(6_000)
    await client.expect('ErrorResponse(FATAL 08006 client_login_timeout)')
    await expectRefused(flow, patient, 'query timeout')
    await postgres.expectClosed()
  })
})

test('a client that disconnects during auth_query costs no server, and the next client gets the cached answer', async () => {
  const flow = await start()
  const { client, postgres } = await ask(flow)
  client.hangUp()
  await quiet()
  answer(postgres, 'eve', 'hers')
  await quiet()
  expect(flow.counts(flow.pool('app', 'asker'))).toEqual({ idle: 1 })
  const next = await flow.dial()
  next.send(startup({ user: 'eve', database: 'app' }))
  await next.authenticate('eve', 'hers')
  await flow.postgres.next()
  expect((await next.answer()).at(-1)).toBe('ReadyForQuery(I)')
  await postgres.expectNothing()
})
