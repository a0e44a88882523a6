/** Checks the table in docs/modes.md: what works in which mode while other clients are at work. */

import { text } from 'node:stream/consumers'
import type { Client } from 'pg'
import { to as copyTo } from 'pg-copy-streams'
import { describe, expect, test } from 'vitest'
import { readDocument } from '../support/docs/documents.ts'
import { keyOf } from '../support/e2e/keys.ts'
import { type Pgweir, sharedPgweir } from '../support/e2e/pgweir.ts'
import { untilRunning } from '../support/e2e/server-side.ts'
import { failureOf, until } from '../support/e2e/until.ts'
import { adminClient, createDatabase } from '../support/postgres.ts'

const MODES = ['session', 'transaction', 'statement'] as const

interface Scene {
  readonly pgweir: Pgweir
  readonly ada: Client
  /** Lets others take the server that Ada has used last, if they can, so that she continues on another one. */
  elsewhere(): Promise<void>
}

const database = await createDatabase()
const admin = await adminClient(database.database)
await admin.query('create sequence numbers; grant all on sequence numbers to public; create role someone')
await admin.query(`grant someone to ${database.user}`)

/** Each function returns whether the pooler behaves like PostgreSQL itself. Throwing an error means that it does not. */
const ROWS: Readonly<Record<string, (scene: Scene) => Promise<boolean>>> = {
  'single statements, also several in one query': async ({ ada }) => {
    const results = (await ada.query('select 1 as n; select 2 as n')) as unknown as { rows: { n: number }[] }[]
    return results.map(({ rows }) => rows[0]?.n).join() === '1,2'
  },
  'transactions (`BEGIN … COMMIT`), savepoints, `SET LOCAL`, `pg_advisory_xact_lock`': async ({ ada }) => {
    await ada.query('begin')
    await ada.query(`set local work_mem = '7MB'`)
    await ada.query('select pg_advisory_xact_lock(99)')
    await ada.query('savepoint here')
    await failureOf(ada.query('select 1 / 0'))
    await ada.query('rollback to here')
    const is = (await only(ada, 'show work_mem')) === '7MB' && (await advisoryLocks(ada)) === 1
    await ada.query('commit')
    return is
  },
  'prepared statements of drivers': async ({ ada, elsewhere }) => {
    const plus = { name: 'plus', text: 'select $1::int + 1 as n' }
    await ada.query({ ...plus, values: [1] })
    await elsewhere()
    return (await ada.query<{ n: number }>({ ...plus, values: [2] })).rows[0]?.n === 3
  },
  "SQL's own `PREPARE` and `EXECUTE`": async ({ ada, elsewhere }) => {
    await ada.query('prepare own as select 5')
    await elsewhere()
    return (await only(ada, 'execute own')) === 5
  },
  'settings given at login (`options`, PGOPTIONS, `search_path`, `statement_timeout` …)': async ({
    pgweir,
    elsewhere,
  }) => {
    const bob = await pgweir.client({ options: '-c statement_timeout=77s -c search_path=pg_catalog' })
    await bob.query('select 1')
    await elsewhere()
    return (
      (await only(bob, 'show statement_timeout')) === '77s' && (await only(bob, 'show search_path')) === 'pg_catalog'
    )
  },
  '`SET` of `TimeZone`, `DateStyle`, `IntervalStyle`, `client_encoding`, `standard_conforming_strings`, `application_name`':
    async ({ ada, elsewhere }) => {
      const settings = Object.entries({
        ...{ TimeZone: 'Asia/Tokyo', DateStyle: 'SQL, DMY', IntervalStyle: 'iso_8601', client_encoding: 'LATIN1' },
        ...{ standard_conforming_strings: 'off', application_name: 'ada' },
      })
      for (const [name, value] of settings)
        await ada.query(`set ${name} to ${name === 'DateStyle' ? value : `'${value}'`}`)
      await elsewhere()
      const values = []
      for (const [name] of settings) values.push(await only(ada, `show ${name}`))
      return String(values) === String(settings.map(([, value]) => value))
    },
  '`SET` of anything else, `SET ROLE`': async ({ ada, elsewhere }) => {
    await ada.query(`set work_mem = '9MB'`)
    await ada.query('set role someone')
    await elsewhere()
    return (await only(ada, 'show work_mem')) === '9MB' && (await only(ada, 'select current_user')) === 'someone'
  },
  'temporary tables within one transaction (`ON COMMIT DROP`)': async ({ ada }) => {
    await ada.query('begin')
    await ada.query('create temp table short on commit drop as select 6 as n')
    const n = await only(ada, 'select n from short')
    await ada.query('commit')
    return n === 6
  },
  'temporary tables for longer': async ({ ada, elsewhere }) => {
    await ada.query('create temp table long as select 6 as n')
    await elsewhere()
    return (await only(ada, 'select n from long')) === 6
  },
  'cursors within a transaction': async ({ ada }) => {
    await ada.query('begin')
    await ada.query('declare inner_one cursor for select 7')
    const n = await only(ada, 'fetch inner_one')
    await ada.query('commit')
    return n === 7
  },
  'cursors `WITH HOLD`': async ({ ada, elsewhere }) => {
    await ada.query('declare held cursor with hold for select 8')
    await elsewhere()
    return (await only(ada, 'fetch held')) === 8
  },
  'session advisory locks (`pg_advisory_lock`)': async ({ ada, elsewhere }) => {
    await ada.query('select pg_advisory_lock(98)')
    await elsewhere()
    return (await only(ada, 'select pg_advisory_unlock(98)')) === true
  },
  '`currval` and `lastval` in a later transaction': async ({ ada, elsewhere }) => {
    const next = await only(ada, `select nextval('numbers')`)
    await elsewhere()
    return (await only(ada, `select currval('numbers')`)) === next && (await only(ada, 'select lastval()')) === next
  },
  '`NOTIFY`': async ({ ada }) => {
    await admin.query('listen news')
    const heard = new Promise<string | undefined>((resolve) =>
      admin.once('notification', ({ payload }) => resolve(payload)),
    )
    await ada.query(`notify news, 'spring'`)
    return (await heard) === 'spring'
  },
  '`LISTEN`': async ({ ada, elsewhere }) => {
    await ada.query('listen papers')
    await elsewhere()
    return (await only(ada, 'select pg_listening_channels()')) === 'papers'
  },
  '`COPY` in and out': async ({ ada }) => {
    return (await text(ada.query(copyTo('copy (select 1 union select 2 order by 1) to stdout')))) === '1\n2\n'
  },
  'canceling a query': async ({ pgweir, ada }) => {
    const query = failureOf<Error & { code: string }>(ada.query('select pg_sleep(60), 4712'))
    await untilRunning(database, '4712')
    await pgweir.cancel(keyOf(ada))
    return (await query).code === '57014'
  },
  '`pg_cancel_backend` with the process ID that the driver received at login': async ({ pgweir, ada }) => {
    const bob = await pgweir.client()
    const query = failureOf(ada.query('select pg_sleep(60), 4713'))
    await untilRunning(database, '4713')
    const isHit = await only(bob, `select pg_cancel_backend(${keyOf(ada).pid})`).catch(() => false)
    if (isHit !== true) await pgweir.cancel(keyOf(ada))
    await query
    return isHit === true
  },
  'making and reading dumps: `pg_dump`, `pg_restore`, `psql -f`': async ({ ada, elsewhere }) => {
    // A setting that each of these programs makes at its start and relies on afterwards.
    await ada.query('set row_security = off')
    await elsewhere()
    return (await only(ada, 'show row_security')) === 'off'
  },
}

