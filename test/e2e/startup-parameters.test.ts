import type { Client } from 'pg'
import { serialize } from 'pg-protocol'
import { describe, expect, test } from 'vitest'
import { type Pgweir, sharedPgweir } from '../support/e2e/pgweir.ts'
import { message, RawClient, startup, texts } from '../support/e2e/raw-client.ts'
import { failureOf } from '../support/e2e/until.ts'
import { createDatabase, createRole } from '../support/postgres.ts'

const database = await createDatabase({ method: 'trust' })

const MODES = ['session', 'transaction', 'statement'] as const

/** A Query message in which each character of `sql` is one byte, whatever the client's encoding. */
function query(sql: string): Buffer {
  return message('Q', Buffer.from(`${sql}\0`, 'latin1'))
}

async function show(client: Client, name: string): Promise<string> {
  const { rows } = await client.query<{ value: string }>(`select current_setting('${name}') as value`)
  return rows[0]?.value ?? ''
}

/** Startup parameters, and the results of SHOW afterwards. */
const ACCEPTED: Readonly<Record<string, readonly [Record<string, string>, Record<string, string>]>> = {
  'a timeout in options': [{ options: '-c statement_timeout=12s' }, { statement_timeout: '12s' }],
  'a timeout outside options': [{ lock_timeout: '7s' }, { lock_timeout: '7s' }],
  'a list': [{ options: '-c search_path="$user",\\ pg_catalog' }, { search_path: '"$user", pg_catalog' }],
  'the parameters that JDBC sends': [
    { extra_float_digits: '2', TimeZone: 'Asia/Tokyo' },
    { extra_float_digits: '2', TimeZone: 'Asia/Tokyo' },
  ],
  'the parameters that SQLAlchemy users send': [
    { application_name: 'grüße', client_encoding: 'utf-8', options: '-csearch_path=pg_catalog -c jit=off' },
    { application_name: 'gr\\xc3\\xbc\\xc3\\x9fe', client_encoding: 'UTF8', search_path: 'pg_catalog', jit: 'off' },
  ],
  'every form of options': [
    { options: '-c work_mem=3MB -cenable_seqscan=off --random-page-cost=1.5 --application_name=two\\ words\\\\' },
    { work_mem: '3MB', enable_seqscan: 'off', random_page_cost: '1.5', application_name: 'two words\\' },
  ],
  'names and values in odd spelling': [
    { DATESTYLE: 'sql, dmy', timezone: 'utc', INTERVALSTYLE: 'ISO_8601', Standard_Conforming_Strings: 'true' },
    { DateStyle: 'SQL, DMY', TimeZone: 'UTC', IntervalStyle: 'iso_8601', standard_conforming_strings: 'on' },
  ],
  'a custom setting': [{ options: "-c app.tenant=o'hara" }, { 'app.tenant': "o'hara" }],
  'a startup-only setting': [
    { options: '-c ignore_system_indexes=on -c work_mem=3MB' },
    { ignore_system_indexes: 'on', work_mem: '3MB' },
  ],
  'the later one of two values': [{ options: '-c work_mem=3MB', work_mem: '5MB' }, { work_mem: '5MB' }],
}

