/**
 * Hot path: reads what a server sends while it is leased. Each reply pays its debt and goes to the client, unless the request was ours;
 * answers of our own are inserted when it is their turn.
 */

import type { Effect } from '../server/ledger.ts'
import type { Server } from '../server/server.ts'
import { SHARED_PREFIX } from '../server/statement-registry.ts'
import { decodeCommandTag, decodeParameterStatus } from '../wire/backend.ts'
import { type FrameSink, HEADER_BYTES, needsTable, type Refusal } from '../wire/frames.ts'
import { MAX_CHORE_REPLY_BYTES, MAX_HELD_REPLY_BYTES } from '../wire/limits.ts'
import { decodeNotice, isFatal, type Notice } from '../wire/notices.ts'
import type { Outbox } from '../wire/outbox.ts'
import { rowShape } from '../wire/rows.ts'
import { BACKEND, typeName } from '../wire/types.ts'
import { Writer } from '../wire/writer.ts'
import { isRareTag, SELECT_INTO } from './tags.ts'

/** What `Replies` needs from the relay, and tells it. */
export interface RepliesListener {
  /** The leased server; null once it is closed. */
  readonly server: Server | null
  /** Returns the outbox to the client, and opens it if it is not open. */
  toClient(): Outbox
  /** A ReadyForQuery has come, with this transaction status. Returns whether it is withheld: the client then gets it by `onReady`, or later. */
  withholdsReady(server: Server, status: number): boolean
  /** The ReadyForQuery has paid its debt, and has been passed on unless it is withheld. */
  onReady(server: Server, status: number, isWithheld: boolean): void
  /** The server has reported a setting. The report goes to the client. */
  onParameter(server: Server, name: string, value: string): void
  /** A command has run that may have changed more than rows; `effect` was attached to its debt. */
  onRareTag(server: Server, tag: string, effect: Effect | null): void
  /** The server ends the connection, and has said why. Returns whether the client gets that error. */
  onFatal(server: Server): boolean
  /** A shared name was unknown or already taken on the server: somebody has dropped or made such a statement by SQL. */
  onSharedNameFailed(server: Server): void
  /** That many simple queries and function calls are skipped together with the batch that has failed. */
  onSkipped(queries: number): void
  /** The client gets an error of the server's. */
  onErrorPassed(notice: Notice): void
  /** A statement was refused because its tables have changed since it was prepared; `version` is that of its `Effect`. */
  onOutdated(server: Server, version: number | undefined): void
  /** The first request of a recorded batch has failed. Returns whether the batch is sent again; the client then does not get the error. */
  onFirstFailed(server: Server, notice: Notice): boolean
  /** Returns the client's own name for the statement with this shared name; null if the client has no such statement. */
  clientNameOf(sharedName: string): string | null
  /** The server violates the protocol. */
  onNonsense(reason: string): void
}

const SHARED_NAME = new RegExp(`${SHARED_PREFIX}\\d+`, 'g')

const HEAD = HEADER_BYTES
const HELD = MAX_HELD_REPLY_BYTES

/** How much of each reply is looked at, by type. Rows, COPY data, notices and notifications pass. */
export const REPLY_NEEDS = needsTable({
  ...{ D: 0, d: 0, c: 0, N: 0, A: 0 },
  ...{
    '1': HEAD,
    '2': HEAD,
    '3': HEAD,
    n: HEAD,
    I: HEAD,
    s: HEAD,
    T: HEAD,
    t: HEAD,
    G: HEAD,
    H: HEAD,
    W: HEAD,
    V: HEAD,
  },
  ...{ C: HELD, S: HELD, Z: HELD, E: HELD },
})

export class Replies implements FrameSink {
  readonly #listener: RepliesListener
  /** The rest of the current message goes to the client. */
  #forwardsRest = true
  /** The rows of the current simple query have been described. */
  #hasRows = false
  /** A ParameterDescription, kept back as long as what follows may be an error after which the whole batch is sent again. */
  #heldBack: Buffer | null = null

  constructor(listener: RepliesListener) {
    this.#listener = listener
  }

  /** The client has received only a part of a message, so nothing of ours may be inserted now. */
  isMidReply(server: Server): boolean {
    return server.frames.isMidFrame && this.#forwardsRest
  }

  read(server: Server, buffer: Buffer, start: number, end: number): void {
    server.frames.read(buffer, start, end, REPLY_NEEDS, this)
  }

  pass(buffer: Buffer, start: number, end: number): void {
    const { server } = this.#listener
    if (server === null) return
    this.#forwardsRest = true
    this.#listener.toClient().add(buffer, start, end)
    // Answers of our own may have waited for the end of this message.
    if (!server.frames.isMidFrame) this.answerOurselves(server)
  }