const TOLD = new Map(
  readDocument('docs/modes.md')
    .split('\n')
    .map((line) => line.replace(/^\| | \|$/g, '').split(' | '))
    .filter((cells) => cells.length === 4 && cells.slice(1).every((cell) => cell === 'yes' || cell === 'no'))
    .map(([what = '', ...cells]) => [what, cells]),
)

test('each row of docs/modes.md is tested here', () => {
  expect(Object.keys(ROWS)).toEqual([...TOLD.keys()])
})

describe.each(MODES)('in %s mode', (mode) => {
  test.each(Object.entries(ROWS))('%s', async (what, works) => {
    const pgweir = await sharedPgweir({
      database,
      settings: { pool_mode: mode, default_pool_size: 2 },
      oneProcess: 'servers pass from client to client',
    })
    const ada = await pgweir.client()
    const others = new Others(pgweir)
    let mishap: unknown = null
    const elsewhere = async () => {
      if (mode === 'session') return
      await others.move(ada).catch((problem: unknown) => {
        mishap = problem
      })
    }
    const isSo = await works({ pgweir, ada, elsewhere }).catch(() => false)
    await others.leave()
    expect(mishap).toBe(null)
    expect(isSo ? 'yes' : 'no').toBe(TOLD.get(what)?.[MODES.indexOf(mode)])
  })
})

/** Clients that occupy servers: each waits for an advisory lock that the test holds. */
class Others {
  readonly #pgweir: Pgweir
  #waiting: { readonly key: number; readonly over: Promise<unknown> }[] = []

  constructor(pgweir: Pgweir) {
    this.#pgweir = pgweir
  }

  /** Occupies both servers and then frees the one that `client` has not used, so that it continues there. */
  async move(client: Client): Promise<void> {
    const before = await only(client, 'select pg_backend_pid()')
    await admin.query('select pg_advisory_lock(1), pg_advisory_lock(2)')
    for (const key of [1, 2]) {
      const other = await this.#pgweir.client()
      this.#waiting.push({ key, over: other.query('select pg_advisory_xact_lock($1)', [key]) })
    }
    const pids = new Map<number, number>()
    await until('both servers are taken', async () => {
      const { rows } = await admin.query<{ key: number; pid: number }>(
        `select objid::int as key, pid from pg_locks
         where locktype = 'advisory' and not granted
           and database = (select oid from pg_database where datname = current_database())`,
      )
      for (const { key, pid } of rows) pids.set(key, pid)
      return pids.size === 2
    })
    await this.#leave((key) => pids.get(key) !== before)
    expect(await only(client, 'select pg_backend_pid()')).not.toBe(before)
  }

  leave(): Promise<void> {
    return this.#leave(() => true)
  }

  async #leave(goes: (key: number) => boolean): Promise<void> {
    const going = this.#waiting.filter(({ key }) => goes(key))
    this.#waiting = this.#waiting.filter(({ key }) => !goes(key))
    for (const { key, over } of going) {
      await admin.query('select pg_advisory_unlock($1)', [key])
      await over
    }
  }
}

/** The first value of the first row. */
async function only(client: Client, sql: string): Promise<unknown> {
  const { rows } = await client.query<Record<string, unknown>>(sql)
  return Object.values(rows[0] ?? {})[0]
}

function advisoryLocks(client: Client): Promise<unknown> {
  return only(client, `select count(*)::int from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()`)
}
