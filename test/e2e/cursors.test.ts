import Cursor from 'pg-cursor'
import { serialize } from 'pg-protocol'
import { describe, expect, test } from 'vitest'
import { sameAsDirect } from '../support/e2e/conversation.ts'
import { sharedPgweir } from '../support/e2e/pgweir.ts'
import { failureOf, until } from '../support/e2e/until.ts'
import { createDatabase } from '../support/postgres.ts'

const database = await createDatabase({ method: 'trust' })

interface Row {
  readonly n: number
}

const SERIES = 'select n from generate_series(1, $1::int) n'

describe('pg-cursor', () => {
  test('reads rows in portions, and keeps the server until the last one', async () => {
    const pgweir = await sharedPgweir({ database })
    const [client, other] = [await pgweir.client(), await pgweir.client()]
    const cursor = client.query(new Cursor<Row>(SERIES, [5]))
    expect(await cursor.read(2)).toEqual([{ n: 1 }, { n: 2 }])
    const answer = other.query('select 1 as one')
    await until('the other one waits', async () => (await pgweir.counts()).waiting === 1)
    expect(await cursor.read(2)).toEqual([{ n: 3 }, { n: 4 }])
    expect(await cursor.read(2)).toEqual([{ n: 5 }])
    expect((await answer).rows).toEqual([{ one: 1 }])
    expect(await cursor.read(2)).toEqual([])
  })

  test('releases the server if it is closed before its end', async () => {
    const pgweir = await sharedPgweir({ database })
    const client = await pgweir.client()
    const cursor = client.query(new Cursor<Row>(SERIES, [1_000_000]))
    expect(await cursor.read(1)).toEqual([{ n: 1 }])
    await cursor.close()
    expect((await client.query('select 2 as two')).rows).toEqual([{ two: 2 }])
    expect((await pgweir.counts()).leased).toBe(0)
  })

  test('reports an error in a later portion', async () => {
    const pgweir = await sharedPgweir({ database })
    const client = await pgweir.client()
    const cursor = client.query(new Cursor<Row>('select 1 / (3 - n) as n from generate_series(1, 9) n', []))
    expect(await cursor.read(2)).toEqual([{ n: 0 }, { n: 1 }])
    expect(await failureOf(cursor.read(2))).toMatchObject({ code: '22012' })
    expect((await client.query('select 2 as two')).rows).toEqual([{ two: 2 }])
    expect((await pgweir.counts()).servers).toBe(1)
  })

  test('works on two servers at the same time, within transactions', async () => {
    const pgweir = await sharedPgweir({ database, settings: { default_pool_size: 2 } })
    const clients = [await pgweir.client(), await pgweir.client()]
    for (const client of clients) await client.query('begin')
    const cursors = clients.map((client) => client.query(new Cursor<Row>(SERIES, [100])))
    for (let read = 0; read < 10; read++)
      for (const cursor of cursors)
        expect((await cursor.read(10)).map(({ n }) => n)).toEqual(
          Array.from({ length: 10 }, (_, n) => 10 * read + n + 1),
        )
    for (const cursor of cursors) await cursor.close()
    for (const client of clients) await client.query('commit')
  })
})

test('a cursor of postgres.js can be read to its end or not', async () => {
  const pgweir = await sharedPgweir({ database })
  const sql = pgweir.sql()
  const read: number[] = []
  for await (const rows of sql<Row[]>`select n from generate_series(1, 10) n`.cursor(4)) read.push(rows.length)
  expect(read).toEqual([4, 4, 2])
  for await (const rows of sql<Row[]>`select n from generate_series(1, 10) n`.cursor(4)) {
    expect(rows).toHaveLength(4)
    break
  }
  expect(await sql`select 1 as one`).toEqual([{ one: 1 }])
})

test('SQL cursors last as long as their transaction', async () => {
  const pgweir = await sharedPgweir({ database })
  const [client, other] = [await pgweir.client(), await pgweir.client()]
  await client.query('begin')
  await client.query('declare numbers scroll cursor for select n from generate_series(1, 10) n')
  expect((await client.query('fetch 2 numbers')).rows).toEqual([{ n: 1 }, { n: 2 }])
  expect((await client.query('move 5 numbers')).rowCount).toBe(5)
  expect((await client.query('fetch backward 1 numbers')).rows).toEqual([{ n: 6 }])
  await client.query('commit')
  expect(await failureOf(other.query('fetch 1 numbers'))).toMatchObject({ code: '34000' })
})

test('portals that are read in portions outside a transaction block behave as with PostgreSQL itself', async () => {
  const { parse, bind, execute, sync, flush } = serialize
  const pgweir = await sharedPgweir({ database })
  await sameAsDirect(pgweir, [
    {
      send: [parse({ text: 'select n from generate_series(1, 5) n' }), bind(), execute({ rows: 2 }), flush()],
      upTo: 's',
    },
    { send: [execute({ rows: 2 }), flush()], upTo: 's' },
    { send: [execute({ rows: 2 }), flush()], upTo: 'C' },
    { send: [sync()] },
    { send: [execute({ rows: 2 }), sync()] },
    { send: [parse({ text: 'select n from generate_series(1, 5) n' }), bind(), execute({ rows: 2 }), sync()] },
    // The Sync has closed the portal.
    { send: [execute({ rows: 2 }), sync()] },
    { send: [parse({ text: 'select 1 where false' }), bind(), execute({ rows: 1 }), execute({ rows: 1 }), sync()] },
    { send: [parse({ text: 'create temp table t (n int) on commit drop' }), bind(), execute({ rows: 1 }), sync()] },
  ])
})
