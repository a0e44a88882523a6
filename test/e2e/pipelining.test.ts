import type pg from 'pg'
import { serialize } from 'pg-protocol'
import { describe, expect, test } from 'vitest'
import { type Step, sameAsDirect } from '../support/e2e/conversation.ts'
import { sharedPgweir, WORKERS } from '../support/e2e/pgweir.ts'
import { extended, type RawClient } from '../support/e2e/raw-client.ts'
import { untilRunning } from '../support/e2e/server-side.ts'
import { failureOf } from '../support/e2e/until.ts'
import { createDatabase } from '../support/postgres.ts'

const database = await createDatabase({ method: 'trust' })

const { parse, bind, execute, sync, query } = serialize

function step(...send: Uint8Array[]): Step {
  return { send }
}

/** Many batches with three named statements and the unnamed one. Every fifth batch contains an error. */
const MIXED = Array.from({ length: 100 }, (_, index) => {
  const name = ['', 's1', 's2', 's3'][index % 4] ?? ''
  const text = index % 5 === 3 ? 'select 1/0' : `select $1::int + ${index % 4} as n`
  const values = index % 5 === 3 ? [] : [String(index)]
  return Buffer.concat([
    serialize.close({ type: 'S', name }),
    parse({ name, text }),
    serialize.describe({ type: 'S', name }),
    bind({ statement: name, values }),
    execute(),
    ...(index % 7 === 5 ? [bind({ statement: 'never' }), execute()] : []),
    sync(),
  ])
})

const CONVERSATIONS: Readonly<Record<string, readonly Step[]>> = {
  'several batches before the first reply': [step(...Array.from({ length: 50 }, (_, n) => extended(`select ${n}`)))],
  'simple queries before the first reply': [step(...Array.from({ length: 50 }, (_, n) => query(`select ${n}`)))],
  'simple and extended in turn': [
    step(...Array.from({ length: 50 }, (_, n) => (n % 2 ? query(`select ${n}`) : extended(`select ${n}`)))),
  ],
  'errors in the middle skip to the next Sync and no further': [
    step(extended('select 1'), extended('select 1/0'), extended('select 2'), query('select 1/0'), extended('select 3')),
    step(
      ...[parse({ text: 'select 1' }), bind(), execute(), parse({ text: 'select 1/0' }), bind(), execute()],
      ...[parse({ text: 'select 2' }), bind(), execute(), sync()],
      ...[parse({ text: 'select 3' }), bind(), execute(), sync()],
    ),
  ],
  'a transaction in one packet': [
    step(query('begin'), extended('select 1'), extended('select 2'), query('commit'), extended('select 3')),
    step(query('begin'), extended('select 1/0'), extended('select 2'), query('rollback'), extended('select 3')),
    step(query('begin'), extended('select 4')),
    step(extended('select 5'), query('commit'), query('begin'), query('commit')),
  ],
  'hundreds of requests, with names that are defined and closed': [step(...MIXED)],
  'names that are used in the batch after the one that defines them': [
    step(
      ...[parse({ name: 's1', text: 'select 1 as one' }), sync()],
      ...[bind({ statement: 's1' }), execute(), sync()],
      ...[serialize.close({ type: 'S', name: 's1' }), sync()],
      ...[bind({ statement: 's1' }), execute(), sync()],
      ...[parse({ name: 's1', text: 'select 2 as two' }), bind({ statement: 's1' }), execute(), sync()],
    ),
  ],
  'a batch of many requests': [
    step(
      parse({ name: 's1', text: 'select $1::int as n' }),
      ...Array.from({ length: 200 }, (_, n) =>
        Buffer.concat([bind({ statement: 's1', values: [String(n)] }), execute()]),
      ),
      sync(),
    ),
  ],
}

describe('a pipeline behaves as with PostgreSQL itself:', () => {
  for (const pool_mode of ['transaction', 'session'])
    for (const [name, steps] of Object.entries(CONVERSATIONS))
      test(`${name}, in ${pool_mode} mode`, async () => {
        const settings = { pool_mode, default_pool_size: pool_mode === 'session' ? 2 : 1, max_prepared_statements: 2 }
        const pgweir = await sharedPgweir({ database, settings })
        await sameAsDirect(pgweir, steps)
      })
})

