/**
 * Hot path: tells by the texts of one client's requests what they may change on its server that decides what later texts mean. The
 * server's books of that are `InFlight`, for what it reports in the end, and `UnseenSettings`, for what it does not.
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
import type { UnnamedStatement } from './unnamed-statement.ts'

export class ChangeWatch {
  /** Names of statements of the server's own that set something unseen; null until there is one. */
  #setters: Map<string, TextKind> | null = null
  /** The batch (see `Ledger.batch`) in which what makes a temporary table was bound to the unnamed portal; -1 for none. */
  #temporaryBatch = -1

  /** A statement with this text is being parsed under a name that the server is given as it is. */
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

  /**
   * What is run with an unnamed statement that is the client's alone. To read all of it is worth it only where much depends on it.
   *
   * @param isLikely what texts mean is likely to be asked for
   */
  kindOfUnnamed(unnamed: UnnamedStatement | null, { ledger }: Server, isLikely: boolean): TextKind {
    if (unnamed === null) return 'other'
    const isTold = isLikely || ledger.awaitsReady || unnamed.beginsLikeChange || unnamed.mayMakeTable
    return isTold ? unnamed.kind : 'other'
  }

  /** A lease begins, and nothing is unanswered. */
  leaseBegins(): void {
    this.#temporaryBatch = -1
  }

  /** A statement is being bound to a portal; it is null if it is not kept. */
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

  /** A portal is being executed. Returns what hangs on that. */
  executed(isPortalNamed: boolean, { inFlight, ledger }: Server): Effect | null {
    inFlight.executed(isPortalNamed, ledger)
    return !isPortalNamed && this.#temporaryBatch === ledger.batch ? TEMPORARY : null
  }

  /** A simple query is being sent, as much of it as there is from `start` to `end`. */
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

  /** How much of a simple query has to be there to tell what it sets, as far as what there is from `start` to `end` says. */
  queryToldBy(buffer: Buffer, start: number, end: number, isLikely: boolean): number {
    return isLikely || beginsLikeChange(buffer, start, end) ? MAX_SETTING_BYTES : 0
  }

  /** A function is being called, which may be set_config. */
  called({ inFlight, ledger }: Server): void {
    inFlight.add('other', ledger)
  }
}
