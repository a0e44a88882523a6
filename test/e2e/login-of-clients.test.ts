import { createHash } from 'node:crypto'
import { serialize } from 'pg-protocol'
import { describe, expect, onTestFinished, test } from 'vitest'
import { sharedPgweir, startPgweir } from '../support/e2e/pgweir.ts'
import { runProgram } from '../support/e2e/program.ts'
import { RawClient, startup } from '../support/e2e/raw-client.ts'
import { failureOf, until } from '../support/e2e/until.ts'
import { adminClient, createDatabase, createRole } from '../support/postgres.ts'

// PostgreSQL asks this role for no password, so that nothing here depends on logins to servers.
const database = await createDatabase({ method: 'trust' })
const { user } = database

const PASSWORD = 'pässwörd "quoted" 🐘'

const admin = await adminClient()
const SECRETS: Readonly<Record<string, string>> = {
  plain: PASSWORD,
  md5: `md5${createHash('md5').update(`${PASSWORD}${user}`).digest('hex')}`,
  SCRAM: await scramSecret(PASSWORD),
}

/** A SCRAM secret as PostgreSQL itself makes it. */
async function scramSecret(password: string): Promise<string> {
  const role = await createRole({ password })
  const { rows } = await admin.query<{ rolpassword: string }>('select rolpassword from pg_authid where rolname = $1', [
    role.user,
  ])
  return rows[0]?.rolpassword ?? ''
}

const WRONG = { code: '28P01', message: 'password authentication failed', severity: 'FATAL' }
const WRONG_SASL = { code: '28P01', message: 'SASL authentication failed', severity: 'FATAL' }

/** The error for a wrong password, by auth_type and kind of secret. */
const MATRIX = [
  { auth_type: 'plain', kind: 'plain', refusal: WRONG },
  { auth_type: 'plain', kind: 'md5', refusal: WRONG },
  { auth_type: 'plain', kind: 'SCRAM', refusal: WRONG },
  { auth_type: 'md5', kind: 'plain', refusal: WRONG },
  { auth_type: 'md5', kind: 'md5', refusal: WRONG },
  { auth_type: 'md5', kind: 'SCRAM', refusal: WRONG_SASL },
  { auth_type: 'scram-sha-256', kind: 'plain', refusal: WRONG_SASL },
  { auth_type: 'scram-sha-256', kind: 'SCRAM', refusal: WRONG_SASL },
]

for (const { auth_type, kind, refusal } of MATRIX)
  describe(`auth_type ${auth_type}, a ${kind} secret`, () => {
    const options = { database, settings: { auth_type }, secrets: { [user]: SECRETS[kind] ?? '' } }

    test('refuses a wrong password in the same way whether or not the user and the database exist', async () => {
      const pgweir = await sharedPgweir(options)
      for (const config of [
        {},
        { user: 'nobody_here' },
        { database: 'nowhere' },
        { user: 'nobody_here', database: 'nowhere' },
      ])
        for (const password of ['wrong', PASSWORD.toUpperCase(), ' '])
          expect(await failureOf(pgweir.client({ ...config, password }))).toMatchObject(refusal)
      const unknown = { user: 'nobody_here', password: PASSWORD }
      expect(await failureOf(pgweir.client(unknown))).toMatchObject(refusal)
      expect(await pgweir.pools()).toEqual([])
    })

    test('reports a missing database only after the login', async () => {
      const pgweir = await sharedPgweir(options)
      expect(await failureOf(pgweir.client({ password: PASSWORD, database: 'nowhere' }))).toMatchObject({
        code: '3D000',
        message: 'no such database: nowhere',
      })
    })

    test('lets in a client with the right password', async () => {
      const pgweir = await sharedPgweir(options)
      const client = await pgweir.client({ password: PASSWORD })
      expect((await client.query('select current_user as name')).rows).toEqual([{ name: user }])
      const sql = pgweir.sql({ password: PASSWORD })
      expect(await sql`select 1 as one`).toEqual([{ one: 1 }])
    })
  })

test('a client whose secret is an md5 hash cannot log in with auth_type = scram-sha-256', async () => {
  const settings = { auth_type: 'scram-sha-256' }
  const pgweir = await startPgweir({ database, settings, secrets: { [user]: SECRETS['md5'] ?? '' } })
  expect(await failureOf(pgweir.client({ password: PASSWORD }))).toMatchObject(WRONG_SASL)
})

test('all workers offer the same salt, also for a user that does not exist', async () => {
  const settings = { auth_type: 'scram-sha-256', workers: 2, transport: 'node' }
  const { port } = await runProgram({ database, settings })
  for (const name of [user, 'nobody']) {
    const salts = new Set<string>()
    // A new connection goes to the worker with the fewest, so these reach all workers.
    for (let id = 0; id < 4; id++) {
      const client = await RawClient.connect({ host: '127.0.0.1', port })
      onTestFinished(() => client.vanish())
      client.send(startup({ user: name, database: database.database }))
      client.send(serialize.sendSASLInitialResponseMessage('SCRAM-SHA-256', 'n,,n=,r=abc'))
      await client.next()
      salts.add(/,s=([^,]+),/.exec(String((await client.next())?.body))?.[1] ?? 'none')
    }
    expect([...salts]).toEqual([expect.stringMatching(/^[A-Za-z0-9+/]{22}==$/)])
  }
})

