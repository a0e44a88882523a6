/** The connections of an HTTP server: a newcomer always finds room, since whoever is missed least makes way. */

import type { Duplex } from 'node:stream'

/** `asking`: its first request has not come whole. `idle`: between two requests. */
export type ConnectionState = 'asking' | 'answered' | 'streamed' | 'idle'

/** Not whoever has a stream: those have a limit of their own, which leaves room for others. */
const MAKES_WAY: readonly ConnectionState[] = ['idle', 'asking', 'answered']

/**
 * Whose connection is closed for a newcomer. -1 if nobody's.
 * @param states those come first that have been as they are for longest
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
  /** Fewer than connections. */
  readonly streams: number
}

interface Connection {
  readonly state: ConnectionState
  /** Several, if requests come without waiting for answers. */
  readonly unanswered: number
}

export class HttpConnections {
  readonly #limits: ConnectionLimits
  /** In the order in which they have become what they are. */
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

  /** False if there are as many streams as there may be. One behind another would be made for nobody: the first has no end. */
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
