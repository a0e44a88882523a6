/**
 * Passes on cancel requests for clients of other poolers (peers). Each request has a connection of its own, and only so many per peer are open
 * at a time.
 */

import type { Clock } from '../base/clock.ts'
import { invariant } from '../base/invariant.ts'
import { Link, type Linked, List } from '../base/list.ts'
import type { Log } from '../base/log.ts'
import type { Address, Channel, Dial, KeepAlive, Transport } from '../net/channel.ts'
import { dialledAddress } from '../net/unix-sockets.ts'
import { encodeCancelRequest } from '../wire/startup.ts'
import type { PeerSnapshot } from './fleet.ts'

/** A line of [peers]. */
export interface Peer {
  readonly id: number
  /** A path is the directory of a unix socket. */
  readonly host: string
  readonly port: number
  /** How many requests may be on their way at once; 0 is no limit. */
  readonly poolSize: number
}

/** How many requests may wait for one peer, so that strangers who name a peer that hangs cannot fill the memory. */
const MAX_WAITING = 1_000

export interface PeerCancelsOptions {
  readonly transport: Transport
  readonly clock: Clock
  readonly log: Log
  readonly keepAlive: KeepAlive
  /** The peers by id, without this pooler itself. Called each time, since a reload may change them. */
  peers(): ReadonlyMap<number, Peer>
  /** `cancel_wait_timeout`: how long a request may wait for its turn, and then for the peer. 0 is no limit. */
  timeoutMs(): number
}

/** The steps of a request, the furthest first. */
const STEPS = ['sent', 'dialing', 'waiting'] as const

/** `over`: the request can no longer hit any query, or has been given up. */
type Step = (typeof STEPS)[number] | 'over'

const MOVES: Readonly<Record<Step, readonly Step[]>> = {
  waiting: ['dialing', 'over'],
  dialing: ['sent', 'over'],
  sent: ['over'],
  over: [],
}

/** The requests to one peer, by their step. */
type Lists = Readonly<Record<(typeof STEPS)[number], List<Request>>>

class Request implements Linked<Request> {
  readonly link = new Link<Request>()
  readonly lane: Lane
  readonly message: Buffer
  readonly over: () => void
  sinceMs: number
  dial: Dial | null = null
  channel: Channel | null = null
  #step: Step = 'waiting'

  constructor(lane: Lane, message: Buffer, over: () => void, nowMs: number) {
    this.lane = lane
    this.message = message
    this.over = over
    this.sinceMs = nowMs
    lane.lists.waiting.pushLast(this)
  }

  get step(): Step {
    return this.#step
  }

  enter(next: Step): void {
    const { lists } = this.lane
    const step = this.#step
    invariant(step !== 'over' && MOVES[step].includes(next), `a cancel request cannot go from ${step} to ${next}`)
    lists[step].remove(this)
    this.#step = next
    if (next !== 'over') lists[next].pushLast(this)
  }
}

/** All requests to one peer. A lane exists only while there are any. */
class Lane {
  readonly peerId: number
  readonly lists: Lists = {
    waiting: new List('waiting'),
    dialing: new List('dialing'),
    sent: new List('sent'),
  }

  constructor(peerId: number) {
    this.peerId = peerId
  }

  get onTheirWay(): number {
    return this.lists.dialing.length + this.lists.sent.length
  }

  get isEmpty(): boolean {
    return this.lists.waiting.length + this.onTheirWay === 0
  }

  all(): Request[] {
    return STEPS.flatMap((step) => [...this.lists[step]])
  }
}

export class PeerCancels {
  readonly #options: PeerCancelsOptions
  readonly #lanes = new Map<number, Lane>()

  constructor(options: PeerCancelsOptions) {
    this.#options = options
  }

