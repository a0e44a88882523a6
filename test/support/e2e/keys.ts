/** Cancel keys of `pg` clients. */

import type { Client } from 'pg'

/** Returns the key that a `pg` client received at login. */
export function keyOf(client: Client): { pid: number; secret: number } {
  const { processID, secretKey } = client as unknown as { processID: number; secretKey: number }
  return { pid: processID, secret: secretKey }
}
