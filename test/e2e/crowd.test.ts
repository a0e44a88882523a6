import type { Client } from 'pg'
import { serialize } from 'pg-protocol'
import type postgres from 'postgres'
import { expect, test } from 'vitest'
import { type Pgweir, startPgweir } from '../support/e2e/pgweir.ts'
import { extended, RawClient } from '../support/e2e/raw-client.ts'
import { activity } from '../support/e2e/server-side.ts'
import { failureOf, until } from '../support/e2e/until.ts'
import { createDatabase } from '../support/postgres.ts'

const database = await createDatabase()

/** A conversation sends queries that no other one sends, and knows the only right answer. */
type Conversation = (name: string) => Promise<void>

const PG: Readonly<Record<string, (client: Client) => Conversation>> = {
  simple: (client) => async (name) => {
    expect((await client.query(`select '${name}' as name`)).rows).toEqual([{ name }])
  },
  extended: (client) => async (name) => {
    expect((await client.query('select $1::text as name', [name])).rows).toEqual([{ name }])
  },
  'prepared under one name by all': (client) => async (name) => {
    const query = { name: 'shared name', text: `select $1::text || '' as name`, values: [name] }
    expect((await client.query(query)).rows).toEqual([{ name }])
  },
  'prepared with a text of its own': (client) => async (name) => {
    const [own = ''] = name.split('/')
    const query = { name: 'own text', text: `select '${own}' as own, $1::text as name`, values: [name] }
    expect((await client.query(query)).rows).toEqual([{ own, name }])
  },
  'a transaction': (client) => async (name) => {
    await client.query('begin')
    const first = await client.query(`select pg_backend_pid() as pid, set_config('app.name', $1, true) as name`, [name])
    const second = await client.query(`select pg_backend_pid() as pid, current_setting('app.name') as name`)
    expect(second.rows).toEqual(first.rows)
    expect(second.rows[0]?.name).toBe(name)
    await client.query(name.endsWith('3') ? 'rollback' : 'commit')
  },
  mistakes: (client) => async (name) => {
    const failure = await failureOf(client.query(`select '${name}'::int`))
    expect(failure.message).toBe(`invalid input syntax for type integer: "${name}"`)
    const other = await failureOf(client.query({ name: 'mistake', text: 'select $1::text::int', values: [name] }))
    expect(other.message).toBe(`invalid input syntax for type integer: "${name}"`)
  },
  'many rows': (client) => async (name) => {
    const { rows } = await client.query('select $1 || n as name from generate_series(1, 500) n', [name])
    expect(rows.map((row) => row.name)).toEqual(Array.from({ length: 500 }, (_, n) => `${name}${n + 1}`))
  },
  'a time zone of its own': (client) => async (name) => {
    const hours = 1 + (Number(name.split('/')[1]) % 11)
    await client.query(`set timezone = 'Etc/GMT-${hours}'`)
    expect((await client.query('show timezone')).rows).toEqual([{ TimeZone: `Etc/GMT-${hours}` }])
  },
}

function withSql(sql: postgres.Sql): Conversation {
  return async (name) => {
    const answers = [
      sql`select ${name} as name`,
      sql`select ${`${name}!`} as name, 1 as one`,
      sql`select ${name} || '?' as name`,
    ]
    expect(await Promise.all(answers)).toEqual([[{ name }], [{ name: `${name}!`, one: 1 }], [{ name: `${name}?` }]])
  }
}

function withPipelines(client: RawClient): Conversation {
  return async (name) => {
    const lines = await client.ask(
      extended('select $1::text', [name]),
      serialize.query(`select '${name}' as q`),
      extended('select $1::int', [name]),
      extended(`select $1 || '!'`, [name]),
    )
    expect(lines.filter((line) => /^(DataRow|Error|Ready)/.test(line))).toEqual([
      ...[`DataRow ${name}`, 'ReadyForQuery I', `DataRow ${name}`, 'ReadyForQuery I'],
      ...[`ErrorResponse 22P02 invalid input syntax for type integer: "${name}"`, 'ReadyForQuery I'],
      ...[`DataRow ${name}!`, 'ReadyForQuery I'],
    ])
  }
}

/** Connects, sends a query, and disappears before the answer. */
async function vanish(pgweir: Pgweir, name: string, round: number): Promise<void> {
  const { user, database: dbname } = pgweir.database
  const client = await RawClient.connect(pgweir.address)
  await client.logIn({ user, database: dbname })
  const sent = [
    serialize.query(`begin; select '${name}'`),
    serialize.query(`select '${name}', pg_sleep(60)`),
    extended('select $1 || repeat($1, 100000)', [name]),
    Buffer.concat([serialize.parse({ name: 'shared name', text: 'select 1' }), serialize.flush()]),
  ]
  client.send(sent[round % sent.length] as Buffer)
  if (round % 3 === 0) client.vanish()
  else if (round % 3 === 1) client.socket.end()
  else await client.end()
  await until('it is gone', () => client.hasEnded)
}

test('200 clients on 5 servers each get the replies to their own requests', { timeout: 60_000 }, async () => {
  const pgweir = await startPgweir({ database, settings: { default_pool_size: 5, max_client_conn: 250 } })
  const kinds = Object.values(PG)
  const drivers = await Promise.all(
    Array.from({ length: 150 }, async (_, n) => (kinds[n % kinds.length] ?? withSql)((await pgweir.client()) as never)),
  )
  const sqls = Array.from({ length: 25 }, () => withSql(pgweir.sql()))
  const raws = await Promise.all(Array.from({ length: 20 }, async () => withPipelines(await pgweir.raw())))
  const conversations = [...drivers, ...sqls, ...raws]

  let isOver = false
  const vanishing = Array.from({ length: 5 }, async (_, n) => {
    let round = n
    for (; !isOver; round++) await vanish(pgweir, `vanishing ${n}`, round)
    return round - n
  })
  let most = 0
  const watching = (async () => {
    while (!isOver) most = Math.max(most, (await activity(database)).length)
  })()
  const rounds = 8
  const work = conversations.map(async (converse, index) => {
    for (let round = 0; round < rounds; round++) await converse(`c${index}/${round}`)
  })
  try {
    await Promise.all(work)
  } finally {
    isOver = true
  }
  for (const count of await Promise.all(vanishing)) expect(count).toBeGreaterThan(0)
  await watching
  expect((await pgweir.counts()).servers).toBeLessThanOrEqual(5)
  // PostgreSQL may still list a closed connection for a moment.
  expect(most).toBeLessThanOrEqual(5 + 5)
})
