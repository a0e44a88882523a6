/** The shared statements that one server has prepared, and the client whose unnamed statement it has. */

import { Link, type Linked, List } from '../base/list.ts'
import { DEBT, type Effect, type Ledger, SWALLOW } from './ledger.ts'
import type { SchemaVersion } from './schema-version.ts'
import type { Statement, StatementRegistry } from './statement-registry.ts'

/** How a statement's rows on one server compare with what clients were told. */
type Rows = 'unknown' | 'as told' | 'changed'

/** A statement that one server has prepared. */
class Copy implements Linked<Copy> {
  readonly link = new Link<Copy>()
  readonly statement: Statement
  /** The batch that its Parse was sent in: see `Ledger.batch`. */
  readonly batch: number
  /** Its Parse has failed or was skipped. */
  isVoid = false
  /** They have changed if tables had changed before it was prepared here, by whichever client. */
  rows: Rows = 'unknown'

  constructor(statement: Statement, batch: number) {
    this.statement = statement
    this.batch = batch
  }
}

/** An unknown owner of the unnamed statement: no client may rely on it, and before a client that has none uses that name, it must be closed. */
const SOMEBODY = {}

/** What one server has prepared. Changes are noted when a message is sent and taken back if it fails (see `Effect`). */
export class ServerStatements {
  readonly #registry: StatementRegistry
  readonly #schema: SchemaVersion
  /** The server's own schema version; valid while the shared one is still `#sharedVersion`. */
  #ownVersion = 0
  #sharedVersion = 0
  readonly #copies = new Map<Statement, Copy>()
  /** The same copies, the most recently used last. */
  readonly #byUse = new List<Copy>('prepared statements')
  /** The total size of their bodies. */
  #bytes = 0
  /** The server may have statements that are not noted here. */
  #hasDoubts = false
  /**
   * Whose unnamed statement the server has (null if it has none), the owner's serial number for it, and the batch that last gave it or took
   * it away.
   */
  #unnamedOwner: object | null = null
  #unnamedSerial = 0
  #unnamedBatch = 0
  /** The effect of messages about the unnamed statement that no client has asked for. */
  readonly unnamedDoubt: Effect = { reply: null, undo: () => this.doubtUnnamed() }

  constructor(registry: StatementRegistry, schema: SchemaVersion) {
    this.#registry = registry
    this.#schema = schema
  }

  get size(): number {
    return this.#copies.size
  }

  /** Whether the server will have the statement when it reads a message that is sent now. */
  has(statement: Statement, ledger: Ledger): boolean {
    const copy = this.#copies.get(statement)
    return copy !== undefined && ledger.isSettled(copy.batch)
  }

