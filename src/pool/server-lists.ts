/** The servers of one pool, each in the list of its state. Counts are the lengths of these lists, so they cannot drift. */

import { List } from '../base/list.ts'
import type { Address } from '../net/channel.ts'
import type { Profile } from '../server/profile.ts'
import type { Server } from '../server/server.ts'
import { SERVER_STATES, type ServerState } from '../server/states.ts'

/** How many idle servers are examined to find one whose settings need no change. */
const MAX_IDLE_LOOKS = 16

export class ServerLists {
  readonly of: Readonly<Record<ServerState, List<Server>>>
  /** All servers that Postgres may still count, including closing ones whose connection has not ended yet. */
  connected = 0

  constructor() {
    this.of = Object.fromEntries(SERVER_STATES.map((state) => [state, new List<Server>(state)])) as Record<
      ServerState,
      List<Server>
    >
  }

  add(server: Server): void {
    this.#list(server.state).pushLast(server)
    this.connected++
  }

  /** @param isFirst puts it in front of the others in its new state */
  move(server: Server, from: ServerState, to: ServerState, isFirst: boolean): void {
    this.#list(from).remove(server)
    // Closed servers are kept in no list.
    if (to === 'closed') this.connected--
    else if (isFirst) this.#list(to).pushFirst(server)
    else this.#list(to).pushLast(server)
  }

  /** Each transaction looks up `idle` and `leased`. V8 finds a property by a literal name faster than by a name in a variable. */
  #list(state: ServerState): List<Server> {
    if (state === 'idle') return this.of.idle
    if (state === 'leased') return this.of.leased
    return this.of[state]
  }

  get total(): number {
    return this.connected - this.of.closing.length
  }

  /** Dialing or logging in. */
  get opening(): number {
    return this.of.dialing.length + this.of.login.length
  }

  /** A copy, so that servers may be closed during the iteration. */
  get all(): Server[] {
    return SERVER_STATES.flatMap((state) => [...this.of[state]])
  }

  /** Returns an idle server that has the wanted settings already, if one is among the first MAX_IDLE_LOOKS; otherwise the first idle one, or null. */
  bestIdle(wanted: Profile): Server | null {
    const { first } = this.of.idle
    let server = first
    for (let looks = MAX_IDLE_LOOKS; server !== null && looks > 0; looks--) {
      if (server.profile === wanted) return server
      server = server.link.after
    }
    return first
  }

  /** The idle server that was used longest ago. */
  get longestIdle(): Server | null {
    let longest: Server | null = null
    for (const server of this.of.idle) if (!longest || server.usedMs < longest.usedMs) longest = server
    return longest
  }

  /** Gives up servers that take too long to connect, to log in, or to answer a query of the pooler itself. A timeout of 0 disables this. */
  timeOut(nowMs: number, timeoutMs: number): void {
    if (timeoutMs === 0) return
    for (const [state, reason] of TIMED)
      for (const server of this.of[state])
        if (nowMs - server.sinceMs > timeoutMs) {
          if (state === 'checking') this.#condemnAsSilent(server)
          server.giveUp(reason)
        }
  }

  /**
   * A server did not answer its check. Whatever cut it off silently has probably also cut off the idle servers of the same address that have not
   * answered since the check began, so those are condemned too. If each were checked in turn, a waiting client would have to sit through all the
   * timeouts.
   */
  #condemnAsSilent({ peer, sinceMs }: Server): void {
    for (const server of this.#idleAt(peer))
      if (server.checkedMs < sinceMs)
        server.condemn('another server at the same address does not answer (server_connect_timeout)')
  }

  /**
   * A connection has broken without an error message. When another machine takes over an address, all connections to it break, but each breaks
   * only once something is sent on it. So the idle servers of the same address must be checked before they are used.
   */
  doubtBeside({ peer }: Server): void {
    for (const server of this.#idleAt(peer)) server.checkedMs = -Infinity
  }

  /** A copy: servers may leave the list during the iteration. */
  #idleAt({ host, port }: Address): Server[] {
    return [...this.of.idle].filter(({ peer }) => peer.host === host && peer.port === port)
  }
}

/** States with a time limit, and the reason that is logged when it is exceeded. */
const TIMED: readonly (readonly [ServerState, string])[] = [
  ['dialing', 'connect timeout'],
  ['login', 'connect timeout'],
  ['checking', 'no answer while checking (server_connect_timeout)'],
  ...(['aligning', 'restoring', 'cleaning'] as const).map(
    (state) => [state, `no answer while ${state} (server_connect_timeout)`] as const,
  ),
]
