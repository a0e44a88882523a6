/**
 * Messages to other programs of this machine, each of them whole: the system's log and the service manager take such. Node has no sockets of
 * this kind, so they are made with the system calls of the epoll transport.
 */

import { encodeAddress } from './epoll/addresses.ts'
import { EAGAIN, isForNow, loadSystemCalls, type SystemCalls, systemError } from './epoll/syscalls.ts'

export interface Datagrams {
  /** Never blocks. The receiver is looked for anew where it is another process by now; while it is busy, messages wait. */
  send(message: Buffer): void
  close(): void
}

/** Messages that wait while the receiver is busy. */
const MAX_WAITING = 1_000

/** How often it is tried again. */
const RETRY_MS = 20

/** Of this thread, once they were asked for. */
let calls: SystemCalls | null = null

/**
 * Throws where the system calls cannot be made; the message tells why. Whether there is a receiver is found out by sending.
 * @param onSent told of each message: null if it was taken, or why it is lost
 */
export function openDatagrams(path: string, onSent: (problem: Error | null) => void): Datagrams {
  calls ??= loadSystemCalls()
  return new DatagramSocket(calls, path, onSent)
}

class DatagramSocket implements Datagrams {
  readonly #calls: SystemCalls
  readonly #path: string
  readonly #onSent: (problem: Error | null) => void
  readonly #descriptor: number
  readonly #waiting: Buffer[] = []
  #retry: NodeJS.Timeout | null = null
  #isConnected = false
  #isOpen = true

  constructor(calls: SystemCalls, path: string, onSent: (problem: Error | null) => void) {
    this.#calls = calls
    this.#path = path
    this.#onSent = onSent
    this.#descriptor = calls.datagramSocket()
  }

  send(message: Buffer): void {
    if (!this.#isOpen) return
    if (this.#waiting.length >= MAX_WAITING) {
      this.#onSent(systemError('send', EAGAIN, this.#path))
      return
    }
    this.#waiting.push(message)
    if (this.#retry === null) this.#flush()
  }

  close(): void {
    if (!this.#isOpen) return
    this.#isOpen = false
    if (this.#retry !== null) clearTimeout(this.#retry)
    // The last chance of those that wait.
    for (const message of this.#waiting) this.#sendNow(message)
    this.#calls.close(this.#descriptor)
  }

  #flush(): void {
    for (let message = this.#waiting[0]; message !== undefined; message = this.#waiting[0]) {
      const errno = this.#sendNow(message)
      if (errno < 0 && isForNow(errno)) {
        this.#retry = setTimeout(() => {
          this.#retry = null
          this.#flush()
        }, RETRY_MS)
        this.#retry.unref()
        return
      }
      this.#waiting.shift()
      this.#onSent(errno < 0 ? systemError('send', errno, this.#path) : null)
    }
  }

  #sendNow(message: Buffer): number {
    const wasConnected = this.#isConnected
    const errno = this.#sendOnce(message)
    // A receiver that was started anew is at the same path, and not at the other end of this socket.
    const isOld = errno < 0 && wasConnected && !isForNow(errno)
    return isOld ? this.#sendOnce(message) : errno
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
}
