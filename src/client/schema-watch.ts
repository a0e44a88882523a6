/** Hot path: notices by command tags that a client's transaction changes tables, and announces it once others can see the change. */

import type { Effect } from '../server/ledger.ts'
import type { Announcer } from '../server/schema-version.ts'
import type { Server } from '../server/server.ts'
import { createsTemporary } from '../sql/temporary.ts'
import { changesSchema, DO, SELECT_INTO } from './tags.ts'

/** Attached to the debt of a command that does nothing but make a temporary table, which nobody else can see. */
export const TEMPORARY: Effect = { reply: null, undo: () => {} }

/** Returns the effect to attach to the debt of a query with the text from `start` to `end`. */
export function schemaEffect(buffer: Buffer, start: number, end: number): Effect | null {
  return createsTemporary(buffer, start, end) ? TEMPORARY : null
}

export class SchemaWatch {
  /** Whether the transaction has changed tables, and who will see that: this server only (`here`), or others too once it is committed. */
  #changed: 'not' | 'here' | 'for all' = 'not'

  /** A command has run; `effect` was attached to its debt. Returns whether it has changed tables, and nothing else. */
  onTag(server: Server, tag: string, effect: Effect | null): boolean {
    if (changesSchema(tag)) {
      server.statements.changedHere()
      if (effect !== TEMPORARY) this.#changed = 'for all'
      else if (this.#changed === 'not') this.#changed = 'here'
      return tag !== DO
    }
    // After ROLLBACK the tables may be what they were before, and after DISCARD TEMP temporary tables are gone: a change for this server.
    if ((tag === 'ROLLBACK' && this.#changed !== 'not') || tag === 'DISCARD TEMP') server.statements.changedHere()
    return false
  }

  /** A table has been made by a command whose tag does not say so. */
  onCreated(server: Server, created: 'table' | 'temporary table'): void {
    this.onTag(server, SELECT_INTO, created === 'table' ? null : TEMPORARY)
  }

  /** Others will see another schema if the transaction is committed. */
  get hasChangedForAll(): boolean {
    return this.#changed === 'for all'
  }

  /**
   * The transaction is over: only now do tables change for everybody else, and temporary ones may be gone. `announcer` learns when all
   * processes know.
   */
  onIdle(server: Server, announcer: Announcer): void {
    if (this.#changed === 'not') return
    if (this.#changed === 'for all') server.context.schema.changed(announcer)
    else server.statements.changedHere()
    this.#changed = 'not'
  }
}
