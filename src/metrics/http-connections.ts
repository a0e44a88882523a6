/** Tracks the connections of an HTTP server. At the limit, a new connection replaces the least important one instead of being refused. */

import type { Duplex } from 'node:stream'

/** `asking`: its first request has not arrived completely. `idle`: between two requests. */
export type ConnectionState = 'asking' | 'answered' | 'streamed' | 'idle'

/** The states in which a connection can be replaced, first choice first. Not streams: they have their own, lower limit. */
const MAKES_WAY: readonly ConnectionState[] = ['idle', 'asking', 'answered']

/**
 * Returns the index of the connection to close for a new one; -1 if there is none.
 *
 * @param states the states of all connections, the one that has been unchanged for longest first
 */
export function whoMakesWay(states: readonly ConnectionState[]): number {
  for (const state of MAKES_WAY) {
    const found = states.indexOf(state)
    if (found >= 0) return found
  }
  return -1
}

export interface ConnectionLimits {
  readonly connections: number
  /** Must be less than `connections`. */
  readonly streams: number
}

interface Connection {
  readonly state: ConnectionState
  /** May be more than 1, since a client can send requests without waiting for answers. */
  readonly unanswered: number
}

export class HttpConnections {
  readonly #limits: ConnectionLimits
  /** In the order of their last change of state. */
  readonly #connections = new Map<Duplex, Connection>()

  constructor(limits: ConnectionLimits) {
    this.#limits = limits
  }

  add(socket: Duplex): void {
    if (this.#connections.size >= this.#limits.connections) this.#makeWay()
    this.#connections.set(socket, { state: 'asking', unanswered: 0 })
    socket.once('close', () => this.#connections.delete(socket))
  }

  onRequest(socket: Duplex): void {
    const connection = this.#connections.get(socket)
    if (connection === undefined) return
    const { state, unanswered } = connection
    this.#set(socket, { state: state === 'streamed' ? state : 'answered', unanswered: unanswered + 1 })
  }

  onAnswered(socket: Duplex): void {
    const connection = this.#connections.get(socket)
    if (connection === undefined) return
    const unanswered = connection.unanswered - 1
    this.#set(socket, { state: unanswered > 0 ? 'answered' : 'idle', unanswered })
  }

  /**
   * Marks a connection as streaming. Returns false if the limit on streams is reached, or if the connection already has a stream: since that
   * stream does not end, the answer to a second request would never be sent.
   */
  takeStream(socket: Duplex): boolean {
    let streams = 0
    for (const { state } of this.#connections.values()) if (state === 'streamed') streams++
    const connection = this.#connections.get(socket)
    if (connection === undefined || connection.state === 'streamed' || streams >= this.#limits.streams) return false
    this.#set(socket, { ...connection, state: 'streamed' })
    return true
  }

  #set(socket: Duplex, connection: Connection): void {
    this.#connections.delete(socket)
    this.#connections.set(socket, connection)
  }

  #makeWay(): void {
    const socket = [...this.#connections.keys()][whoMakesWay([...this.#connections.values()].map(({ state }) => state))]
    if (socket === undefined) return
    this.#connections.delete(socket)
    socket.destroy()
  }
}
