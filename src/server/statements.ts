/** Prepared statements that clients share: which there are, and which of them a server has prepared. */

import { DEBT, type Effect, type Ledger, SWALLOW } from './ledger.ts'

/** Names of shared statements on servers begin like this. A client's own unknown name that does so is never sent on. */
export const SHARED_PREFIX = 'pgweir_'

/** How often the tables of one database have changed, as far as it was seen from here. Shared by all pools of that database. */
export class SchemaVersion {
  value = 0

  /** What was prepared before may be described wrongly by what is known of it: prepare it anew. */
  changed(): void {
    this.value++
  }
}

/** One text with its parameter types, wherever it came from. */
export class Statement {
  /** Its name on servers. */
  readonly name: Buffer
  /** The body of its Parse behind the name: text, zero, parameter types. */
  readonly body: Buffer
  readonly key: string
  /** Sessions and servers that know it; it is forgotten with the last one. */
  holders = 0

  constructor(id: number, body: Buffer, key: string) {
    this.name = Buffer.from(`${SHARED_PREFIX}${id}`)
    this.body = body
    this.key = key
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
   * @param meaning whatever else decides what the text means: the search path, the role, how often tables have changed
   */
  intern(buffer: Buffer, start: number, end: number, meaning: string): Statement {
    const key = `${meaning}\0${buffer.toString('latin1', start, end)}`
    const known = this.#statements.get(key)
    if (known) return known
    const statement = new Statement(++lastId, Buffer.from(buffer.subarray(start, end)), key)
    this.#statements.set(key, statement)
    return statement
  }

  hold(statement: Statement): void {
    statement.holders++
  }

  letGo(statement: Statement): void {
    if (--statement.holders === 0) this.#statements.delete(statement.key)
  }
}

/** A statement as one server has it. */
interface Copy {
  /** The schema's version when it was prepared there. */
  readonly version: number
  usedAt: number
}

/** What one server has prepared. Notes are made when the message is sent and taken back if it fails (`Effect`). */
export class ServerStatements {
  readonly #registry: StatementRegistry
  readonly #schema: SchemaVersion
  readonly #copies = new Map<Statement, Copy>()
  #uses = 0
  /** Whose unnamed statement the server has, and which of them; a session counts its own. */
  unnamedOwner: object | null = null
  unnamedSerial = 0

  constructor(registry: StatementRegistry, schema: SchemaVersion) {
    this.#registry = registry
    this.#schema = schema
  }

  get size(): number {
    return this.#copies.size
  }

  has(statement: Statement): boolean {
    return this.#copies.has(statement)
  }

  /** It is there, and was prepared since tables last changed. */
  isFresh(statement: Statement): boolean {
    return this.#copies.get(statement)?.version === this.#schema.value
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
    this.#add(statement, { version: this.#schema.value, usedAt: ++this.#uses })
    ledger.owe(isSwallowed ? DEBT.parse | SWALLOW : DEBT.parse, {
      reply: null,
      undo: () => {
        this.#remove(statement)
        alsoUndo?.undo()
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
        if (copy) this.#add(statement, copy)
      },
    })
  }

  /** DEALLOCATE ALL, or the end. */
  clear(): void {
    for (const statement of this.#copies.keys()) this.#registry.letGo(statement)
    this.#copies.clear()
    this.unnamedOwner = null
  }

  #add(statement: Statement, copy: Copy): void {
    if (!this.#copies.has(statement)) this.#registry.hold(statement)
    this.#copies.set(statement, copy)
  }

  #remove(statement: Statement): void {
    if (this.#copies.delete(statement)) this.#registry.letGo(statement)
  }
}