for (const pool_mode of MODES)
  describe(`${pool_mode} mode`, () => {
    for (const [name, [parameters, shown]] of Object.entries(ACCEPTED))
      test(`${name} takes effect as with PostgreSQL itself, for its client alone`, async () => {
        const pgweir = await sharedPgweir({ database, settings: { pool_mode } })
        const { user, database: dbname, host, port } = database
        const direct = await RawClient.connect({ host, port })
        pgweir.onFinish(() => direct.end())
        await direct.logIn({ user, database: dbname, ...parameters })
        const client = await pgweir.raw(parameters)
        // The pooler does not report in_hot_standby, which may have changed since a server was opened; clients have to query it.
        direct.parameters.delete('in_hot_standby')
        expect(Object.fromEntries(client.parameters)).toEqual(Object.fromEntries(direct.parameters))
        for (let round = 0; round < 2; round++)
          for (const [setting, value] of Object.entries(shown)) {
            const [, row] = await client.ask(serialize.query(`show ${setting}`))
            expect(row).toBe((await direct.ask(serialize.query(`show ${setting}`)))[1])
            expect(row).toBe(`DataRow ${value}`)
          }
        if (pool_mode === 'session') await client.end()

        const other = await pgweir.client()
        const fresh = await pgweir.client({ port })
        for (const setting of Object.keys(shown).filter((setting) => !setting.includes('.')))
          expect([setting, await show(other, setting)]).toEqual([setting, await show(fresh, setting)])
        // A custom setting that was reset is empty on a server where it had been set, and unknown elsewhere.
        const tenant = await other.query(`select coalesce(current_setting('app.tenant', true), '') as tenant`)
        expect(tenant.rows).toEqual([{ tenant: '' }])
        expect((await pgweir.counts()).servers).toBe(1)
      })

    test('a statement_timeout in options ends the query', async () => {
      const pgweir = await sharedPgweir({ database, settings: { pool_mode } })
      const client = await pgweir.client({ options: '-c statement_timeout=300' })
      expect(await failureOf(client.query('select pg_sleep(60)'))).toMatchObject({
        message: 'canceling statement due to statement timeout',
      })
      expect((await client.query('select 1 as one')).rows).toEqual([{ one: 1 }])
    })
  })

describe('settings of the login that a client resets', () => {
  const LOGIN = {
    TimeZone: 'Asia/Tokyo',
    application_name: 'worker',
    options: `-c statement_timeout=12s -c work_mem=3MB -c search_path=pg_catalog -c app.tenant=o'hara`,
  }
  const SETTINGS = [...['timezone', 'application_name', 'statement_timeout', 'work_mem', 'search_path'], 'app.tenant']
  /** Each list runs on new connections, because what a mode keeps of a client's own SETs is not tested here. */
  const COMMANDS: readonly (readonly string[])[] = [
    ['reset all'],
    ['discard all'],
    [`set timezone = 'Etc/UTC'`, 'reset timezone'],
    [`set timezone = 'Etc/UTC'; set application_name = 'other'`, 'reset timezone'],
    [
      `set timezone = 'Etc/UTC'; set statement_timeout = 7000; reset statement_timeout; set app.tenant = 'eve'; reset app.tenant`,
    ],
    [`set search_path = public; set app.tenant = 'eve'`, 'discard all'],
    ['select pg_advisory_unlock_all(); close all; unlisten *; reset all'],
    ['begin; reset all', 'commit'],
    ['begin; reset all; set timezone = UTC', 'savepoint s; selct', 'rollback'],
    [`set timezone = 'Etc/UTC'`, 'begin; reset timezone', 'rollback'],
  ]

  for (const pool_mode of MODES)
    for (const commands of COMMANDS)
      if (pool_mode !== 'statement' || commands.every((command) => !command.startsWith('begin')))
        test(`have their values of the login again, as with PostgreSQL itself: ${commands.join(', ')} (${pool_mode} mode)`, async () => {
          const pgweir = await sharedPgweir({ database, settings: { pool_mode } })
          const { user, database: dbname, host, port } = database
          const direct = await RawClient.connect({ host, port })
          pgweir.onFinish(() => direct.end())
          await direct.logIn({ user, database: dbname, ...LOGIN })
          const pooled = await pgweir.raw(LOGIN)
          const look = async (client: RawClient) => {
            const rows: string[] = []
            for (const name of SETTINGS) rows.push(...(await client.ask(query(`show ${name}`))).slice(1, 2))
            return rows
          }
          const before = await look(direct)
          expect(await look(pooled)).toEqual(before)
          for (const command of commands) {
            await direct.ask(query(command))
            await pooled.ask(query(command))
          }
          expect(await look(pooled)).toEqual(await look(direct))
          expect((await pgweir.counts()).servers).toBe(1)
          await pooled.end()
          const other = await pgweir.client()
          expect(await show(other, 'statement_timeout')).toBe('0')
        })

  test('are reported with their values before ReadyForQuery', async () => {
    const pgweir = await sharedPgweir({ database, settings: { pool_mode: 'session' } })
    const client = await pgweir.raw(LOGIN)
    for (const command of [`set timezone = 'Etc/UTC'`, 'reset all', `set timezone = 'Etc/UTC'`, 'discard all']) {
      client.send(query(command))
      for (const { type, body } of await client.repliesUntil('Z'))
        if (type === 'S') client.parameters.set(...(texts(body).slice(0, 2) as [string, string]))
      expect(client.parameters.get('TimeZone')).toBe(command.startsWith('set') ? 'Etc/UTC' : 'Asia/Tokyo')
      expect(client.parameters.get('application_name')).toBe('worker')
    }
  })
})

