/** With auto_prepare, unnamed statements are parsed once per server, and clients notice no difference, even when tables change. */

import { serialize } from 'pg-protocol'
import { beforeEach, describe, expect, test } from 'vitest'
import { type Step, sameAsDirect } from '../support/e2e/conversation.ts'
import { type PgweirOptions, sharedPgweir, startPgweir, WORKERS } from '../support/e2e/pgweir.ts'
import { extended } from '../support/e2e/raw-client.ts'
import { failureOf } from '../support/e2e/until.ts'
import { adminClient, createDatabase } from '../support/postgres.ts'

const database = await createDatabase({ method: 'trust' })
const admin = await adminClient(database.database)

beforeEach(async () => {
  await admin.query(`drop owned by ${database.user}; grant all on schema public to ${database.user}`)
  await admin.query(
    `create table things (id int primary key, name text); insert into things values (1, 'one'), (2, 'two')`,
  )
  await admin.query(`alter table things owner to ${database.user}`)
})

function start(settings: PgweirOptions['settings'] = {}) {
  return startPgweir({ database, settings: { auto_prepare: 1, ...settings } })
}

describe('auto_prepare with node-postgres', () => {
  test('parses the same queries of many clients only a few times, however often they are run', async () => {
    const pgweir = await start({ default_pool_size: 3 })
    const clients = await Promise.all(Array.from({ length: 10 }, () => pgweir.client()))
    const ROUNDS = 20
    for (let round = 0; round < ROUNDS; round++)
      await Promise.all(
        clients.map(async (client, index) => {
          const { rows } = await client.query('select name, $2::text as who from things where id = $1', [1, `${index}`])
          expect(rows).toEqual([{ name: 'one', who: `${index}` }])
          const found = await client.query('select $1::int + $2::int as sum', [index, round])
          expect(found.rows).toEqual([{ sum: index + round }])
        }),
      )
    const counters = await pgweir.totals()
    expect(counters.clientParses).toBe(2 * 10 * ROUNDS)
    // Each text is parsed once unprepared and then once per server. The first requests may arrive at the same time and at several processes.
    const servers = pgweir.log.filter((line) => line.includes('new connection to server')).length
    if (WORKERS === 1) expect(servers).toBe(3)
    expect(counters.serverParses).toBeLessThanOrEqual(4 * (10 + servers))
    expect(counters.autoPrepareHits).toBe(counters.clientParses - counters.serverParses)
  })

  test('passes values of all types', async () => {
    const pgweir = await start()
    const client = await pgweir.client()
    const values = [
      ['int8', '9007199254740993'],
      ['numeric', '123456789.000000001'],
      ['text', 'Grüße, 世界'],
      ['bool', true],
      ['json', { a: [1, null] }],
      ['bytea', Buffer.from([0, 1, 255])],
      ['date', new Date(2020, 1, 29)],
    ] as const
    for (let round = 0; round < 3; round++) {
      for (const [type, value] of values) {
        const { rows } = await client.query(`select $1::${type} as v, $1::${type} is null as none`, [value])
        expect(rows).toEqual([{ v: value, none: false }])
      }
      const { rows } = await client.query('select $1::int[] as list, $2::text as nothing', [[1, 2, 3], null])
      expect(rows).toEqual([{ list: [1, 2, 3], nothing: null }])
    }
    expect((await pgweir.totals()).autoPrepareHits).toBe(values.length + 1)
  })

  test('lets Postgres infer the types of parameters', async () => {
    const pgweir = await start()
    const client = await pgweir.client()
    for (let round = 0; round < 3; round++) {
      expect((await client.query('select $1 as v', ['a'])).rows).toEqual([{ v: 'a' }])
      expect((await client.query('select id + $1 as v from things where id = 1', [1])).rows).toEqual([{ v: 2 }])
    }
  })

  test('returns the same errors each time', async () => {
    const pgweir = await start()
    const client = await pgweir.client()
    for (let round = 0; round < 3; round++) {
      expect(await failureOf(client.query('select $1::int / 0', [1]))).toMatchObject({ code: '22012' })
      expect(await failureOf(client.query('select nothing from things where id = $1', [1]))).toMatchObject({
        code: '42703',
      })
      expect(await failureOf(client.query('select $1::int', ['x']))).toMatchObject({ code: '22P02' })
      expect(await failureOf(client.query('select 1; select $1', [1]))).toMatchObject({ code: '42601' })
      expect((await client.query('select $1::int as v', [7])).rows).toEqual([{ v: 7 }])
    }
  })

  test('works in transactions', async () => {
    const pgweir = await start()
    const client = await pgweir.client()
    for (let round = 3; round < 6; round++) {
      await client.query('begin')
      await client.query('insert into things values ($1, $2)', [round, 'new'])
      expect((await client.query('select count(*)::int as n from things where id = $1', [round])).rows).toEqual([
        { n: 1 },
      ])
      expect(await failureOf(client.query('insert into things values ($1, $2)', [round, 'again']))).toMatchObject({
        code: '23505',
      })
      expect(await failureOf(client.query('insert into things values ($1, $2)', [round, 'again']))).toMatchObject({
        code: '25P02',
      })
      await client.query('rollback')
      expect((await client.query('select count(*)::int as n from things where id = $1', [round])).rows).toEqual([
        { n: 0 },
      ])
    }
  })
})