  /** How many requests are not over yet. */
  get count(): number {
    let count = 0
    for (const lane of this.#lanes.values()) count += lane.lists.waiting.length + lane.onTheirWay
    return count
  }

  /** What SHOW PEERS and SHOW PEER_POOLS show about this process. */
  snapshot(): PeerSnapshot[] {
    return [...this.#options.peers().values()].map((peer) => {
      const lists = this.#lanes.get(peer.id)?.lists
      const { waiting = 0, dialing = 0, sent = 0 } = lists ? lengthsOf(lists) : {}
      return { ...peer, cancels: { waiting, dialing, sent } }
    })
  }

  /** Passes on a request. Calls `over` once the peer has closed the connection, or the request is given up. */
  send(peerId: number, pid: number, secret: Buffer, over: () => void): void {
    const { peers, clock, log } = this.#options
    if (!peers().has(peerId)) {
      log.debug(`a cancel request is for peer ${peerId}, which is not in [peers]`)
      over()
      return
    }
    const lane = this.#lanes.get(peerId) ?? new Lane(peerId)
    this.#lanes.set(peerId, lane)
    if (lane.lists.waiting.length >= MAX_WAITING) {
      this.#warn(peerId, `${MAX_WAITING} others are already waiting`)
      over()
      return
    }
    new Request(lane, encodeCancelRequest(pid, secret), over, clock.nowMs)
    this.#goOn(lane)
  }

  /** Gives up requests that have taken too long. */
  sweep(): void {
    const { timeoutMs, clock } = this.#options
    if (timeoutMs() === 0) return
    const since = clock.nowMs - timeoutMs()
    for (const lane of [...this.#lanes.values()]) {
      const overdue = lane.all().filter(({ sinceMs }) => sinceMs < since)
      if (overdue.length === 0) continue
      this.#warn(lane.peerId, `cancel_wait_timeout (${overdue.length} requests)`)
      for (const request of overdue) this.#end(request)
      this.#goOn(lane)
    }
  }

  /** Gives up all requests. */
  stop(): void {
    for (const lane of this.#lanes.values()) for (const request of lane.all()) this.#end(request)
    this.#lanes.clear()
  }

  #goOn(lane: Lane): void {
    const { lists, peerId } = lane
    while (lists.waiting.first) {
      const peer = this.#options.peers().get(peerId)
      if (peer === undefined) this.#end(lists.waiting.first)
      else if (peer.poolSize > 0 && lane.onTheirWay >= peer.poolSize) break
      else this.#dial(lists.waiting.first, dialledAddress(peer))
    }
    if (lane.isEmpty) this.#lanes.delete(peerId)
  }

  #dial(request: Request, address: Address): void {
    const { transport, clock, keepAlive } = this.#options
    request.enter('dialing')
    request.sinceMs = clock.nowMs
    request.dial = transport.dial(
      { address, keepAlive },
      {
        onConnected: (channel) => {
          request.dial = null
          this.#connected(request, channel)
        },
        onFailed: (problem) => {
          request.dial = null
          this.#warn(request.lane.peerId, problem.message)
          this.#finish(request)
        },
      },
    )
  }

  #connected(request: Request, channel: Channel): void {
    request.enter('sent')
    request.channel = channel
    channel.listener = { onRead: () => {}, onDrained: () => {}, onClosed: () => this.#finish(request) }
    channel.write(request.message, 0, request.message.length)
  }

  /** The peer has closed the connection, or there was none. */
  #finish(request: Request): void {
    if (request.step === 'over') return
    this.#end(request)
    this.#goOn(request.lane)
  }

  #end(request: Request): void {
    request.enter('over')
    request.dial?.abandon()
    request.channel?.destroy()
    request.over()
  }

  #warn(peerId: number, why: string): void {
    this.#options.log.warning(`a cancel request could not be passed on to peer ${peerId}: ${why}`, { peer: peerId })
  }
}

function lengthsOf(lists: Lists): PeerSnapshot['cancels'] {
  return { waiting: lists.waiting.length, dialing: lists.dialing.length, sent: lists.sent.length }
}
