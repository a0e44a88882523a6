/**
 * Hot path: tells from the texts of one client's requests whether they may change what later texts mean on its server. The server's
 * records of such changes are `InFlight`, for those that it reports in the end, and `UnseenSettings`, for those that it does not.
 */

import type { Effect } from '../server/ledger.ts'
import type { Server } from '../server/server.ts'
import {
  beginsLikeChange,
  MAX_SETTING_BYTES,
  onlyBegins,
  setsUnseen,
  settingKind,
  type TextKind,
} from '../sql/text-kind.ts'
import { TEMPORARY } from './schema-watch.ts'

export class ChangeWatch {
  /** Statements that servers know by the client's own names and that set something unreported, with their kinds; null until there is one. */
  #setters: Map<string, TextKind> | null = null
  /** The batch (see `Ledger.batch`) in which a statement that makes a temporary table was bound to the unnamed portal; -1 for none. */
  #temporaryBatch = -1

  /** A statement with this text is being parsed under the client's own name, which the server is given as it is. */
  named(name: string, buffer: Buffer, start: number, end: number): void {
    if (!beginsLikeChange(buffer, start, end)) return
    const kind = settingKind(buffer, start, end)
    if (!setsUnseen(kind)) return
    this.#setters ??= new Map()
    this.#setters.set(name, kind)
  }

  closed(name: string): void {
    this.#setters?.delete(name)
  }

  clear(): void {
    this.#setters = null
  }

  kindOfName(buffer: Buffer, nameStart: number, nameEnd: number): TextKind {
    return this.#setters?.get(buffer.toString('latin1', nameStart, nameEnd)) ?? 'other'
  }

  /** A lease begins, and the server owes nothing. */
  leaseBegins(): void {
    this.#temporaryBatch = -1
  }

  /** A statement is being bound to a portal. It is null if its text is not kept. */
  bound(
    kind: TextKind,
    statement: { readonly text: string | null } | null,
    isPortalNamed: boolean,
    server: Server,
  ): void {
    server.inFlight.bound(kind, server.ledger)
    if (!isPortalNamed) this.#temporaryBatch = kind === 'creates-temporary' ? server.ledger.batch : -1
    if (setsUnseen(kind)) server.unseen.add(kind, statement?.text ?? null, server)
  }

  /** A portal is being executed. Returns the effect to attach to the debt. */
  executed(isPortalNamed: boolean, { inFlight, ledger }: Server): Effect | null {
    inFlight.executed(isPortalNamed, ledger)
    return !isPortalNamed && this.#temporaryBatch === ledger.batch ? TEMPORARY : null
  }

  /** A simple query is being sent, of which the bytes from `start` to `end` are there. */
  queried(buffer: Buffer, start: number, end: number, isWhole: boolean, isLikely: boolean, server: Server): void {
    const { inFlight, unseen, ledger } = server
    if (isWhole && onlyBegins(buffer, start, end)) {
      inFlight.add('begin', ledger)
      return
    }
    inFlight.add('other', ledger)
    const kind = isLikely || beginsLikeChange(buffer, start, end) ? settingKind(buffer, start, end) : 'other'
    if (setsUnseen(kind)) unseen.add(kind, isWhole ? buffer.toString('latin1', start, end) : null, server)
  }

  /** Returns how many bytes of a simple query must be there to tell what it sets, judged by the bytes from `start` to `end`. */
  queryToldBy(buffer: Buffer, start: number, end: number, isLikely: boolean): number {
    return isLikely || beginsLikeChange(buffer, start, end) ? MAX_SETTING_BYTES : 0
  }

  /** A function is being called. It may be set_config. */
  called({ inFlight, ledger }: Server): void {
    inFlight.add('other', ledger)
  }
}