describe('auto_prepare with postgres.js', () => {
  test('works with prepare: false, which describes each statement', async () => {
    const pgweir = await start({ default_pool_size: 2 })
    const sql = pgweir.sql({ prepare: false, max: 5 })
    for (let round = 0; round < 10; round++) {
      const answers = Array.from({ length: 10 }, async (_, index) => {
        expect([...(await sql`select id, name, ${index}::int as n from things where id = ${1}`)]).toEqual([
          { id: 1, name: 'one', n: index },
        ])
      })
      await Promise.all(answers)
    }
    const counters = await pgweir.totals()
    expect(counters.autoPrepareHits).toBeGreaterThan(50)
  })

  test('works while its tables are changed, by the client or by others', async () => {
    const pgweir = await start({ default_pool_size: 2 })
    const sql = pgweir.sql({ prepare: false, max: 3 })
    for (let round = 0; round < 6; round++) {
      const all = await Promise.all([1, 2, 1, 2].map((id) => sql`select * from things where id = ${id}`))
      for (const [row] of all) expect(Object.keys(row ?? {})).toHaveLength(2 + round)
      const add = `alter table things add column extra_${round} int default ${round}`
      if (round % 2 === 0) await admin.query(add)
      else await sql.unsafe(add)
    }
  })
})

