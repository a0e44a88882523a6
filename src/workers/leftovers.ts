/**
 * Ends the Postgres backends that a dead worker leaves behind. They do not know yet that nobody listens any more. The primary has a second
 * handle of each connection: it says goodbye there and waits until the backend has closed the connection too. Until then the server counts. A
 * backend that runs a query does not read the goodbye before the end of the query, so the query is canceled.
 */

import type { Channel, KeepAlive, Transport } from '../net/channel.ts'
import type { KeptConnection } from '../net/kept-connection.ts'
import { encrypt, type ServerEncryption } from '../server/encryption.ts'
import { encodeCancelRequest } from '../wire/startup.ts'
import type { BackendKey, BackendTls } from './messages.ts'

/** A second handle of a connection. */
export type Kept = Pick<KeptConnection, 'letGo' | 'finish'>

/** A server whose worker has died. */
export interface Leftover {
  /** The number of the pool whose permit it was opened under. */
  readonly pool: number
  readonly connection: Kept | null
  /** Null before the server is logged in: then there is nothing to cancel. */
  readonly key: BackendKey | null
}

export interface LeftoversOptions {
  readonly transport: Transport
  readonly keepAlive: KeepAlive
  /** Returns null if nothing can be encrypted. */
  encryption(how: BackendTls): ServerEncryption | null
  /** Calls `work` once, after `ms`. */
  later(ms: number, work: () => void): void
}

/**
 * A cancel request is sent again and again: the first may arrive before the backend has read the query that the worker sent last, and more
 * queries may follow that one. The pause before the next request doubles each time, up to MAX_PAUSE_MS.
 */
const FIRST_PAUSE_MS = 50
const MAX_PAUSE_MS = 1_000

/** A backend that has not ended by then cannot be reached, or cannot be stopped. */
const PATIENCE_MS = 30_000

/** The same without a handle of the connection, which would show the end: by then the backend should have ended. */
const BLIND_PATIENCE_MS = 750

/** How long one cancel request may take. */
const CANCEL_MS = 5_000

export class Leftovers {
  readonly #options: LeftoversOptions
  /** Each of these gives up one backend. */
  readonly #running = new Set<() => void>()

  constructor(options: LeftoversOptions) {
    this.#options = options
  }

  /** Makes a backend end. Calls `over` once it has, or once it is given up. */
  clear({ connection, key }: Leftover, over: () => void): void {
    const end = () => {
      if (this.#running.delete(giveUp)) over()
    }
    const giveUp = () => {
      connection?.letGo()
      end()
    }
    this.#running.add(giveUp)
    connection?.finish(end)
    const patienceMs = connection ? PATIENCE_MS : BLIND_PATIENCE_MS
    const look = (passedMs: number, pauseMs: number) => {
      if (!this.#running.has(giveUp)) return
      if (passedMs >= patienceMs) {
        giveUp()
        return
      }
      if (key !== null) this.#cancel(key)
      this.#options.later(pauseMs, () => look(passedMs + pauseMs, Math.min(2 * pauseMs, MAX_PAUSE_MS)))
    }
    look(0, FIRST_PAUSE_MS)
  }

  /** Gives up all backends. */
  stop(): void {
    for (const giveUp of this.#running) giveUp()
  }

  #cancel({ address, pid, secret, tls }: BackendKey): void {
    const { transport, keepAlive, later } = this.#options
    const message = encodeCancelRequest(pid, Buffer.from(secret, 'hex'))
    let encrypting: Channel | null = null
    const send = (channel: Channel) => {
      channel.listener = { onRead: () => {}, onDrained: () => {}, onClosed: () => {} }
      channel.write(message, 0, message.length)
      channel.close()
    }
    const dial = transport.dial(
      { address, keepAlive },
      {
        onConnected: (channel) => {
          if (tls === null) send(channel)
          else {
            encrypting = channel
            this.#encrypt(channel, tls, (encrypted) => {
              if (encrypted === null) channel.destroy()
              else if (encrypting !== null) send(encrypted)
              encrypting = null
            })
          }
        },
        // If nobody answers there, there is nothing to end either.
        onFailed: () => {},
      },
    )
    later(CANCEL_MS, () => {
      dial.abandon()
      encrypting?.destroy()
      encrypting = null
    })
  }

  /** A cancel request in the clear would reveal the cancel key. `done` receives null if the connection cannot be encrypted. */
  #encrypt(channel: Channel, tls: BackendTls, done: (encrypted: Channel | null) => void): void {
    const encryption = this.#options.encryption(tls)
    if (encryption === null) {
      done(null)
      return
    }
    encrypt(channel, { ...encryption, isRequired: true }, tls.host, (result) =>
      done(result instanceof Error ? null : result),
    )
  }
}
