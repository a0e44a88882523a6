/** Hot path: the Parse of a statement that the client names. Servers keep the statement under its shared name, and do not know the client's. */

import type { Pool } from '../pool/pool.ts'
import { PoolerError } from '../problems.ts'
import { DEBT } from '../server/ledger.ts'
import type { Server } from '../server/server.ts'
import { PARSE_COMPLETE, STATUS_FAILED } from '../wire/backend.ts'
import { MAX_CLIENT_STATEMENTS_BYTES } from '../wire/limits.ts'
import { type FailingSending, failInServer } from './failing.ts'
import { parseInVain, prepare } from './preparing.ts'
import { asksForRows, type ShapeSending } from './shapes.ts'
import { sharedFor } from './sharing.ts'
import type { StatementNames } from './statement-names.ts'

interface NamingSending extends FailingSending, ShapeSending {
  readonly pool: Pick<Pool, 'settings' | 'counters' | 'errors' | 'statements'>
  readonly leased: Pick<Server, 'context' | 'inFlight' | 'ledger' | 'profile' | 'statements' | 'status' | 'unseen'>
}

/**
 * Handles the Parse that gives this name to the statement in bytes `start` to `end` (text, zero, parameter types): has the server prepare
 * that one, answers the Parse if the server has it already, or refuses the Parse as Postgres would. Returns false if it has to be shown again
 * when the server has been asked about the statement's rows.
 *
 * @param name as `keyOf` writes it; it is not in doubt
 * @param capacityBytes how many bytes all statements of the server may take; 0 is no limit
 */
export function parseNamed(
  sending: NamingSending,
  names: StatementNames,
  name: string,
  buffer: Buffer,
  start: number,
  end: number,
  capacityBytes: number,
): boolean {
  const { leased, pool } = sending
  const { statements, ledger } = leased
  if (names.has(name)) {
    // Postgres finds out about the name last: an error in the text, or the one of a failed transaction, comes first.
    parseInVain(sending, buffer.subarray(start, end))
    failInServer(sending, new PoolerError('statement-exists', { name: Buffer.from(name, 'latin1').toString() }))
    return true
  }
  if (!names.hasRoomFor(name, end - start)) {
    failInServer(sending, new PoolerError('too-many-statements', { limit: MAX_CLIENT_STATEMENTS_BYTES }))
    return true
  }
  // In a transaction that has failed, or may have failed when the Parse arrives, only Postgres knows what it refuses: it must see the Parse.
  const isRefusable = leased.status === STATUS_FAILED || ledger.awaitsReady
  const statement = sharedFor(sending, buffer, start, end)
  if (asksForRows(sending, statement, capacityBytes)) return false
  if (statements.has(statement, ledger) && !isRefusable) {
    pool.counters.statementHits++
    statements.use(statement)
    ledger.owe(DEBT.ours, names.give(name, statement, ledger, PARSE_COMPLETE))
  } else prepare(sending, statement, capacityBytes, names.give(name, statement, ledger, null))
  return true
}
