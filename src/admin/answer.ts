/** What a console command is before it runs, and what it comes to. */

import type { Settings } from '../settings/load.ts'
import type { Notice } from '../wire/notices.ts'
import type { Cell, Column } from '../wire/rows.ts'
import type { Fleet } from '../workers/fleet.ts'
import type { Access } from './access.ts'

/** What commands may use. */
export interface ConsoleContext {
  readonly fleet: Fleet
  /** Those that hold now. */
  readonly settings: Settings
  /** With the one client that asks. */
  readonly conversation: Talk
  readonly asker: Asker
}

/** The one client that asks. */
export interface Asker {
  readonly id: number
  /** To be done when it has gone away. */
  atEnd(work: () => void): void
}

/** What a command may do to the conversation that it is a part of. */
export interface Talk {
  begin(): void
  end(): void
  /** null is ALL. */
  deallocate(name: string | null): void
}

export interface Answer {
  readonly notices?: readonly Notice[]
  /** Made one by one as they are sent. */
  readonly rows?: Iterable<readonly Cell[]>
  /** For CommandComplete; null for an empty query. */
  readonly tag: string | null
}

/** A statement that was understood: it can be described now, and run later. */
export interface Plan {
  readonly access: Access
  /** null if it returns no rows. */
  readonly columns: readonly Column[] | null
  run(context: ConsoleContext): Answer | Promise<Answer>
}
