/**
 * Hot path: decides which unnamed statements servers keep, under names of ours, so that their next Parse costs nothing. The setting
 * is auto_prepare; what it is good for, and what not, stands in docs/auto-prepare.md.
 */

import type { Pool } from '../pool/pool.ts'
import type { Server } from '../server/server.ts'
import type { Statement } from '../server/statement-registry.ts'
import { type TextKind, textKind } from '../sql/text-kind.ts'
import { MAX_AUTO_PREPARED_BYTES } from '../wire/limits.ts'
import { InFlight } from './in-flight.ts'

export class AutoPrepare {
  readonly inFlight = new InFlight()
  /** As the setting was when the lease began. */
  isOn = false
  /** Of the text that was looked at last. */
  kind: TextKind = 'other'

  leaseBegins({ autoPrepare, maxPreparedStatements }: Pool['settings']): void {
    this.isOn = autoPrepare && maxPreparedStatements > 0
    this.inFlight.leaseBegins()
  }

  /**
   * The shared statement for the Parse with the bytes `start` to `end` (text, zero, parameter types), or null: then it has to go to the
   * server as it is.
   */
  find(pool: Pool, server: Server, buffer: Buffer, start: number, end: number): Statement | null {
    if (end - start > MAX_AUTO_PREPARED_BYTES) {
      this.kind = textKind(buffer, start, start + MAX_AUTO_PREPARED_BYTES)
      return null
    }
    const { statements } = pool
    const meaning = server.profile.meaning(server.context.tracked)
    const { version } = server.statements
    const known = statements.find(buffer, start, end, meaning, version)
    this.kind = known === null ? textKind(buffer, start, textStop(buffer, start, end)) : known.kind
    if (this.kind !== 'planned' || !this.inFlight.isNothingOn(server)) return null
    if (known !== null) return known
    // What is asked for but once, as texts with their values in them are, would only push out what is asked for again.
    return statements.isAskedAgain(buffer, start, end) ? statements.intern(buffer, start, end, meaning, version) : null
  }
}

function textStop(buffer: Buffer, start: number, end: number): number {
  const at = buffer.indexOf(0, start)
  return at === -1 || at > end ? end : at
}