/** Startup parameters that PostgreSQL rejects. */
const REJECTED: Readonly<Record<string, Record<string, string>>> = {
  'an unknown time zone': { TimeZone: 'Mars/Phobos' },
  'an unknown setting': { options: '-c nonsense=1' },
  'an unknown setting outside options': { nonsense: '1' },
  'text instead of a number': { options: '-c statement_timeout=soon' },
  'a number that is too large': { options: '-c extra_float_digits=99' },
  'an unknown encoding': { client_encoding: 'klingon' },
  'a setting that requires a restart': { options: '-c max_connections=5' },
  'a startup-only setting for superusers': { options: '-c log_disconnections=on' },
  'text instead of a Boolean for a startup-only setting': { ignore_system_indexes: 'perhaps' },
  'a setting that only a superuser may change': { options: '-c log_statement=all' },
}

describe('a rejected startup parameter', () => {
  for (const [name, parameters] of Object.entries(REJECTED))
    test(`(${name}) returns PostgreSQL's own error and does not affect other clients`, async () => {
      const pgweir = await sharedPgweir({ database })
      const { user, database: dbname, host, port } = database
      const other = await pgweir.client()
      const direct = await RawClient.connect({ host, port })
      direct.send(startup({ user, database: dbname, ...parameters }))
      const [expected] = (await direct.rest()).slice(-1)
      expect(expected).toMatch(/^ErrorResponse FATAL \w{5} /)
      for (let round = 0; round < 2; round++) {
        const client = await pgweir.stranger()
        client.send(startup({ user, database: dbname, ...parameters }))
        expect(await client.rest()).toEqual([expected])
        expect((await other.query('select 1 as one')).rows).toEqual([{ one: 1 }])
      }
      expect((await pgweir.counts()).servers).toBe(1)
    })

  test('(options that set nothing) returns an error that names the accepted forms', async () => {
    const pgweir = await sharedPgweir({ database })
    const { user, database: dbname } = database
    const client = await pgweir.stranger()
    client.send(startup({ user, database: dbname, options: '-B 100' }))
    expect(await client.rest()).toEqual([
      "ErrorResponse FATAL 08P01 unsupported options startup parameter: only '-c config=val' and '--config=val' are allowed",
    ])
  })
})

describe('ignore_startup_parameters', () => {
  test('drops the parameters that it names, in options or not', async () => {
    const settings = { ignore_startup_parameters: 'nonsense, extra_float_digits, statement_timeout' }
    const pgweir = await sharedPgweir({ database, settings })
    const client = await pgweir.raw({ nonsense: '1', extra_float_digits: '3', options: '-c statement_timeout=5s' })
    expect(await client.ask(serialize.query('show statement_timeout'))).toContain('DataRow 0')
    expect(await client.ask(serialize.query('show extra_float_digits'))).toContain('DataRow 1')
  })

  test('with options drops untracked settings from options', async () => {
    const pgweir = await sharedPgweir({ database, settings: { ignore_startup_parameters: 'options' } })
    const client = await pgweir.raw({ options: '-c nonsense=1 -c TimeZone=Asia/Tokyo -c work_mem=3MB' })
    expect(client.parameters.get('TimeZone')).toBe('Asia/Tokyo')
    expect(await client.ask(serialize.query('show work_mem'))).toContain('DataRow 4MB')
    expect((await pgweir.raw({ options: '-B 100' })).hasEnded).toBe(false)
  })
})

