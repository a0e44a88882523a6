import { expect, test } from 'vitest'
import { sharedPgweir } from '../support/e2e/pgweir.ts'
import { createDatabase } from '../support/postgres.ts'

const database = await createDatabase()

const SAMPLES: Readonly<Record<string, string>> = {
  boolean: `select true as a, null::boolean as b`,
  integers: `select 1::int2 as a, (-2147483648)::int4 as b, 9223372036854775807::int8 as c`,
  numeric: `select 12345678901234567890.123456789 as a, 'NaN'::numeric as b`,
  floats: `select 0.1::float8 as a, 'Infinity'::float4 as b, pi() as c`,
  text: `select 'grüße 🐘' as a, ''::text as b, repeat('ab', 5000) as c, E'line\\n\\ttab' as d`,
  bytea: `select decode('00ff10', 'hex') as a, ''::bytea as b`,
  json: `select '{"a": [1, null, "x"]}'::json as a, '{"b": {}}'::jsonb as b`,
  dates: `select '2024-02-29'::date as a, '2024-02-29 12:34:56.789+02'::timestamptz as b, '1 day 02:03:04'::interval as c`,
  arrays: `select array[1, 2, null] as a, '{{a,b},{"c d",NULL}}'::text[] as b, '{}'::int[] as c`,
  others: `select 'b7f8b2a4-9c5d-4f5e-8d3f-2a1b0c9d8e7f'::uuid as a, '10.1.0.0/16'::cidr as b, int4range(1, 5) as c, point(1, 2) as d`,
  'no columns': 'select',
  'no rows': 'select 1 as a where false',
  'many rows': 'select n, md5(n::text) from generate_series(1, 5000) n',
  'many columns': `select ${Array.from({ length: 1600 }, (_, n) => `${n} as c${n}`).join(', ')}`,
}

for (const [name, sql] of Object.entries(SAMPLES))
  test(`${name}: results are the same as without the pooler, in both protocols`, async () => {
    const pgweir = await sharedPgweir({ database })
    const pooled = await pgweir.client()
    const direct = await pgweir.client({ port: database.port })
    for (const query of [{ text: sql }, { text: sql, queryMode: 'extended' }, { text: sql, name: 'sample' }]) {
      const [got, expected] = [await pooled.query(query), await direct.query(query)]
      expect(got.rows).toEqual(expected.rows)
      expect(got.fields).toEqual(expected.fields)
      expect([got.command, got.rowCount]).toEqual([expected.command, expected.rowCount])
    }
  })

test('values are sent and received unchanged, in text and binary format', async () => {
  const pgweir = await sharedPgweir({ database })
  const values = [42, 'grüße 🐘', null, Buffer.from([0, 1, 255]), '{"a": 1}', ['x', null, 'y z'], true]
  const text =
    'select $1::int as a, $2::text as b, $3::int as c, $4::bytea as d, $5::jsonb as e, $6::text[] as f, $7::bool as g'
  const expected = {
    a: 42,
    b: 'grüße 🐘',
    c: null,
    d: Buffer.from([0, 1, 255]),
    e: { a: 1 },
    f: ['x', null, 'y z'],
    g: true,
  }
  const client = await pgweir.client()
  expect((await client.query(text, values)).rows).toEqual([expected])
  expect((await client.query({ text, values, name: 'values' })).rows).toEqual([expected])
  const binary = await pgweir.client({ binary: true } as object)
  const { rows } = await binary.query('select $1::int4 as a, $2::text as b, $3::bool as c', [7, 'seven', false])
  expect(rows).toEqual([{ a: 7, b: 'seven', c: false }])
})

test('postgres.js can describe parameter types before it binds', async () => {
  const pgweir = await sharedPgweir({ database })
  const sql = pgweir.sql()
  const at = new Date('2024-05-06T07:08:09.123Z')
  const [row] =
    await sql`select ${42}::int8 as a, ${'x'} as b, ${at}::timestamptz as c, ${sql.json({ k: [1] })} as d, ${[1, 2]}::int[] as e`
  expect(row).toEqual({ a: '42', b: 'x', c: at, d: { k: [1] }, e: [1, 2] })
})

test('several statements in one query give several results, an empty query gives none', async () => {
  const pgweir = await sharedPgweir({ database })
  const client = await pgweir.client()
  const results = (await client.query(`
    create temp table numbers (n int);
    insert into numbers select generate_series(1, 3);
    update numbers set n = n + 1;
    delete from numbers where n = 2 returning n;
    select count(*)::int from numbers;
    drop table numbers;`)) as unknown as { command: string; rowCount: number | null; rows: object[] }[]
  expect(results.map(({ command, rowCount }) => [command, rowCount])).toEqual([
    ['CREATE', null],
    ['INSERT', 3],
    ['UPDATE', 3],
    ['DELETE', 1],
    ['SELECT', 1],
    ['DROP', null],
  ])
  expect(results[4]?.rows).toEqual([{ count: 2 }])
  expect((await client.query('')).rows).toEqual([])
  expect((await client.query(' ; ')).rows).toEqual([])
  expect((await client.query('', [])).rows).toEqual([])
  expect((await client.query('select 1 as one')).rows).toEqual([{ one: 1 }])
})

test('notices arrive while the query runs', async () => {
  const pgweir = await sharedPgweir({ database })
  const client = await pgweir.client()
  const notices: (string | undefined)[] = []
  client.on('notice', ({ message }) => notices.push(message))
  await client.query(`do $$ begin raise notice 'first'; raise warning 'second'; end $$`)
  expect(notices).toEqual(['first', 'second'])
})
