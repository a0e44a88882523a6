/**
 * The prepared statements of one client in transaction and statement mode. Its names are its own; on servers the statements are
 * shared, under names of ours, and prepared where they are missing. Unknown and duplicate names become Postgres' own errors.
 * With auto_prepare the same is done for unnamed statements, in session mode too, where names are passed on as they are unless they
 * look like ours.
 *
 * https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-EXT-QUERY
 */

import type { Pool } from '../pool/pool.ts'
import { PoolerError } from '../problems.ts'
import { DEBT, type Effect, REPLACE } from '../server/ledger.ts'
import type { Server } from '../server/server.ts'
import { SHARED_PREFIX, type Statement } from '../server/statement-registry.ts'
import { CLOSE_COMPLETE, PARSE_COMPLETE, STATUS_FAILED, STATUS_IDLE } from '../wire/backend.ts'
import { HEADER_BYTES } from '../wire/frames.ts'
import {
  bindStatementStart,
  countResultFormats,
  encodeDescribeStatement,
  FLUSH,
  STATEMENT,
  textEnd,
} from '../wire/frontend.ts'
import { MAX_CLIENT_STATEMENTS_BYTES, MAX_NAMED_STATEMENT_BYTES, MAX_UNNAMED_STATEMENT_BYTES } from '../wire/limits.ts'
import { encodeError } from '../wire/notices.ts'
import { FRONTEND, typeName } from '../wire/types.ts'
import { AutoPrepare } from './auto-prepare.ts'
import { ChangeWatch } from './change-watch.ts'
import { parseDeallocate } from './deallocating.ts'
import {
  DEALLOCATE_DOOMED,
  ensureUnnamed,
  makeDoomed,
  parseInVain,
  prepare,
  prepareUnasked,
  QUERY_DEALLOCATE_DOOMED,
  type Sending,
} from './preparing.ts'
import { compareShape, learnsShape } from './shapes.ts'
import { asPrepared, awaitsSettings, sharedFor } from './sharing.ts'
import { keyOf, StatementNames } from './statement-names.ts'
import { UnnamedStatement } from './unnamed-statement.ts'

/** No statement has this name, on any server: to ask for it fails. */
const NEVER = encodeDescribeStatement(`${SHARED_PREFIX}never`)

/** What the statements need of the relay at the moment. */
export interface StatementsContext extends Sending {
  readonly pool: Pool
  readonly leased: Server
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

export class Statements {
  readonly #context: StatementsContext
  /** Null until the client gives a name, or drops them all. */
  #names: StatementNames | null = null
  /** Null until the client has made one: many never do. */
  #unnamed: UnnamedStatement | null = null
  /** Null until it is on. */
  #auto: AutoPrepare | null = null

  /** What was bound last, and to which portal, if nobody has been told of its rows yet. */
  #undescribed: Statement | null = null
  #undescribedPortal = ''

  readonly #namesAre: 'shared' | 'passed on'
  readonly #watch = new ChangeWatch()

  constructor(context: StatementsContext, names: 'shared' | 'passed on') {
    this.#context = context
    this.#namesAre = names
  }

  get size(): number {
    return this.#names?.size ?? 0
  }

  /** A lease begins, and nothing is unanswered. */
  leaseBegins(): void {
    const { settings } = this.#context.pool
    if (settings.autoPrepare) this.#auto ??= new AutoPrepare()
    this.#auto?.leaseBegins(settings)
    this.#unnamed?.leaseBegins()
    this.#undescribed = null
    this.#watch.leaseBegins()
    this.#context.leased.inFlight.leaseBegins()
    this.#context.leased.unseen.leaseBegins()
    this.#names?.doubtful.leaseBegins()
  }

  /** The server knows the statement by the client's own name. Not if that might be one of ours: another pgweir's names are just like them. */
  #passesOn(name: string): boolean {
    return this.#namesAre === 'passed on' && !name.startsWith(SHARED_PREFIX)
  }