describe('auto_prepare, when tables change', () => {
  test('on another connection between two queries: clients do not notice', async () => {
    const pgweir = await start({ default_pool_size: 2 })
    const clients = await Promise.all([pgweir.client(), pgweir.client(), pgweir.client()])
    const everybody = () =>
      Promise.all(clients.map((client) => client.query('select * from things where id = $1', [1])))
    for (let round = 0; round < 5; round++) {
      for (const { rows } of [...(await everybody()), ...(await everybody())])
        expect(rows[0]).toEqual({
          id: 1,
          name: 'one',
          ...Object.fromEntries(Array.from({ length: round }, (_, n) => [`extra_${n}`, n])),
        })
      await admin.query(`alter table things add column extra_${round} int default ${round}`)
    }
    expect((await pgweir.totals()).autoPrepareHits).toBeGreaterThan(5)
  })

  test('on another connection during a transaction: the transaction fails once', async () => {
    const pgweir = await start()
    const client = await pgweir.client()
    const ask = () => client.query('select * from things where id = $1', [1])
    for (let round = 0; round < 3; round++) await ask()
    await admin.query('alter table things add column extra int')
    await client.query('begin')
    expect(await failureOf(ask())).toMatchObject({ code: '0A000' })
    await client.query('rollback')
    await client.query('begin')
    expect((await ask()).rows).toEqual([{ id: 1, name: 'one', extra: null }])
    await client.query('commit')
  })

  test('their types, are recreated, or are dropped: clients get the present result or error', async () => {
    const pgweir = await start()
    const client = await pgweir.client()
    const ask = () => client.query('select name from things where id = $1', [1])
    for (let round = 0; round < 3; round++) await ask()
    await admin.query('alter table things alter name type int using length(name)')
    expect((await ask()).rows).toEqual([{ name: 3 }])
    expect((await ask()).rows).toEqual([{ name: 3 }])
    // Now the type of the parameter changes, too.
    await admin.query('alter table things alter id type text')
    expect((await ask()).rows).toEqual([{ name: 3 }])
    await admin.query('drop table things; create table things (id int, name bool); insert into things values (1, true)')
    await admin.query(`alter table things owner to ${database.user}`)
    expect((await ask()).rows).toEqual([{ name: true }])
    await admin.query('drop table things')
    expect(await failureOf(ask())).toMatchObject({ code: '42P01' })
    expect(await failureOf(ask())).toMatchObject({ code: '42P01' })
  })

  test('in the client’s own transaction, also if that is rolled back: the client gets the right columns', async () => {
    const pgweir = await start()
    const client = await pgweir.client()
    const ask = async () => (await client.query('select * from things where id = $1', [1])).fields.length
    for (let round = 0; round < 3; round++) expect(await ask()).toBe(2)
    await client.query('begin')
    await client.query('alter table things add column extra int')
    expect(await ask()).toBe(3)
    expect(await ask()).toBe(3)
    await client.query('rollback')
    expect(await ask()).toBe(2)
    expect(await ask()).toBe(2)
  })

  test.each([
    ['create temp table things as select 7 as id, $1::text as name', ['temporary']],
    ['select 7 as id, $1::text as name into temp things', ['temporary']],
    [`create temp table things as select 7 as id, 'temporary' as name`, []],
  ])('by a temporary table of the same name and columns, the temporary table is used: %s', async (text, values) => {
    const pgweir = await start()
    const client = await pgweir.client()
    const ask = async () => (await client.query('select id from things order by id', [])).rows.map(({ id }) => id)
    const askAgain = async () =>
      (await client.query('select id from things where $1 order by id', [true])).rows.map(({ id }) => id)
    // The first temporary table changes the search path; it is the second one that PostgreSQL does not notice.
    await client.query('create temp table first (a int)')
    for (let round = 0; round < 3; round++)
      expect([await ask(), await askAgain()]).toEqual([
        [1, 2],
        [1, 2],
      ])
    await client.query('begin')
    await client.query(text, values)
    expect([await ask(), await askAgain()]).toEqual([[7], [7]])
    await client.query('drop table things')
    expect([await ask(), await askAgain()]).toEqual([
      [1, 2],
      [1, 2],
    ])
    await client.query('rollback')
    expect([await ask(), await askAgain()]).toEqual([
      [1, 2],
      [1, 2],
    ])
  })
})

