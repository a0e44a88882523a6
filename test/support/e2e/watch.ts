/** Counts servers as PostgreSQL sees them, without a pause, so that an exceeded limit does not go unnoticed for long. */

import type { Client } from 'pg'
import { onTestFinished } from 'vitest'
import { adminClient } from '../postgres.ts'
import { until } from './until.ts'

/** The servers of one database and user. */
interface Counted {
  readonly database: string
  readonly user: string
  readonly servers: number
}

/**
 * Counts the servers that had connected before the query began. The query reads the list while servers come and go, so without that condition
 * it could count both a server that has just left and the one that has replaced it. Of the servers that were there before, each that is listed
 * existed at the moment of the query. Administrators do not count.
 */
const COUNT = `
  select datname as database, usename as user, count(*)::int as servers from pg_stat_activity
  where backend_type = 'client backend' and usename <> current_user and backend_start < statement_timestamp()
  group by datname, usename`

export interface Of {
  readonly database?: string
  readonly user?: string
}

export class Watch {
  /** How often it has counted. */
  looks = 0
  readonly #client: Client
  readonly #limits: { readonly name: string; readonly of: Of; readonly max: () => number }[] = []
  readonly #last = new Map<string, number>()
  readonly #most = new Map<string, number>()
  readonly #excesses: string[] = []
  #isOver = false
  readonly #watching: Promise<void>

  private constructor(client: Client) {
    this.#client = client
    this.#watching = this.#look()
  }

  /** Starts to watch, until `stop` or the end of the test. */
  static async start(): Promise<Watch> {
    const watch = new Watch(await adminClient())
    onTestFinished(async () => {
      await watch.stop()
    })
    return watch
  }

  /** From now on, there must not be more than `max` servers of this database, of this user, or of both. */
  limit(name: string, of: Of, max: number | (() => number)): void {
    this.#limits.push({ name, of, max: typeof max === 'number' ? () => max : max })
  }

  /** Waits until no servers are left: those of an earlier test may take a moment to notice that they have been closed. Then starts afresh. */
  async untilNoServers(): Promise<void> {
    for (const { name } of this.#limits)
      await until(`there are no servers under ${name}`, () => this.#last.get(name) === 0)
    this.#most.clear()
    this.#excesses.length = 0
  }

  async untilAtMost(name: string, servers: number): Promise<void> {
    await until(`there are at most ${servers} servers under ${name}`, () => (this.#last.get(name) ?? 0) <= servers)
  }

  /** Waits until each limit has been reached. */
  async untilReached(): Promise<void> {
    for (const { name, max } of this.#limits)
      await until(`there are ${max()} servers under ${name}`, () => (this.#most.get(name) ?? 0) >= max())
  }

  /** Stops and returns the exceeded limits; the list should be empty. */
  async stop(): Promise<readonly string[]> {
    this.#isOver = true
    await this.#watching
    return this.#excesses
  }

  async #look(): Promise<void> {
    while (!this.#isOver) {
      const { rows } = await this.#client.query<Counted>(COUNT)
      this.looks++
      for (const { name, of, max } of this.#limits) {
        const counted = rows.filter(
          (row) => (of.database ?? row.database) === row.database && (of.user ?? row.user) === row.user,
        )
        const servers = counted.reduce((sum, row) => sum + row.servers, 0)
        this.#last.set(name, servers)
        this.#most.set(name, Math.max(this.#most.get(name) ?? 0, servers))
        if (servers > max()) this.#excesses.push(`${servers} servers under ${name} of ${max()}`)
      }
    }
  }
}
