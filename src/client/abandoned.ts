/** Deals with a server that cannot go back to its pool when its client has left: cancels what it runs, for certain, and closes it. */

import type { CancelSender } from '../server/cancel.ts'
import type { Server } from '../server/server.ts'
import type { Tenant } from '../server/tenant.ts'
import { decodeCommandTag } from '../wire/backend.ts'
import { type FrameSink, HEADER_BYTES } from '../wire/frames.ts'
import { FLUSH, TERMINATE } from '../wire/frontend.ts'
import { BACKEND } from '../wire/types.ts'
import { REPLY_NEEDS } from './replies.ts'
import { changesSchema, isRareTag } from './tags.ts'

/** If the query still runs this long after a cancel request, another request is sent. */
export const CANCEL_AGAIN_MS = 1_000

/** A query that still runs this long after its client has left, whatever was sent, cannot be cancelled: the server is closed. */
export const GIVE_UP_MS = 10_000

const REASON = 'client disconnected with query in progress'

/** The state in which the client has left the server. */
export interface Leaving {
  readonly cancels: CancelSender
  /** The client's last message is not complete, and never will be. */
  readonly isMidRequest: boolean
  /** Bytes of replies that the client has not taken. */
  readonly owedToClient: number
  /** The open transaction has changed tables, which others will see if what runs is its COMMIT. */
  readonly hasChangedSchema: boolean
  /** The message of the timeout that ended the session, and so the server, too; null if no timeout did. */
  readonly overdue: string | null
}

/** Cancels what the server runs, and closes it. Nothing that it still sends may reach anybody. */
export function abandon(server: Server, leaving: Leaving): void {
  if (server.ledger.copy === 'both') endStream(server, leaving)
  else if (server.ledger.isEmpty) closeUnclean(server, leaving)
  else cancelAndClose(server, leaving)
}

/** A replication stream ends by itself when its client has left. A cancel might overtake the client's last message, which says how far it is. */
function endStream(server: Server, { isMidRequest }: Leaving): void {
  server.tenant = null
  server.stopReading('client-full', false)
  // Within a message, Postgres would take it for a part of that message.
  if (!isMidRequest) server.send(TERMINATE)
  server.close('replication client has left')
}

function closeUnclean(server: Server, { owedToClient, overdue }: Leaving): void {
  // The session is over, and must not be told of the server's end as if that were the reason.
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
  // We may have stopped reading from it because the client did not read; and a server that cannot write does not read either.
  server.stopReading('client-full', false)
  // Its answers may be waiting in its own buffer for a Sync. A Flush gets them out, while a Sync might commit what the client left half done.
  if (server.ledger.isBatchOpen && !isMidRequest) server.send(FLUSH)
  abandoned.cancel()
}

/**
 * Takes the place of the client, and counts the replies that come. A cancel request that reaches Postgres before the query does hits
 * nothing, and Postgres does not say so; so it is sent again as long as anything is owed.
 */
class Abandoned implements Tenant, FrameSink {
  readonly reason: string
  readonly #server: Server
  readonly #cancels: CancelSender
  /** How many of the owed replies will never come. */
  readonly #owedInVain: number
  readonly #sinceMs: number
  /** When the last cancel request was sent, or given up; null while it is waiting to be sent. */
  #sentMs: number | null = null
  /** Postgres has closed the connection of a cancel request: the server's process has been told. */
  #hasArrived = false
  /** Others see changed tables, unless the query was cancelled in time. */
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
    if (nowMs - this.#sinceMs > GIVE_UP_MS) this.#server.close(`${REASON}, which could not be canceled`)
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
    // A COPY that waits for data is not interrupted until some data comes, but the end of the connection ends it.
    const waitsForData = ledger.copy === 'open' && this.#hasArrived
    if (isDone || waitsForData) this.#server.close(this.reason)
  }

  // Replies

  frame(type: number, buffer: Buffer, start: number, end: number, length: number): boolean {
    if (type === BACKEND.parameterStatus) return true
    if (type === BACKEND.commandComplete && isRareTag(buffer, start + HEADER_BYTES))
      this.#hasChangedSchema ||= changesSchema(decodeCommandTag(buffer, start, end))
    // The client may have received the first part of a RowDescription: it pays its debt with its last byte, as in `Replies`.
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
