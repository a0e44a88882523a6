/** Hot path: the names that one client has given to prepared statements, and what they stand for. Servers do not know these names. */

import type { Effect, Ledger } from '../server/ledger.ts'
import type { Statement, StatementRegistry } from '../server/statement-registry.ts'
import { MAX_CLIENT_STATEMENTS_BYTES, STATEMENT_BYTES } from '../wire/limits.ts'
import { DoubtfulNames } from './doubtful-names.ts'

/** What a name stands for. */
interface Named {
  statement: Statement
  /** Its Parse has failed or was skipped. */
  isVoid: boolean
}

/** Changes are noted when the message is sent, and undone if it fails or is skipped (`Effect`). Names are as `keyOf` writes them. */
export class StatementNames {
  readonly #registry: StatementRegistry
  #names: Map<string, Named> | null = null
  /** The size of all named statements, counted as for MAX_CLIENT_STATEMENTS_BYTES. */
  #bytes = 0
  readonly doubtful = new DoubtfulNames()
  /** What a message took away last. The server may not have answered yet what was sent for it before. */
  #takenName: string | null = null
  #takenSharedName: Buffer | null = null

  constructor(registry: StatementRegistry) {
    this.#registry = registry
  }

  get size(): number {
    return this.#names?.size ?? 0
  }

  has(name: string): boolean {
    return this.#names?.has(name) ?? false
  }

  find(name: string): Statement | null {
    return this.#names?.get(name)?.statement ?? null
  }

  /** Whether there is room for one more statement, with this name and that many bytes. */
  hasRoomFor(name: string, bytes: number): boolean {
    return this.#bytes + name.length + bytes + STATEMENT_BYTES <= MAX_CLIENT_STATEMENTS_BYTES
  }

  /** A Parse gives this free name to a statement. Returns the effect of that Parse. */
  give(name: string, statement: Statement, ledger: Ledger, reply: Buffer | null): Effect {
    const named = { statement, isVoid: false }
    this.#add(name, named)
    this.doubtful.note(name, ledger)
    return {
      reply,
      undo: () => {
        named.isVoid = true
        // A later batch may have given the name to another statement.
        if (this.#names?.get(name) === named) this.drop(name)
      },
    }
  }

  /** A message takes the name away. Returns the effect of that message; null if the name stands for nothing. */
  take(name: string, ledger: Ledger, reply: Buffer | null, alsoUndo: Effect | null): Effect | null {
    const named = this.#names?.get(name)
    if (!named) return null
    this.#takenName = name
    this.#takenSharedName = named.statement.name
    this.drop(name)
    this.doubtful.note(name, ledger)
    return {
      reply,
      undo: (wasSkipped, batch) => {
        alsoUndo?.undo(wasSkipped, batch)
        this.#bringBack(name, named)
      },
    }
  }

  /** The name stands for nothing any more, whatever becomes of the message that is being sent. */
  drop(name: string): void {
    const named = this.#names?.get(name)
    if (!named) return
    this.#names?.delete(name)
    this.#bytes -= bytesOf(name, named)
    this.#registry.letGo(named.statement)
  }

  /** Replaces the statement by one with the same text. If the Parse that gave the name fails, the name stands for nothing, as before. */
  renew(name: string, statement: Statement): void {
    const named = this.#names?.get(name)
    if (named) this.#replace(named, statement)
  }

  /** The same for a message that tells the client of other rows. Returns how to take it back if that message fails or is skipped. */
  renewFor(name: string, statement: Statement, ledger: Ledger): () => void {
    const named = this.#names?.get(name)
    if (!named) return () => {}
    const former = named.statement
    this.#replace(named, statement)
    this.doubtful.note(name, ledger)
    return () => {
      if (named.statement === statement && this.#names?.get(name) === named) this.#replace(named, former)
    }
  }

  #replace(named: Named, statement: Statement): void {
    this.#registry.hold(statement)
    this.#registry.letGo(named.statement)
    this.#bytes += statement.body.length - named.statement.body.length
    named.statement = statement
  }

  /** Returns the client's name of the statement with this shared name; null if it has none. */
  nameOf(sharedName: string): string | null {
    for (const [name, { statement }] of this.#names ?? []) if (statement.name.toString() === sharedName) return name
    return null
  }

  /** Returns the name that was taken away last, if it stood for the statement with this shared name. */
  takenNameOf(sharedName: string): string | null {
    return this.#takenSharedName?.toString() === sharedName ? this.#takenName : null
  }

  /** DEALLOCATE ALL has run, or the client is gone. */
  clear(): void {
    if (this.#names) for (const { statement } of this.#names.values()) this.#registry.letGo(statement)
    this.#names = null
    this.#bytes = 0
    this.#takenName = null
    this.#takenSharedName = null
  }

  #add(name: string, named: Named): void {
    this.#names ??= new Map()
    this.#names.set(name, named)
    this.#bytes += bytesOf(name, named)
    this.#registry.hold(named.statement)
  }

  /** The name was not taken away after all: restores it, unless its statement is void, all names are forgotten, or the name is used again. */
  #bringBack(name: string, named: Named): void {
    if (!named.isVoid && this.#names && !this.#names.has(name)) this.#add(name, named)
  }
}

/** Returns the key of a name that stands in SQL: one letter for each byte of its UTF-8. */
export function keyOf(name: string): string {
  return Buffer.from(name).toString('latin1')
}

function bytesOf(name: string, { statement }: Named): number {
  return name.length + statement.body.length + STATEMENT_BYTES
}
