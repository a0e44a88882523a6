/**
 * The prepared statements of one client in transaction and statement mode. Its names are its own; on servers the statements are
 * shared, under names of ours, and prepared where they are missing. Unknown and duplicate names become Postgres' own errors.
 *
 * https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-EXT-QUERY
 */

import type { Pool } from '../pool/pool.ts'
import { PoolerError } from '../problems.ts'
import { DEBT, type Effect, REPLACE, SWALLOW } from '../server/ledger.ts'
import type { Profile } from '../server/profile.ts'
import type { Server } from '../server/server.ts'
import { SHARED_PREFIX, type Statement } from '../server/statement-registry.ts'
import { deallocatedName, mayDeallocate } from '../sql/deallocate.ts'
import { CLOSE_COMPLETE, PARSE_COMPLETE, STATUS_FAILED } from '../wire/backend.ts'
import { HEADER_BYTES } from '../wire/frames.ts'
import {
  bindStatementStart,
  encodeCloseStatement,
  encodeDescribeStatement,
  encodeParse,
  FLUSH,
  STATEMENT,
  textEnd,
} from '../wire/frontend.ts'
import {
  MAX_CLIENT_STATEMENTS_BYTES,
  MAX_NAMED_STATEMENT_BYTES,
  MAX_UNNAMED_STATEMENT_BYTES,
  STATEMENT_BYTES,
} from '../wire/limits.ts'
import { encodeError } from '../wire/notices.ts'
import type { Outbox } from '../wire/outbox.ts'
import { FRONTEND } from '../wire/types.ts'
import { UnnamedStatement } from './unnamed-statement.ts'

/** No statement has this name, on any server: to ask for it fails. */
const NEVER = encodeDescribeStatement(`${SHARED_PREFIX}never`)
const CLOSE_UNNAMED = encodeCloseStatement('')
const DOOMED = `${SHARED_PREFIX}doomed`
/** Makes a statement, after what may be left of the last one, and lets the client's unnamed statement be the one that drops it. */
const PARSE_DEALLOCATE = Buffer.concat([
  encodeCloseStatement(DOOMED),
  encodeParse(DOOMED, Buffer.from('\0\0\0')),
  encodeParse('', Buffer.from(`deallocate ${DOOMED}\0\0\0`)),
])

/** How many names that were given or taken away during a lease are noted one by one. */
const MAX_CHANGES = 1_000

/** What the statements need of the relay at the moment. */
export interface StatementsContext {
  readonly pool: Pool
  readonly wantedProfile: Profile
  /** Only while a lease is held. */
  readonly leased: Server
  readonly toServer: Outbox
  /** Shows the frame at hand again once so many of its bytes are there. */
  demand(bytes: number): void
  /** The next message in the same chunk is a Describe of a portal. */
  isPortalDescribedNext(buffer: Buffer, frameEnd: number): boolean
  /** What was held back (a frame that returned false without a demand) can be shown again. */
  goOnSoon(): void
  /** The same, when the next batch has been answered, or all that is owed. */
  goOnWhenReady(): void
  /** The conversation cannot go on. */
  fail(problem: PoolerError): void
}

/** What a name stands for. */
interface Named {
  readonly statement: Statement
  /** Its Parse has failed or was skipped. */
  isVoid: boolean
}

export class Statements {
  readonly #context: StatementsContext
  #names: Map<string, Named> | null = null
  /** What they take, as MAX_CLIENT_STATEMENTS_BYTES counts. */
  #bytes = 0
  /** Names that were given or taken away during this lease, each with the last batch in which that was: see `Ledger.batch`. */
  readonly #changes = new Map<string, number>()
  /** The last batch of those whose names were too many to be noted one by one; -1 for none. */
  #manyChangesBatch = -1
  readonly #unnamed = new UnnamedStatement()
  /** How many ReadyForQuery will have come when a query that drops all statements has been answered (see `Ledger.readies`); else -1. */
  #dropQuery = -1
  /** The last batch in which a statement was bound that does so; else -1. */
  #dropBatch = -1
  /** Stands for this client on servers, and keeps nothing of it alive when it has gone. */
  readonly #token = {}

  constructor(context: StatementsContext) {
    this.#context = context
  }

  get size(): number {
    return this.#names?.size ?? 0
  }

