/**
 * Hot path: what one client's requests do with its unnamed statement. Where auto_prepare allows it, servers have it under a shared name;
 * else its text is kept here, and sent again to a server that does not have it.
 */

import type { Pool } from '../pool/pool.ts'
import { DEBT, type Effect } from '../server/ledger.ts'
import type { Server } from '../server/server.ts'
import type { Statement } from '../server/statement-registry.ts'
import type { TextKind } from '../sql/text-kind.ts'
import { STATUS_IDLE } from '../wire/backend.ts'
import { HEADER_BYTES } from '../wire/frames.ts'
import { AutoPrepare } from './auto-prepare.ts'
import { parseDeallocate } from './deallocating.ts'
import { DEALLOCATE_DOOMED, ensureUnnamed, type Sending } from './preparing.ts'
import { sharedFor } from './sharing.ts'
import type { StatementNames } from './statement-names.ts'
import { UnnamedStatement } from './unnamed-statement.ts'

interface UnnamedSending extends Sending {
  readonly pool: Pick<Pool, 'settings' | 'counters' | 'statements'>
  readonly leased: Pick<
    Server,
    'context' | 'inFlight' | 'ledger' | 'profile' | 'recording' | 'statements' | 'status' | 'unseen'
  >
}

export class UnnamedRequests {
  readonly #context: UnnamedSending
  /** Null until the client has prepared one; many never do. */
  #statement: UnnamedStatement | null = null
  /** Null until auto_prepare is on. */
  #auto: AutoPrepare | null = null

  constructor(context: UnnamedSending) {
    this.#context = context
  }

  /** A lease begins, and the server owes nothing. */
  leaseBegins(): void {
    const { settings } = this.#context.pool
    if (settings.autoPrepare) this.#auto ??= new AutoPrepare()
    this.#auto?.leaseBegins(settings)
    this.#statement?.leaseBegins()
  }

  /** auto_prepare was on when the lease began. */
  get areAutoPrepared(): boolean {
    return this.#auto?.isOn === true
  }

  /** How many bytes all statements of one server may take; 0 is no limit. */
  get capacityBytes(): number {
    return this.#auto?.capacityBytes(this.#context.pool.settings) ?? 0
  }

  /** The text of the query, if it is kept. */
  get text(): string | null {
    return this.#statement?.text ?? null
  }

  /** The statement that servers keep for this and other clients; null if they do not, or if there is none. */
  get shared(): Statement | null {
    return this.#statement?.shared ?? null
  }

  /** It has been described or bound since it was parsed, so the client may know what its rows look like. */
  get isUsed(): boolean {
    return this.#statement?.isUsed === true
  }

  /** It is not shared, and running it drops all statements that the session has prepared. */
  get deallocatesAll(): boolean {
    return this.#statement?.deallocatesAll === true
  }

  /** An earlier batch, which is not answered yet, may or may not have changed it. */
  get isInDoubt(): boolean {
    return this.#statement?.isInDoubt(this.#context.leased.ledger) === true
  }

  /**
   * Returns the kind of a statement that is not shared. Reads all of its text only where much depends on the answer; else `other`.
   *
   * @param isLikely it is likely to matter what later texts mean
   */
  kind(isLikely: boolean): TextKind {
    const statement = this.#statement
    if (statement === null) return 'other'
    const { ledger } = this.#context.leased
    const isTold = isLikely || ledger.awaitsReady || statement.beginsLikeChange || statement.mayMakeTable
    return isTold ? statement.kind : 'other'
  }

