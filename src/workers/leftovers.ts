/**
 * What a worker that has died leaves behind: backends of Postgres that do not know yet that nobody listens any more. Those that run a
 * query notice only at its end, so it is cancelled; until they are gone, their permits are not given to anybody else.
 */

import type { KeepAlive, Transport } from '../net/channel.ts'
import { encodeCancelRequest } from '../wire/startup.ts'
import type { BackendKey } from './messages.ts'

export interface LeftoversOptions {
  readonly transport: Transport
  readonly keepAlive: KeepAlive
  /** Calls back once. */
  later(ms: number, work: () => void): void
}

/**
 * A request is sent twice, since the first may come before the backend has read the query that the worker sent last. After the second,
 * the backend has as long again to end.
 */
const ROUNDS = 2
const ROUND_MS = 200

export class Leftovers {
  readonly #options: LeftoversOptions

  constructor(options: LeftoversOptions) {
    this.#options = options
  }

  /** Sees to it that these backends end. `over` is called when they should have. */
  clear(backends: Iterable<BackendKey>, over: () => void): void {
    this.#round([...backends], ROUNDS, over)
  }

  #round(backends: readonly BackendKey[], rounds: number, over: () => void): void {
    if (rounds === 0) {
      over()
      return
    }
    for (const backend of backends) this.#cancel(backend)
    this.#options.later(ROUND_MS, () => this.#round(backends, rounds - 1, over))
  }

  #cancel({ address, pid, secret }: BackendKey): void {
    const { transport, keepAlive, later } = this.#options
    const message = encodeCancelRequest(pid, Buffer.from(secret, 'hex'))
    const dial = transport.dial(
      { address, keepAlive },
      {
        onConnected(channel) {
          channel.listener = { onRead: () => {}, onDrained: () => {}, onClosed: () => {} }
          channel.write(message, 0, message.length)
          channel.close()
        },
        // Where nobody answers, there is nothing to end either.
        onFailed: () => {},
      },
    )
    later(ROUNDS * ROUND_MS, () => dial.abandon())
  }
}
