/**
 * Hot path: the prepared statements of one client. In transaction and statement mode the client's names are known only here: on servers
 * clients share the statements, under names of ours (shared names, `pgweir_…`), and a server that lacks one is sent its Parse first.
 * Unknown and duplicate names result in Postgres' own errors.
 *
 * With auto_prepare unnamed statements are shared in the same way, in session mode too. In session mode names are passed on as they are,
 * unless they look like shared names.
 *
 * https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-EXT-QUERY
 */

import type { Pool } from '../pool/pool.ts'
import { PoolerError } from '../problems.ts'
import { DEBT, type Effect } from '../server/ledger.ts'
import type { Server } from '../server/server.ts'
import { SHARED_PREFIX, type Statement } from '../server/statement-registry.ts'
import { CLOSE_COMPLETE } from '../wire/backend.ts'
import { HEADER_BYTES } from '../wire/frames.ts'
import { bindStatementStart, countResultFormats, FLUSH, STATEMENT, textEnd } from '../wire/frontend.ts'
import { MAX_NAMED_STATEMENT_BYTES, MAX_UNNAMED_STATEMENT_BYTES } from '../wire/limits.ts'
import { typeName } from '../wire/types.ts'
import { ChangeWatch } from './change-watch.ts'
import { failInServer } from './failing.ts'
import { keepsFirstColumns } from './first-columns.ts'
import { parseNamed } from './naming.ts'
import { DEALLOCATE_DOOMED, makeDoomed, prepareUnasked, QUERY_DEALLOCATE_DOOMED, type Sending } from './preparing.ts'
import { sendBind, sendDescribe } from './renaming.ts'
import { compareShape, learnsShape } from './shapes.ts'
import { asPrepared, awaitsSettings, sharedFor } from './sharing.ts'
import { keyOf, StatementNames } from './statement-names.ts'
import { UndescribedPortal } from './undescribed-portal.ts'
import { UnnamedRequests } from './unnamed-requests.ts'

/** What `Statements` needs from the relay. */
export interface StatementsContext extends Sending {
  readonly pool: Pool
  readonly leased: Server
  /** Shows the current frame again once that many of its bytes are there. */
  demand(bytes: number): void
  /** The next message in the same chunk is a Describe of a portal. */
  isPortalDescribedNext(buffer: Buffer, frameEnd: number): boolean
  /** The server is being asked about the rows of the current frame's statement: see `compareShape`. */
  asks(): void
  /** Returns, once, whether a cancel request was sent while the server was asked about the frame that is being shown again. */
  takeCancel(): boolean
  /** The frame that was held back (it returned false without a demand) can be shown again. */
  goOnSoon(): void
  /** Shows the frame that was held back again at the next ReadyForQuery, or when nothing is owed any more. */
  goOnWhenReady(): void
  /** Ends the session. */
  fail(problem: PoolerError): void
}

export class Statements {
  readonly #context: StatementsContext
  /** Null until the client names a statement, or drops all statements. */
  #names: StatementNames | null = null

  readonly #unnamed: UnnamedRequests
  readonly #namesAre: 'shared' | 'passed on'
  readonly #watch = new ChangeWatch()
  readonly #undescribed = new UndescribedPortal()
  /** Takes back what `#renew` has done last. Null once a message has it as its effect. */
  #takeBack: (() => void) | null = null

  constructor(context: StatementsContext, names: 'shared' | 'passed on') {
    this.#context = context
    this.#unnamed = new UnnamedRequests(context)
    this.#namesAre = names
  }

  get size(): number {
    return this.#names?.size ?? 0
  }

  /** A lease begins, and the server owes nothing. */
  leaseBegins(): void {
    this.#unnamed.leaseBegins()
    this.#undescribed.leaseBegins()
    this.#watch.leaseBegins()
    this.#context.leased.inFlight.leaseBegins()
    this.#context.leased.unseen.leaseBegins()
    this.#names?.doubtful.leaseBegins()
  }