  frame(type: number, buffer: Buffer, start: number, end: number, length: number): boolean {
    const { server } = this.#listener
    if (server === null) return true
    const isWhole = end - start === length
    this.#forwardsRest = true
    if (server.ledger.isInDoubt && type !== BACKEND.readyForQuery && type !== BACKEND.parameterStatus)
      this.answerOurselves(server, true)
    if (this.#heldBack !== null && type !== BACKEND.error && type !== BACKEND.parameterStatus) this.#giveHeldBack()
    switch (type) {
      case BACKEND.parameterStatus:
        if (isWhole) this.#parameter(server, buffer, start, end)
        else this.#listener.onNonsense('a ParameterStatus that is too long')
        return true
      case BACKEND.error:
        this.#error(server, buffer, start, end, isWhole)
        break
      case BACKEND.readyForQuery:
        if (length === HEADER_BYTES + 1) this.#ready(server, buffer, start, end)
        else this.#listener.onNonsense('a broken ReadyForQuery')
        break
      case BACKEND.commandComplete: {
        // Read it first: CommandComplete pays the debt of an Execute, but not that of a query.
        const effect = server.ledger.headEffect
        if (!isWhole) this.#listener.onNonsense('a CommandComplete that is too long')
        else if (this.#settle(server, type, buffer, start, end)) {
          if (isRareTag(buffer, start + HEADER_BYTES))
            this.#listener.onRareTag(server, decodeCommandTag(buffer, start, end), effect)
          else if (!this.#hasRows && isSelectTag(buffer, start + HEADER_BYTES) && server.ledger.isQueryNext)
            this.#listener.onRareTag(server, SELECT_INTO, effect)
        }
        this.#hasRows = false
        break
      }
      case BACKEND.parameterDescription: {
        const effect = server.ledger.headEffect
        const isFirst = server.recording.isAtFirst(effect)
        if ((isFirst || effect?.told) && !isWhole && length <= MAX_HELD_REPLY_BYTES) {
          server.frames.demand(length)
          return false
        }
        if (isWhole) effect?.told?.(buffer, start + HEADER_BYTES, end)
        if (isFirst) {
          // It is too long to be kept back. A client that has received a part of the answer must get the rest, so the batch is not sent again.
          if (isWhole) {
            if (server.ledger.settle(type) === 'nonsense') this.#listener.onNonsense('a ParameterDescription')
            this.#heldBack = Buffer.from(buffer.subarray(start, end))
            return true
          }
          server.recording.stop()
        }
        this.#settle(server, type, buffer, start, end)
        break
      }
      case BACKEND.rowDescription:
      case BACKEND.noData: {
        if (server.ledger.isQueryNext) this.#hasRows = true
        const effect = server.ledger.headEffect
        if (effect?.described) {
          if (!isWhole && length <= MAX_CHORE_REPLY_BYTES) {
            server.frames.demand(length)
            return false
          }
          if (!isWhole) this.#listener.onNonsense('a RowDescription that is too long')
          else if (this.#settle(server, type, buffer, start, end))
            effect.described(type === BACKEND.noData ? null : rowShape(buffer, start, end))
        } else if (isWhole) this.#settle(server, type, buffer, start, end)
        // It pays its debt with its last byte (see `rest`), so that nothing of ours gets in between.
        else this.#listener.toClient().add(buffer, start, end)
        break
      }
      default:
        this.#settle(server, type, buffer, start, end)
    }
    this.answerOurselves(server)
    return true
  }

  rest(type: number, buffer: Buffer, start: number, end: number, isLast: boolean): void {
    const { server } = this.#listener
    if (server === null) return
    if (this.#forwardsRest) this.#listener.toClient().add(buffer, start, end)
    if (!isLast) return
    if (type === BACKEND.rowDescription && server.ledger.settle(type) === 'nonsense')
      this.#listener.onNonsense('a RowDescription that nothing asked for')
    else this.answerOurselves(server)
  }

  refuse(type: number, length: number, why: Refusal): void {
    this.#listener.onNonsense(`a message of type ${typeName(type)} and length ${length} (${why})`)
  }

  /** Gives the client the answers of our own that are next. For `isNextHere` see `Ledger.takeOurs`. */
  answerOurselves(server: Server, isNextHere = false): void {
    const { ledger } = server
    for (let reply = ledger.takeOurs(isNextHere); reply !== null; reply = ledger.takeOurs(isNextHere))
      this.#listener.toClient().addAll(reply)
  }

  #ready(server: Server, buffer: Buffer, start: number, end: number): void {
    const type = BACKEND.readyForQuery
    const status = buffer[start + HEADER_BYTES] as number
    const isWithheld = this.#listener.withholdsReady(server, status)
    if (isWithheld ? this.#pay(server, type) : this.#settle(server, type, buffer, start, end))
      this.#listener.onReady(server, status, isWithheld)
  }

  /** Pays a debt with the reply, and passes the reply on if it is the client's. Returns false if it answers nothing that is owed. */
  #settle(server: Server, type: number, buffer: Buffer, start: number, end: number): boolean {
    const verdict = server.ledger.settle(type)
    if (verdict === 'nonsense') {
      this.#listener.onNonsense(`a message of type ${typeName(type)} that nothing asked for`)
      return false
    }
    this.#forwardsRest = verdict === 'forward'
    if (this.#forwardsRest) this.#listener.toClient().add(buffer, start, end)
    return true
  }

  /** Pays a debt with a reply that is not passed on. Returns false if it answers nothing that is owed. */
  #pay(server: Server, type: number): boolean {
    this.#forwardsRest = false
    if (server.ledger.settle(type) !== 'nonsense') return true
    this.#listener.onNonsense(`a message of type ${typeName(type)} that nothing asked for`)
    return false
  }

  #error(server: Server, buffer: Buffer, start: number, end: number, isWhole: boolean): void {
    const notice = decodeNotice(buffer, start, end)
    const isTheEnd = isWhole && isFatal(notice.severity)
    if (isTheEnd && !this.#listener.onFatal(server)) return
    this.#hasRows = false
    const effect = server.ledger.headEffect
    const isAboutStatement = server.ledger.isStatementNext || effect?.version !== undefined
    if (isStalePlan(notice) || (isAboutStatement && isMisread(notice)))
      this.#listener.onOutdated(server, effect?.version)
    if (server.recording.isAtFirst(effect) && isWhole && !isTheEnd && this.#listener.onFirstFailed(server, notice)) {
      this.#heldBack = null
      this.#forwardsRest = false
      return
    }
    if (this.#heldBack !== null) this.#giveHeldBack()
    const { readiesGone } = server.ledger
    const verdict = server.ledger.fail(isCopyFail(notice))
    if (server.ledger.readiesGone !== readiesGone) this.#listener.onSkipped(server.ledger.readiesGone - readiesGone)
    if ((isUnknownName(notice) || isTakenName(notice)) && verdict !== 'replace')
      this.#listener.onSharedNameFailed(server)
    if (verdict === 'nonsense' && !isTheEnd) {
      const isUnasked = server.ledger.isEmpty
      const what = isUnasked ? 'an error that nothing asked for' : 'an error that may be about more than one request'
      this.#listener.onNonsense(`${what}: ${notice.message}`)
      return
    }
    if (verdict === 'replace' && effect?.reply && !isTheEnd) {
      this.#listener.toClient().addAll(effect.reply)
      this.#forwardsRest = false
      return
    }
    this.#listener.onErrorPassed(notice)
    if (isWhole && notice.message.includes(SHARED_PREFIX))
      this.#listener.toClient().addAll(this.#inClientsWords(buffer, start, end))
    else this.#listener.toClient().add(buffer, start, end)
  }

  /** Returns the error with the client's own statement names in place of shared names. */
  #inClientsWords(buffer: Buffer, start: number, end: number): Buffer {
    const told = buffer
      .toString('latin1', start + HEADER_BYTES, end)
      .replace(SHARED_NAME, (name) => this.#listener.clientNameOf(name) ?? name)
    return new Writer().begin('E').bytes(Buffer.from(told, 'latin1')).end().finish()
  }

  #giveHeldBack(): void {
    if (this.#heldBack !== null) this.#listener.toClient().addAll(this.#heldBack)
    this.#heldBack = null
  }

  #parameter(server: Server, buffer: Buffer, start: number, end: number): void {
    const parameter = decodeParameterStatus(buffer, start, end)
    if (parameter === null) {
      this.#listener.onNonsense('a broken ParameterStatus')
      return
    }
    this.#listener.onParameter(server, parameter.name, parameter.value)
    this.#listener.toClient().add(buffer, start, end)
  }
}

/** "cached plan must not change result type", in any language. */
export function isStalePlan({ sqlstate, routine, message }: Notice): boolean {
  return sqlstate === '0A000' && (routine === 'RevalidateCachedQuery' || message.startsWith('cached plan must not'))
}

/**
 * Postgres cannot parse the text of a prepared statement any more: its tables have changed, while the parameter types are those that it
 * was prepared with, or such a type has been dropped. The position in the text distinguishes this from an error about a value, which has none.
 */
export function isMisread({ sqlstate, position, message }: Notice): boolean {
  if (sqlstate === 'XX000') return message.startsWith('cache lookup failed for type')
  return sqlstate.startsWith('42') && position !== undefined
}

/** "COPY from stdin failed: …", with the words of the client's CopyFail, in any language. */
function isCopyFail({ sqlstate, routine }: Notice): boolean {
  return sqlstate === '57014' && routine === 'CopyGetData'
}

/** A shared name is unknown to the server: somebody has dropped the statement by SQL. */
export function isUnknownName({ sqlstate, message }: Notice): boolean {
  return sqlstate === '26000' && message.includes(SHARED_PREFIX)
}

/** A shared name is already taken on the server: somebody has made such a statement by SQL. */
function isTakenName({ sqlstate, message }: Notice): boolean {
  return sqlstate === '42P05' && message.includes(SHARED_PREFIX)
}

/** SELECT; not SET or SAVEPOINT. */
function isSelectTag(buffer: Buffer, start: number): boolean {
  return buffer[start] === 0x53 && buffer[start + 1] === 0x45 && buffer[start + 2] === 0x4c
}
