/** What becomes of a server that cannot go back when its client has gone: what it runs is cancelled for certain, and it is closed. */

import type { CancelSender } from '../server/cancel.ts'
import type { Server } from '../server/server.ts'
import type { Tenant } from '../server/tenant.ts'
import { decodeCommandTag } from '../wire/backend.ts'
import { type FrameSink, HEADER_BYTES } from '../wire/frames.ts'
import { FLUSH, TERMINATE } from '../wire/frontend.ts'
import { BACKEND } from '../wire/types.ts'
import { REPLY_NEEDS } from './replies.ts'
import { changesSchema, isRareTag } from './tags.ts'

/** How long after a cancel request whatever it was meant for may still run, before another one is sent. */
export const CANCEL_AGAIN_MS = 1_000

/** What runs on for so long after its client has gone, whatever is sent, cannot be cancelled. */
export const GIVE_UP_MS = 10_000

const REASON = 'client disconnected with query in progress'

/** How the client has left it. */
export interface Leaving {
  readonly cancels: CancelSender
  /** The last message is not complete, and never will be. */
  readonly isMidRequest: boolean
  /** Bytes of replies that the client has not taken. */
  readonly owedToClient: number
  /** Others will see another schema if what runs is its COMMIT. */
  readonly hasChangedSchema: boolean
  /** Not the client has left: it was sent away by a timeout, which is why the server ends, too; null for all others. */
  readonly overdue: string | null
}

/** Nothing of what this server still sends may reach anybody: what it runs is cancelled, and it is closed. */
export function abandon(server: Server, leaving: Leaving): void {
  if (server.ledger.copy === 'both') endStream(server, leaving)
  else if (server.ledger.isEmpty) closeUnclean(server, leaving)
  else cancelAndClose(server, leaving)
}

/** It ends by itself when its client has gone. A cancel might overtake what the client has said last: how far it has come. */
function endStream(server: Server, { isMidRequest }: Leaving): void {
  server.tenant = null
  server.stopReading('client-full', false)
  // Within a message it would be taken for a part of that.
  if (!isMidRequest) server.send(TERMINATE)
  server.close('replication client has left')
}

function closeUnclean(server: Server, { owedToClient, overdue }: Leaving): void {
  // The session is over, and must not hear of the server's end as if it were the reason.
  server.tenant = null
  if (overdue !== null) server.close(overdue)
  else if (owedToClient > 0 && server.isClean)
    server.close('client disconnect before everything was sent to the server')
  else server.close('client disconnect while server was not ready')
}

function cancelAndClose(server: Server, leaving: Leaving): void {
  const { isMidRequest } = leaving
  const abandoned = new Abandoned(server, leaving)
  server.tenant = abandoned
  server.condemned = abandoned.reason
  // It may have been paused for a client that did not read, and a server that cannot write does not read either.
  server.stopReading('client-full', false)
  // What it has answered may wait in its own buffer for a Sync; and a Sync might commit what the client has left half done.
  if (server.ledger.isBatchOpen && !isMidRequest) server.send(FLUSH)
  abandoned.cancel()
}

/**
 * Stands in for the client, and counts the replies that come. A request to cancel that reaches Postgres before the query does hits
 * nothing, and Postgres does not tell; so it is sent again as long as anything is owed.
 */
class Abandoned implements Tenant, FrameSink {
  readonly reason: string
  readonly #server: Server
  readonly #cancels: CancelSender
  /** How many of the replies that are owed will never come. */
  readonly #owedInVain: number
  readonly #sinceMs: number
  /** When the last request was sent, or given up; null while it is to be sent. */
  #sentMs: number | null = null
  /** Postgres has closed the connection of a request: the server has been told. */
  #hasArrived = false
  /** Tables have changed, if it was not cancelled in time. */
  #hasChangedSchema: boolean

  constructor(server: Server, { cancels, isMidRequest, hasChangedSchema, overdue }: Leaving) {
    this.reason = overdue ?? REASON
    this.#server = server
    this.#cancels = cancels
    this.#owedInVain = isMidRequest ? 1 : 0
    this.#hasChangedSchema = hasChangedSchema
    this.#sinceMs = server.context.clock.nowMs
  }

  cancel(): void {
    const server = this.#server
    let isSent = false
    this.#sentMs = null
    this.#cancels.send(server, {
      isStillWanted: () => !server.isOver,
      sent: () => {
        isSent = true
        this.#sentMs = server.context.clock.nowMs
      },
      over: () => {
        this.#hasArrived ||= isSent
        this.#sentMs ??= server.context.clock.nowMs
        this.#closeIfDone()
      },
    })
  }

  onSweep(nowMs: number): void {
    if (nowMs - this.#sinceMs > GIVE_UP_MS) this.#server.close(`${REASON}, which could not be cancelled`)
    else if (this.#sentMs !== null && nowMs - this.#sentMs >= CANCEL_AGAIN_MS) this.cancel()
  }

  onReplies(buffer: Buffer, start: number, end: number): void {
    this.#server.frames.read(buffer, start, end, REPLY_NEEDS, this)
    this.#closeIfDone()
  }

  onServerDrained(): void {}

  onServerGone(): void {
    if (this.#hasChangedSchema) this.#server.context.schema.changed()
  }

  #closeIfDone(): void {
    const { ledger } = this.#server
    const isDone = ledger.length <= this.#owedInVain
    // A COPY that waits for data is not interrupted before it gets some; the end of the connection ends it.
    const waitsForData = ledger.copy === 'open' && this.#hasArrived
    if (isDone || waitsForData) this.#server.close(this.reason)
  }

  // Replies

  frame(type: number, buffer: Buffer, start: number, end: number, length: number): boolean {
    if (type === BACKEND.parameterStatus) return true
    if (type === BACKEND.commandComplete && isRareTag(buffer, start + HEADER_BYTES))
      this.#hasChangedSchema ||= changesSchema(decodeCommandTag(buffer, start, end))
    // The client may have got the first part of a RowDescription: it counts with its last byte, as in `Replies`.
    if (type !== BACKEND.rowDescription || end - start === length) this.#settle(type)
    return true
  }

  rest(type: number, _buffer: Buffer, _start: number, _end: number, isLast: boolean): void {
    if (isLast && type === BACKEND.rowDescription) this.#settle(type)
  }

  pass(): void {}

  refuse(): void {
    this.#server.close('the server sent nonsense after its client had gone')
  }

  #settle(type: number): void {
    const { ledger } = this.#server
    if ((type === BACKEND.error ? ledger.fail() : ledger.settle(type)) === 'nonsense') this.refuse()
    while (ledger.takeOurs() !== null) {}
  }
}