describe('auto_prepare: the meaning of a text', () => {
  test('depends on the time zone of the client or of its transaction', async () => {
    const pgweir = await start()
    const zones = { 'Europe/Rome': 0, 'Asia/Tokyo': 0, UTC: 0 }
    const ask = async (client: Awaited<ReturnType<typeof pgweir.client>>) => {
      const { rows } = await client.query(
        `select extract(epoch from '2020-01-01'::timestamptz)::int as at where $1::bool`,
        [true],
      )
      return rows[0].at
    }
    const noon = { 'Europe/Rome': 1577833200, 'Asia/Tokyo': 1577804400, UTC: 1577836800 }
    // All on one server, which has seen the queries of each of them.
    const together = await pgweir.together(3, () => pgweir.client())
    const clients = await Promise.all(
      together.map(async (client, index) => {
        const zone = Object.keys(zones)[index] as keyof typeof zones
        await client.query(`set timezone = '${zone}'`)
        return [zone, client] as const
      }),
    )
    for (let round = 0; round < 4; round++)
      for (const [zone, client] of clients) {
        expect(await ask(client)).toBe(noon[zone])
        await client.query('begin')
        await client.query('set local timezone = utc')
        expect(await ask(client)).toBe(noon.UTC)
        await client.query('rollback')
      }
    expect((await pgweir.totals()).autoPrepareHits).toBeGreaterThan(3)
  })

  test('depends on the current time if the text refers to it', async () => {
    const pgweir = await start()
    const client = await pgweir.client()
    for (let round = 0; round < 4; round++) {
      const { rows } = await client.query(`select 'now'::timestamptz = now() as v where $1::bool`, [true])
      expect(rows).toEqual([{ v: true }])
    }
    expect((await pgweir.totals()).autoPrepareHits).toBe(0)
  })

  test('depends on the search path, which a transaction may change', async () => {
    await admin.query(`create schema other authorization ${database.user}`)
    await admin.query(`create table other.things (id int, name text); insert into other.things values (1, 'other')`)
    await admin.query(`alter table other.things owner to ${database.user}`)
    const pgweir = await start()
    const client = await pgweir.client()
    const ask = async () => (await client.query('select name from things where id = $1', [1])).rows[0].name
    for (let round = 0; round < 3; round++) {
      expect(await ask()).toBe('one')
      await client.query('begin')
      await client.query('set local search_path = other')
      expect(await ask()).toBe('other')
      await client.query('commit')
    }
    const elsewhere = await pgweir.client({ options: '-c search_path=other' })
    for (let round = 0; round < 3; round++)
      expect((await elsewhere.query('select name from things where id = $1', [1])).rows[0].name).toBe('other')
    expect(await ask()).toBe('one')
  })
})

describe('auto_prepare: statements that a function or command deallocates', () => {
  test('are prepared anew', async () => {
    const pgweir = await start()
    const client = await pgweir.client()
    const ask = async () => (await client.query('select name from things where id = $1', [1])).rows
    for (let round = 0; round < 3; round++) {
      for (let time = 0; time < 3; time++) expect(await ask()).toEqual([{ name: 'one' }])
      await client.query(`do $$ begin execute 'deallocate all'; end $$`)
      expect(await ask()).toEqual([{ name: 'one' }])
      await client.query(round === 0 ? 'deallocate all' : 'discard all')
      expect(await ask()).toEqual([{ name: 'one' }])
    }
  })
})