  #ownNames(): StatementNames {
    this.#names ??= new StatementNames(this.#context.pool.statements)
    return this.#names
  }

  /** What all statements of a server may take; 0 is no limit. */
  #capacityBytes(): number {
    return this.#auto?.capacityBytes(this.#context.pool.settings) ?? 0
  }

  /** Handles a Parse, or returns false to see more of it, or to see it again. */
  parse(buffer: Buffer, start: number, end: number, length: number): boolean {
    const { leased, toServer, pool } = this.#context
    const nameEnd = textEnd(buffer, start + HEADER_BYTES, end)
    if (nameEnd === -1) return this.#broken('Parse')
    const isWhole = end - start === length
    if (nameEnd === start + HEADER_BYTES) {
      if (!isWhole && length <= MAX_UNNAMED_STATEMENT_BYTES) return this.#demand(length)
      this.#parseUnnamed(buffer, start, end, length)
      return true
    }
    const name = buffer.toString('latin1', start + HEADER_BYTES, nameEnd)
    if (this.#passesOn(name)) {
      pool.counters.clientParses++
      pool.counters.serverParses++
      if (this.#auto?.isOn) this.#watch.named(name, buffer, nameEnd + 1, end)
      leased.ledger.owe(DEBT.parse)
      toServer.add(buffer, start, end)
      return true
    }
    if (length > MAX_NAMED_STATEMENT_BYTES) {
      this.#context.fail(new PoolerError('statement-too-large', { length, limit: MAX_NAMED_STATEMENT_BYTES }))
      return true
    }
    if (!isWhole) return this.#demand(length)
    if (textEnd(buffer, nameEnd + 1, end) === -1) return this.#broken('Parse')
    if (this.#names?.doubtful.has(name, leased.ledger) || awaitsSettings(this.#context))
      return this.#waitForReady(buffer[start])
    pool.counters.clientParses++
    this.#parseNamed(name, buffer, nameEnd + 1, end)
    return true
  }

  /** Handles the Parse of an unnamed statement, which is all there unless it is too large to be kept. */
  #parseUnnamed(buffer: Buffer, start: number, end: number, length: number): void {
    const context = this.#context
    const { leased, toServer, pool } = context
    const { ledger } = leased
    const bodyStart = start + HEADER_BYTES + 1
    const isWhole = end - start === length
    pool.counters.clientParses++
    this.#unnamed ??= new UnnamedStatement()
    const unnamed = this.#unnamed
    if (this.#auto?.isOn && isWhole && this.#auto.parse(context, unnamed, buffer, bodyStart, end)) return
    pool.counters.serverParses++
    const dropped = unnamed.drop(ledger)
    if (isWhole) unnamed.keep(buffer, bodyStart, end, this.#auto?.isOn ? this.#auto.kind : null)
    leased.statements.unnamedSent(unnamed.token, unnamed.serial, ledger)
    if (parseDeallocate(context, this.#names, buffer, bodyStart, end, length, dropped)) {
      unnamed.keep(DEALLOCATE_DOOMED, 0, DEALLOCATE_DOOMED.length, 'other')
      return
    }
    ledger.owe(DEBT.parse, dropped)
    toServer.add(buffer, start, end)
  }

  #parseNamed(name: string, buffer: Buffer, start: number, end: number): void {
    const { leased, pool } = this.#context
    const names = this.#ownNames()
    // In a transaction that has failed, or may have failed by then, only Postgres knows what it refuses, so it must see the Parse.
    const isRefusable = leased.status === STATUS_FAILED || leased.ledger.awaitsReady
    if (names.has(name)) {
      if (isRefusable) parseInVain(this.#context, buffer.subarray(start, end))
      this.#failInServer(new PoolerError('statement-exists', { name: Buffer.from(name, 'latin1').toString() }))
      return
    }
    if (!names.hasRoomFor(name, end - start)) {
      this.#failInServer(new PoolerError('too-many-statements', { limit: MAX_CLIENT_STATEMENTS_BYTES }))
      return
    }
    const statement = sharedFor(this.#context, buffer, start, end)
    if (leased.statements.has(statement, leased.ledger) && !isRefusable) {
      pool.counters.statementHits++
      leased.statements.use(statement)
      leased.ledger.owe(DEBT.ours, names.give(name, statement, leased.ledger, PARSE_COMPLETE))
    } else {
      const given = names.give(name, statement, leased.ledger, null)
      prepare(this.#context, statement, this.#capacityBytes(), given)
    }
  }

  /** Handles a Bind, whose values may still be on their way; or returns false to be shown it again when more is known. */
  bind(buffer: Buffer, start: number, end: number, length: number): boolean {
    const { leased, pool, toServer } = this.#context
    const nameStart = bindStatementStart(buffer, start, end)
    const nameEnd = nameStart === -1 ? -1 : textEnd(buffer, nameStart, end)
    if (nameEnd === -1) return this.#broken('Bind')
    const statement = this.#bindable(buffer, start + length, nameStart, nameEnd)
    if (statement === 'failed') return true
    if (statement === 'in doubt') return this.#waitForReady(buffer[start])
    if (statement === 'asked') return false
    const isUnnamed = nameStart === nameEnd
    this.#undescribed = statement?.shape === undefined ? statement : null
    // Most have no name, and nothing is allocated for them.
    const portalStart = start + HEADER_BYTES
    const isPortalNamed = nameStart - 1 > portalStart
    if (this.#undescribed)
      this.#undescribedPortal = isPortalNamed ? buffer.toString('latin1', portalStart, nameStart - 1) : ''
    let first: Effect | null = null
    if (statement) {
      const { statements } = leased
      if (statements.has(statement, leased.ledger)) {
        pool.counters.statementHits++
        statements.use(statement)
        if (isUnnamed && this.#isRepeatable()) first = leased.recording.begin()
      } else prepareUnasked(this.#context, statement, this.#capacityBytes())
      if (isUnnamed) this.#unnamed?.use()
    }
    pool.counters.binds++
    const unnamed = isUnnamed ? this.#unnamed : null
    const kind =
      statement?.kind ??
      (isUnnamed
        ? this.#watch.kindOfUnnamed(unnamed, leased, this.#preparesMore)
        : this.#watch.kindOfName(buffer, nameStart, nameEnd))
    this.#watch.bound(kind, statement ?? unnamed, isPortalNamed, leased)
    leased.ledger.owe(DEBT.bind, first ?? statement?.bound ?? null)
    if (statement ? statement.deallocatesAll : unnamed?.deallocatesAll)
      this.#ownNames().doubtful.dropBound(leased.ledger)
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
   * The statement to bind; null where the Bind can be sent as it is. If tables have changed since it was described, the server may be
   * `asked` first what its rows are now.
   */
  #bindable(
    buffer: Buffer,
    frameEnd: number,
    nameStart: number,
    nameEnd: number,
  ): Statement | null | 'failed' | 'in doubt' | 'asked' {
    const context = this.#context
    const statement = this.#resolve(buffer, nameStart, nameEnd)
    if (statement === null || typeof statement === 'string') return statement
    if (!context.leased.statements.isOutdated(statement)) return statement
    // A client that will read the rows' description anew may just as well get a new one, unless it says how many columns there are.
    const isUndescribed = nameStart === nameEnd && !this.#unnamed?.isUsed
    const isDescribedNext = context.isPortalDescribedNext(buffer, frameEnd)
    if (isUndescribed || (isDescribedNext && countResultFormats(buffer, nameEnd + 1, frameEnd) <= 1))
      return this.#renew(buffer, nameStart, nameEnd, statement)
    const shape = compareShape(context, statement, this.#capacityBytes())
    if (shape === 'asked') return 'asked'
    if (shape === 'as told') return statement
    this.#failInServer(new PoolerError('stale-plan'))
    return 'failed'
  }

  /** The same text as it is understood now, under the client's old name for it. */
  #renew(buffer: Buffer, nameStart: number, nameEnd: number, outdated: Statement): Statement {
    return this.#take(buffer, nameStart, nameEnd, sharedFor(this.#context, outdated.body, 0, outdated.body.length))
  }

  /** The client's name stands for this one from now on. */
  #take(buffer: Buffer, nameStart: number, nameEnd: number, statement: Statement): Statement {
    if (nameStart === nameEnd) this.#unnamed?.renew(statement)
    else this.#names?.renew(buffer.toString('latin1', nameStart, nameEnd), statement)
    return statement
  }

  /** What texts mean is likely to be asked for, so that it is worth a look. */
  get #preparesMore(): boolean {
    return this.#auto?.isOn === true || this.#names !== null
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
      if (statement === 'in doubt') return this.#waitForReady(buffer[start])
      if (statement) {
        const isOutdated = leased.statements.isOutdated(statement)
        const current = isOutdated ? this.#renew(buffer, nameStart, nameEnd, statement) : statement
        const isThere = leased.statements.has(current, leased.ledger)
        if (isThere) leased.statements.use(current)
        else prepareUnasked(this.#context, current, this.#capacityBytes())
        let effect: Effect | null = current.shape === undefined || nameStart !== nameEnd ? learnsShape(current) : null
        if (nameStart === nameEnd) {
          if (isThere && this.#isRepeatable()) effect = leased.recording.begin(effect ?? undefined)
          this.#unnamed?.use()
        }
        leased.ledger.owe(DEBT.describe, effect)
        toServer.byte(FRONTEND.describe)
        toServer.int32(6 + current.name.length)
        toServer.byte(STATEMENT)
        toServer.addCopy(current.name, 0, current.name.length)
        toServer.byte(0)
        return true
      }
    }
    leased.ledger.owe(DEBT.describe, this.#learnsFromPortal(buffer, start + HEADER_BYTES, end))
    toServer.add(buffer, start, end)
    return true
  }

  /** Some drivers (JDBC) never have a statement described, only the first portal that they bind to it. */
  #learnsFromPortal(buffer: Buffer, start: number, end: number): Effect | null {
    const statement = this.#undescribed
    if (statement === null || buffer[start] === STATEMENT) return null
    this.#undescribed = null
    return buffer.toString('latin1', start + 1, end - 1) === this.#undescribedPortal ? learnsShape(statement) : null
  }

  close(buffer: Buffer, start: number, end: number, length: number): boolean {
    const { leased, toServer } = this.#context
    if (end - start !== length) return this.#broken('Close')
    if (buffer[start + HEADER_BYTES] === STATEMENT) {
      const nameStart = start + HEADER_BYTES + 1
      const nameEnd = textEnd(buffer, nameStart, end)
      if (nameEnd === -1) return this.#broken('Close')
      const name = buffer.toString('latin1', nameStart, nameEnd)
      if (this.#names?.doubtful.has(name, leased.ledger)) return this.#waitForReady(buffer[start])
      this.#watch.closed(name)
      const taken = this.#names?.take(name, leased.ledger, CLOSE_COMPLETE, null) ?? null
      if (taken !== null || name.startsWith(SHARED_PREFIX)) {
        // Other clients may use it, so it stays on the server; to close what is not there is no error.
        leased.ledger.owe(DEBT.ours, taken ?? CLOSED)
        return true
      }
      if (name === '') {
        // Whosever it was.
        leased.statements.doubtUnnamed()
        leased.ledger.owe(DEBT.close, this.#unnamed?.drop(leased.ledger) ?? null)
        toServer.add(buffer, start, end)
        return true
      }
    }
    leased.ledger.owe(DEBT.close)
    toServer.add(buffer, start, end)
    return true
  }

  /**
   * A simple query is being sent, as much of it as there is from `start` to `end`: Postgres drops the unnamed statement, unless it skips
   * the query. Returns what hangs on that.
   */
  querySent(buffer: Buffer, start: number, end: number, isWhole: boolean): Effect | null {
    const { leased } = this.#context
    const { statements, ledger } = leased
    statements.doubtUnnamed()
    this.#watch.queried(buffer, start, end, isWhole, this.#preparesMore, leased)
    if (this.#unnamed === null) return null
    if (ledger.mayBeSkipped) return this.#unnamed.drop(ledger)
    this.#unnamed.forget()
    return null
  }

  /** How much of a simple query has to be there to tell what it sets, as far as what there is from `start` to `end` says. */
  queryToldBy(buffer: Buffer, start: number, end: number): number {
    return this.#watch.queryToldBy(buffer, start, end, this.#preparesMore)
  }

  /** Returns what hangs on that. */
  executeSent(isPortalNamed: boolean): Effect | null {
    return this.#watch.executed(isPortalNamed, this.#context.leased)
  }

  functionCallSent(): void {
    this.#watch.called(this.#context.leased)
  }

  /** DEALLOCATE ALL or DISCARD ALL is being sent. Whether it succeeds is known when it has been answered. */
  dropSent(): void {
    this.#ownNames().doubtful.dropSent(this.#context.leased.ledger)
  }

  /** A command that drops them has not been answered yet, and nothing that names one is sent until then. */
  get areAllInDoubt(): boolean {
    return this.#names?.doubtful.hasAll(this.#context.leased.ledger) ?? false
  }

  /**
   * SQL's way to drop a statement: some clients use it for statements that they have prepared by the protocol, whose names Postgres
   * does not know here.
   */
  deallocate(name: string): void {
    this.#names?.drop(keyOf(name))
  }

  /** The same by a query within a batch, with which it may be skipped: the server gets a statement to drop in its place. */
  deallocateInBatch(name: string): void {
    const { leased, toServer } = this.#context
    const dropped = this.querySent(QUERY_DEALLOCATE_DOOMED, HEADER_BYTES, QUERY_DEALLOCATE_DOOMED.length, true)
    makeDoomed(this.#context)
    leased.ledger.owe(DEBT.query, this.#ownNames().take(keyOf(name), leased.ledger, null, dropped))
    toServer.addAll(QUERY_DEALLOCATE_DOOMED)
  }

  /** The query that a name stands for; null if that is not known here. */
  textOf(name: string): string | null {
    if (name === '') return this.#unnamed?.text ?? null
    return this.#names?.find(keyOf(name))?.text ?? null
  }

  knows(name: string): boolean {
    return this.#names?.has(keyOf(name)) ?? false
  }

  /** DEALLOCATE ALL has run, or the client is gone. */
  clear(): void {
    this.#names?.clear()
    this.#watch.clear()
  }

  /**
   * The statement that a client's name stands for, as it would be prepared now: null where the message can be sent as it is, because the
   * name means the same on the server or is unknown there too.
   */
  #resolve(buffer: Buffer, nameStart: number, nameEnd: number): Statement | null | 'failed' | 'in doubt' {
    const statement = this.#find(buffer, nameStart, nameEnd)
    if (statement === null || typeof statement === 'string') return statement
    const prepared = asPrepared(this.#context, statement)
    if (prepared === 'in doubt' || prepared === statement) return prepared
    return this.#take(buffer, nameStart, nameEnd, prepared)
  }

  /** The one that the name was given to, after making sure of the unnamed one. */
  #find(buffer: Buffer, nameStart: number, nameEnd: number): Statement | null | 'failed' | 'in doubt' {
    if (nameStart === nameEnd) {
      const { ledger } = this.#context.leased
      const shared = this.#unnamed?.shared ?? null
      if (this.#unnamed?.isInDoubt(ledger) || (shared && this.#names?.doubtful.hasAll(ledger))) return 'in doubt'
      if (shared) return shared
      ensureUnnamed(this.#context, this.#unnamed)
      return null
    }
    const { recording } = this.#context.leased
    // A batch with another statement is not sent again: what is known of that one may be out of date by then, too.
    if (recording.isOn) recording.stop()
    const name = buffer.toString('latin1', nameStart, nameEnd)
    if (this.#passesOn(name)) return null
    if (this.#names?.doubtful.has(name, this.#context.leased.ledger)) return 'in doubt'
    const statement = this.#names?.find(name) ?? null
    if (statement !== null) return statement
    if (!name.startsWith(SHARED_PREFIX)) return null
    this.#failInServer(new PoolerError('statement-unknown', { name: Buffer.from(name, 'latin1').toString() }))
    return 'failed'
  }

  /**
   * What is sent now of the unnamed statement begins a batch that may be sent again if its plan is out of date: outside a transaction,
   * with nothing before it, by a client that does not know yet what the rows look like.
   */
  #isRepeatable(): boolean {
    const { status, ledger } = this.#context.leased
    return status === STATUS_IDLE && ledger.isClear && !this.#unnamed?.isUsed
  }

  /** The batch is about to be sent again: the unnamed statement is prepared anew, as it is understood now. */
  renewUnnamed(): void {
    const unnamed = this.#unnamed
    const shared = unnamed?.shared
    if (shared) unnamed?.renew(sharedFor(this.#context, shared.body, 0, shared.body.length))
  }

  /** What the client calls the statement with this name of ours: a letter for each byte; null if it has no such statement. */
  clientNameOf(sharedName: string): string | null {
    const name = this.#names?.nameOf(sharedName) ?? null
    if (name !== null) return name
    if (this.#unnamed?.shared?.name.toString() === sharedName) return ''
    // A later Parse may have taken its place by now; unless the client itself has chosen this name.
    return this.#auto?.isOn && this.#namesAre === 'shared' ? '' : null
  }

  /**
   * Makes the server fail here, with our words for it: so the rest of the batch is skipped, its transaction is rolled back, and all
   * replies keep their order, as if Postgres had found the error itself.
   */
  #failInServer(problem: PoolerError): void {
    const { leased, toServer, pool } = this.#context
    pool.errors.note('pgweir', problem.sqlstate)
    leased.ledger.owe(DEBT.describe | REPLACE, { reply: encodeError(problem), undo: () => {} })
    toServer.addAll(NEVER)
  }

  /** Returns whether the message, of that type, is done with. */
  #waitForReady(type = 0): boolean {
    const { ledger } = this.#context.leased
    if (ledger.copy === 'open') {
      // The server has nothing more to say before it, and would end the connection as well.
      this.#context.fail(new PoolerError('message-out-of-turn', { type: typeName(type), when: 'within a COPY' }))
      return true
    }
    // Postgres may keep its answers until the batch ends, and we keep back what would end it.
    if (this.#names?.doubtful.isDropInBatch(ledger)) this.#context.toServer.addAll(FLUSH)
    this.#context.goOnWhenReady()
    return false
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

const CLOSED: Effect = { reply: CLOSE_COMPLETE, undo: () => {} }
