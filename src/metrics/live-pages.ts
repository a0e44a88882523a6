/** The live page, and the data that it requests. */

import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describeAddress } from '../net/unix-sockets.ts'
import type { ClientSnapshot, ServerSnapshot } from '../workers/fleet.ts'
import { guarded } from './access.ts'
import type { Answer, Page, Pages, Stream } from './http-server.ts'
import { LiveFeed, type LiveFeedOptions } from './live-feed.ts'

/** The page is next to this file, both in `src` and in the build output. */
const PAGE_FILE = new URL('../metrics/live.html', import.meta.url)

/** The page loads nothing from other sites, sends nothing to them, and cannot be framed. */
const POLICY =
  "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

/** How many clients, and how many servers, of one pool are shown. */
const MAX_SHOWN = 200

/** @param token returns the token that every request except the one for the empty page must carry */
export function livePages(options: LiveFeedOptions, token: () => string): Pages {
  const feed = new LiveFeed(options)
  const page: Page = {
    contentType: 'text/html; charset=utf-8',
    body: readFileSync(fileURLToPath(PAGE_FILE), 'utf8'),
    headers: { 'Content-Security-Policy': POLICY, 'Referrer-Policy': 'no-referrer' },
  }
  return new Map<string, Answer>([
    ['/', () => page],
    ['/live', guarded(token, () => liveStream(feed, token))],
    [
      '/live/pool',
      guarded(token, async ({ url }) => poolPage(options, new URL(url ?? '', 'http://localhost').searchParams)),
    ],
  ])
}

/** https://html.spec.whatwg.org/multipage/server-sent-events.html */
function liveStream(feed: LiveFeed, token: () => string): Stream {
  const cameBy = token()
  return {
    contentType: 'text/event-stream',
    open: (send, end) =>
      feed.watch((view) => {
        // End the stream if the token has changed, perhaps because it had leaked.
        if (token() === cameBy) send(`data: ${JSON.stringify(view)}\n\n`)
        else end()
      }),
  }
}

/** The current clients and servers of one pool. */
async function poolPage({ fleet, names }: LiveFeedOptions, wanted: URLSearchParams): Promise<Page> {
  const isWanted = (pool: { readonly database: string; readonly user: string }) => {
    const { database, user } = names.of(pool)
    return database === wanted.get('database') && user === wanted.get('user')
  }
  const [clients, servers] = await Promise.all([fleet.clients(), fleet.servers()])
  const itsClients = clients.filter(({ database, poolUser: user }) => user !== null && isWanted({ database, user }))
  const itsServers = servers.filter(isWanted)
  // Those that wait or work come first; idle ones are of less interest.
  const body = {
    clients: itsClients.toSorted(byInterest).slice(0, MAX_SHOWN).map(showClient),
    servers: itsServers.toSorted(byInterest).slice(0, MAX_SHOWN).map(showServer),
    left: Math.max(itsClients.length - MAX_SHOWN, 0) + Math.max(itsServers.length - MAX_SHOWN, 0),
  }
  return { contentType: 'application/json', body: JSON.stringify(body) }
}

const INTEREST: readonly string[] = ['waiting', 'active', 'new', 'tested', 'being_canceled', 'used', 'idle']

function byInterest(one: ClientSnapshot | ServerSnapshot, other: ClientSnapshot | ServerSnapshot): number {
  return INTEREST.indexOf(one.state) - INTEREST.indexOf(other.state) || one.requestedAt - other.requestedAt
}

function showClient({
  id,
  user,
  state,
  peer,
  applicationName,
  connectedAt,
  requestedAt,
  waitUs,
  serverId,
  tls,
}: ClientSnapshot) {
  const address = describeAddress(peer)
  return { id, user, state, address, applicationName, connectedAt, requestedAt, waitMs: waitUs / 1000, serverId, tls }
}

function showServer({ id, state, peer, pid, connectedAt, requestedAt, clientId, tls }: ServerSnapshot) {
  return { id, state, address: describeAddress(peer), pid, connectedAt, requestedAt, clientId, tls }
}
