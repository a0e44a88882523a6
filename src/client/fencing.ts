/** Hot path: finds out when the last answer to a Sync within a failed COPY has come. */

import type { Server } from '../server/server.ts'
import { SHARED_PREFIX } from '../server/statement-registry.ts'
import { encodeCloseStatement, FLUSH } from '../wire/frontend.ts'

/** A Close of a statement that does not exist, and a Flush: changes nothing in any transaction state, and is answered at once. */
const FENCE = Buffer.concat([encodeCloseStatement(`${SHARED_PREFIX}fence`), FLUSH])

/**
 * A COPY has failed after Syncs were sent in it. The server answers those Syncs that it had not read by then, and nobody knows which. The
 * answer to the fence comes after all of them. Without the fence, a surplus ReadyForQuery could reach the next client, or this client
 * could get its own too late.
 */
export function fenceIfNeeded(server: Pick<Server, 'ledger' | 'send'>, isMidRequest: boolean): void {
  if (!server.ledger.needsFence || isMidRequest) return
  server.ledger.oweFence()
  server.send(FENCE)
}