describe('auto_prepare: the conversation is the same as with PostgreSQL itself:', () => {
  const { parse, bind, execute, sync, query, flush } = serialize
  const describeStatement = (name = '') => serialize.describe({ type: 'S', name })
  const describePortal = (name = '') => serialize.describe({ type: 'P', name })
  const closeStatement = (name = '') => serialize.close({ type: 'S', name })
  const run = (values: unknown[] = []) => Buffer.concat([bind({ values }), execute()])
  const step = (...send: Uint8Array[]): Step => ({ send })
  const times = (count: number, ...steps: Step[]): Step[] => Array.from({ length: count }, () => steps).flat()
  const THING = parse({ text: 'select * from things where id = $1' })

  const CONVERSATIONS: Readonly<Record<string, readonly Step[]>> = {
    'statements that are parsed anew each time': times(
      3,
      step(THING, run(['1']), sync()),
      step(THING, describeStatement(), run(['1']), sync()),
      step(THING, bind({ values: ['2'] }), describePortal(), execute(), closeStatement(), sync()),
      step(extended('select 1 as one')),
    ),
    'unnamed statements that are used in later transactions': [
      ...times(3, step(THING, sync())),
      step(run(['1']), sync()),
      step(describeStatement(), sync()),
      step(query('begin')),
      step(run(['2']), run(['1']), sync()),
      step(query('commit')),
      step(run(['2']), sync()),
      ...times(3, step(THING, sync())),
      step(closeStatement(), sync()),
      step(run(['2']), sync()),
    ],
    'errors of all kinds': times(
      3,
      step(THING, run(['x']), sync()),
      step(THING, bind({ values: [] }), sync()),
      step(THING, run(['1']), parse({ text: 'selct' }), run(['2']), sync()),
      step(run(['1']), sync()),
      step(parse({ text: 'select nothing from nowhere' }), run(), sync()),
      step(run(['1']), sync()),
      step(THING, parse({ text: 'select 1 / $1::int as q' }), run(['0']), THING, run(['1']), sync()),
      step(run(['1']), sync()),
    ),
    'within failed transactions': times(
      3,
      step(query('begin')),
      step(THING, run(['x']), sync()),
      step(THING, run(['1']), sync()),
      step(parse({ text: 'rollback' }), run(), sync()),
      step(THING, run(['1']), sync()),
    ),
    'a pipeline of batches, one of which fails': times(
      3,
      step(
        ...[THING, run(['1']), sync()],
        ...[THING, run(['x']), sync()],
        ...[THING, describeStatement(), run(['2']), sync()],
        ...[parse({ text: 'begin' }), run(), THING, run(['1']), sync()],
        ...[THING, run(['x']), sync()],
        ...[THING, run(['1']), sync()],
        ...[parse({ text: 'rollback' }), run(), THING, run(['2']), sync()],
      ),
    ),
    'a setting that is changed before a constant that depends on it': times(
      3,
      step(parse({ text: `select '2020-01-01'::timestamptz::text as t` }), run(), sync()),
      step(
        ...[parse({ text: 'begin' }), run(), parse({ text: `set local timezone = 'Asia/Tokyo'` }), run()],
        ...[parse({ text: `select '2020-01-01'::timestamptz::text as t` }), run()],
        ...[parse({ text: 'rollback' }), run(), sync()],
      ),
      step(
        ...[parse({ text: `select set_config('timezone', 'Asia/Tokyo', true)` }), run()],
        ...[parse({ text: `select '2020-01-01'::timestamptz::text as t` }), run(), sync()],
      ),
    ),
    'portals that are read in parts': times(
      3,
      step(query('begin')),
      step(
        parse({ text: 'select generate_series(1, $1::int) as n' }),
        bind({ portal: 'p', values: ['3'] }),
        execute({ portal: 'p', rows: 2 }),
        sync(),
      ),
      step(THING, run(['1']), execute({ portal: 'p', rows: 2 }), sync()),
      step(query('commit')),
    ),
    'a Flush in the middle of a batch': times(
      3,
      { send: [THING, describeStatement(), flush()], upTo: 'T' },
      { send: [bind({ values: ['1'] }), flush()], upTo: '2' },
      step(execute(), sync()),
    ),
    'a table that is created and dropped between uses': times(
      3,
      step(parse({ text: 'create table other (a int)' }), run(), sync()),
      ...times(3, step(parse({ text: 'select * from other' }), describeStatement(), run(), sync())),
      step(parse({ text: 'alter table other add b text' }), run(), sync()),
      ...times(3, step(parse({ text: 'select * from other' }), describeStatement(), run(), sync())),
      step(query('drop table other')),
      ...times(2, step(parse({ text: 'select * from other' }), describeStatement(), run(), sync())),
    ),
  }

  for (const pool_mode of ['transaction', 'session'])
    for (const [name, steps] of Object.entries(CONVERSATIONS))
      test(`${name} (${pool_mode} mode)`, async () => {
        const settings = { auto_prepare: 1, pool_mode, default_pool_size: pool_mode === 'session' ? 2 : 1 }
        const pgweir = await sharedPgweir({ database, settings })
        await sameAsDirect(pgweir, steps)
        expect((await pgweir.totals()).autoPrepareHits).toBeGreaterThan(0)
      })
})
