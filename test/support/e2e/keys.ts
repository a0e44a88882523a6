/** By which a client's queries can be cancelled. */

import type { Client } from 'pg'

/** What a `pg` client was told in its welcome. */
export function keyOf(client: Client): { pid: number; secret: number } {
  const { processID, secretKey } = client as unknown as { processID: number; secretKey: number }
  return { pid: processID, secret: secretKey }
}
