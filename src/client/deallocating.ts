/** Hot path: a DEALLOCATE that a client sends by the extended protocol, of a statement that has another name on servers. */

import { DEBT, type Effect, SWALLOW } from '../server/ledger.ts'
import { SHARED_PREFIX } from '../server/statement-registry.ts'
import { deallocatedName, mayDeallocate } from '../sql/deallocate.ts'
import { encodeCloseStatement, encodeParse, textEnd } from '../wire/frontend.ts'
import type { Sending } from './preparing.ts'
import { keyOf, type StatementNames } from './statement-names.ts'

const DOOMED = `${SHARED_PREFIX}doomed`
/** Makes a statement, after what may be left of the last one, and lets the client's unnamed statement be the one that drops it. */
const PARSE_DEALLOCATE = Buffer.concat([
  encodeCloseStatement(DOOMED),
  encodeParse(DOOMED, Buffer.from('\0\0\0')),
  encodeParse('', Buffer.from(`deallocate ${DOOMED}\0\0\0`)),
])

/**
 * An unnamed statement is being parsed, with the text from `start` on. If that drops a statement of the client's, which others may use
 * too, the server gets one to drop in its place, so that each reply is the one that is due; psycopg 3 drops its statements like that.
 * Returns false if the Parse has to go as it is.
 *
 * @param length of all of the message
 * @param dropped hangs on the Parse
 */
export function parseDeallocate(
  { leased: { ledger }, toServer }: Sending,
  names: StatementNames | null,
  buffer: Buffer,
  start: number,
  end: number,
  length: number,
  dropped: Effect,
): boolean {
  if (names === null || !mayDeallocate(buffer, start, length)) return false
  const textStop = textEnd(buffer, start, end)
  const name = textStop === -1 ? null : deallocatedName(buffer.toString('utf8', start, textStop))
  const taken = name === null ? null : names.take(keyOf(name), ledger, null, dropped)
  if (taken === null) return false
  ledger.owe(DEBT.close | SWALLOW)
  ledger.owe(DEBT.parse | SWALLOW)
  ledger.owe(DEBT.parse, taken)
  toServer.addAll(PARSE_DEALLOCATE)
  return true
}
