/** Hot path: what the names stand for that one client has given to prepared statements; they mean nothing to servers. */

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

/** Notes are made when the message is sent and taken back if it fails (`Effect`). Names are as `keyOf` writes them. */
export class StatementNames {
  readonly #registry: StatementRegistry
  #names: Map<string, Named> | null = null
  /** What they take, as MAX_CLIENT_STATEMENTS_BYTES counts. */
  #bytes = 0
  readonly doubtful = new DoubtfulNames()

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

  /** Whether a statement of so many bytes may be given this name too. */
  hasRoomFor(name: string, bytes: number): boolean {
    return this.#bytes + name.length + bytes + STATEMENT_BYTES <= MAX_CLIENT_STATEMENTS_BYTES
  }

  /** A free name is given by a Parse. What is returned hangs on that. */
  give(name: string, statement: Statement, ledger: Ledger, reply: Buffer | null): Effect {
    const named = { statement, isVoid: false }
    this.#add(name, named)
    this.doubtful.note(name, ledger)
    return {
      reply,
      undo: () => {
        named.isVoid = true
        // A later batch may have given the name to another one.
        if (this.#names?.get(name) === named) this.drop(name)
      },
    }
  }

  /** It is taken away by a message. What is returned hangs on that; null if it stands for nothing. */
  take(name: string, ledger: Ledger, reply: Buffer | null, alsoUndo: Effect | null): Effect | null {
    const named = this.#names?.get(name)
    if (!named) return null
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

  /** It stands for nothing any more, whatever becomes of what is being sent. */
  drop(name: string): void {
    const named = this.#names?.get(name)
    if (!named) return
    this.#names?.delete(name)
    this.#bytes -= bytesOf(name, named)
    this.#registry.letGo(named.statement)
  }

  /** It stands for the same text as it is understood now; and for nothing as before if its Parse fails. */
  renew(name: string, statement: Statement): void {
    const named = this.#names?.get(name)
    if (!named) return
    this.#registry.hold(statement)
    this.#registry.letGo(named.statement)
    this.#bytes += statement.body.length - named.statement.body.length
    named.statement = statement
  }

  /** The name of the statement that servers know by this one of ours; null if it has none. */
  nameOf(sharedName: string): string | null {
    for (const [name, { statement }] of this.#names ?? []) if (statement.name.toString() === sharedName) return name
    return null
  }

  /** DEALLOCATE ALL has run, or the client is gone. */
  clear(): void {
    if (this.#names) for (const { statement } of this.#names.values()) this.#registry.letGo(statement)
    this.#names = null
    this.#bytes = 0
  }

  #add(name: string, named: Named): void {
    this.#names ??= new Map()
    this.#names.set(name, named)
    this.#bytes += bytesOf(name, named)
    this.#registry.hold(named.statement)
  }

  /** It was not dropped after all; unless it is void, or all are forgotten, or the name has been given to another one. */
  #bringBack(name: string, named: Named): void {
    if (!named.isVoid && this.#names && !this.#names.has(name)) this.#add(name, named)
  }
}

/** A name in SQL as it stands here: a letter for each byte of its UTF-8. */
export function keyOf(name: string): string {
  return Buffer.from(name).toString('latin1')
}

function bytesOf(name: string, { statement }: Named): number {
  return name.length + statement.body.length + STATEMENT_BYTES
}
