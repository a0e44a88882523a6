/** Hot path: notices by command tags that a client's transaction changes tables, and tells whoever can see that, when they can. */

import type { Effect } from '../server/ledger.ts'
import type { Announcer } from '../server/schema-version.ts'
import type { Server } from '../server/server.ts'
import { createsTemporary } from '../sql/temporary.ts'
import { changesSchema, DO, SELECT_INTO } from './tags.ts'

/** Hangs on what does nothing but make a temporary table: nobody else can see that. */
export const TEMPORARY: Effect = { reply: null, undo: () => {} }

/** What hangs on a query with the text from `start` to `end`. */
export function schemaEffect(buffer: Buffer, start: number, end: number): Effect | null {
  return createsTemporary(buffer, start, end) ? TEMPORARY : null
}

export class SchemaWatch {
  /** Whether the transaction has changed tables, and who will see it. */
  #changed: 'not' | 'here' | 'for all' = 'not'

  /** A command has run; `effect` hung on its debt. Returns whether it has changed tables, and nothing else. */
  onTag(server: Server, tag: string, effect: Effect | null): boolean {
    if (changesSchema(tag)) {
      server.statements.changedHere()
      if (effect !== TEMPORARY) this.#changed = 'for all'
      else if (this.#changed === 'not') this.#changed = 'here'
      return tag !== DO
    }
    // What was changed may be what it was before; so are temporary tables.
    if ((tag === 'ROLLBACK' && this.#changed !== 'not') || tag === 'DISCARD TEMP') server.statements.changedHere()
    return false
  }

  /** A table has been made, and no tag tells so. */
  onCreated(server: Server, created: 'table' | 'temporary table'): void {
    this.onTag(server, SELECT_INTO, created === 'table' ? null : TEMPORARY)
  }

  /** Others will see another schema if the transaction is committed. */
  get hasChangedForAll(): boolean {
    return this.#changed === 'for all'
  }

  /**
   * No transaction is open: tables change for everybody else only now, and temporary ones may be gone. The announcer waits until
   * everybody knows.
   */
  onIdle(server: Server, announcer: Announcer): void {
    if (this.#changed === 'not') return
    if (this.#changed === 'for all') server.context.schema.changed(announcer)
    else server.statements.changedHere()
    this.#changed = 'not'
  }
}
