/** The conversation with a server outside a lease: our own queries and the meaning of their answers, and messages from an idle server. */

import { invariant } from '../base/invariant.ts'
import type { FrameSink, Refusal } from '../wire/frames.ts'
import { encodeQuery } from '../wire/frontend.ts'
import { decodeNotice, type Notice } from '../wire/notices.ts'
import { BACKEND, typeName } from '../wire/types.ts'
import { Chore, type ChoreListener, type ChoreWish } from './chore.ts'
import { type Change, changesToSql } from './profile.ts'
import type { ServerSettings } from './server-settings.ts'
import type { ServerStatements } from './statements.ts'

/** The server. */
export interface OutsideLeaseOwner extends ChoreListener {
  readonly id: number
  /** The server has been closed: ignore whatever still arrives. */
  readonly isOver: boolean
  readonly settings: ServerSettings
  readonly statements: ServerStatements
  send(message: Buffer): void
  /** Updates what is known of prepared statements and settings after a command with this tag has run. */
  noteTag(tag: string): void
  close(reason: string, notice?: Notice): void
  /** Closes the server; if it is still being opened, the opening has failed. */
  giveUp(reason: string): void
}

/** Waits for settings to be restored. */
export interface RestoreListener {
  /** A message that does not belong to the query: a reported setting, a notice, a notification. Valid until this returns. */
  heard(buffer: Buffer, start: number, end: number): void
  done(error: Notice | null): void
  /** The server is gone. */
  gone(notice: Notice): void
}

/** Runs one query of ours at a time, and closes the server if the outcome shows that it is unusable. Frames arrive whole. */
export class OutsideLease implements FrameSink {
  readonly #owner: OutsideLeaseOwner
  #chore: Chore | null = null

  constructor(owner: OutsideLeaseOwner) {
    this.#owner = owner
  }

  /** The error with which the server has ended the connection during a query of ours; null if it has sent none. */
  get lastWords(): Notice | null {
    return this.#chore?.lastWords ?? null
  }

  // Queries of ours

  /** `connect_query`. */
  connect(sql: string, done: (error: Notice | null) => void): void {
    this.#run(sql, { done: ({ error }) => done(error) }, 'connect_query ended within a transaction')
  }

  /** `server_check_query`. */
  check(sql: string, done: () => void): void {
    this.#run(sql, {
      done: ({ error }) => {
        if (error) this.#owner.close('test query failed')
        else done()
      },
    })
  }

  /** `server_reset_query`. */
  reset(sql: string, done: () => void): void {
    this.#run(sql, {
      completed: (tag) => this.#owner.noteTag(tag),
      done: ({ error }) => {
        if (error) this.#owner.close('reset query failed')
        else done()
      },
    })
  }

  /** Makes the changes in one round trip; `values` are as Postgres writes them. If the server dies meanwhile, `gone` is called instead of `done`. */
  align(
    changes: readonly Change[],
    done: (error: Notice | null, values: ReadonlyMap<string, string>) => void,
    gone: (notice: Notice) => void,
  ): void {
    this.#run(changesToSql(changes), {
      done: ({ error, row }) => done(error, error === null ? this.#owner.settings.changed(changes, row) : NO_VALUES),
      gone,
    })
  }

  /** Runs a query that restores settings for a session that keeps the server. */
  restore(sql: string, listener: RestoreListener): void {
    this.#run(sql, {
      heard: (buffer, start, end) => listener.heard(buffer, start, end),
      done: ({ error }) => listener.done(error),
      gone: (notice) => listener.gone(notice),
    })
  }

  /** The server is gone: notifies the requester of the current query, if there is one. */
  abandon(notice: Notice): void {
    const chore = this.#chore
    this.#chore = null
    chore?.gone(notice)
  }

  /** @param whenOpen the reason to close the server if the query leaves a transaction open */
  #run(sql: string, wish: ChoreWish, whenOpen = 'a query of the pooler ended within a transaction'): void {
    const owner = this.#owner
    invariant(this.#chore === null, `server ${owner.id} has two chores`)
    this.#chore = new Chore(owner, {
      ...wish,
      done: (result) => {
        this.#chore = null
        if (!result.isIdle) owner.giveUp(whenOpen)
        else wish.done(result)
      },
    })
    // Like any simple query, it drops the unnamed statement of the last client.
    owner.statements.doubtUnnamed()
    owner.send(encodeQuery(sql))
  }

  // From the server

  frame(type: number, buffer: Buffer, start: number, end: number): boolean {
    if (this.#owner.isOver) return true
    // A query of ours may end between two frames; the frames after its end do not belong to it.
    if (this.#chore !== null) return this.#chore.frame(type, buffer, start, end)
    this.#readIdle(type, buffer, start, end)
    return true
  }

  pass(): void {}

  rest(): void {}

  refuse(type: number, length: number, why: Refusal): void {
    if (this.#owner.isOver) return
    if (this.#chore !== null) this.#chore.refuse(type, length, why)
    else this.#owner.onNonsense(`a message of type ${typeName(type)} and length ${length} (${why})`)
  }

  #readIdle(type: number, buffer: Buffer, start: number, end: number): void {
    switch (type) {
      case BACKEND.parameterStatus:
      case BACKEND.notice:
      case BACKEND.notification:
        this.#owner.onAsynchronous(type, buffer, start, end)
        return
      case BACKEND.error: {
        const notice = decodeNotice(buffer, start, end)
        this.#owner.close(`idle server got an error: ${notice.message}`, notice)
        return
      }
      default:
        this.#owner.close('idle server got dirty')
    }
  }
}

const NO_VALUES: ReadonlyMap<string, string> = new Map()
