/** A simple query that we run on a server for ourselves, outside a lease: a check, a reset, a change of settings. */

import { decodeCommandTag, STATUS_IDLE } from '../wire/backend.ts'
import type { FrameSink, Refusal } from '../wire/frames.ts'
import { HEADER_BYTES, needsTable, WHOLE } from '../wire/frames.ts'
import { decodeNotice, isFatal, type Notice } from '../wire/notices.ts'
import { decodeDataRow } from '../wire/rows.ts'
import { BACKEND, typeName } from '../wire/types.ts'

export interface ChoreResult {
  /** The server's error, if there was one. */
  readonly error: Notice | null
  /** The cells of the last row; empty if there was none. */
  readonly row: readonly (string | null)[]
  /** Whether the query ended outside a transaction block. */
  readonly isIdle: boolean
}

/** Needs every reply whole: outside a lease none is large. */
export const CHORE_NEEDS = needsTable(
  Object.fromEntries(Object.values(BACKEND).map((type) => [String.fromCharCode(type), WHOLE])),
)

/** The server. */
export interface ChoreListener {
  /** ParameterStatus, NoticeResponse and NotificationResponse may come at any time. */
  onAsynchronous(type: number, buffer: Buffer, start: number, end: number): void
  onNonsense(reason: string): void
}

/** What the requester of a chore is notified of. */
export interface ChoreWish {
  /** A message that does not belong to the query: a reported setting, a notice, a notification. Valid until this returns. */
  heard?(buffer: Buffer, start: number, end: number): void
  /** A command of the query has run. */
  completed?(tag: string): void
  done(result: ChoreResult): void
  /** The server is gone, so `done` will not be called. */
  gone?(notice: Notice): void
}

export class Chore implements FrameSink {
  readonly #listener: ChoreListener
  readonly #wish: ChoreWish
  #error: Notice | null = null
  #row: readonly (string | null)[] = []

  constructor(listener: ChoreListener, wish: ChoreWish) {
    this.#listener = listener
    this.#wish = wish
  }

  /** The error with which the server has ended the connection; null if it has sent none. */
  get lastWords(): Notice | null {
    return this.#error !== null && isFatal(this.#error.severity) ? this.#error : null
  }

  /** The server is gone, and no answer will come. */
  gone(notice: Notice): void {
    this.#wish.gone?.(notice)
  }

  frame(type: number, buffer: Buffer, start: number, end: number): boolean {
    switch (type) {
      case BACKEND.parameterStatus:
      case BACKEND.notice:
      case BACKEND.notification:
        this.#wish.heard?.(buffer, start, end)
        this.#listener.onAsynchronous(type, buffer, start, end)
        break
      case BACKEND.error:
        if (this.lastWords === null) this.#error = decodeNotice(buffer, start, end)
        break
      case BACKEND.dataRow:
        this.#row = decodeDataRow(buffer.subarray(start, end))
        break
      case BACKEND.commandComplete:
        this.#wish.completed?.(decodeCommandTag(buffer, start, end))
        break
      case BACKEND.rowDescription:
      case BACKEND.emptyQuery:
        break
      case BACKEND.readyForQuery:
        this.#wish.done({
          error: this.#error,
          row: this.#row,
          isIdle: buffer[start + HEADER_BYTES] === STATUS_IDLE,
        })
        break
      default:
        this.#listener.onNonsense(`a message of type ${typeName(type)} in answer to a query of the pooler`)
    }
    return true
  }

  pass(): void {}

  rest(): void {}

  refuse(type: number, length: number, why: Refusal): void {
    this.#listener.onNonsense(`a message of type ${typeName(type)} and length ${length} (${why})`)
  }
}