  /** Whether servers know the statement by the client's own name. Not if that looks like a shared name: another pgweir's look the same. */
  #passesOn(name: string): boolean {
    return this.#namesAre === 'passed on' && !name.startsWith(SHARED_PREFIX)
  }

  #ownNames(): StatementNames {
    this.#names ??= new StatementNames(this.#context.pool.statements)
    return this.#names
  }

  /** Handles a Parse. Returns false if it has to be shown again: later, or once more of it is there. */
  parse(buffer: Buffer, start: number, end: number, length: number): boolean {
    const { leased, toServer, pool } = this.#context
    const nameEnd = textEnd(buffer, start + HEADER_BYTES, end)
    if (nameEnd === -1) return this.#broken('Parse')
    const isWhole = end - start === length
    if (nameEnd === start + HEADER_BYTES) {
      if (!isWhole && length <= MAX_UNNAMED_STATEMENT_BYTES) return this.#demand(length)
      this.#unnamed.parse(buffer, start, end, length, this.#names)
      return true
    }
    const name = buffer.toString('latin1', start + HEADER_BYTES, nameEnd)
    if (this.#passesOn(name)) {
      pool.counters.clientParses++
      pool.counters.serverParses++
      if (this.#unnamed.areAutoPrepared) this.#watch.named(name, buffer, nameEnd + 1, end)
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
    if (!parseNamed(this.#context, this.#ownNames(), name, buffer, nameEnd + 1, end, this.#unnamed.capacityBytes)) {
      this.#context.asks()
      return false
    }
    pool.counters.clientParses++
    return true
  }

  /** Handles a Bind, whose values may still be on their way. Returns false if it has to be shown again when more is known. */
  bind(buffer: Buffer, start: number, end: number, length: number): boolean {
    const { leased, pool, toServer } = this.#context
    const nameStart = bindStatementStart(buffer, start, end)
    const nameEnd = nameStart === -1 ? -1 : textEnd(buffer, nameStart, end)
    if (nameEnd === -1) return this.#broken('Bind')
    let statement = this.#bindable(buffer, start + length, nameStart, nameEnd)
    if (statement === 'failed') return true
    if (statement === 'in doubt') return this.#waitForReady(buffer[start])
    if (statement === 'asked') {
      this.#context.asks()
      return false
    }
    let taken: Effect | null = null
    if (statement?.deallocates && this.#names !== null) {
      const name = keyOf(statement.deallocates)
      if (this.#names.doubtful.has(name, leased.ledger)) return this.#waitForReady(buffer[start])
      taken = this.#names.take(name, leased.ledger, null, null)
      if (taken !== null) statement = this.#dropsDoomed()
    }
    const isUnnamed = nameStart === nameEnd
    const portalStart = start + HEADER_BYTES
    const portalEnd = nameStart - 1
    const isPortalNamed = portalStart < portalEnd
    this.#undescribed.bound(statement, buffer, portalStart, portalEnd, leased)
    let first: Effect | null = null
    if (statement) {
      const { statements } = leased
      if (statements.has(statement, leased.ledger)) {
        pool.counters.statementHits++
        statements.use(statement)
        if (taken === null && isUnnamed && this.#unnamed.isRepeatable) first = leased.recording.begin()
      } else prepareUnasked(this.#context, statement, this.#unnamed.capacityBytes)
      if (isUnnamed) this.#unnamed.use()
    }
    pool.counters.binds++
    const unnamed = isUnnamed ? this.#unnamed : null
    const kind =
      statement?.kind ?? unnamed?.kind(this.#preparesMore()) ?? this.#watch.kindOfName(buffer, nameStart, nameEnd)
    this.#watch.bound(kind, statement ?? unnamed, isPortalNamed, leased)
    const takeBack = this.#takesBack()
    const bound = statement === null || takeBack === null ? statement?.bound : { ...statement.bound, undo: takeBack }
    leased.ledger.owe(DEBT.bind, taken ?? first ?? bound ?? null)
    if (statement ? statement.deallocatesAll : unnamed?.deallocatesAll)
      this.#ownNames().doubtful.dropBound(leased.ledger)
    if (statement) sendBind(toServer, statement.name, buffer, start, end, length, nameStart, nameEnd)
    else toServer.add(buffer, start, end)
    return true
  }

  /**
   * Returns the statement to bind; null if the Bind can be sent as it is. If tables may have changed since the statement was described,
   * the server may have to be `asked` first what the rows look like now.
   */
  #bindable(
    buffer: Buffer,
    frameEnd: number,
    nameStart: number,
    nameEnd: number,
  ): Statement | null | 'failed' | 'in doubt' | 'asked' {
    const context = this.#context
    if (nameStart === nameEnd) this.#unnamed.shareIfOutdated()
    const statement = this.#resolve(buffer, nameStart, nameEnd)
    if (statement === null || typeof statement === 'string') return statement
    if (context.takeCancel()) {
      failInServer(context, new PoolerError('wait-cancelled'))
      return 'failed'
    }
    const { statements, ledger } = context.leased
    const isOutdated = statements.isOutdated(statement)
    // They may also have changed outside the pool, which nobody has seen. Statements without rows get none by that.
    if (!isOutdated && (statement.shape == null || statements.rowsOf(statement, ledger) === 'as told')) return statement
    // A client that has no description of the rows, or asks for a new one right after this Bind, can be given a renewed statement; unless
    // the Bind has a format for each result column, and so depends on how many there are, or the client ignores the new description.
    const isUndescribed = nameStart === nameEnd && !this.#unnamed.isUsed
    const isDescribedNext =
      context.isPortalDescribedNext(buffer, frameEnd) && !keepsFirstColumns(buffer, nameStart, nameEnd)
    if (isUndescribed || (isDescribedNext && countResultFormats(buffer, nameEnd + 1, frameEnd) <= 1))
      return isOutdated
        ? this.#renew(buffer, nameStart, nameEnd, isUndescribed ? statement.body : statement.parsed)
        : statement
    const shape = compareShape(context, statement, this.#unnamed.capacityBytes)
    if (shape === 'asked') return 'asked'
    if (shape === 'as told') return statement
    failInServer(context, new PoolerError('stale-plan'))
    return 'failed'
  }

  /**
   * A statement is bound that drops one of the client's, which has another name on servers: makes another for it to drop. Returns what to
   * bind in its place.
   */
  #dropsDoomed(): Statement {
    makeDoomed(this.#context)
    return sharedFor(this.#context, DEALLOCATE_DOOMED, 0, DEALLOCATE_DOOMED.length)
  }

  /**
   * Replaces an outdated statement by one with the same text, prepared for the present settings and tables, under the client's name. The
   * effect of the message for which this is done must call `#takeBack`: if it fails or is skipped, the client knows only the former rows.
   *
   * @param body its text, with the types that the parameters must have because the client knows them
   */
  #renew(buffer: Buffer, nameStart: number, nameEnd: number, body: Buffer): Statement {
    const statement = sharedFor(this.#context, body, 0, body.length)
    this.#takeBack =
      nameStart === nameEnd
        ? this.#unnamed.renewFor(statement)
        : this.#ownNames().renewFor(
            buffer.toString('latin1', nameStart, nameEnd),
            statement,
            this.#context.leased.ledger,
          )
    return statement
  }

  #takesBack(): (() => void) | null {
    const takeBack = this.#takeBack
    this.#takeBack = null
    return takeBack
  }

  /** Makes the client's name stand for this statement from now on. */
  #take(buffer: Buffer, nameStart: number, nameEnd: number, statement: Statement): Statement {
    if (nameStart === nameEnd) this.#unnamed.renew(statement)
    else this.#names?.renew(buffer.toString('latin1', nameStart, nameEnd), statement)
    return statement
  }

  /** It is likely to matter what later texts mean, so it is worth looking for what changes that. */
  #preparesMore(): boolean {
    return this.#unnamed.areAutoPrepared || this.#names !== null
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
        const current = isOutdated ? this.#renew(buffer, nameStart, nameEnd, statement.body) : statement
        const isThere = leased.statements.has(current, leased.ledger)
        if (isThere) leased.statements.use(current)
        else prepareUnasked(this.#context, current, this.#unnamed.capacityBytes)
        const takeBack = this.#takesBack()
        let effect: Effect | null =
          nameStart !== nameEnd ||
          !current.isTold ||
          takeBack !== null ||
          leased.statements.rowsOf(current, leased.ledger) === 'unknown'
            ? learnsShape(current, leased.statements, takeBack)
            : null
        if (nameStart === nameEnd) {
          if (isThere && this.#unnamed.isRepeatable) effect = leased.recording.begin(effect ?? undefined)
          this.#unnamed.use()
        }
        leased.ledger.owe(DEBT.describe, effect)
        sendDescribe(toServer, current.name)
        return true
      }
      if (nameStart === nameEnd) {
        leased.ledger.owe(DEBT.describe, this.#unnamed.describeSent())
        toServer.add(buffer, start, end)
        return true
      }
    }
    leased.ledger.owe(DEBT.describe, this.#undescribed.described(buffer, start + HEADER_BYTES, end, leased.statements))
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
      if (this.#names?.doubtful.has(name, leased.ledger)) return this.#waitForReady(buffer[start])
      this.#watch.closed(name)
      const taken = this.#names?.take(name, leased.ledger, CLOSE_COMPLETE, null) ?? null
      if (taken !== null || name.startsWith(SHARED_PREFIX)) {
        // Other clients may use the statement, so it stays on the server. To close a statement that does not exist is no error.
        leased.ledger.owe(DEBT.ours, taken ?? CLOSED)
        return true
      }
      if (name === '') {
        leased.ledger.owe(DEBT.close, this.#unnamed.closeSent())
        toServer.add(buffer, start, end)
        return true
      }
    }
    leased.ledger.owe(DEBT.close)
    toServer.add(buffer, start, end)
    return true
  }

  /**
   * A simple query is being sent, of which the bytes from `start` to `end` are there. Postgres drops the unnamed statement, unless it skips
   * the query. Returns the effect to attach to the query's debt.
   */
  querySent(buffer: Buffer, start: number, end: number, isWhole: boolean): Effect | null {
    this.#watch.queried(buffer, start, end, isWhole, this.#preparesMore(), this.#context.leased)
    return this.#unnamed.querySent()
  }

  /** Returns how many bytes of a simple query must be there to tell what it sets, judged by the bytes from `start` to `end`. */
  queryToldBy(buffer: Buffer, start: number, end: number): number {
    return this.#watch.queryToldBy(buffer, start, end, this.#preparesMore())
  }

  /** An Execute is being sent. Returns the effect to attach to its debt. */
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

  /** A command that drops all statements has not been answered yet. Until then no message that names a statement is sent. */
  get areAllInDoubt(): boolean {
    return this.#names?.doubtful.hasAll(this.#context.leased.ledger) ?? false
  }

  /**
   * Drops a statement because of an SQL DEALLOCATE. Some clients use it for statements that they have prepared by the protocol, and whose
   * names Postgres does not know here.
   */
  deallocate(name: string): void {
    this.#names?.drop(keyOf(name))
  }

  /** The same for a query in a batch, with which Postgres may skip it: the server is sent a DEALLOCATE of a statement that is made for this. */
  deallocateInBatch(name: string): void {
    const { leased, toServer } = this.#context
    const dropped = this.querySent(QUERY_DEALLOCATE_DOOMED, HEADER_BYTES, QUERY_DEALLOCATE_DOOMED.length, true)
    makeDoomed(this.#context)
    leased.ledger.owe(DEBT.query, this.#ownNames().take(keyOf(name), leased.ledger, null, dropped))
    toServer.addAll(QUERY_DEALLOCATE_DOOMED)
  }

  /** Returns the text of the query that a name stands for; null if that is not known here. */
  textOf(name: string): string | null {
    if (name === '') return this.#unnamed.text
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
   * Returns the statement that a client's name stands for, as it would be prepared now; null if the message can be sent as it is, because
   * the name means the same on the server or is unknown there too.
   */
  #resolve(buffer: Buffer, nameStart: number, nameEnd: number): Statement | null | 'failed' | 'in doubt' {
    const statement = this.#find(buffer, nameStart, nameEnd)
    if (statement === null || typeof statement === 'string') return statement
    const prepared = asPrepared(this.#context, statement)
    if (prepared === 'in doubt' || prepared === statement) return prepared
    return this.#take(buffer, nameStart, nameEnd, prepared)
  }

  /** Returns the statement that has this name. For an unnamed one that is not shared, returns null after making sure that the server has it. */
  #find(buffer: Buffer, nameStart: number, nameEnd: number): Statement | null | 'failed' | 'in doubt' {
    if (nameStart === nameEnd) {
      const { shared, isInDoubt } = this.#unnamed
      if (isInDoubt || (shared && this.areAllInDoubt)) return 'in doubt'
      if (shared === null) this.#unnamed.ensure()
      return shared
    }
    const { recording } = this.#context.leased
    // A batch that also uses a named statement is not sent again: what is known of that one may be out of date by then, too.
    if (recording.isOn) recording.stop()
    const name = buffer.toString('latin1', nameStart, nameEnd)
    if (this.#passesOn(name)) return null
    if (this.#names?.doubtful.has(name, this.#context.leased.ledger)) return 'in doubt'
    const statement = this.#names?.find(name) ?? null
    if (statement !== null) return statement
    if (!name.startsWith(SHARED_PREFIX)) return null
    failInServer(this.#context, new PoolerError('statement-unknown', { name: Buffer.from(name, 'latin1').toString() }))
    return 'failed'
  }

  /** The batch is about to be sent again: renews the unnamed statement for the present settings and tables. */
  renewUnnamed(): void {
    this.#unnamed.renewForRerun()
  }

  /** Returns the client's own name, one letter for each byte, of the statement with this shared name; null if it has no such statement. */
  clientNameOf(sharedName: string): string | null {
    const name = this.#names?.nameOf(sharedName) ?? null
    if (name !== null) return name
    if (this.#unnamed.shared?.name.toString() === sharedName) return ''
    const taken = this.#names?.takenNameOf(sharedName) ?? null
    if (taken !== null) return taken
    if (!this.#unnamed.areAutoPrepared) return null
    // It may have been the unnamed statement, which a later message has replaced or dropped by now. In session mode it may also be a name
    // of the client's own, from an SQL PREPARE.
    return this.#namesAre === 'shared' || this.#context.leased.statements.hasNamed(sharedName) ? '' : null
  }

  /** Holds back a message of that type until the next ReadyForQuery. Returns true if it ends the session instead. */
  #waitForReady(type = 0): boolean {
    const { ledger } = this.#context.leased
    if (ledger.copy === 'open') {
      // While a COPY is open the server sends nothing more until it has this message, and it too would end the connection because of it.
      this.#context.fail(new PoolerError('message-out-of-turn', { type: typeName(type), when: 'within a COPY' }))
      return true
    }
    // Postgres may keep its answers until the batch ends, and what ends it comes behind the message that we hold back.
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
