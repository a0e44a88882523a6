/**
 * What a worker that has died leaves behind: backends of Postgres that do not know yet that nobody listens any more. Each is told goodbye
 * on its connection, of which this process has a second handle, and counts until it has closed that. One that runs a query reads no
 * goodbye before the end of it, so it is cancelled.
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
  /** The number of the permits that it was opened under. */
  readonly pool: number
  readonly connection: Kept | null
  /** Before it is logged in there is none, and nothing to cancel. */
  readonly key: BackendKey | null
}

export interface LeftoversOptions {
  readonly transport: Transport
  readonly keepAlive: KeepAlive
  /** Null where nothing can be encrypted. */
  encryption(how: BackendTls): ServerEncryption | null
  /** Calls back once. */
  later(ms: number, work: () => void): void
}

/**
 * A request is sent again and again: the first may come before the backend has read the query that the worker sent last, and behind that
 * may be others. Twice as much time goes by before the next each time, up to the second of these.
 */
const FIRST_PAUSE_MS = 50
const MAX_PAUSE_MS = 1_000

/** A backend that has not gone by then cannot be reached, or cannot be stopped. */
const PATIENCE_MS = 30_000

/** Where there is no connection to tell, it should have gone by then. */
const BLIND_PATIENCE_MS = 750

/** How long a cancel request may take. */
const CANCEL_MS = 5_000

export class Leftovers {
  readonly #options: LeftoversOptions
  /** Gives one up, each. */
  readonly #running = new Set<() => void>()

  constructor(options: LeftoversOptions) {
    this.#options = options
  }

  /** Sees to it that a backend ends. `over` is called once it has. */
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

  /** Nothing is waited for any more. */
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
        // Where nobody answers, there is nothing to end either.
        onFailed: () => {},
      },
    )
    later(CANCEL_MS, () => {
      dial.abandon()
      encrypting?.destroy()
      encrypting = null
    })
  }

  /** What is asked for in the clear is seen by others, with the key that it takes. `done` is told null where it cannot be encrypted. */
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
