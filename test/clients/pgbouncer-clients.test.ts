/**
 * Clients of Debian's PgBouncer (1.18) and of pgweir with the same file: what they are asked for, the errors that they get, and how
 * their connections end. Differences that come from later versions, or that are improvements, are listed here with the reason, and must exist.
 */

import { createHash } from 'node:crypto'
import { serialize } from 'pg-protocol'
import { describe, expect, test } from 'vitest'
import { message, type RawClient, startup } from '../support/e2e/raw-client.ts'
import { createDatabase } from '../support/postgres.ts'
import { ask, type Files, firstWords, type Pooler, underBoth } from './support/pgbouncer.ts'

const database = await createDatabase({ method: 'trust' })
const { user } = database
const at = `host=${database.host} port=${database.port}`

const SECRETS = {
  [user]: 'secret',
  admin: '',
  plain: 'secret',
  hashed: `md5${createHash('md5').update('secrethashed').digest('hex')}`,
  scrammed: `SCRAM-SHA-256$4096:cGdib3VuY2VyIHNhbHQ=$${'A'.repeat(43)}=:${'A'.repeat(43)}=`,
  refused: 'secret',
  'quoted "name"': 'with "quotes"',
  empty: '',
}

const FILES: Files = {
  'pgbouncer.ini': `
[databases]
app = ${at} dbname=${database.database}
forced = ${at} dbname=${database.database} user=${user}
statements = ${at} dbname=${database.database} pool_mode=statement
sessions = ${at} dbname=${database.database} pool_mode=session pool_size=1
absent = ${at} dbname=nowhere_at_all
plain = ${at} dbname=${database.database}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = hba
auth_file = {directory}/userlist.txt
auth_hba_file = {directory}/hba.conf
admin_users = admin
pool_mode = transaction
server_login_retry = 0.2
`,
  'userlist.txt': Object.entries(SECRETS)
    .map((row) => `${row.map((text) => `"${text.replaceAll('"', '""')}"`).join(' ')}\n`)
    .join('; a comment\n'),
  'names.txt': 'limited\nplain\n',
  'hba.conf': `
# who comes where, from where, and how
hostssl   all         all                127.0.0.1/32         reject
host      pgbouncer   admin              127.0.0.1/32         trust
host      all         ${user}            127.0.0.0 255.0.0.0  trust
host      all         refused,other      127.0.0.1/32         reject
host      sameuser    @names.txt         127.0.0.1/32         trust
host      replication hashed             127.0.0.1/32         trust
hostnossl app         plain              127.0.0.1/32         password
host      forced      plain, hashed      0.0.0.0/0            md5
host      forced      scrammed           127.0.0.1/32         md5
host      app         hashed             127.0.0.1/32         scram-sha-256
host      app         scrammed           127.0.0.1/32         scram-sha-256
host      app         "quoted ""name"""  127.0.0.1/32         scram-sha-256
host      app         empty              127.0.0.1/32         md5
host      app         all                10.0.0.0/8           trust
host      statements  plain              ::1/128              trust
local     statements  plain                                   trust
host      "all"       plain              127.0.0.1/32         trust
host      nowhere     all                127.0.0.1/32         md5
`,
}

/** The startup parameters of clients, and the answers: up to the request for a password, or to ReadyForQuery. */
const ARRIVALS: readonly Readonly<Record<string, string>>[] = [
  ...['app', 'forced', 'statements', 'plain', 'limited', 'nowhere', 'absent', 'replication', 'pgbouncer'].flatMap(
    (name) =>
      ['plain', 'hashed', 'scrammed', 'refused', 'other', 'limited', 'stranger', 'empty', 'quoted "name"', user].map(
        (user) => ({ user, database: name }),
      ),
  ),
  { user: 'admin', database: 'pgbouncer' },
  { user: 'admin', database: 'app' },
  { user: 'admin' },
  { user: 'plain' },
  { database: 'app' },
  { user: '', database: 'app' },
  { user: 'u'.repeat(200), database: 'app' },
  { user, database: 'app', nonsense: '1' },
  { user, database: 'app', options: '-c nonsense=1' },
  { user, database: 'app', replication: 'x' },
  { user, database: 'app', extra_float_digits: '1' },
  { user, database: 'app', client_encoding: 'nonsense' },
  { user, database: 'app', application_name: 'x', TimeZone: 'UTC', DateStyle: 'ISO', client_encoding: 'UTF8' },
]

/** The clients that get a different answer, and why. */
const OTHER_ARRIVALS: readonly { who: Readonly<Record<string, string>>; why: string }[] = [
  { who: { user, database: 'app', nonsense: '1' }, why: 'PostgreSQL is asked whether the setting exists' },
  { who: { user, database: 'app', options: '-c nonsense=1' }, why: 'later versions support options' },
  { who: { user, database: 'app', replication: 'x' }, why: 'later versions support replication' },
  { who: { user, database: 'app', extra_float_digits: '1' }, why: 'settings take effect in PostgreSQL' },
  { who: { user, database: 'app', client_encoding: 'nonsense' }, why: 'it fails at the login, not at the first query' },
]

/** The error of a client that no rule matches, and of the console. */
const NEWER_WORDS = 'FATAL: no authentication method is found'

/** The answer of a client to a request for its password. */
async function answering(
  pooler: Pooler,
  parameters: Readonly<Record<string, string>>,
  ...answers: readonly ((question: Buffer) => Uint8Array)[]
): Promise<string[]> {
  const client = await pooler.stranger()
  client.send(startup(parameters))
  for (const answer of answers) {
    const question = await client.next()
    if (question === null) break
    client.send(answer(question.body))
  }
  return firstWords(client)
}

const password = (text: string) => () => message('p', Buffer.from(`${text}\0`))
const scram = (mechanism: string) => () => {
  const first = Buffer.from('n,,n=,r=0123456789abcdef')
  const length = Buffer.alloc(4)
  length.writeInt32BE(first.length)
  return message('p', Buffer.concat([Buffer.from(`${mechanism}\0`), length, first]))
}
const wrongProof = (question: Buffer) => {
  const nonce = /r=([^,]+)/.exec(question.toString())?.[1]
  return message('p', Buffer.from(`c=biws,r=${nonce},p=${'A'.repeat(43)}=`))
}

type Scene = (pooler: Pooler, admin: RawClient) => Promise<string[]>

const plain = { user: 'plain', database: 'app' }
const hashed = { user: 'hashed', database: 'app' }

function wordsOf(client: RawClient, ...messages: readonly Uint8Array[]): Promise<string[]> {
  client.send(...messages)
  return firstWords(client)
}

const q = (text: string) => serialize.query(text)

/** A client that has used a server, which is idle now. */
async function known(pooler: Pooler, name = 'app'): Promise<RawClient> {
  const client = await pooler.client(user, name)
  await client.ask(q('select 1'))
  return client
}

/** pgweir asks some unknown users for SCRAM instead of md5, like the user with a SCRAM secret; the choice is random, but fixed for each name. */
async function strangerWithMd5(pooler: Pooler): Promise<Readonly<Record<string, string>>> {
  for (let n = 0; ; n++) {
    const who = { user: `stranger${n}`, database: 'nowhere' }
    if ((await pooler.login(who)).join() === 'Authentication 5') return who
  }
}

/** Applies a setting while the client sends its request. */
async function within(admin: RawClient, setting: string, scene: () => Promise<string[]>): Promise<string[]> {
  await ask(admin, q(`set ${setting}`))
  const said = await scene()
  // The value in the file.
  await ask(admin, q('reload'))
  return said
}

const SCENES: Readonly<Record<string, Scene>> = {
  'a wrong password': (pooler) => answering(pooler, plain, password('wrong')),
  'no password': (pooler) => answering(pooler, plain, password('')),
  'a password that is too long': (pooler) => answering(pooler, plain, password('x'.repeat(3000))),
  'the right password': (pooler) => answering(pooler, plain, password('secret')),
  'the right password, for a database that does not exist': (pooler) =>
    answering(pooler, { user: 'plain', database: 'nowhere' }, (question) => md5('plain', 'secret', question)),
  'a wrong password, for a database that does not exist': (pooler) =>
    answering(pooler, { user: 'plain', database: 'nowhere' }, (question) => md5('plain', 'wrong', question)),
  'a wrong md5': (pooler) => answering(pooler, { user: 'plain', database: 'forced' }, password('md5wrong')),
  'the right md5': async (pooler) =>
    (
      await answering(pooler, { user: 'plain', database: 'forced' }, (question) => md5('plain', 'secret', question))
    ).slice(-1),
  'an md5 answer of an unknown user': async (pooler) =>
    answering(pooler, await strangerWithMd5(pooler), password('md5wrong')),
  'a user without a password': (pooler) => answering(pooler, { user: 'empty', database: 'app' }, password('')),
  'an unknown SASL mechanism': (pooler) => answering(pooler, hashed, scram('NONSENSE')),
  'a SASL mechanism with channel binding': (pooler) => answering(pooler, hashed, scram('SCRAM-SHA-256-PLUS')),
  'a wrong proof': (pooler) =>
    answering(pooler, { user: 'scrammed', database: 'app' }, scram('SCRAM-SHA-256'), wrongProof),
  'a SCRAM proof although the secret is an md5 hash': (pooler) =>
    answering(pooler, hashed, scram('SCRAM-SHA-256'), wrongProof),
  'nonsense instead of a proof': (pooler) => answering(pooler, hashed, password('nonsense')),
  'a query instead of a password': (pooler) => answering(pooler, plain, () => q('select 1')),
  'an old protocol': (pooler) => pooler.hello(startup({ user }, 0x0002_0000)),
  'a future protocol': (pooler) => pooler.hello(startup({ user }, 0x0004_0000)),
  'no terminator': (pooler) => {
    const hello = startup({ user })
    hello[hello.length - 1] = 65
    return pooler.hello(hello)
  },
  'a request for TLS': async (pooler) => {
    const client = await pooler.stranger()
    client.send(Buffer.from([0, 0, 0, 8, 4, 210, 22, 47]))
    return [await client.byte(), ...(await wordsOf(client, startup({ user: 'refused', database: 'app' })))]
  },
  'a request for GSS': async (pooler) => {
    const client = await pooler.stranger()
    client.send(Buffer.from([0, 0, 0, 8, 4, 210, 22, 48]))
    return [await client.byte(), ...(await wordsOf(client, startup({ user: 'refused', database: 'app' })))]
  },
  'a cancel request with an unknown key': (pooler) =>
    pooler.hello(Buffer.from([0, 0, 0, 16, 4, 210, 22, 46, 1, 2, 3, 4, 5, 6, 7, 8])),
  'a disabled database': async (pooler, admin) => {
    await ask(admin, q('disable app'))
    const said = await pooler.login({ user, database: 'app' })
    await ask(admin, q('enable app'))
    return said
  },
  'too many clients': (pooler, admin) =>
    within(admin, 'max_client_conn=1', () => pooler.login({ user, database: 'app' })),
  KILL: async (pooler, admin) => {
    const client = await pooler.client(user, 'app')
    await ask(admin, q('kill app'))
    const said = await firstWords(client)
    await ask(admin, q('resume app'))
    return said
  },
  'KILL within a transaction': async (pooler, admin) => {
    const client = await pooler.client(user, 'app')
    await client.ask(q('begin'))
    await ask(admin, q('kill app'))
    const said = await firstWords(client)
    await ask(admin, q('resume app'))
    return said
  },
  'a transaction in statement mode': async (pooler) => wordsOf(await pooler.client(user, 'statements'), q('begin')),
  'an error in statement mode': async (pooler) => wordsOf(await pooler.client(user, 'statements'), q('select 1 / 0')),
  'a message that does not exist': async (pooler) => wordsOf(await pooler.client(user, 'app'), message('y')),
  'a password after the login': async (pooler) => wordsOf(await pooler.client(user, 'app'), password('x')()),
  query_timeout: async (pooler, admin) => {
    const client = await known(pooler)
    return within(admin, "query_timeout='0.2'", () => wordsOf(client, q('select pg_sleep(60)')))
  },
  idle_transaction_timeout: async (pooler, admin) => {
    const client = await known(pooler)
    await client.ask(q('begin'))
    return within(admin, "idle_transaction_timeout='0.2'", () => firstWords(client))
  },
  client_idle_timeout: async (pooler, admin) => {
    const client = await known(pooler)
    return within(admin, "client_idle_timeout='0.2'", () => firstWords(client))
  },
  query_wait_timeout: async (pooler, admin) => {
    const holder = await known(pooler, 'sessions')
    const client = await pooler.client(user, 'sessions')
    const said = await within(admin, "query_wait_timeout='0.2'", () => wordsOf(client, q('select 1')))
    await holder.end()
    return said
  },
  'a server that is terminated': async (pooler) =>
    wordsOf(await known(pooler), q('select pg_terminate_backend(pg_backend_pid())')),
}

function md5(user: string, secret: string, question: Buffer): Uint8Array {
  const hash = (...parts: (string | Buffer)[]) =>
    parts.reduce((all, part) => all.update(part), createHash('md5')).digest('hex')
  return message('p', Buffer.from(`md5${hash(hash(secret, user), question.subarray(4))}\0`))
}

/** The scenes that end differently, and why. */
const INTENDED: Readonly<Record<string, string>> = {
  'a SCRAM proof although the secret is an md5 hash':
    'PgBouncer sends no error, which distinguishes such users from others',
  'nonsense instead of a proof': 'the error says that the message is invalid',
  'a query instead of a password': 'PgBouncer sends no error',
  'a future protocol': 'the error names it',
  'no terminator': 'as in later versions',
  'a transaction in statement mode': 'the completion arrives before the error',
  'a message that does not exist': 'the error names it',
  'a password after the login': 'the error names it',
  'a server that is terminated': 'the client gets PostgreSQL’s own error, whose SQLSTATE drivers rely on',
}

async function talk(pooler: Pooler) {
  const arrivals: string[][] = []
  for (const arrival of ARRIVALS) arrivals.push(sorted(await pooler.login(arrival)))
  const admin = await pooler.client('admin', 'pgbouncer')
  const scenes = new Map<string, string[]>()
  for (const [name, scene] of Object.entries(SCENES)) scenes.set(name, await scene(pooler, admin))
  return { arrivals, scenes }
}

/**
 * The parameters at login have no order. PgBouncer repeats a date style as the client sent it; pgweir reports it as PostgreSQL does.
 * Whether the server is tried again for a client, or has just refused another client, depends on the timing.
 */
function sorted(said: readonly string[]): string[] {
  const told = said.map((line) =>
    line
      .replace(/^ParameterStatus DateStyle=ISO$/, '$&, MDY')
      .replace(/^FATAL: server login has been failing, cached error: (.*) \(server_login_retry\)$/, 'FATAL: $1'),
  )
  return [
    ...told.filter((line) => line.startsWith('ParameterStatus')).toSorted(),
    ...told.filter((line) => !line.startsWith('ParameterStatus')),
  ]
}

const [theirs, ours] = await underBoth(FILES, talk)

describe('a login by auth_hba_file rules gets the same answer as from PgBouncer:', () => {
  test.each(ARRIVALS.map((arrival, index) => [JSON.stringify(arrival), index] as const))('%s', (_, index) => {
    const [wanted, told] = [theirs.arrivals[index], ours.arrivals[index]]
    const who = ARRIVALS[index] as Readonly<Record<string, string>>
    if (OTHER_ARRIVALS.some((other) => JSON.stringify(other.who) === JSON.stringify(who)))
      expect(told).not.toEqual(wanted)
    // 1.18 has the same error for a client that no rule matches.
    else if (told?.[0] === NEWER_WORDS && who['database'] !== 'pgbouncer')
      expect(wanted).toEqual(['FATAL: login rejected'])
    // pgweir does not reveal before the login which users may connect to the console.
    else if (who['database'] === 'pgbouncer' && who['user'] !== 'admin') expect(told?.[0]).toMatch(/^FATAL/)
    else if (who['user'] === 'admin' && who['database'] === 'pgbouncer') expect(told?.at(-1)).toBe('ReadyForQuery I')
    // See `strangerWithMd5`.
    else if (!((who['user'] as string) in SECRETS) && wanted?.join() === 'Authentication 5') {
      expect(['Authentication 5', 'Authentication 10']).toContain(told?.join())
    }
    // pgweir does not report in_hot_standby from its cache.
    else expect(told).toEqual(wanted?.filter((line) => !line.startsWith('ParameterStatus in_hot_standby')))
  })
})

describe('a client gets the same messages as from PgBouncer:', () => {
  test.each(Object.keys(SCENES))('%s', (name) => {
    const told = expect(ours.scenes.get(name)?.filter(isNoWelcome))
    const wanted = theirs.scenes.get(name)?.filter(isNoWelcome)
    if (INTENDED[name] === undefined) told.toEqual(wanted)
    else told.not.toEqual(wanted)
  })
})

function isNoWelcome(line: string): boolean {
  return !line.startsWith('ParameterStatus')
}