describe('a setting that a client changes', () => {
  async function startWithTwoServers(): Promise<{
    pgweir: Pgweir
    onServer(index: number, use: () => Promise<void>): Promise<void>
  }> {
    const pgweir = await sharedPgweir({ database, settings: { default_pool_size: 2 } })
    const blockers = [await pgweir.client(), await pgweir.client()]
    for (const blocker of blockers) await blocker.query('begin')
    return {
      pgweir,
      // Meanwhile, only the server of this blocker is free.
      async onServer(index, use) {
        await blockers[index]?.query('rollback')
        await use()
        await blockers[index]?.query('begin')
      },
    }
  }

  test('follows the client from server to server if PostgreSQL reports it', async () => {
    const { pgweir, onServer } = await startWithTwoServers()
    const [ada, bob] = [await pgweir.client(), await pgweir.client()]
    await onServer(0, async () => {
      await ada.query(`set timezone = 'Asia/Tokyo'`)
      await ada.query(`set datestyle = 'German'; set intervalstyle = 'iso_8601'; set application_name = 'ada'`)
      await ada.query(`set search_path = pg_catalog, "Ada's"; set client_encoding = 'latin1'`)
      expect(await show(bob, 'timezone')).not.toBe('Asia/Tokyo')
    })
    await onServer(1, async () => {
      expect(await show(ada, 'timezone')).toBe('Asia/Tokyo')
      expect(await show(ada, 'datestyle')).toBe('German, DMY')
      expect(await show(ada, 'intervalstyle')).toBe('iso_8601')
      expect(await show(ada, 'application_name')).toBe('ada')
      expect(await show(ada, 'search_path')).toBe(`pg_catalog, "Ada's"`)
      expect(await show(ada, 'client_encoding')).toBe('LATIN1')
      for (const setting of ['timezone', 'datestyle', 'intervalstyle', 'application_name', 'search_path'])
        expect(await show(bob, setting)).not.toBe(await show(ada, setting))
      await ada.query('reset timezone')
    })
    await onServer(0, async () => {
      expect(await show(ada, 'timezone')).toBe(await show(bob, 'timezone'))
      expect(await show(ada, 'datestyle')).toBe('German, DMY')
    })
  })

  /** By client encoding: the bytes of a name, and the name itself. */
  const NAMES: Readonly<Record<string, readonly [string, string]>> = {
    LATIN1: ['gr\xf6\xdfe', 'größe'],
    LATIN9: ['\xa4\xf6', '€ö'],
    WIN1252: ['\x80', '€'],
    EUC_JP: ['\xa4\xa2', 'あ'],
    UTF8: ['gr\xc3\xb6\xc3\x9fe', 'größe'],
    SQL_ASCII: ['gr\xc3\xb6\xc3\x9fe', 'größe'],
  }

  const PATH = query('show search_path')

  async function path(client: RawClient): Promise<string | undefined> {
    client.send(PATH)
    return (await client.repliesUntil('Z')).find(({ type }) => type === 'D')?.body.toString('latin1', 6)
  }

  for (const [encoding, [bytes, text]] of Object.entries(NAMES)) {
    const set = `set search_path = "${bytes}"`
    const utf8 = Buffer.from(`"${text}"`).toString('latin1')

    test(`keeps its non-ASCII characters on another server if client_encoding is ${encoding}`, async () => {
      const { pgweir, onServer } = await startWithTwoServers()
      const client = await pgweir.raw()
      await onServer(0, async () => {
        await client.ask(query(`set client_encoding = '${encoding}'`))
        await client.ask(query(set))
      })
      for (const index of [1, 0, 1])
        await onServer(index, async () => {
          expect(await path(client)).toBe(`"${bytes}"`)
          await client.ask(query(`begin; set local client_encoding = 'UTF8'`))
          expect(await path(client)).toBe(utf8)
          await client.ask(query('rollback'))
        })
    })

    test(`keeps its non-ASCII characters on another server if the same query has ended client_encoding = ${encoding}`, async () => {
      const { pgweir, onServer } = await startWithTwoServers()
      const client = await pgweir.raw()
      await onServer(0, async () => {
        await client.ask(query(`set client_encoding = '${encoding}'`))
        await client.ask(query(`set client_encoding = 'UTF8'; ${set}`))
      })
      for (const index of [1, 0, 1]) await onServer(index, async () => expect(await path(client)).toBe(utf8))
    })
  }

  test('does not follow the client if it is rolled back or LOCAL', async () => {
    const { pgweir, onServer } = await startWithTwoServers()
    const client = await pgweir.client()
    let before = ''
    await onServer(0, async () => {
      before = await show(client, 'timezone')
      await client.query(`begin; set timezone = 'Asia/Tokyo'`)
      await client.query('rollback')
      await client.query(`begin; set local timezone = 'Asia/Tokyo'`)
      await client.query('commit')
    })
    await onServer(1, async () => expect(await show(client, 'timezone')).toBe(before))
  })

  test('has its value of the login again after RESET or DISCARD ALL', async () => {
    const { pgweir, onServer } = await startWithTwoServers()
    let client = await pgweir.client()
    await onServer(0, async () => {
      client = await pgweir.client({ options: '-c statement_timeout=12s' })
    })
    for (const command of ['discard all', 'reset all', 'set statement_timeout = 0']) {
      await onServer(0, async () => {
        await client.query(command)
      })
      for (const index of [0, 1])
        await onServer(index, async () => expect(await show(client, 'statement_timeout')).toBe('12s'))
    }
  })
})

