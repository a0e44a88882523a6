/** Hot path: a DEALLOCATE that a client sends by the extended protocol, for a statement that has another name on servers. */

import { DEBT, type Effect } from '../server/ledger.ts'
import { deallocatedName, mayDeallocate } from '../sql/deallocate.ts'
import { encodeParse, textEnd } from '../wire/frontend.ts'
import { DEALLOCATE_DOOMED, makeDoomed, type Sending } from './preparing.ts'
import { keyOf, type StatementNames } from './statement-names.ts'

const PARSE_DEALLOCATE = encodeParse('', DEALLOCATE_DOOMED)

/**
 * Handles the Parse of an unnamed statement if its text, from `start` on, drops a statement of the client's. Other clients may use that
 * one too, so the server is given a statement to drop in its place, and each reply is the one that is due. psycopg 3 drops its statements
 * like that. Returns false if the Parse has to be sent as it is.
 *
 * @param length of the whole message
 * @param dropped the effect of the Parse, which is undone with it
 */
export function parseDeallocate(
  sending: Sending,
  names: StatementNames | null,
  buffer: Buffer,
  start: number,
  end: number,
  length: number,
  dropped: Effect,
): boolean {
  const { ledger } = sending.leased
  if (names === null || !mayDeallocate(buffer, start, end, length)) return false
  const textStop = textEnd(buffer, start, end)
  const name = textStop === -1 ? null : deallocatedName(buffer.toString('utf8', start, textStop))
  const taken = name === null ? null : names.take(keyOf(name), ledger, null, dropped)
  if (taken === null) return false
  makeDoomed(sending)
  ledger.owe(DEBT.parse, taken)
  sending.toServer.addAll(PARSE_DEALLOCATE)
  return true
}
