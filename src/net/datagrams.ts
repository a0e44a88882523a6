/**
 * Messages to other programs of this machine, each of them whole: the system's log and the service manager take such. Node has no sockets of
 * this kind, so they are made with the system calls of the epoll transport.
 */

import { encodeAddress } from './epoll/addresses.ts'
import { isForNow, loadSystemCalls, type SystemCalls, systemError } from './epoll/syscalls.ts'

export interface Datagrams {
  /** Returns null, or why it was not taken. It is looked for the receiver anew where that is another process by now. */
  send(message: Buffer): NodeJS.ErrnoException | null
  close(): void
}

/** Of this thread, once they were asked for. */
let calls: SystemCalls | null = null

/** Throws where the system calls cannot be made; the message tells why. Whether there is a receiver is found out by sending. */
export function openDatagrams(path: string): Datagrams {
  calls ??= loadSystemCalls()
  return new DatagramSocket(calls, path)
}

class DatagramSocket implements Datagrams {
  readonly #calls: SystemCalls
  readonly #path: string
  readonly #descriptor: number
  #isConnected = false

  constructor(calls: SystemCalls, path: string) {
    this.#calls = calls
    this.#path = path
    this.#descriptor = calls.datagramSocket()
  }

  send(message: Buffer): NodeJS.ErrnoException | null {
    const wasConnected = this.#isConnected
    const errno = this.#sendOnce(message)
    // Its receiver was started anew since: that one is at the same path, and not at the other end of this socket.
    const isOld = errno < 0 && wasConnected && !isForNow(errno)
    const last = isOld ? this.#sendOnce(message) : errno
    return last < 0 ? systemError('send', last, this.#path) : null
  }

  #sendOnce(message: Buffer): number {
    if (!this.#isConnected) {
      const errno = this.#calls.connect(this.#descriptor, encodeAddress({ host: this.#path, port: 0 }))
      if (errno < 0) return errno
      this.#isConnected = true
    }
    const errno = this.#calls.send(this.#descriptor, message, 0, message.length)
    if (errno < 0 && !isForNow(errno)) this.#isConnected = false
    return errno
  }

  close(): void {
    this.#calls.close(this.#descriptor)
  }
}
