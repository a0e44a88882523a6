/** Prepared statements that clients share: which there are, and which of them a server has prepared. */

import { deallocatesAll } from '../sql/deallocate.ts'
import { DEBT, type Effect, type Ledger, SWALLOW } from './ledger.ts'

/** Names of shared statements on servers begin like this. A client's own unknown name that does so is never sent on. */
export const SHARED_PREFIX = 'pgweir_'

let lastSchema = 0

/**
 * Another number whenever the tables of one database have changed, as far as it was seen from here. Shared by all pools of that
 * database; no two databases have the same one, since a pool may go from one to the other.
 */
export class SchemaVersion {
  #value = ++lastSchema
  readonly #tellOthers: () => void

  /** @param tellOthers other processes serve the same database */
  constructor(tellOthers: () => void = () => {}) {
    this.#tellOthers = tellOthers
  }

  get value(): number {
    return this.#value
  }

  /** What was prepared before may be described wrongly by what is known of it: prepare it anew. */
  changed(): void {
    this.#value = ++lastSchema
    this.#tellOthers()
  }

  changedElsewhere(): void {
    this.#value = ++lastSchema
  }
}

/** One text with its parameter types, wherever it came from. */
export class Statement {
  /** Its name on servers. */
  readonly name: Buffer
  /** The body of its Parse behind the name: text, zero, parameter types. */
  readonly body: Buffer
  readonly key: string
  /** To run it drops all that the session has prepared. */
  readonly deallocatesAll: boolean
  /** The schema's version when a client asked for it; later askers get a statement of their own. */
  readonly version: number
  /** What clients were told of its rows; undefined until one has asked. */
  shape: string | null | undefined
  /** Sessions and servers that know it; it is forgotten with the last one. */
  holders = 0

  constructor(id: number, body: Buffer, key: string, version: number) {
    this.version = version
    this.name = Buffer.from(`${SHARED_PREFIX}${id}`)
    this.body = body
    this.key = key
    this.deallocatesAll = deallocatesAll(body, 0, body.length)
  }
}

let lastId = 0

/** The statements of one pool, each once. */
export class StatementRegistry {
  readonly #statements = new Map<string, Statement>()

  get size(): number {
    return this.#statements.size
  }

  /**
   * The statement with the bytes `start` to `end` (text, zero, parameter types).
   *
   * @param meaning what else decides what the text means: the search path, the role
   * @param version how often tables have changed: who prepares it after a change must not be told what was true before
   */
  intern(buffer: Buffer, start: number, end: number, meaning: string, version: number): Statement {
    const key = `${version} ${meaning}\0${buffer.toString('latin1', start, end)}`
    const known = this.#statements.get(key)
    if (known) return known
    const statement = new Statement(++lastId, Buffer.from(buffer.subarray(start, end)), key, version)
    this.#statements.set(key, statement)
    return statement
  }

  hold(statement: Statement): void {
    // It may have been forgotten meanwhile, when a failure brings it back; unless a twin has taken its place.
    if (statement.holders++ === 0 && !this.#statements.has(statement.key))
      this.#statements.set(statement.key, statement)
  }

  letGo(statement: Statement): void {
    if (--statement.holders === 0 && this.#statements.get(statement.key) === statement)
      this.#statements.delete(statement.key)
  }
}

/** A statement as one server has it. */
interface Copy {
  /** The batch with its Parse: see `Ledger.batch`. */
  readonly batch: number
  usedAt: number
  /** Its Parse has failed or was skipped. */
  isVoid: boolean
  /** Its rows are not what clients were told: tables have changed before it was prepared here. */
  isChanged: boolean
}

/** Stands for whoever it was: nobody may rely on the unnamed statement, and nobody's may be run by another. */
const SOMEBODY = {}

/** What one server has prepared. Notes are made when the message is sent and taken back if it fails (`Effect`). */
export class ServerStatements {
  readonly #registry: StatementRegistry
  readonly #schema: SchemaVersion
  readonly #copies = new Map<Statement, Copy>()
  #uses = 0
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

  /** Tables have changed since clients asked for it, so that what they were told may not be true any more. */
  isOutdated(statement: Statement): boolean {
    return statement.version !== this.#schema.value
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
    if (copy) copy.usedAt = ++this.#uses
  }

  /** The least recently used one, if another does not fit into `capacity`. */
  surplus(capacity: number): Statement | null {
    if (this.#copies.size < capacity) return null
    let oldest: Statement | null = null
    let usedAt = Infinity
    for (const [statement, copy] of this.#copies) {
      if (copy.usedAt >= usedAt) continue
      oldest = statement
      usedAt = copy.usedAt
    }
    return oldest
  }

  /** A Parse of it is being sent: owes a ParseComplete. */
  parseSent(statement: Statement, ledger: Ledger, isSwallowed: boolean, alsoUndo: Effect | null): void {
    const copy: Copy = { batch: ledger.batch, usedAt: ++this.#uses, isVoid: false, isChanged: false }
    this.#add(statement, copy)
    ledger.owe(isSwallowed ? DEBT.parse | SWALLOW : DEBT.parse, {
      reply: null,
      undo: (wasSkipped, batch) => {
        copy.isVoid = true
        // A later batch may have prepared it anew.
        if (this.#copies.get(statement) === copy) this.#remove(statement)
        alsoUndo?.undo(wasSkipped, batch)
      },
    })
  }

  /** A Close of it is being sent, on our own account. */
  closeSent(statement: Statement, ledger: Ledger): void {
    const copy = this.#copies.get(statement)
    this.#remove(statement)
    ledger.owe(DEBT.close | SWALLOW, {
      reply: null,
      undo: () => {
        if (!copy) this.#hasDoubts = true
        else if (!copy.isVoid && !this.#copies.has(statement)) this.#add(statement, copy)
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

  /** DEALLOCATE ALL, or the end. */
  clear(): void {
    for (const statement of this.#copies.keys()) this.#registry.letGo(statement)
    this.#copies.clear()
    // DEALLOCATE ALL spares the unnamed statement, and so it is here.
    if (this.#unnamedOwner !== null) this.doubtUnnamed()
  }

  #add(statement: Statement, copy: Copy): void {
    if (!this.#copies.has(statement)) this.#registry.hold(statement)
    this.#copies.set(statement, copy)
  }

  #remove(statement: Statement): void {
    if (this.#copies.delete(statement)) this.#registry.letGo(statement)
  }
}
