/** Asks PostgreSQL itself about the servers that the pooler has opened. */

import { onFileEnd } from '../file-end.ts'
import { adminClient, type TestDatabase } from '../postgres.ts'
import { until } from './until.ts'

export interface Activity {
  readonly pid: number
  readonly usename: string
  readonly application_name: string
  readonly state: string
  readonly query: string
}

/**
 * Returns every connection to the database, whoever has opened it, that existed when the query began. The query reads the list while servers
 * come and go, so without that condition it could show both a server that has just left and the one that has replaced it.
 */
export async function activity({ database }: Pick<TestDatabase, 'database'>): Promise<Activity[]> {
  const rows = await ask(
    `select pid, usename, application_name, state, query from pg_stat_activity
     where datname = $1 and backend_type = 'client backend' and backend_start < statement_timestamp() order by pid`,
    [database],
  )
  return rows as Activity[]
}

/** Waits until there are no connections: servers of an earlier test may take a moment to notice that they have been closed. */
export async function untilNobodyIsConnected(database: Pick<TestDatabase, 'database'>): Promise<void> {
  let left: readonly Activity[] = []
  const look = async () => {
    left = await activity(database)
    return left.length === 0
  }
  await until('nobody is connected', look).catch((cause) => {
    throw new Error(`still connected: ${JSON.stringify(left)}`, { cause })
  })
}

/** Waits until a query that contains that text runs on the server; returns the ID of its process. */
export async function untilRunning(database: Pick<TestDatabase, 'database'>, text: string): Promise<number> {
  let found: Activity | undefined
  await until(`"${text}" runs`, async () => {
    found = (await activity(database)).find(({ state, query }) => state === 'active' && query.includes(text))
    return found !== undefined
  })
  return found?.pid ?? 0
}

export async function untilNotRunning(database: Pick<TestDatabase, 'database'>, text: string): Promise<void> {
  await until(`"${text}" no longer runs`, async () =>
    (await activity(database)).every(({ state, query }) => state !== 'active' || !query.includes(text)),
  )
}

/** Ends a server process as an administrator would. */
export async function terminate(pid: number): Promise<void> {
  await ask('select pg_terminate_backend($1)', [pid])
}

let lastAnswer: Promise<unknown> = Promise.resolve()

/** Runs one query after another, since everything in a test shares one connection. */
function ask(sql: string, values: unknown[]): Promise<unknown[]> {
  const answer = lastAnswer.then(async () => (await (await sharedAdmin()).query(sql, values)).rows)
  lastAnswer = answer.catch(() => {})
  return answer
}

let shared: ReturnType<typeof adminClient> | null = null

onFileEnd(async () => {
  shared = null
  lastAnswer = Promise.resolve()
})

function sharedAdmin(): ReturnType<typeof adminClient> {
  shared ??= adminClient()
  return shared
}
