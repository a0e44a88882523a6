/**
 * A connection that two processes have, so that it outlives the one which uses it: the other neither reads nor writes as long as that one
 * lives, and sees it to its end if it dies.
 */

import { Socket } from 'node:net'
import type { Channel } from './channel.ts'
import { EpollChannel } from './epoll/epoll-channel.ts'
import { NodeChannel } from './node-channel.ts'

/** To be sent to the other process as a handle, and closed then. */
export interface SecondHandle {
  readonly handle: unknown
  close(): void
}

/** Null where the transport has nothing that could be sent, or the system no descriptor left. */
export function secondHandle(channel: Channel): SecondHandle | null {
  if (channel instanceof NodeChannel) {
    const { handle } = channel
    // What is sent is a copy.
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

/** In the other process. */
export class KeptConnection {
  readonly #handle: { close(): void }
  #socket: Socket | null = null

  /** @param handle as it was received */
  constructor(handle: unknown) {
    this.#handle = handle as { close(): void }
  }

  /** Whoever uses it has closed it, or it is given up. */
  letGo(): void {
    if (this.#socket === null) this.#handle.close()
    else this.#socket.destroy()
  }

  /** Nobody uses it any more: says goodbye, and reads what still comes, until the peer has left, too. `left` is called then. */
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