  /** A lease begins, and nothing is unanswered. */
  leaseBegins(): void {
    this.#unnamed.leaseBegins()
    this.#dropQuery = -1
    this.#dropBatch = -1
    this.#manyChangesBatch = -1
    if (this.#changes.size > 0) this.#changes.clear()
  }

  /** Handles a Parse, or returns false to see more of it, or to see it again. */
  parse(buffer: Buffer, start: number, end: number, length: number): boolean {
    const { leased, toServer, pool } = this.#context
    const nameEnd = textEnd(buffer, start + HEADER_BYTES, end)
    if (nameEnd === -1) return this.#broken('Parse')
    const isWhole = end - start === length
    const isUnnamed = nameEnd === start + HEADER_BYTES
    if (isUnnamed) {
      if (!isWhole && length <= MAX_UNNAMED_STATEMENT_BYTES) return this.#demand(length)
      pool.counters.clientParses++
      pool.counters.serverParses++
      const dropped = this.#unnamed.drop(leased.ledger)
      if (isWhole) this.#unnamed.keep(buffer, nameEnd + 1, end)
      leased.statements.unnamedSent(this.#token, this.#unnamed.serial, leased.ledger)
      if (mayDeallocate(buffer, nameEnd + 1, length) && this.#parseDeallocate(buffer, nameEnd + 1, end, dropped))
        return true
      leased.ledger.owe(DEBT.parse, dropped)
      toServer.add(buffer, start, end)
      return true
    }
    if (length > MAX_NAMED_STATEMENT_BYTES) {
      this.#context.fail(new PoolerError('statement-too-large', { length, limit: MAX_NAMED_STATEMENT_BYTES }))
      return true
    }
    if (!isWhole) return this.#demand(length)
    if (textEnd(buffer, nameEnd + 1, end) === -1) return this.#broken('Parse')
    const name = buffer.toString('latin1', start + HEADER_BYTES, nameEnd)
    if (this.#isInDoubt(name)) return this.#waitForReady()
    pool.counters.clientParses++
    this.#parseNamed(name, buffer, nameEnd + 1, end)
    return true
  }

  /**
   * A Parse of DEALLOCATE of a statement that has another name on the server, which other clients may use too; psycopg 3 drops its
   * statements like that. The server gets one to drop in its place, so that each reply is the one that is due.
   */
  #parseDeallocate(buffer: Buffer, start: number, end: number, dropped: Effect): boolean {
    const { leased, toServer } = this.#context
    const textStop = textEnd(buffer, start, end)
    const name = textStop === -1 ? null : deallocatedName(buffer.toString('utf8', start, textStop))
    const key = name === null ? '' : keyOf(name)
    const named = this.#names?.get(key)
    if (!named) return false
    this.#unlearn(key)
    this.#noteChange(key)
    const undo = (wasSkipped: boolean, batch: number) => {
      dropped.undo(wasSkipped, batch)
      this.#relearn(key, named)
    }
    leased.ledger.owe(DEBT.close | SWALLOW)
    leased.ledger.owe(DEBT.parse | SWALLOW)
    leased.ledger.owe(DEBT.parse, { reply: null, undo })
    toServer.addAll(PARSE_DEALLOCATE)
    return true
  }

  #parseNamed(name: string, buffer: Buffer, start: number, end: number): void {
    const { leased } = this.#context
    if (this.#names?.has(name)) {
      this.#failInServer(new PoolerError('statement-exists', { name: Buffer.from(name, 'latin1').toString() }))
      return
    }
    if (this.#bytes + name.length + end - start + STATEMENT_BYTES > MAX_CLIENT_STATEMENTS_BYTES) {
      this.#failInServer(new PoolerError('too-many-statements', { limit: MAX_CLIENT_STATEMENTS_BYTES }))
      return
    }
    const statement = this.#intern(buffer, start, end)
    const named = { statement, isVoid: false }
    this.#learn(name, named)
    this.#noteChange(name)
    const unlearn = () => {
      named.isVoid = true
      // A later batch may have given the name to another one.
      if (this.#names?.get(name) === named) this.#unlearn(name)
    }
    // In a transaction that has failed, or may have failed by then, only Postgres knows what it refuses, so it must see the Parse.
    const isRefusable = leased.status === STATUS_FAILED || leased.ledger.awaitsReady
    if (leased.statements.has(statement, leased.ledger) && !isRefusable) {
      leased.statements.use(statement)
      leased.ledger.owe(DEBT.ours, { reply: PARSE_COMPLETE, undo: unlearn })
    } else this.#prepare(statement, false, { reply: null, undo: unlearn })
  }

  /** Handles a Bind, whose values may still be on their way; or returns false to be shown it again when more is known. */
  bind(buffer: Buffer, start: number, end: number, length: number): boolean {
    const { leased, pool, toServer } = this.#context
    const nameStart = bindStatementStart(buffer, start, end)
    const nameEnd = nameStart === -1 ? -1 : textEnd(buffer, nameStart, end)
    if (nameEnd === -1) return this.#broken('Bind')
    let statement = this.#resolve(buffer, nameStart, nameEnd)
    if (statement === 'failed') return true
    if (statement === 'in doubt') return this.#waitForReady()
    if (statement) {
      const { statements } = leased
      if (statements.isOutdated(statement)) {
        // A client that will read the rows' description anew may just as well get a new one.
        if (this.#context.isPortalDescribedNext(buffer, start + length))
          statement = this.#renew(buffer, nameStart, nameEnd, statement)
        else if (!this.#isShapeCertain(statement)) return false
        else if (statements.isChanged(statement)) {
          this.#failInServer(new PoolerError('stale-plan'))
          return true
        }
      }
      if (statements.has(statement, leased.ledger)) statements.use(statement)
      else this.#prepare(statement, true, null)
    }
    pool.counters.binds++
    leased.ledger.owe(DEBT.bind)
    if (statement ? statement.deallocatesAll : nameStart === nameEnd && this.#unnamed.deallocatesAll)
      this.#dropBatch = leased.ledger.batch
    if (!statement) {
      toServer.add(buffer, start, end)
      return true
    }
    toServer.byte(FRONTEND.bind)
    toServer.int32(length - 1 - (nameEnd - nameStart) + statement.name.length)
    toServer.addCopy(buffer, start + HEADER_BYTES, nameStart)
    toServer.addCopy(statement.name, 0, statement.name.length)
    toServer.add(buffer, nameEnd, end)
    return true
  }

  /**
   * A client that reads rows by what it was told long ago must not get others: Postgres refuses to run a plan whose rows have changed,
   * but a server that prepares the statement only now has nothing to compare with. So it is asked what the rows are first.
   */
  #isShapeCertain(statement: Statement): boolean {
    const { leased, toServer } = this.#context
    const { statements, ledger } = leased
    if (statement.shape === undefined || statements.has(statement, ledger)) return true
    this.#prepare(statement, true, null)
    ledger.owe(DEBT.describe | SWALLOW, {
      reply: null,
      described: (shape) => {
        if (shape !== statement.shape) statements.markChanged(statement)
        this.#context.goOnSoon()
      },
      undo: () => this.#context.goOnSoon(),
    })
    toServer.addAll(encodeDescribeStatement(statement.name.toString('latin1')))
    toServer.addAll(FLUSH)
    return false
  }

  /** The same text as it is understood now, under the client's old name for it. */
  #renew(buffer: Buffer, nameStart: number, nameEnd: number, outdated: Statement): Statement {
    const name = buffer.toString('latin1', nameStart, nameEnd)
    const statement = this.#intern(outdated.body, 0, outdated.body.length)
    this.#unlearn(name)
    this.#learn(name, { statement, isVoid: false })
    return statement
  }

  #intern(buffer: Buffer, start: number, end: number): Statement {
    const { pool, wantedProfile, leased } = this.#context
    const meaning = wantedProfile.meaning(pool.options.tracked)
    return pool.statements.intern(buffer, start, end, meaning, leased.statements.version)
  }

  describe(buffer: Buffer, start: number, end: number, length: number): boolean {
    const { leased, toServer } = this.#context
    if (end - start !== length) return this.#broken('Describe')
    if (buffer[start + HEADER_BYTES] === STATEMENT) {
      const nameStart = start + HEADER_BYTES + 1
      const nameEnd = textEnd(buffer, nameStart, end)
      if (nameEnd === -1) return this.#broken('Describe')
      const statement = this.#resolve(buffer, nameStart, nameEnd)
      if (statement === 'failed') return true
      if (statement === 'in doubt') return this.#waitForReady()
      if (statement) {
        const current = leased.statements.isOutdated(statement)
          ? this.#renew(buffer, nameStart, nameEnd, statement)
          : statement
        if (leased.statements.has(current, leased.ledger)) leased.statements.use(current)
        else this.#prepare(current, true, null)
        leased.ledger.owe(DEBT.describe, {
          reply: null,
          described: (shape) => {
            current.shape = shape
          },
          undo: () => {},
        })
        toServer.byte(FRONTEND.describe)
        toServer.int32(6 + current.name.length)
        toServer.byte(STATEMENT)
        toServer.addCopy(current.name, 0, current.name.length)
        toServer.byte(0)
        return true
      }
    }
    leased.ledger.owe(DEBT.describe)
    toServer.add(buffer, start, end)
    return true
  }

  close(buffer: Buffer, start: number, end: number, length: number): boolean {
    const { leased, toServer } = this.#context
    if (end - start !== length) return this.#broken('Close')
    if (buffer[start + HEADER_BYTES] === STATEMENT) {
      const nameStart = start + HEADER_BYTES + 1
      const nameEnd = textEnd(buffer, nameStart, end)
      if (nameEnd === -1) return this.#broken('Close')
      const name = buffer.toString('latin1', nameStart, nameEnd)
      if (this.#isInDoubt(name)) return this.#waitForReady()
      const named = this.#names?.get(name)
      if (named || name.startsWith(SHARED_PREFIX)) {
        // Other clients may use it, so it stays on the server; to close what is not there is no error.
        if (named) {
          this.#unlearn(name)
          this.#noteChange(name)
        }
        const undo = () => {
          if (named) this.#relearn(name, named)
        }
        leased.ledger.owe(DEBT.ours, { reply: CLOSE_COMPLETE, undo })
        return true
      }
      if (name === '') {
        // Whosever it was.
        leased.statements.doubtUnnamed()
        leased.ledger.owe(DEBT.close, this.#unnamed.drop(leased.ledger))
        toServer.add(buffer, start, end)
        return true
      }
    }
    leased.ledger.owe(DEBT.close)
    toServer.add(buffer, start, end)
    return true
  }

  /** A simple query is being sent: Postgres drops the unnamed statement, unless it skips the query. Returns what hangs on that. */
  querySent(): Effect | null {
    const { statements, ledger } = this.#context.leased
    statements.doubtUnnamed()
    if (ledger.mayBeSkipped) return this.#unnamed.drop(ledger)
    this.#unnamed.forget()
    return null
  }

  /** DEALLOCATE ALL or DISCARD ALL is being sent. Whether it succeeds is known when it has been answered. */
  dropSent(): void {
    this.#dropQuery = this.#context.leased.ledger.readies
  }

  /** A command that drops them has not been answered yet, and nothing that names one is sent until then. */
  get areAllInDoubt(): boolean {
    if (this.#dropQuery < 0 && this.#dropBatch < 0) return false
    const { ledger } = this.#context.leased
    if (ledger.isEmpty || ledger.haveCome(this.#dropQuery)) this.#dropQuery = -1
    if (ledger.isEmpty || ledger.isAnswered(this.#dropBatch)) this.#dropBatch = -1
    return this.#dropQuery >= 0 || this.#dropBatch >= 0
  }

  /**
   * SQL's way to drop a statement: some clients use it for statements that they have prepared by the protocol, whose names Postgres
   * does not know here.
   */
  deallocate(name: string): void {
    this.#unlearn(keyOf(name))
  }

  knows(name: string): boolean {
    return this.#names?.has(keyOf(name)) ?? false
  }

  /** DEALLOCATE ALL has run, or the client is gone. */
  clear(): void {
    if (this.#names) for (const { statement } of this.#names.values()) this.#context.pool.statements.letGo(statement)
    this.#names = null
    this.#bytes = 0
  }

  /**
   * The statement that a client's name stands for, after making sure of the unnamed one: null where the message can be sent as it
   * is, because the name means the same on the server or is unknown there too.
   */
  #resolve(buffer: Buffer, nameStart: number, nameEnd: number): Statement | null | 'failed' | 'in doubt' {
    if (nameStart === nameEnd) {
      if (this.#unnamed.isInDoubt(this.#context.leased.ledger)) return 'in doubt'
      this.#ensureUnnamed()
      return null
    }
    const name = buffer.toString('latin1', nameStart, nameEnd)
    if (this.#isInDoubt(name)) return 'in doubt'
    const named = this.#names?.get(name)
    if (named) return named.statement
    if (!name.startsWith(SHARED_PREFIX)) return null
    this.#failInServer(new PoolerError('statement-unknown', { name: Buffer.from(name, 'latin1').toString() }))
    return 'failed'
  }

  /** The server must have this client's unnamed statement, or none: another client's must not be run for it. */
  #ensureUnnamed(): void {
    const { leased, toServer, pool } = this.#context
    const { statements, ledger } = leased
    if (statements.hasUnnamed(this.#token, this.#unnamed.serial, ledger)) return
    const { body } = this.#unnamed
    if (body !== null) {
      pool.counters.serverParses++
      // Unlike a Parse of the client's own, it takes nothing away from the client if it fails.
      ledger.owe(DEBT.parse | SWALLOW, statements.unnamedDoubt)
      toServer.addAll(encodeParse('', body))
      statements.unnamedSent(this.#token, this.#unnamed.serial, ledger)
    } else if (!statements.hasNoUnnamed(ledger)) {
      statements.closeUnnamedSent(ledger)
      toServer.addAll(CLOSE_UNNAMED)
    }
  }

  /** Sends a Parse, after a Close of what must make way for it. */
  #prepare(statement: Statement, isSwallowed: boolean, alsoUndo: Effect | null): void {
    const { leased, toServer, pool } = this.#context
    const { statements, ledger } = leased
    if (statements.mayHave(statement, ledger)) this.#closeOnServer(statement)
    this.#makeRoom()
    pool.counters.serverParses++
    statements.parseSent(statement, ledger, isSwallowed, alsoUndo)
    toServer.addAll(encodeParse(statement.name.toString('latin1'), statement.body))
  }

  /** Closes one if another does not fit in; and a second one where a reload has made them too many, so that they become fewer. */
  #makeRoom(): void {
    const { leased, pool } = this.#context
    for (let left = 2; left > 0; left--) {
      const surplus = leased.statements.surplus(pool.settings.maxPreparedStatements)
      if (surplus === null) return
      this.#closeOnServer(surplus)
    }
  }

  #closeOnServer(statement: Statement): void {
    const { leased, toServer } = this.#context
    leased.statements.closeSent(statement, leased.ledger)
    toServer.addAll(encodeCloseStatement(statement.name.toString('latin1')))
  }

  /**
   * Makes the server fail here, with our words for it: so the rest of the batch is skipped, its transaction is rolled back, and all
   * replies keep their order, as if Postgres had found the error itself.
   */
  #failInServer(problem: PoolerError): void {
    const { leased, toServer } = this.#context
    leased.ledger.owe(DEBT.describe | REPLACE, { reply: encodeError(problem), undo: () => {} })
    toServer.addAll(NEVER)
  }

  /**
   * Whether the name stands for something, and for what, is known only when an earlier batch has been answered, since it may have
   * failed, and what it did to the name was skipped.
   */
  #isInDoubt(name: string): boolean {
    const { ledger } = this.#context.leased
    if (this.areAllInDoubt) return true
    if (this.#manyChangesBatch >= 0 && !ledger.isAnswered(this.#manyChangesBatch) && !ledger.isAllSettled) return true
    if (this.#changes.size === 0) return false
    const batch = this.#changes.get(name)
    return batch !== undefined && !ledger.isSettled(batch)
  }

  #noteChange(name: string): void {
    const { batch } = this.#context.leased.ledger
    if (this.#changes.size >= MAX_CHANGES) {
      // Until this batch has been answered, every name is in doubt.
      this.#changes.clear()
      this.#manyChangesBatch = batch
    }
    this.#changes.set(name, batch)
  }

  #waitForReady(): false {
    // Postgres may keep its answers until the batch ends, and we keep back what would end it.
    if (this.#dropBatch === this.#context.leased.ledger.batch) this.#context.toServer.addAll(FLUSH)
    this.#context.goOnWhenReady()
    return false
  }

  #learn(name: string, named: Named): void {
    this.#names ??= new Map()
    this.#names.set(name, named)
    this.#bytes += bytesOf(name, named)
    this.#context.pool.statements.hold(named.statement)
  }

  /** It was not dropped after all; unless it is void, or all are forgotten, or the name has been given to another one. */
  #relearn(name: string, named: Named): void {
    if (!named.isVoid && this.#names && !this.#names.has(name)) this.#learn(name, named)
  }

  #unlearn(name: string): void {
    const named = this.#names?.get(name)
    if (!named) return
    this.#names?.delete(name)
    this.#bytes -= bytesOf(name, named)
    this.#context.pool.statements.letGo(named.statement)
  }

  #demand(bytes: number): boolean {
    this.#context.demand(bytes)
    return false
  }

  #broken(what: string): boolean {
    this.#context.fail(new PoolerError('bad-message', { what }))
    return true
  }
}

/** A name in SQL as it stands in `Statements.#names`: a letter for each byte of its UTF-8. */
function keyOf(name: string): string {
  return Buffer.from(name).toString('latin1')
}

function bytesOf(name: string, { statement }: Named): number {
  return name.length + statement.body.length + STATEMENT_BYTES
}
