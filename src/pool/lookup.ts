/**
 * A query of the pooler itself, with one parameter, on a lease of its own. Answers questions about clients that have not logged in yet.
 * https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-EXT-QUERY
 */

import { Link } from '../base/list.ts'
import { PoolerError } from '../problems.ts'
import { DEBT } from '../server/ledger.ts'
import { Profile } from '../server/profile.ts'
import type { Server } from '../server/server.ts'
import { decodeCommandTag, STATUS_IDLE } from '../wire/backend.ts'
import { type FrameSink, HEADER_BYTES, needsTable, type Refusal, WHOLE } from '../wire/frames.ts'
import { encodeBind, encodeParse, encodeQuery, encodeUnnamedExecute, SYNC } from '../wire/frontend.ts'
import { MAX_CHORE_REPLY_BYTES } from '../wire/limits.ts'
import { decodeNotice, isFatal, type Notice } from '../wire/notices.ts'
import { decodeDataRow } from '../wire/rows.ts'
import { BACKEND, typeName } from '../wire/types.ts'
import type { Waiter } from './lease.ts'
import type { Pool } from './pool.ts'

/** The columns of a row; null is SQL's null. */
export type Row = readonly (string | null)[]

export interface LookupListener {
  /** Receives at most MAX_ROWS rows. */
  onFound(rows: readonly Row[]): void
  onFailed(problem: Notice): void
  /** Whether the server stays open for later use if nobody waits for it. */
  keepsServer(): boolean
}

/** Sent first: nothing that the last client left in the session, such as a search_path, must change what the query means. */
const CLEAN = 'DISCARD ALL'

/**
 * Then, for the transaction of the query: PostgreSQL's own tables, functions and operators are found first. Otherwise the owner of the database
 * could put others in their place (`ALTER DATABASE … SET search_path`), which would run with the rights of the user that asks. Finds no row.
 */
const OWN_NAMES_FIRST = `SELECT 1 WHERE pg_catalog.set_config('search_path',
  pg_catalog.rtrim(pg_catalog.textcat('pg_catalog, ', pg_catalog.current_setting('search_path')), ', '), true) IS NULL`

const MAX_ROWS = 2

/** The query, and the statement before it. */
const EXECUTIONS = 2

/** Every reply is needed, and read whole. */
const NEEDS = needsTable(Object.fromEntries(Object.values(BACKEND).map((type) => [String.fromCharCode(type), WHOLE])))

export class Lookup implements Waiter, FrameSink {
  readonly link = new Link<Waiter>()
  waitingSinceMs = 0
  wasNotified = false
  promised: Server | null = null
  readonly wantedProfile: Profile
  readonly #pool: Pool
  readonly #messages: Buffer
  readonly #timeoutMs: number
  readonly #listener: LookupListener
  #server: Server | null = null
  #begunMs = 0
  #rows: Row[] = []
  #error: Notice | null = null

  /** @param timeoutMs how long the query may run; 0 is no limit */
  constructor(pool: Pool, text: string, parameter: string, timeoutMs: number, listener: LookupListener) {
    this.#pool = pool
    this.wantedProfile = pool.defaultProfile ?? Profile.of([])
    this.#messages = Buffer.concat([
      encodeQuery(CLEAN),
      ...execution(OWN_NAMES_FIRST, []),
      ...execution(text, [parameter]),
      SYNC,
    ])
    this.#timeoutMs = timeoutMs
    this.#listener = listener
  }

  start(): void {
    const server = this.#pool.lease(this)
    if (server !== null) this.onGranted(server)
  }

  /** Nobody waits for the answer any more. Returns false if the query runs already: then it goes on. */
  abandon(): boolean {
    if (this.#server !== null) return false
    this.#pool.withdraw(this)
    return true
  }

  onGranted(server: Server): void {
    this.#server = server
    this.#begunMs = this.#pool.options.clock.nowMs
    // No such query has large rows.
    server.frames.limit = MAX_CHORE_REPLY_BYTES
    const { ledger } = server
    ledger.owe(DEBT.query)
    for (let left = EXECUTIONS; left > 0; left--) {
      ledger.owe(DEBT.parse)
      ledger.owe(DEBT.bind)
      ledger.owe(DEBT.execute)
    }
    ledger.owe(DEBT.sync)
    server.statements.doubtUnnamed()
    server.send(this.#messages)
  }

  onRefused(notice: Notice): void {
    this.#listener.onFailed(notice)
  }

  onStillWaiting(): void {}

  onWelcomeKnown(): void {}

  // From the server

  onReplies(buffer: Buffer, start: number, end: number): void {
    const server = this.#server as Server
    server.frames.read(buffer, start, end, NEEDS, this)
    if (this.#server !== server || !server.isClean) return
    this.#server = null
    if (this.#pool.waiting.length === 0 && !this.#listener.keepsServer()) server.condemn('nobody has come in yet')
    this.#pool.release(server)
    if (this.#error !== null) this.#listener.onFailed(this.#error)
    else this.#listener.onFound(this.#rows)
  }

  frame(type: number, buffer: Buffer, start: number, end: number): boolean {
    const server = this.#server
    if (server === null) return true
    switch (type) {
      case BACKEND.parameterStatus:
      case BACKEND.notice:
      case BACKEND.notification:
        server.onAsynchronous(type, buffer, start, end)
        return true
      case BACKEND.error: {
        const notice = decodeNotice(buffer, start, end)
        this.#error ??= notice
        if (isFatal(notice.severity)) server.close('the server has ended the connection', notice)
        else if (server.ledger.fail() === 'nonsense') this.#nonsense('an error that nothing asked for')
        return true
      }
      case BACKEND.dataRow:
        if (this.#rows.length < MAX_ROWS) this.#rows.push(decodeDataRow(buffer.subarray(start, end)))
        return true
      case BACKEND.commandComplete:
        if (server.ledger.isQueryNext) server.noteTag(decodeCommandTag(buffer, start, end))
        break
      case BACKEND.readyForQuery:
        server.status = buffer[start + HEADER_BYTES] ?? STATUS_IDLE
    }
    if (server.ledger.settle(type) === 'nonsense') this.#nonsense(`a message of type ${typeName(type)}`)
    return true
  }

  pass(): void {}

  rest(): void {}

  refuse(type: number, length: number, why: Refusal): void {
    this.#nonsense(`a message of type ${typeName(type)} and length ${length} (${why})`)
  }

  #nonsense(reason: string): void {
    this.#server?.close(`the server sent nonsense: ${reason}`, new PoolerError('server-nonsense', { reason }))
  }

  onServerDrained(): void {}

  onServerGone(notice: Notice): void {
    this.#server = null
    this.#listener.onFailed(this.#error ?? notice)
  }

  onSweep(nowMs: number): void {
    if (this.#timeoutMs > 0 && nowMs - this.#begunMs > this.#timeoutMs)
      this.#server?.close('a query of the pooler takes too long', new PoolerError('query-timeout'))
  }
}

function execution(text: string, parameters: readonly string[]): Buffer[] {
  return [encodeParse('', Buffer.from(`${text}\0\0\0`)), encodeBind(parameters), encodeUnnamedExecute()]
}
