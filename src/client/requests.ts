/**
 * Hot path: THE table of what clients may send, and what each message means to a lease.
 * https://www.postgresql.org/docs/current/protocol-message-formats.html
 */

import { DEBT } from '../server/ledger.ts'
import { HEADER_BYTES, needsTable } from '../wire/frames.ts'
import { MAX_PREFIX_BYTES } from '../wire/limits.ts'

export interface RequestRow {
  /** How much of the message is looked at. */
  readonly needs: number
  /** What the server owes for it; null for nothing. */
  readonly debt: number | null
  /**
   * What it means to a session that holds no server: `begins` a request and so needs one; is a `leftover` of a COPY that the server
   * has already ended, and is dropped; or is handled by the session itself.
   */
  readonly withoutLease: 'begins' | 'leftover' | 'own'
}

/** Enough of a query to tell whether it is a DEALLOCATE or DISCARD. */
const QUERY_PREFIX_BYTES = 40

export const REQUESTS: Readonly<Record<string, RequestRow>> = {
  Q: { needs: QUERY_PREFIX_BYTES, debt: DEBT.query, withoutLease: 'begins' },
  P: { needs: MAX_PREFIX_BYTES, debt: DEBT.parse, withoutLease: 'begins' },
  B: { needs: MAX_PREFIX_BYTES, debt: DEBT.bind, withoutLease: 'begins' },
  D: { needs: MAX_PREFIX_BYTES, debt: DEBT.describe, withoutLease: 'begins' },
  E: { needs: HEADER_BYTES, debt: DEBT.execute, withoutLease: 'begins' },
  C: { needs: MAX_PREFIX_BYTES, debt: DEBT.close, withoutLease: 'begins' },
  S: { needs: HEADER_BYTES, debt: DEBT.sync, withoutLease: 'begins' },
  F: { needs: HEADER_BYTES, debt: DEBT.functionCall, withoutLease: 'begins' },
  H: { needs: HEADER_BYTES, debt: null, withoutLease: 'leftover' },
  d: { needs: HEADER_BYTES, debt: null, withoutLease: 'leftover' },
  c: { needs: HEADER_BYTES, debt: DEBT.copyEnd, withoutLease: 'leftover' },
  f: { needs: HEADER_BYTES, debt: DEBT.copyEnd, withoutLease: 'leftover' },
  X: { needs: HEADER_BYTES, debt: null, withoutLease: 'own' },
  p: { needs: HEADER_BYTES, debt: null, withoutLease: 'own' },
}

/** For `Frames.read`. */
export const REQUEST_NEEDS = needsTable(
  Object.fromEntries(Object.entries(REQUESTS).map(([type, row]) => [type, row.needs])),
)

/** By type byte; 0 where nothing is owed. */
export const REQUEST_DEBTS = new Uint8Array(256)

/** By type byte. */
export const BEGINS_REQUEST = new Uint8Array(256)

for (const [type, row] of Object.entries(REQUESTS)) {
  REQUEST_DEBTS[type.charCodeAt(0)] = row.debt ?? 0
  BEGINS_REQUEST[type.charCodeAt(0)] = row.withoutLease === 'begins' ? 1 : 0
}
