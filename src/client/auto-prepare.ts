/**
 * Hot path: decides which unnamed statements servers keep, under shared names, so that their next Parse costs nothing. The setting is
 * auto_prepare; docs/auto-prepare.md describes what it is good for, and what not.
 */

import type { Pool } from '../pool/pool.ts'
import { DEBT, type Effect } from '../server/ledger.ts'
import type { Server } from '../server/server.ts'
import type { Statement } from '../server/statement-registry.ts'
import { type TextKind, textKind } from '../sql/text-kind.ts'
import { PARSE_COMPLETE } from '../wire/backend.ts'
import { MAX_AUTO_PREPARED_BYTES } from '../wire/limits.ts'
import { prepare, type Sending } from './preparing.ts'
import type { UnnamedStatement } from './unnamed-statement.ts'

interface AutoPrepareSending extends Sending {
  readonly pool: Pick<Pool, 'settings' | 'counters' | 'statements'>
  readonly leased: Pick<Server, 'ledger' | 'inFlight' | 'unseen' | 'statements' | 'status' | 'profile' | 'context'>
}

export class AutoPrepare {
  /** The setting when the lease began. */
  isOn = false
  /** The kind of the text that was looked at last. */
  kind: TextKind = 'other'

  leaseBegins({ autoPrepare, maxPreparedStatements }: Pool['settings']): void {
    this.isOn = autoPrepare && maxPreparedStatements > 0
  }

  /** How many bytes all statements of one server may take; 0 is no limit. */
  capacityBytes({ autoPrepareMaxBytes }: Pool['settings']): number {
    return this.isOn ? autoPrepareMaxBytes : 0
  }

  /**
   * Handles a Parse of the unnamed statement with the bytes `start` to `end` (text, zero, parameter types): has the server keep it or, if
   * the server has it already, answers the Parse. Returns false if the Parse has to be sent as it is.
   */
  parse(sending: AutoPrepareSending, unnamed: UnnamedStatement, buffer: Buffer, start: number, end: number): boolean {
    const { leased, pool } = sending
    const { ledger, statements } = leased
    const statement = this.#find(sending, buffer, start, end)
    if (statement === null) {
      if (this.kind === 'planned') pool.counters.autoPrepareMisses++
      return false
    }
    const dropped = unnamed.drop(ledger)
    unnamed.share(statement)
    if (statements.has(statement, ledger)) {
      pool.counters.autoPrepareHits++
      pool.counters.statementHits++
      statements.use(statement)
      ledger.owe(DEBT.ours, ledger.mayBeSkipped ? parseComplete(dropped) : PARSED)
    } else {
      pool.counters.autoPrepareMisses++
      prepare(sending, statement, this.capacityBytes(pool.settings), dropped)
    }
    return true
  }

  /** Returns the shared statement for these bytes; null if the Parse has to be sent as it is. */
  #find({ pool, leased }: AutoPrepareSending, buffer: Buffer, start: number, end: number): Statement | null {
    if (end - start > MAX_AUTO_PREPARED_BYTES) {
      this.kind = textKind(buffer, start, start + MAX_AUTO_PREPARED_BYTES)
      return null
    }
    const { statements } = pool
    const { tracked } = leased.context
    const meaning = leased.profile.meaning(tracked)
    const { version } = leased.statements
    const known = statements.find(buffer, start, end, meaning, version)
    const { inFlight, ledger } = leased
    const hasStandardStrings =
      known === null && inFlight.areSettingsKnown(ledger) && leased.profile.hasStandardStrings(tracked)
    this.kind = known?.kind ?? textKind(buffer, start, textStop(buffer, start, end), hasStandardStrings)
    if (this.kind !== 'planned' || leased.unseen.areSet || !inFlight.isNothingOn(leased)) return null
    if (known !== null) return known
    // A text that is asked for only once, such as one with its values in it, would only push out texts that are asked for again.
    if (!statements.isAskedAgain(buffer, start, end)) return null
    return statements.intern(buffer, start, end, meaning, version, hasStandardStrings)
  }
}

const PARSED: Effect = { reply: PARSE_COMPLETE, undo: () => {} }

/** Our answer to a Parse that Postgres may have skipped: if so, `dropped` is undone. */
function parseComplete(dropped: Effect): Effect {
  return { reply: PARSE_COMPLETE, undo: (wasSkipped, batch) => dropped.undo(wasSkipped, batch) }
}

function textStop(buffer: Buffer, start: number, end: number): number {
  const at = buffer.indexOf(0, start)
  return at === -1 || at > end ? end : at
}