test('a simple query within a batch leaves nothing behind that makes another client’s query fail', async () => {
  const pgweir = await sharedPgweir({ database })
  const [ada, bob] = (await pgweir.together(2, () => pgweir.raw())) as [RawClient, RawClient]
  await ada.ask(parse({ text: 'select 1' }), bind(), execute(), query('select 2'), sync())
  expect(await bob.ask(query('select 3'))).toEqual([
    'RowDescription ?column?:23',
    'DataRow 3',
    'CommandComplete SELECT 1',
    'ReadyForQuery I',
  ])
})

test('the server of a pipeline is kept until the last reply', async () => {
  const pgweir = await sharedPgweir({ database })
  const [ada, bob] = (await pgweir.together(2, () => pgweir.raw())) as [RawClient, RawClient]
  ada.send(query('select 1'), query('select pg_sleep(60)'), query('select 2'))
  const pid = await untilRunning(database, 'pg_sleep(60)')
  expect((await ada.repliesUntil('Z')).map(({ line }) => line)).toContain('DataRow 1')
  bob.send(query('select 3'))
  await pgweir.cancel({ pid: ada.cancelKey.pid, secret: ada.cancelKey.secret })
  expect(await ada.lines(2)).toEqual([
    'RowDescription pg_sleep:2278',
    'ErrorResponse 57014 canceling statement due to user request',
    'ReadyForQuery I',
    'RowDescription ?column?:23',
    'DataRow 2',
    'CommandComplete SELECT 1',
    'ReadyForQuery I',
  ])
  expect(await bob.lines()).toContain('DataRow 3')
  expect(await pgweir.serverPids()).toEqual([pid])
})

test('a thousand pipelined queries of postgres.js over four connections and two servers are answered', async () => {
  const pgweir = await sharedPgweir({ database, settings: { default_pool_size: 2 } })
  const sql = pgweir.sql({ max: 4 })
  const answers = Array.from({ length: 1000 }, async (_, n) => {
    if (n % 10 === 7) {
      expect(await failureOf(sql`select ${n}::int / 0 as q`)).toMatchObject({ code: '22012' })
    } else expect(await sql`select ${n}::int as n`).toEqual([{ n }])
  })
  await Promise.all(answers)
  const { servers } = await pgweir.counts()
  expect(servers).toBeLessThanOrEqual(2)
  // With several processes, a permit may be moving from one to another.
  if (WORKERS === 1) expect(servers).toBe(2)
})

test('transactions that postgres.js sends as pipelines work', async () => {
  const pgweir = await sharedPgweir({ database, settings: { default_pool_size: 2 } })
  const sql = pgweir.sql({ max: 4 })
  const answers = Array.from({ length: 40 }, async (_, n) => {
    const [a, b] = await sql.begin((transaction) => [
      transaction`select ${n}::int as n`,
      transaction`select ${n + 1}::int as n`,
    ])
    expect([a, b]).toEqual([[{ n }], [{ n: n + 1 }]])
  })
  await Promise.all(answers)
})

test('node-postgres in pipeline mode may send prepared, simple and failing queries before the first reply', async () => {
  const pgweir = await sharedPgweir({ database, settings: { default_pool_size: 2 } })
  const client = await pgweir.client({ pipeline: true } as pg.ClientConfig)
  const answers = Array.from({ length: 200 }, async (_, n) => {
    if (n % 10 === 7) expect(await failureOf(client.query('select $1::int / 0', [n]))).toMatchObject({ code: '22012' })
    else if (n % 2) expect((await client.query(`select ${n} as n`)).rows).toEqual([{ n }])
    else {
      const named = { name: `modulo ${n % 4}`, text: `select $1::int as n, ${n % 4} as modulo`, values: [n] }
      expect((await client.query(named)).rows).toEqual([{ n, modulo: n % 4 }])
    }
  })
  await Promise.all(answers)
})