test('a user with an empty password in auth_file cannot log in', async () => {
  for (const auth_type of ['plain', 'md5', 'scram-sha-256']) {
    const pgweir = await startPgweir({ database, settings: { auth_type }, secrets: { [user]: '' } })
    const client = await pgweir.stranger()
    client.send(startup({ user, database: database.database }))
    if (auth_type === 'plain') client.send(serialize.password(''))
    if (auth_type === 'md5') client.send(serialize.password(`md5${createHash('md5').update(user).digest('hex')}`))
    if (auth_type === 'scram-sha-256')
      client.send(serialize.sendSASLInitialResponseMessage('SCRAM-SHA-256', 'n,,n=,r=abc'))
    client.socket.end()
    const lines = await client.rest()
    expect(lines.filter((line) => line.startsWith('ReadyForQuery'))).toEqual([])
  }
})

test('answers to failed logins, counted over all processes, are delayed, and other answers are not', async () => {
  const settings = { auth_type: 'plain', auth_failure_delay: 0.05 }
  const pgweir = await startPgweir({ database, settings, secrets: { [user]: PASSWORD } })
  for (let time = 0; time < 5; time++)
    expect(await failureOf(pgweir.client({ password: 'wrong' }))).toMatchObject(WRONG)
  expect(pgweir.log.filter((line) => line.includes('several logins have failed from 127.0.0.1'))).toHaveLength(1)
  expect((await (await pgweir.client({ password: PASSWORD })).query('select 1 as one')).rows).toEqual([{ one: 1 }])
})

test('a changed auth_file takes effect without a reload, in all processes', async () => {
  const pgweir = await startPgweir({ database, settings: { auth_type: 'plain' }, secrets: { [user]: 'old' } })
  expect(await failureOf(pgweir.client({ password: 'new' }))).toMatchObject(WRONG)
  await pgweir.rewrite({ secrets: { [user]: 'new' } })
  /** Returns how many of six simultaneous logins succeed. Simultaneous, so that they are spread over all processes. */
  const whoGetsIn = async (password: string) => {
    const logins = await Promise.allSettled(Array.from({ length: 6 }, () => pgweir.client({ password })))
    const clients = logins.flatMap((login) => (login.status === 'fulfilled' ? [login.value] : []))
    await Promise.all(clients.map((client) => client.end()))
    return clients.length
  }
  await until('all clients can log in with the new password', async () => (await whoGetsIn('new')) === 6)
  // Processes may take over the new file at slightly different times.
  await until('no client can log in with the old password', async () => (await whoGetsIn('old')) === 0)
})

describe('auth_type trust', () => {
  test('lets in every user in auth_file, and no others', async () => {
    const pgweir = await startPgweir({ database })
    expect((await (await pgweir.client({ password: 'anything' })).query('select 1 as one')).rows).toEqual([{ one: 1 }])
    expect(await failureOf(pgweir.client({ user: 'nobody_here' }))).toMatchObject({
      code: '28000',
      message: '"trust" authentication failed',
    })
  })
})

describe('auth_type any', () => {
  test('lets in any user, who is connected as the forced user of the database', async () => {
    const pgweir = await startPgweir({ database, settings: { auth_type: 'any' }, entry: `user=${user}` })
    const client = await pgweir.client({ user: 'whoever', password: 'anything' })
    expect((await client.query('select current_user as name')).rows).toEqual([{ name: user }])
  })
})

describe('a forced user', () => {
  test('is used for all users of the database, who share one pool', async () => {
    const forced = await createRole()
    const secrets = { ada: 'a', bob: 'b' }
    const entry = `user=${forced.user} password=${forced.password}`
    const pgweir = await startPgweir({ database, entry, settings: { auth_type: 'scram-sha-256' }, secrets })
    const [ada, bob] = [
      await pgweir.client({ user: 'ada', password: 'a' }),
      await pgweir.client({ user: 'bob', password: 'b' }),
    ]
    for (const client of [ada, bob, ada])
      expect((await client.query('select current_user as name')).rows).toEqual([{ name: forced.user }])
    expect(await pgweir.pools()).toEqual([`${database.database}/${forced.user}`])
    expect((await pgweir.counts(database.database, forced.user)).servers).toBe(1)
    expect(await failureOf(pgweir.client({ user: forced.user, password: forced.password }))).toMatchObject(WRONG_SASL)
  })

  test('may have its password in auth_file, and its pool is filled before any client connects', async () => {
    const forced = await createRole()
    const secrets = { ada: 'a', [forced.user]: forced.password }
    const pgweir = await startPgweir({ database, entry: `user=${forced.user} min_pool_size=1`, secrets })
    await until('the pool is filled', async () => (await pgweir.counts(database.database, forced.user)).idle === 1)
    expect((await (await pgweir.client({ user: 'ada' })).query('select current_user as name')).rows).toEqual([
      { name: forced.user },
    ])
  })
})

test('a client may send Terminate instead of its password, and gets an error for any other message', async () => {
  const pgweir = await startPgweir({ database, settings: { auth_type: 'scram-sha-256' } })
  const hello = startup({ user, database: database.database })
  const leaving = await pgweir.stranger()
  leaving.send(hello, serialize.end())
  expect(await leaving.rest()).toEqual(['Authentication 10'])
  const rude = await pgweir.stranger()
  rude.send(hello, serialize.query('select 1'))
  expect(await rude.rest()).toEqual([
    'Authentication 10',
    "ErrorResponse FATAL 08P01 a message of type 'Q' is out of turn during the login",
  ])
  const other = await pgweir.stranger()
  other.send(hello, serialize.sendSASLInitialResponseMessage('SCRAM-SHA-256-PLUS', 'p=tls-unique,,n=,r=abc'))
  expect((await other.rest()).at(-1)).toBe(
    'ErrorResponse FATAL 28000 client selected an invalid SASL authentication mechanism',
  )
})
