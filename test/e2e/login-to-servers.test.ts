import { createHash } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { startPgweir } from '../support/e2e/pgweir.ts'
import { failureOf, until } from '../support/e2e/until.ts'
import { adminClient, createDatabase, createRole, type TestDatabase, type TestRole } from '../support/postgres.ts'

const admin = await adminClient()

async function serverSecret({ user }: TestRole): Promise<string> {
  const { rows } = await admin.query<{ rolpassword: string }>('select rolpassword from pg_authid where rolname = $1', [
    user,
  ])
  return rows[0]?.rolpassword ?? ''
}

const SECRETS: Readonly<Record<string, (role: TestRole) => string | Promise<string>>> = {
  'the password': ({ password }) => password,
  'its md5 hash': ({ user, password }) => `md5${createHash('md5').update(`${password}${user}`).digest('hex')}`,
  "the server's own SCRAM secret": (role) => serverSecret(role),
  'a SCRAM secret of the same password with another salt': async ({ password }) =>
    serverSecret(await createRole({ password })),
}

const WRONG_TYPE = { code: '28000', message: 'server login failed: wrong password type', severity: 'FATAL' }

function wrongPassword({ user }: TestRole) {
  return { code: '28P01', message: `password authentication failed for user "${user}"`, severity: 'FATAL' }
}

type Outcome = 'in' | ((role: TestRole) => object)

/** By the server's authentication method: the secret in auth_file, the clients' auth_type, and the outcome. */
const MATRIX: Readonly<
  Record<'trust' | 'password' | 'md5' | 'scram-sha-256', readonly (readonly [string, string, Outcome])[]>
> = {
  trust: [
    ['the password', 'scram-sha-256', 'in'],
    ['its md5 hash', 'md5', 'in'],
    ["the server's own SCRAM secret", 'scram-sha-256', 'in'],
  ],
  password: [
    ['the password', 'scram-sha-256', 'in'],
    ['its md5 hash', 'md5', () => WRONG_TYPE],
    ["the server's own SCRAM secret", 'scram-sha-256', () => WRONG_TYPE],
    // The client has sent its password, which can be used with the server.
    ['its md5 hash', 'plain', 'in'],
    ["the server's own SCRAM secret", 'plain', 'in'],
  ],
  md5: [
    ['the password', 'scram-sha-256', 'in'],
    ['its md5 hash', 'md5', 'in'],
    ['its md5 hash', 'plain', 'in'],
    ['a SCRAM secret of the same password with another salt', 'scram-sha-256', () => WRONG_TYPE],
    ['a SCRAM secret of the same password with another salt', 'plain', 'in'],
  ],
  'scram-sha-256': [
    ['the password', 'trust', 'in'],
    ['the password', 'md5', 'in'],
    ['the password', 'scram-sha-256', 'in'],
    ['its md5 hash', 'md5', () => WRONG_TYPE],
    ['its md5 hash', 'plain', 'in'],
    ["the server's own SCRAM secret", 'scram-sha-256', 'in'],
    ["the server's own SCRAM secret", 'md5', 'in'],
    ["the server's own SCRAM secret", 'plain', 'in'],
    ["the server's own SCRAM secret", 'trust', () => WRONG_TYPE],
    ['a SCRAM secret of the same password with another salt', 'scram-sha-256', () => WRONG_TYPE],
  ],
}

for (const [method, cases] of Object.entries(MATRIX))
  describe(`a server that asks for ${method}`, async () => {
    const database: TestDatabase = await createDatabase({ method: method as keyof typeof MATRIX })

    for (const [known, auth_type, outcome] of cases)
      test(`auth_file has ${known}, auth_type = ${auth_type}: ${outcome === 'in' ? 'succeeds' : 'is refused'}`, async () => {
        const secrets = { [database.user]: (await SECRETS[known]?.(database)) ?? '' }
        const pgweir = await startPgweir({ database, settings: { auth_type }, secrets })
        if (outcome !== 'in') {
          expect(await failureOf(pgweir.client())).toMatchObject(outcome(database))
          return
        }
        const client = await pgweir.client()
        expect((await client.query('select current_user as name')).rows).toEqual([{ name: database.user }])
      })
  })

