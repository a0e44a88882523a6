/**
 * Hot path: back-pressure between a client and its server. A peer is not read while the other one cannot take more, so that what is kept
 * for either is bounded.
 */

import type { Server } from '../server/server.ts'
import { FLUSH } from '../wire/frontend.ts'
import type { Host } from './host.ts'

/** How many replies a server may owe before its client is no longer read. Some pipelines send thousands of requests at once. */
export const MAX_DEBTS = 4_096

type Reader = Pick<Host, 'channel' | 'stopReading'>
type Replier = Pick<Server, 'channel' | 'ledger' | 'send' | 'stopReading'>

/** The client has been read; `server` is null if it holds none. `isMidRequest`: a message has been passed on only in part. */
export function afterRequests(session: Reader, server: Replier | null, isMidRequest: boolean): void {
  session.stopReading('server-full', server !== null && isServerFull(server, isMidRequest))
  // During replication (`both`) Postgres goes on reading while its stream is not taken, and the client's messages tell it that the client
  // is alive. So read them even then.
  session.stopReading('client-full', session.channel.owedBytes > 0 && server?.ledger.copy !== 'both')
}

/** The server has been read. */
export function afterReplies(session: Reader, server: Replier): void {
  if (session.channel.owedBytes > 0) server.stopReading('client-full', true)
  if (server.ledger.length <= MAX_DEBTS) session.stopReading('server-full', server.channel.owedBytes > 0)
}

/** The server has taken all that was written to it. */
export function afterServerDrained(session: Reader, server: Replier | null, isMidRequest: boolean): void {
  session.stopReading('server-full', server !== null && isServerFull(server, isMidRequest))
}

/** Whether the server takes no more bytes, or owes so many replies that its ledger must not grow further. */
function isServerFull(server: Replier, isMidRequest: boolean): boolean {
  if (server.channel.owedBytes > 0) return true
  if (server.ledger.length <= MAX_DEBTS || isMidRequest) return false
  // Its answers may be waiting in its own buffer for a Sync that we have not read yet.
  server.send(FLUSH)
  return true
}
