/** A console command before it runs (`Plan`), what it can use, and its result (`Answer`). */

import type { Settings } from '../settings/load.ts'
import type { Notice } from '../wire/notices.ts'
import type { Cell, Column } from '../wire/rows.ts'
import type { Fleet } from '../workers/fleet.ts'
import type { Access } from './access.ts'

/** What commands may use. */
export interface ConsoleContext {
  readonly fleet: Fleet
  /** The current settings. */
  readonly settings: Settings
  /** The protocol state of the client that runs the command. */
  readonly conversation: Talk
  readonly asker: Asker
}

/** The client that runs the command. */
export interface Asker {
  readonly id: number
  /** Registers work to be done when the client has gone. */
  atEnd(work: () => void): void
}

/** What a command may change in the client's protocol state. */
export interface Talk {
  begin(): void
  end(): void
  /** null means ALL. */
  deallocate(name: string | null): void
}

export interface Answer {
  readonly notices?: readonly Notice[]
  /** Iterated as they are sent, so that rows can be built one at a time. */
  readonly rows?: Iterable<readonly Cell[]>
  /** For CommandComplete; null for an empty query. */
  readonly tag: string | null
}

/** A parsed statement, which can be described before it runs. */
export interface Plan {
  readonly access: Access
  /** null if it returns no rows. */
  readonly columns: readonly Column[] | null
  run(context: ConsoleContext): Answer | Promise<Answer>
}
