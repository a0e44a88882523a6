/**
 * A connection that two processes hold, so that it outlives the process that uses it. As long as that process lives, the other one neither
 * reads nor writes; if it dies, the other one ends the connection in good order.
 */

import { Socket } from 'node:net'
import type { Channel } from './channel.ts'
import { EpollChannel } from './epoll/epoll-channel.ts'
import { NodeChannel } from './node-channel.ts'

/** To be sent to the other process as a handle, and closed afterwards. */
export interface SecondHandle {
  readonly handle: unknown
  close(): void
}

/** Returns null if the transport has nothing that could be sent, or the system has no descriptor left. */
export function secondHandle(channel: Channel): SecondHandle | null {
  if (channel instanceof NodeChannel) {
    const { handle } = channel
    // Sending copies the handle, so there is nothing to close.
    return handle === null ? null : { handle, close: () => {} }
  }
  if (!(channel instanceof EpollChannel)) return null
  let descriptor: number
  try {
    descriptor = channel.share()
  } catch {
    return null
  }
  const socket = new Socket({ fd: descriptor, readable: false, writable: true })
  const { _handle: handle } = socket as unknown as { readonly _handle: unknown }
  return { handle, close: () => socket.destroy() }
}

/** The connection in the other process. */
export class KeptConnection {
  readonly #handle: { close(): void }
  #socket: Socket | null = null

  /** @param handle as it was received */
  constructor(handle: unknown) {
    this.#handle = handle as { close(): void }
  }

  /** Closes our side of it: the process that uses the connection has closed it, or the connection is given up. */
  letGo(): void {
    if (this.#socket === null) this.#handle.close()
    else this.#socket.destroy()
  }

  /** Nobody uses the connection any more: closes our side, and reads what still comes until the peer has closed, too. Then calls `left`. */
  finish(left: () => void): void {
    const options = { handle: this.#handle, allowHalfOpen: true, readable: true, writable: true }
    const socket = new Socket(options as object)
    this.#socket = socket
    socket.on('error', () => {})
    socket.on('end', () => socket.destroy())
    socket.on('close', left)
    socket.resume()
    socket.end()
  }
}
