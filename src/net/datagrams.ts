/**
 * Sends whole messages to other programs on this machine, such as the system's log and the service manager. Node has no sockets of this
 * kind, so they are made with the system calls of the epoll transport.
 */

import { encodeAddress } from './epoll/addresses.ts'
import { EAGAIN, isForNow, loadSystemCalls, type SystemCalls, systemError } from './epoll/syscalls.ts'

export interface Datagrams {
  /** Never blocks. While the receiver is busy, messages wait. If the receiver has been replaced by another process, that one is found again. */
  send(message: Buffer): void
  close(): void
}

/** The most messages that wait while the receiver is busy. Further ones are lost. */
const MAX_WAITING = 1_000

/** Time between attempts while the receiver is busy. */
const RETRY_MS = 20

/** The system calls of this thread, once they were asked for. */
let calls: SystemCalls | null = null

/**
 * Throws if the system calls cannot be made; the message says why. Whether there is a receiver is found out by sending.
 *
 * @param onSent called for each message: with null if it was taken, or with the reason why it is lost
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
    // The last chance for messages that wait.
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
    // A receiver that was restarted listens at the same path, while this socket is still connected to the old one.
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