test('a role in the startup parameters is reset before the next client', async () => {
  const admin = await createRole()
  const pgweir = await sharedPgweir({ database })
  const member = await createRole({ attributes: `role ${database.user}` })
  expect(admin.user).not.toBe(member.user)
  const client = await pgweir.client({ options: `-c role=${member.user}` })
  const other = await pgweir.client()
  for (let round = 0; round < 3; round++) {
    expect((await client.query('select current_user as name')).rows).toEqual([{ name: member.user }])
    expect((await other.query('select current_user as name')).rows).toEqual([{ name: database.user }])
  }
})

test('settings of the entry in [databases] apply to its clients', async () => {
  const entry = `timezone=Asia/Tokyo datestyle=German application_name=pooled connect_query='set lock_timeout = 3000'`
  const pgweir = await sharedPgweir({ database, entry })
  const client = await pgweir.raw()
  expect([client.parameters.get('TimeZone'), client.parameters.get('DateStyle')]).toEqual(['Asia/Tokyo', 'German, DMY'])
  const [plain, other] = [await pgweir.client(), await pgweir.client({ options: '-c TimeZone=UTC -c work_mem=5MB' })]
  for (let round = 0; round < 2; round++) {
    expect([await show(other, 'timezone'), await show(other, 'work_mem')]).toEqual(['UTC', '5MB'])
    expect([await show(plain, 'timezone'), await show(plain, 'application_name')]).toEqual(['Asia/Tokyo', 'pooled'])
    expect([await show(plain, 'lock_timeout'), await show(other, 'lock_timeout')]).toEqual(['3s', '3s'])
  }
})

test('application_name_add_host adds the client’s address', async () => {
  const pgweir = await sharedPgweir({ database, settings: { application_name_add_host: 1 } })
  const [named, unnamed] = [await pgweir.raw({ application_name: 'worker' }), await pgweir.raw()]
  const from = (client: RawClient) => `127.0.0.1:${client.socket.localPort}`
  expect(await named.ask(serialize.query('show application_name'))).toContain(`DataRow worker - ${from(named)}`)
  expect(await unnamed.ask(serialize.query('show application_name'))).toContain(`DataRow app - ${from(unnamed)}`)
})

test('a newer minor version and unknown protocol parameters are negotiated down', async () => {
  const pgweir = await sharedPgweir({ database })
  const { user, database: dbname } = database
  const client = await pgweir.stranger()
  client.send(startup({ user, database: dbname, '_pq_.new_thing': 'on' }, 0x0003_0002))
  const [first] = await client.lines()
  expect(first).toBe('NegotiateProtocolVersion')
  expect(await client.ask(serialize.query('select 1'))).toContain('DataRow 1')
})