describe('SCRAM passthrough', () => {
  test('serves a replication client by its own login, even if it is the first client', async () => {
    const database = await createDatabase({ attributes: 'replication' })
    for (const replication of ['database', 'true']) {
      const pgweir = await startPgweir({
        database,
        settings: { auth_type: 'scram-sha-256' },
        secrets: { [database.user]: await serverSecret(database) },
      })
      const follower = await pgweir.client({ replication } as object)
      expect((await follower.query('IDENTIFY_SYSTEM')).rows).toHaveLength(1)
    }
  })

  test('serves all clients of the user, also on servers that are opened later', async () => {
    const database = await createDatabase()
    const pgweir = await startPgweir({
      database,
      settings: { auth_type: 'scram-sha-256', default_pool_size: 3 },
      secrets: { [database.user]: await serverSecret(database) },
    })
    const clients = [await pgweir.client(), await pgweir.client(), await pgweir.client()]
    for (const client of clients) await client.query('begin')
    expect((await pgweir.counts()).servers).toBe(3)
    for (const client of clients) await client.query('commit')
    expect(await failureOf(pgweir.client({ password: 'wrong' }))).toMatchObject({ code: '28P01' })
    expect((await clients[0]?.query('select 1 as one'))?.rows).toEqual([{ one: 1 }])
  })

  test('reports to connected clients that the password was changed on the server, at each attempt', async () => {
    const database = await createDatabase()
    const pgweir = await startPgweir({
      database,
      settings: { auth_type: 'scram-sha-256', server_login_retry: 0 },
      secrets: { [database.user]: await serverSecret(database) },
    })
    const client = await pgweir.client()
    await admin.query(`alter role ${database.user} password 'another'`)
    await admin.query('select pg_terminate_backend($1)', await pgweir.serverPids())
    await until('the server is gone', async () => (await pgweir.counts()).servers === 0)
    expect(await failureOf(client.query('select 1'))).toMatchObject(WRONG_TYPE)
    // The login to the pooler succeeds, since the welcome is known. Only the query fails.
    const another = await pgweir.client()
    expect(await failureOf(another.query('select 1'))).toMatchObject(WRONG_TYPE)
    expect(pgweir.log.some((line) => line.includes('undefined'))).toBe(false)
  })
})

test('a server’s refusal reaches the client with the server’s own message', async () => {
  const database = await createDatabase()
  const limited = await createRole({ attributes: 'connection limit 0' })
  const pgweir = await startPgweir({
    database,
    secrets: { [database.user]: 'not the password', [limited.user]: limited.password },
    databases: [`missing = host=${database.host} port=${database.port}`],
  })
  expect(await failureOf(pgweir.client())).toMatchObject(wrongPassword(database))
  expect(await failureOf(pgweir.client({ user: limited.user }))).toMatchObject({
    code: '53300',
    message: `too many connections for role "${limited.user}"`,
    severity: 'FATAL',
  })
  const known = await startPgweir({ database, databases: [`missing = host=${database.host} port=${database.port}`] })
  expect(await failureOf(known.client({ database: 'missing' }))).toMatchObject({
    code: '3D000',
    message: 'database "missing" does not exist',
    severity: 'FATAL',
  })
  expect((await (await known.client()).query('select 1 as one')).rows).toEqual([{ one: 1 }])
})

test('until the next attempt, new clients get the same error at once', async () => {
  const database = await createDatabase()
  const settings = { server_login_retry: 60 }
  const pgweir = await startPgweir({ database, settings, secrets: { [database.user]: 'not the password' } })
  const failures = await Promise.all(Array.from({ length: 10 }, () => failureOf<Error>(pgweir.client())))
  for (const { message } of failures) expect(message).toContain(`password authentication failed for user`)
  const tries = pgweir.log.filter((line) => line.includes('new connection to server'))
  expect(tries.length).toBeLessThanOrEqual(10)
})
