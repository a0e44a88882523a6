/** What one server has prepared of the statements that clients share, and whose unnamed statement it has. */

import { Link, type Linked, List } from '../base/list.ts'
import { DEBT, type Effect, type Ledger, SWALLOW } from './ledger.ts'
import type { SchemaVersion } from './schema-version.ts'
import type { Statement, StatementRegistry } from './statement-registry.ts'

/** A statement as one server has it. */
class Copy implements Linked<Copy> {
  readonly link = new Link<Copy>()
  readonly statement: Statement
  /** The batch with its Parse: see `Ledger.batch`. */
  readonly batch: number
  /** Its Parse has failed or was skipped. */
  isVoid = false
  /** Its rows are not what clients were told: tables have changed before it was prepared here. */
  isChanged = false

  constructor(statement: Statement, batch: number) {
    this.statement = statement
    this.batch = batch
  }
}

/** Stands for whoever it was: nobody may rely on the unnamed statement, and nobody's may be run by another. */
const SOMEBODY = {}

/** What one server has prepared. Notes are made when the message is sent and taken back if it fails (`Effect`). */
export class ServerStatements {
  readonly #registry: StatementRegistry
  readonly #schema: SchemaVersion
  /** Its own version, as long as the shared one is what it was then. */
  #ownVersion = 0
  #sharedVersion = 0
  readonly #copies = new Map<Statement, Copy>()
  /** The same, the one that was used last at the end. */
  readonly #byUse = new List<Copy>('prepared statements')
  /** What they take. */
  #bytes = 0
  /** A Close of what is not noted here has not happened, so that the server may have more than is noted. */
  #hasDoubts = false
  /** Whose unnamed statement the server has, and which of them (a session counts its own), since which batch; null if it has none. */
  #unnamedOwner: object | null = null
  #unnamedSerial = 0
  #unnamedBatch = 0
  /** Hangs on what we send about the unnamed statement on our own account. */
  readonly unnamedDoubt: Effect = { reply: null, undo: () => this.doubtUnnamed() }

  constructor(registry: StatementRegistry, schema: SchemaVersion) {
    this.#registry = registry
    this.#schema = schema
  }

  get size(): number {
    return this.#copies.size
  }

  /** Whether a message sent now will find it there. */
  has(statement: Statement, ledger: Ledger): boolean {
    const copy = this.#copies.get(statement)
    return copy !== undefined && ledger.isSettled(copy.batch)
  }

  /** Whether a Parse sent now may find it there, and so must be preceded by a Close; that of what is not there is no error. */
  mayHave(statement: Statement, ledger: Ledger): boolean {
    return this.#hasDoubts || !ledger.isAllSettled || this.#copies.has(statement)
  }

  /** The schema's version, as it is seen by this server. */
  get version(): number {
    return this.#schema.value === this.#sharedVersion ? this.#ownVersion : this.#schema.value
  }

  /** Tables have changed that only this server can see: its transaction's, until that is committed, or temporary ones. */
  changedHere(): void {
    this.#sharedVersion = this.#schema.value
    this.#ownVersion = this.#schema.fresh()
  }

  /** Tables have changed since clients asked for it, so that what they were told may not be true any more. */
  isOutdated(statement: Statement): boolean {
    return statement.version !== this.version
  }

  /** Its rows here are not what clients were told. */
  isChanged(statement: Statement): boolean {
    return this.#copies.get(statement)?.isChanged ?? false
  }

  markChanged(statement: Statement): void {
    const copy = this.#copies.get(statement)
    if (copy) copy.isChanged = true
  }

  use(statement: Statement): void {
    const copy = this.#copies.get(statement)
    if (copy === undefined || copy === this.#byUse.last) return
    this.#byUse.remove(copy)
    this.#byUse.pushLast(copy)
  }

  /** The least recently used one, if another does not fit into `capacity`. */
  surplus(capacity: number): Statement | null {
    return this.#copies.size < capacity ? null : (this.#byUse.first?.statement ?? null)
  }

  /** The same, if so many bytes more would be over `capacityBytes`; 0 is no limit. */
  surplusBytes(capacityBytes: number, moreBytes: number): Statement | null {
    return capacityBytes === 0 || this.#bytes + moreBytes <= capacityBytes
      ? null
      : (this.#byUse.first?.statement ?? null)
  }

  /** A Parse of it is being sent: owes a ParseComplete. */
  parseSent(statement: Statement, ledger: Ledger, isSwallowed: boolean, alsoUndo: Effect | null): void {
    const copy = new Copy(statement, ledger.batch)
    this.#add(copy)
    ledger.owe(isSwallowed ? DEBT.parse | SWALLOW : DEBT.parse, {
      reply: null,
      undo: (wasSkipped, batch) => {
        copy.isVoid = true
        // A later batch may have prepared it anew.
        if (this.#copies.get(statement) === copy) this.#remove(copy)
        alsoUndo?.undo(wasSkipped, batch)
      },
    })
  }

  /** A Close of it is being sent, on our own account. */
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

  /** A Parse of an unnamed statement is being sent. */
  unnamedSent(owner: object, serial: number, ledger: Ledger): void {
    this.#unnamedOwner = owner
    this.#unnamedSerial = serial
    this.#unnamedBatch = ledger.batch
  }

  /** A Close of it is being sent, on our own account. */
  closeUnnamedSent(ledger: Ledger): void {
    this.#unnamedOwner = null
    this.#unnamedBatch = ledger.batch
    ledger.owe(DEBT.close | SWALLOW, this.unnamedDoubt)
  }

  /** It may be gone: a simple query drops it, unless that is skipped. */
  doubtUnnamed(): void {
    this.#unnamedOwner = SOMEBODY
  }

  /** Somebody has dropped or made some of them, nobody knows which. */
  doubtAll(): void {
    this.clear()
    this.#hasDoubts = true
  }

  /** DEALLOCATE ALL, or the end. */
  clear(): void {
    for (const copy of this.#copies.values()) this.#remove(copy)
    // DEALLOCATE ALL spares the unnamed statement, and so it is here.
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
