/** The servers of one pool, each in the list of its state: counts are the lists, and cannot drift. */

import { List } from '../base/list.ts'
import type { Address } from '../net/channel.ts'
import type { Profile } from '../server/profile.ts'
import type { Server } from '../server/server.ts'
import { SERVER_STATES, type ServerState } from '../server/states.ts'

/** How many idle servers are looked at for one whose settings need no change. */
const MAX_IDLE_LOOKS = 16

export class ServerLists {
  readonly of: Readonly<Record<ServerState, List<Server>>>
  /** All that Postgres may see: also those that are not used any more, and whose connection is not gone yet. */
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

  /** @param isFirst in front of the others of its new state */
  move(server: Server, from: ServerState, to: ServerState, isFirst: boolean): void {
    this.#list(from).remove(server)
    // Nothing is to be known of one that is closed.
    if (to === 'closed') this.connected--
    else if (isFirst) this.#list(to).pushFirst(server)
    else this.#list(to).pushLast(server)
  }

  /** Two of them are asked for in each transaction: by their names they are found faster than by a name in a variable. */
  #list(state: ServerState): List<Server> {
    if (state === 'idle') return this.of.idle
    if (state === 'leased') return this.of.leased
    return this.of[state]
  }

  get total(): number {
    return this.connected - this.of.closing.length
  }

  /** Dialling or logging in. */
  get opening(): number {
    return this.of.dialing.length + this.of.login.length
  }

  /** They may be closed while one walks. */
  get all(): Server[] {
    return SERVER_STATES.flatMap((state) => [...this.of[state]])
  }

  /** The next idle server, or one close behind it that has the wanted settings already. */
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

  /** Whoever takes too long to connect, or to answer what we ask for ourselves, is given up. 0 is for ever. */
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
   * One that is checked does not answer: what has cut it off without a word has likely done so to those beside it that have not answered
   * since. Were each asked in its turn, whoever waits would wait for all of their times.
   */
  #condemnAsSilent({ peer, sinceMs }: Server): void {
    for (const server of this.#idleAt(peer))
      if (server.checkedMs < sinceMs) server.condemn('another server there does not answer (server_connect_timeout)')
  }

  /**
   * A connection has broken without a word, as all do of an address that another machine has taken over, but only once something is said
   * on them. Idle ones beside it are to be checked before anybody uses them.
   */
  doubtBeside({ peer }: Server): void {
    for (const server of this.#idleAt(peer)) server.checkedMs = -Infinity
  }

  /** They may leave the list meanwhile. */
  #idleAt({ host, port }: Address): Server[] {
    return [...this.of.idle].filter(({ peer }) => peer.host === host && peer.port === port)
  }
}

/** States that must not last, and what the log says if they do. */
const TIMED: readonly (readonly [ServerState, string])[] = [
  ['dialing', 'connect timeout'],
  ['login', 'connect timeout'],
  ['checking', 'no answer while checking (server_connect_timeout)'],
  ...(['aligning', 'restoring', 'cleaning'] as const).map(
    (state) => [state, `no answer while ${state} (server_connect_timeout)`] as const,
  ),
]
