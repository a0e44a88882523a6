/** Sends cancel requests to servers: https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-CANCELING-REQUESTS */

import type { Clock } from '../base/clock.ts'
import type { Log } from '../base/log.ts'
import type { Channel, Dial, KeepAlive, Transport } from '../net/channel.ts'
import { encodeCancelRequest } from '../wire/startup.ts'
import { atLeast, encrypt } from './encryption.ts'
import type { Server } from './server.ts'

/** The maximum of cancel requests in flight, so that a storm of requests does not become a storm of connections. */
const MAX_IN_FLIGHT = 32

const NOT_CANCELLED = 'The query continues to run, until query_timeout or statement_timeout of PostgreSQL ends it.'

export interface CancelOptions {
  readonly transport: Transport
  readonly clock: Clock
  readonly log: Log
  readonly keepAlive: KeepAlive
  /** `cancel_wait_timeout`: how long a request may wait for its turn, and then again for the server. 0: no limit. */
  timeoutMs(): number
}

/** What the requester of a cancel is asked and notified of. */
export interface CancelWish {
  /** Asked again right before the request is sent: meanwhile the client may have its answer, and the server another client. */
  isStillWanted(): boolean
  /** The request is on its way: from now on it may hit whatever the server does. */
  sent?(): void
  /** The request has succeeded, failed or been dropped: it can no longer hit anything. */
  over(): void
}

interface Request {
  readonly server: Server
  readonly wish: CancelWish
  sinceMs: number
}

interface InFlight extends Request {
  dial: Dial | null
  channel: Channel | null
  isSent: boolean
}

export class CancelSender {
  readonly #options: CancelOptions
  readonly #waiting: Request[] = []
  readonly #inFlight = new Set<InFlight>()
  /** The number of requests that were sent. */
  sent = 0

  constructor(options: CancelOptions) {
    this.#options = options
  }

  get inFlight(): number {
    return this.#inFlight.size
  }

  get waiting(): number {
    return this.#waiting.length
  }

  /** The requests that are not over yet. */
  *[Symbol.iterator](): Generator<{ readonly server: Server; readonly isSent: boolean }> {
    for (const { server } of this.#waiting) yield { server, isSent: false }
    yield* this.#inFlight
  }

  /**
   * Sends a cancel request to the address that this server was dialed at, on a separate connection. From the moment that it is sent until
   * Postgres closes that connection, the server is not reused.
   */
  send(server: Server, wish: CancelWish): void {
    this.#waiting.push({ server, wish, sinceMs: this.#options.clock.nowMs })
    this.#next()
  }

  /** Gives up requests that have taken too long. */
  sweep(): void {
    const timeoutMs = this.#options.timeoutMs()
    if (timeoutMs === 0) return
    const since = this.#options.clock.nowMs - timeoutMs
    while (this.#waiting.length > 0 && (this.#waiting[0] as Request).sinceMs < since) this.#waiting.shift()?.wish.over()
    for (const cancel of this.#inFlight) {
      if (cancel.sinceMs >= since) continue
      // The request may still arrive and hit whatever the server does by then, so the server must not be reused.
      if (cancel.isSent) cancel.server.condemn('cancel_wait_timeout')
      this.#end(cancel)
    }
  }

  /** Drops the requests that wait and gives up those in flight. */
  stop(): void {
    this.#waiting.length = 0
    for (const cancel of this.#inFlight) this.#end(cancel)
  }

  #next(): void {
    while (this.#inFlight.size < MAX_IN_FLIGHT) {
      const request = this.#waiting.shift()
      if (!request) return
      if (request.wish.isStillWanted()) this.#dial(request)
      else request.wish.over()
    }
  }

  #dial(request: Request): void {
    const { transport, clock, keepAlive, log } = this.#options
    const cancel: InFlight = { ...request, sinceMs: clock.nowMs, dial: null, channel: null, isSent: false }
    this.#inFlight.add(cancel)
    cancel.dial = transport.dial(
      { address: request.server.peer, keepAlive },
      {
        onConnected: (channel) => {
          cancel.dial = null
          cancel.channel = channel
          this.#connected(cancel, channel)
        },
        onFailed: (problem) => {
          cancel.dial = null
          log.warning(`a cancel request could not be sent: ${problem.message}`, {
            ...request.server.logFields,
            hint: NOT_CANCELLED,
          })
          this.#end(cancel)
        },
      },
    )
  }

  /** Encrypts the connection if the server's own is encrypted: in clear text, others could read the cancel key. */
  #connected(cancel: InFlight, channel: Channel): void {
    const { address, context, tls, encryption } = cancel.server
    const wanted = tls === '' || encryption === null ? null : atLeast(encryption, context.encryption(address))
    if (wanted === null) {
      this.#send(cancel, channel)
      return
    }
    encrypt(channel, { ...wanted, isRequired: true }, address.host, (result) => {
      if (result instanceof Error) {
        this.#options.log.warning(`a cancel request could not be sent: ${result.message}`, {
          ...cancel.server.logFields,
          hint: NOT_CANCELLED,
        })
        this.#end(cancel)
      } else if (this.#inFlight.has(cancel)) {
        cancel.channel = result
        this.#send(cancel, result)
      } else result.destroy()
    })
  }

  #send(cancel: InFlight, channel: Channel): void {
    channel.listener = { onRead: () => {}, onDrained: () => {}, onClosed: () => this.#end(cancel) }
    if (!cancel.wish.isStillWanted()) {
      this.#end(cancel)
      return
    }
    cancel.isSent = true
    this.sent++
    if (this.#options.log.isDebug) this.#options.log.debug('a cancel request is sent', cancel.server.logFields)
    cancel.server.cancelBegins()
    const message = encodeCancelRequest(cancel.server.pid, cancel.server.cancelKey)
    channel.write(message, 0, message.length)
    cancel.wish.sent?.()
  }

  #end(cancel: InFlight): void {
    if (!this.#inFlight.delete(cancel)) return
    cancel.dial?.abandon()
    cancel.channel?.destroy()
    if (cancel.isSent) cancel.server.cancelEnds()
    cancel.wish.over()
    this.#next()
  }
}