  /** Handles its Parse, which is there as a whole unless it is too large to be kept. `names` are those that a DEALLOCATE may drop. */
  parse(buffer: Buffer, start: number, end: number, length: number, names: StatementNames | null): void {
    const context = this.#context
    const { leased, toServer, pool } = context
    const { ledger } = leased
    const bodyStart = start + HEADER_BYTES + 1
    const isWhole = end - start === length
    pool.counters.clientParses++
    this.#statement ??= new UnnamedStatement()
    const statement = this.#statement
    const auto = this.#auto?.isOn ? this.#auto : null
    if (auto !== null && isWhole && auto.parse(context, statement, buffer, bodyStart, end)) return
    pool.counters.serverParses++
    const dropped = statement.drop(ledger)
    if (isWhole) statement.keep(buffer, bodyStart, end, auto === null ? null : auto.kind)
    leased.statements.unnamedSent(statement.token, statement.serial, ledger)
    if (parseDeallocate(context, names, buffer, bodyStart, end, length, dropped)) {
      statement.keep(DEALLOCATE_DOOMED, 0, DEALLOCATE_DOOMED.length, 'other')
      return
    }
    ledger.owe(DEBT.parse, dropped)
    toServer.add(buffer, start, end)
  }

  /** Makes sure that the server has this client's statement, or none. For one that is not shared. */
  ensure(): void {
    ensureUnnamed(this.#context, this.#statement)
  }

  /** It is being described, and is not shared. Returns the effect of the Describe. */
  describeSent(): Effect | null {
    return this.#statement?.learns(this.#context.leased.statements.version) ?? null
  }

  /**
   * It is being bound. If the server does not have it, and tables have changed since the client was told of its rows, it is treated as a shared
   * one from now on: the server prepares it with the types that the client was told, and its rows are compared with what the client was told.
   */
  shareIfOutdated(): void {
    const { pool, leased } = this.#context
    const statement = this.#statement
    const told = statement?.told ?? null
    if (statement === null || told === null || told.version === leased.statements.version) return
    const { body } = statement
    if (body === null || statement.kind !== 'planned' || this.isInDoubt) return
    if (leased.statements.hasUnnamed(statement.token, statement.serial, leased.ledger)) return
    const shared = pool.statements.unshared(body, 0, body.length, told.version)
    shared.tell(told.types, 0, told.types.length)
    shared.shape = told.shape
    statement.share(shared)
    statement.use()
  }

  /**
   * Whether the message that is being sent about it begins a batch that may be sent again if the plan is out of date: outside a
   * transaction, with nothing before it, and by a client that does not know yet what the rows look like.
   */
  get isRepeatable(): boolean {
    const { status, ledger } = this.#context.leased
    return status === STATUS_IDLE && ledger.isClear && !this.isUsed
  }

  /** It is being described or bound. */
  use(): void {
    this.#statement?.use()
  }

  /** Replaces the shared statement by one with the same text, for the present settings and tables. */
  renew(statement: Statement): void {
    this.#statement?.renew(statement)
  }

  /** The same for a message that tells the client of other rows. Returns how to take it back if that message fails or is skipped. */
  renewFor(statement: Statement): () => void {
    return this.#statement?.renewFor(statement, this.#context.leased.ledger) ?? (() => {})
  }

  /**
   * The batch is about to be sent again: renews the statement, if it is shared. Other servers' rows for it may be known already, but this
   * client has not been told of any.
   */
  renewForRerun(): void {
    const { shared } = this
    this.#statement?.forgetUse()
    if (shared) this.renew(sharedFor(this.#context, shared.body, 0, shared.body.length))
  }

  /** Its Close is being sent. Returns the effect to attach to the debt. */
  closeSent(): Effect | null {
    const { statements, ledger } = this.#context.leased
    // Whichever client's unnamed statement the server has, this Close drops it.
    statements.doubtUnnamed()
    return this.#statement?.drop(ledger) ?? null
  }

  /** A simple query is being sent: Postgres drops the statement, unless it skips the query. Returns the effect to attach to the debt. */
  querySent(): Effect | null {
    const { statements, ledger } = this.#context.leased
    statements.doubtUnnamed()
    if (this.#statement === null) return null
    if (ledger.mayBeSkipped) return this.#statement.drop(ledger)
    this.#statement.forget()
    return null
  }
}