  /** Whether the server has, or will have, a shared statement with this name. */
  hasNamed(sharedName: string): boolean {
    for (const { name } of this.#copies.keys()) if (name.toString() === sharedName) return true
    return false
  }

  /** Whether the server may have the statement by then, so that a Parse needs a Close before it. To close a missing statement is no error. */
  mayHave(statement: Statement, ledger: Ledger): boolean {
    return this.#hasDoubts || !ledger.isAllSettled || this.#copies.has(statement)
  }

  /** The version of the schema as this server sees it. */
  get version(): number {
    return this.#schema.value === this.#sharedVersion ? this.#ownVersion : this.#schema.value
  }

  /** Tables have changed in a way that only this server sees: in its open transaction, or temporary tables. */
  changedHere(): void {
    this.#sharedVersion = this.#schema.value
    this.#ownVersion = this.#schema.fresh()
  }

  /** Whether tables have changed since clients asked for the statement, so that what they were told of its rows may be wrong by now. */
  isOutdated(statement: Statement): boolean {
    return statement.version !== this.version
  }

  rowsOf(statement: Statement, ledger: Ledger): Rows {
    const copy = this.#copies.get(statement)
    return copy !== undefined && ledger.isSettled(copy.batch) ? copy.rows : 'unknown'
  }

  /** This server has described the statement's rows. */
  noteRows(statement: Statement, shape: string | null | undefined): void {
    if (statement.shape === undefined) return
    const isAsTold = shape === statement.shape
    const copy = this.#copies.get(statement)
    if (copy) copy.rows = isAsTold ? 'as told' : 'changed'
    if (!isAsTold) this.noteChange(statement)
  }

  /** Its rows or parameter types are not what clients were told. If nothing is known of a change of tables, there was one outside the pool. */
  noteChange(statement: Statement): void {
    if (!this.isOutdated(statement)) this.#schema.changed()
  }

  /** These are the statement's parameter types, written as in a Parse; they may not be what clients were told before. */
  noteTypes(statement: Statement, buffer: Buffer, start: number, end: number): void {
    if (!statement.tell(buffer, start, end)) this.noteChange(statement)
  }

  use(statement: Statement): void {
    const copy = this.#copies.get(statement)
    if (copy === undefined || copy === this.#byUse.last) return
    this.#byUse.remove(copy)
    this.#byUse.pushLast(copy)
  }

  /** Returns the least recently used statement if there is no room for another within `capacity` statements; otherwise null. */
  surplus(capacity: number): Statement | null {
    return this.#copies.size < capacity ? null : (this.#byUse.first?.statement ?? null)
  }

  /** Returns the least recently used statement if `moreBytes` would exceed `capacityBytes` (0: no limit); otherwise null. */
  surplusBytes(capacityBytes: number, moreBytes: number): Statement | null {
    return capacityBytes === 0 || this.#bytes + moreBytes <= capacityBytes
      ? null
      : (this.#byUse.first?.statement ?? null)
  }

  /** Records that a Parse of the statement is being sent, which owes a ParseComplete. */
  parseSent(statement: Statement, ledger: Ledger, isSwallowed: boolean, alsoUndo: Effect | null): void {
    const copy = new Copy(statement, ledger.batch)
    this.#add(copy)
    ledger.owe(isSwallowed ? DEBT.parse | SWALLOW : DEBT.parse, {
      reply: null,
      ...(statement.parsed !== statement.body && { version: statement.version }),
      undo: (wasSkipped, batch) => {
        copy.isVoid = true
        // A later batch may have prepared it again.
        if (this.#copies.get(statement) === copy) this.#remove(copy)
        alsoUndo?.undo(wasSkipped, batch)
      },
    })
  }

  /** Records that we are sending a Close of the statement, for which no client has asked. */
  closeSent(statement: Statement, ledger: Ledger): void {
    const copy = this.#copies.get(statement)
    if (copy) this.#remove(copy)
    ledger.owe(DEBT.close | SWALLOW, {
      reply: null,
      undo: () => {
        if (!copy) this.#hasDoubts = true
        else if (!copy.isVoid && !this.#copies.has(statement)) this.#add(copy)
      },
    })
  }

  // The unnamed statement

  hasUnnamed(owner: object, serial: number, ledger: Ledger): boolean {
    return this.#unnamedOwner === owner && this.#unnamedSerial === serial && ledger.isSettled(this.#unnamedBatch)
  }

  hasNoUnnamed(ledger: Ledger): boolean {
    return this.#unnamedOwner === null && ledger.isSettled(this.#unnamedBatch)
  }

  /** Records that a Parse of the owner's unnamed statement is being sent. */
  unnamedSent(owner: object, serial: number, ledger: Ledger): void {
    this.#unnamedOwner = owner
    this.#unnamedSerial = serial
    this.#unnamedBatch = ledger.batch
  }

  /** Records that we are sending a Close of the unnamed statement, for which no client has asked. */
  closeUnnamedSent(ledger: Ledger): void {
    this.#unnamedOwner = null
    this.#unnamedBatch = ledger.batch
    ledger.owe(DEBT.close | SWALLOW, this.unnamedDoubt)
  }

  /** The unnamed statement may be gone: for example, a simple query drops it, unless the query is skipped. */
  doubtUnnamed(): void {
    this.#unnamedOwner = SOMEBODY
  }

  /** Statements were dropped or made by SQL; it is not known which. */
  doubtAll(): void {
    this.clear()
    this.#hasDoubts = true
  }

  /** All statements are gone: by DEALLOCATE ALL, or because the server has ended. */
  clear(): void {
    for (const copy of this.#copies.values()) this.#remove(copy)
    // DEALLOCATE ALL does not drop the unnamed statement, so the server may still have one.
    if (this.#unnamedOwner !== null) this.doubtUnnamed()
  }

  #add(copy: Copy): void {
    const before = this.#copies.get(copy.statement)
    if (before) this.#byUse.remove(before)
    else {
      this.#registry.hold(copy.statement)
      this.#bytes += copy.statement.body.length
    }
    this.#copies.set(copy.statement, copy)
    this.#byUse.pushLast(copy)
  }

  #remove(copy: Copy): void {
    this.#copies.delete(copy.statement)
    this.#bytes -= copy.statement.body.length
    this.#byUse.remove(copy)
    this.#registry.letGo(copy.statement)
  }
}
