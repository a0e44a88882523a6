/**
 * Hot path: reads what a client sends and passes it to the leased server. Holds THE table of the messages that clients may send, and of
 * what each one means for a lease. Allocates nothing per message that passes.
 * https://www.postgresql.org/docs/current/protocol-message-formats.html
 */

import { invariant } from '../base/invariant.ts'
import type { Pool } from '../pool/pool.ts'
import { PoolerError } from '../problems.ts'
import { DEBT, type Effect } from '../server/ledger.ts'
import type { Recording } from '../server/recording.ts'
import type { Server } from '../server/server.ts'
import { deallocatedName, deallocatesAll, mayDeallocate } from '../sql/deallocate.ts'
import { resetsSettings, resetsToldBy } from '../sql/resets.ts'
import { encodeCommandComplete, READY_IDLE, READY_IN_TRANSACTION, STATUS_FAILED, STATUS_IDLE } from '../wire/backend.ts'
import { type FrameSink, Frames, HEADER_BYTES, needsTable, type Refusal } from '../wire/frames.ts'
import { textEnd } from '../wire/frontend.ts'
import { MAX_PREFIX_BYTES } from '../wire/limits.ts'
import { Outbox } from '../wire/outbox.ts'
import { FRONTEND, typeName } from '../wire/types.ts'
import type { Host } from './host.ts'
import { CLOSE_REQUEST } from './leaving.ts'
import type { QueryTexts } from './query-texts.ts'
import { schemaEffect } from './schema-watch.ts'
import { Statements, type StatementsContext } from './statements.ts'

interface RequestRow {
  /** How many bytes of the message must be there before it is looked at. */
  readonly needs: number
  /** What the server owes for it (`DEBT`); null for nothing. */
  readonly debt: number | null
  /**
   * What it means to a session that holds no server. `begins`: it begins a request, and so needs a server. `leftover`: it is a Flush, or
   * belongs to a COPY that the server has already ended, and is dropped. `own`: the session handles it itself.
   */
  readonly withoutLease: 'begins' | 'leftover' | 'own'
}

/** How many bytes of a Query tell whether it is a DEALLOCATE or DISCARD. */
const QUERY_PREFIX_BYTES = 40

const REQUESTS: Readonly<Record<string, RequestRow>> = {
  Q: { needs: QUERY_PREFIX_BYTES, debt: DEBT.query, withoutLease: 'begins' },
  P: { needs: MAX_PREFIX_BYTES, debt: DEBT.parse, withoutLease: 'begins' },
  B: { needs: MAX_PREFIX_BYTES, debt: DEBT.bind, withoutLease: 'begins' },
  D: { needs: MAX_PREFIX_BYTES, debt: DEBT.describe, withoutLease: 'begins' },
  E: { needs: HEADER_BYTES + 1, debt: DEBT.execute, withoutLease: 'begins' },
  C: { needs: MAX_PREFIX_BYTES, debt: DEBT.close, withoutLease: 'begins' },
  S: { needs: HEADER_BYTES, debt: DEBT.sync, withoutLease: 'begins' },
  F: { needs: HEADER_BYTES, debt: DEBT.functionCall, withoutLease: 'begins' },
  H: { needs: HEADER_BYTES, debt: null, withoutLease: 'leftover' },
  d: { needs: HEADER_BYTES, debt: null, withoutLease: 'leftover' },
  c: { needs: HEADER_BYTES, debt: DEBT.copyEnd, withoutLease: 'leftover' },
  f: { needs: HEADER_BYTES, debt: DEBT.copyEnd, withoutLease: 'leftover' },
  X: { needs: HEADER_BYTES, debt: null, withoutLease: 'own' },
  p: { needs: HEADER_BYTES, debt: null, withoutLease: 'own' },
}

/** For `Frames.read`. */
const REQUEST_NEEDS = needsTable(Object.fromEntries(Object.entries(REQUESTS).map(([type, row]) => [type, row.needs])))

/** The same for pools that refuse simple queries: Query counts as an unknown type, so that no message needs an extra check. */
const NEEDS_WITHOUT_QUERIES = needsTable(
  Object.fromEntries(
    Object.entries(REQUESTS)
      .filter(([type]) => type !== 'Q')
      .map(([type, row]) => [type, row.needs]),
  ),
)

/** `DEBT` by type byte; 0 for nothing. */
const REQUEST_DEBTS = new Uint8Array(256)

/** By type byte: 1 if the message begins a request. */
const BEGINS_REQUEST = new Uint8Array(256)

for (const [type, row] of Object.entries(REQUESTS)) {
  REQUEST_DEBTS[type.charCodeAt(0)] = row.debt ?? 0
  BEGINS_REQUEST[type.charCodeAt(0)] = row.withoutLease === 'begins' ? 1 : 0
}

/** What `Requests` needs from the relay, and tells it. */
export interface RequestsListener {
  readonly session: Host
  readonly pool: Pool
  /** The leased server; null if there is none. */
  readonly server: Server | null
  /** The client's messages have to wait, even if a server is leased. */
  readonly holdsClient: boolean
  /** Returns the outbox to the client, and opens it if it is not open. */
  toClient(): Outbox
  /** Requests a server. Returns whether there is one at once; if not, the frame is shown again when there is. */
  lease(): boolean
  /** A request is about to be sent to a server that owes nothing. */
  onRequest(server: Server): void
  /** The message that is being sent may reset settings. */
  onMayReset(): void
  /** The client has been answered by us. */
  onAnswered(): void
  /** Answers of our own are owed: gives the client those that are next. The last one may be held until the server's next reply. */
  answerOurselves(server: Server): void
  /** The client waits for the answer that is held, if one is: gives it to the client. */
  sayHeld(): void
  /** The frame that was held back can be shown again. */
  goOnSoon(): void
  /** Shows the frame that was held back again at the next ReadyForQuery, or when nothing is owed any more. */
  goOnWhenReady(): void
}

/** Collects what the server is sent because of one chunk. One outbox serves all sessions: see `Outbox`. */
const toServer = new Outbox()

/** What is skipped after a wait for a server was cancelled: `one` request, or the rest of an extended batch up to its Sync, as in Postgres. */
type Skipping = 'nothing' | 'one' | 'to-sync'

/** A question to the server about the frame that is held back. `cancelled`: a cancel request was sent before it was answered. */
type Question = 'none' | 'asked' | 'cancelled'

export class Requests implements FrameSink, StatementsContext {
  readonly pool: Pool
  readonly statements: Statements
  readonly toServer = toServer
  readonly #listener: RequestsListener
  readonly #frames: Frames
  readonly #tracksStatements: boolean
  readonly #needs: ReturnType<typeof needsTable>
  #skipping: Skipping = 'nothing'
  #question: Question = 'none'
  /** The question that has been answered, while the chunk is read that begins with the frame it was about. */
  #answered: Question = 'none'
  /** The client has parsed a statement whose text looks as if it resets settings. */
  #mayReset = false
  /** The type of the frame for which a server was last requested. */
  #askedWith = 0
  /** The rest of the client's current message is dropped. */
  #dropsRest = false
  #chunk: Buffer | null = null
  #chunkEnd = 0
  /** Null unless slow queries are logged. */
  texts: QueryTexts | null = null

  constructor(listener: RequestsListener) {
    this.#listener = listener
    this.pool = listener.pool
    const { mode } = listener.pool
    const { maxPreparedStatements, autoPrepare, maxPacketBytes, takesSimpleQueries } = listener.pool.settings
    this.#needs = takesSimpleQueries ? REQUEST_NEEDS : NEEDS_WITHOUT_QUERIES
    this.#frames = new Frames(maxPacketBytes)
    this.#tracksStatements = maxPreparedStatements > 0 && (mode !== 'session' || autoPrepare)
    this.statements = new Statements(this, mode === 'session' ? 'passed on' : 'shared')
  }

  get leased(): Server {
    return this.#listener.server as Server
  }

  /** A message has been passed on only in part. */
  get isMidRequest(): boolean {
    return this.#frames.isMidFrame && !this.#dropsRest
  }

  read(buffer: Buffer, start: number, end: number): number {
    this.#frames.limit = this.pool.settings.maxPacketBytes
    this.#chunk = buffer
    this.#chunkEnd = end
    this.#answered = this.#question
    this.#question = 'none'
    try {
      const stoppedAt = this.#frames.read(buffer, start, end, this.#needs, this)
      toServer.close()
      const recording = this.#listener.server?.recording
      if (recording?.isOn) recording.settle()
      return stoppedAt
    } finally {
      toServer.discard()
      this.#chunk = null
      this.#answered = 'none'
    }
  }

  frame(type: number, buffer: Buffer, start: number, end: number, length: number): boolean {
    const isDone = this.#request(type, buffer, start, end, length)
    const recording = this.#listener.server?.recording
    if (isDone && recording?.isOn) record(recording, type, buffer, start, end)
    if (isDone && this.texts !== null && !this.#dropsRest) this.texts.note(type, buffer, start, end)
    return isDone
  }

  #request(type: number, buffer: Buffer, start: number, end: number, length: number): boolean {
    const listener = this.#listener
    this.#dropsRest = false
    if (!listener.session.isOpen) return this.#drop()
    if (listener.holdsClient) return false
    if (listener.server === null) {
      if (BEGINS_REQUEST[type] === 0) return this.#withoutLease(type)
      if (this.#skipping !== 'nothing') return this.#skip(type)
      if (!this.#lease(type)) return false
    }
    const server = listener.server as Server
    const { ledger } = server
    if (ledger.skipsToSync && type !== FRONTEND.sync && type !== FRONTEND.terminate) return this.#drop()
    if (!toServer.isOpenFor(server.channel)) toServer.open(server.channel)
    // To the client, the request for which the server was asked something has been running since then.
    if (ledger.isEmpty && BEGINS_REQUEST[type] !== 0 && this.#answered === 'none') listener.onRequest(server)
    let effect: Effect | null = null
    switch (type) {
      case FRONTEND.parse:
        this.#noteResets(buffer, start + HEADER_BYTES, end)
        if (this.#tracksStatements) {
          const isDone = this.statements.parse(buffer, start, end, length)
          listener.answerOurselves(server)
          return isDone
        }
        // Statements of clients that log in after a reload may be tracked, and must not rely on this server's unnamed statement.
        server.statements.doubtUnnamed()
        break
      case FRONTEND.bind:
        if (this.#tracksStatements) return this.statements.bind(buffer, start, end, length)
        break
      case FRONTEND.describe:
        if (this.#tracksStatements) return this.statements.describe(buffer, start, end, length)
        break
      case FRONTEND.close:
        if (this.#tracksStatements) {
          const isDone = this.statements.close(buffer, start, end, length)
          listener.answerOurselves(server)
          return isDone
        }
        server.statements.doubtUnnamed()
        break
      case FRONTEND.execute:
        effect = this.statements.executeSent(end > start + HEADER_BYTES && buffer[start + HEADER_BYTES] !== 0)
        break
      case FRONTEND.flush:
        listener.sayHeld()
        break
      case FRONTEND.functionCall:
        this.statements.functionCallSent()
        break
      case FRONTEND.query:
        return this.#query(server, buffer, start, end, length)
      case FRONTEND.terminate:
      case FRONTEND.password:
        return this.#withoutLease(type)
    }
    const debt = REQUEST_DEBTS[type] as number
    if (debt !== 0) ledger.owe(debt, effect)
    // Not only at the Sync: after a Flush the answer to the Execute may come before the Sync is sent.
    if (this.#mayReset && (type === FRONTEND.execute || type === FRONTEND.sync)) listener.onMayReset()
    toServer.add(buffer, start, end)
    return true
  }

  rest(_type: number, buffer: Buffer, start: number, end: number): void {
    const { server } = this.#listener
    if (this.#dropsRest || server === null) return
    if (!toServer.isOpenFor(server.channel)) toServer.open(server.channel)
    toServer.add(buffer, start, end)
    if (server.recording.isOn) server.recording.add(buffer, start, end)
  }

  pass(): void {}

  /** Sends a recorded batch again, with its unnamed statement prepared for the present settings and tables. */
  sendAgain(requests: Buffer): void {
    this.statements.renewUnnamed()
    try {
      for (let at = 0; at < requests.length; ) {
        const end = at + 1 + requests.readInt32BE(at + 1)
        const isSent = this.#request(requests[at] as number, requests, at, end, end - at)
        invariant(isSent, 'a batch that is sent again was stopped')
        at = end
      }
      toServer.close()
    } finally {
      toServer.discard()
    }
  }

  refuse(type: number, length: number, why: Refusal): void {
    const problem =
      why === 'unknown' && type === FRONTEND.query
        ? new PoolerError('simple-query')
        : why === 'unknown'
          ? new PoolerError('unknown-message', { type: typeName(type) })
          : why === 'length'
            ? new PoolerError('bad-length', { type: typeName(type), length: length - 1 })
            : new PoolerError('message-too-large', { length, limit: this.#frames.limit })
    this.fail(problem)
  }

  // For `Statements`

  fail(problem: PoolerError): void {
    this.#drop()
    this.#listener.session.end(problem)
  }

  demand(bytes: number): void {
    this.#frames.demand(bytes)
  }

  asks(): void {
    this.#question = 'asked'
  }

  /**
   * Whether it hit the question makes no difference: Postgres ignores a cancel request that arrives between two messages, and the client
   * does not know that there are two.
   */
  takeCancel(): boolean {
    if (this.#answered !== 'cancelled') return false
    this.#answered = 'asked'
    return true
  }

  /** A cancel request is on its way to the server. */
  onCancelSent(): void {
    if (this.#question === 'asked') this.#question = 'cancelled'
  }

  goOnSoon(): void {
    this.#listener.goOnSoon()
  }

  goOnWhenReady(): void {
    this.#listener.goOnWhenReady()
  }

  isPortalDescribedNext(buffer: Buffer, frameEnd: number): boolean {
    return (
      buffer === this.#chunk &&
      frameEnd + HEADER_BYTES < this.#chunkEnd &&
      buffer[frameEnd] === FRONTEND.describe &&
      buffer[frameEnd + HEADER_BYTES] === FRONTEND.parse
    )
  }

  // Queries

  #query(server: Server, buffer: Buffer, start: number, end: number, length: number): boolean {
    const { ledger } = server
    if (end - start < length) {
      const textStart = start + HEADER_BYTES
      const toldBy = Math.max(resetsToldBy(buffer, textStart, end), this.statements.queryToldBy(buffer, textStart, end))
      const told = Math.min(length, HEADER_BYTES + toldBy)
      if (end - start < told) {
        this.demand(told)
        return false
      }
    }
    if (this.#tracksStatements && mayDeallocate(buffer, start + HEADER_BYTES, end, length)) {
      if (end - start < length) {
        this.demand(length)
        return false
      }
      const name = deallocatedName(buffer.toString('utf8', start + HEADER_BYTES, end - 1))
      // While a COPY is open, do not wait: the server sends nothing more until it has received this query.
      if (name !== null && ledger.copy !== 'open' && this.statements.knows(name)) {
        if (ledger.isBatchOpen ? ledger.awaitsReady : !ledger.isClear || server.frames.isMidFrame) {
          this.goOnWhenReady()
          return false
        }
        // In a failed transaction Postgres itself must refuse the command.
        if (server.status !== STATUS_FAILED) {
          // The server is sent a query of ours instead, and its ReadyForQuery answers this text.
          if (ledger.isBatchOpen) this.texts?.note(FRONTEND.query, buffer, start, end)
          return this.#deallocate(server, name)
        }
      }
    }
    const dropped = this.statements.querySent(buffer, start + HEADER_BYTES, end, end - start === length)
    ledger.owe(DEBT.query, dropped ?? this.#schemaEffect(buffer, start, end, length))
    if (this.#tracksStatements && deallocatesAll(buffer, start + HEADER_BYTES, end)) this.statements.dropSent()
    if (resetsSettings(buffer, start + HEADER_BYTES, end)) this.#listener.onMayReset()
    toServer.add(buffer, start, end)
    return true
  }

  /** Notes a Parse that may reset settings. The statement stays prepared, so from now on any batch may run it. */
  #noteResets(buffer: Buffer, nameStart: number, end: number): void {
    const nameEnd = textEnd(buffer, nameStart, end)
    if (nameEnd !== -1 && resetsSettings(buffer, nameEnd + 1, end)) this.#mayReset = true
  }

  /**
   * Handles DEALLOCATE of a statement that was prepared by the protocol, and so has another name on the server: answers it here, unless it
   * stands in a batch.
   */
  #deallocate(server: Server, name: string): true {
    if (server.ledger.isBatchOpen) {
      this.statements.deallocateInBatch(name)
      return this.#drop()
    }
    this.statements.deallocate(name)
    this.#listener.onAnswered()
    this.#say(DEALLOCATED)
    this.#say(server.status === STATUS_IDLE ? READY_IDLE : READY_IN_TRANSACTION)
    return this.#drop()
  }

  #schemaEffect(buffer: Buffer, start: number, end: number, length: number): Effect | null {
    return end - start === length ? schemaEffect(buffer, start + HEADER_BYTES, end - 1) : null
  }

  // Without a server

  #lease(type: number): boolean {
    // A server has been requested already: the frames before this one were dropped, and this one is shown again.
    if (this.#listener.session.state === 'waiting') return false
    this.#askedWith = type
    return this.#listener.lease()
  }

  /** Handles a message that needs no server: Terminate, a leftover, or a password message, which must not come now. */
  #withoutLease(type: number): boolean {
    this.#dropsRest = true
    if (type === FRONTEND.terminate) this.#listener.session.leave(CLOSE_REQUEST)
    else if (type === FRONTEND.password)
      this.fail(new PoolerError('message-out-of-turn', { type: typeName(type), when: 'after the login' }))
    return true
  }

  /**
   * Skips the request that waits for a server, because it is answered with an error. Returns whether that is a `batch`, which is skipped
   * up to its Sync, or a request that is `whole` in itself.
   */
  skipAsked(): 'batch' | 'whole' {
    const isBatch =
      this.#askedWith !== FRONTEND.query &&
      this.#askedWith !== FRONTEND.functionCall &&
      this.#askedWith !== FRONTEND.sync
    this.#skipping = isBatch ? 'to-sync' : 'one'
    return isBatch ? 'batch' : 'whole'
  }

  /** Drops what is left of a request that was answered with an error: one message, or a batch up to its Sync, which we answer. */
  #skip(type: number): true {
    if (this.#skipping === 'one') this.#skipping = 'nothing'
    else if (type === FRONTEND.sync) {
      this.#skipping = 'nothing'
      this.#say(READY_IDLE)
    }
    return this.#drop()
  }

  #drop(): true {
    this.#dropsRest = true
    return true
  }

  #say(message: Buffer): void {
    this.#listener.toClient().addAll(message)
  }
}

/** Records a message of a batch. Stops recording at a message that brings in another statement, or that follows the batch's Sync. */
function record(recording: Recording, type: number, buffer: Buffer, start: number, end: number): void {
  if (recording.state === 'complete' || IS_RECORDED[type] === 0) {
    recording.stop()
    return
  }
  recording.add(buffer, start, end)
  if (type === FRONTEND.sync) recording.complete()
}

/** By type byte: 1 if the message can be recorded. */
const IS_RECORDED = new Uint8Array(256)

for (const type of [FRONTEND.bind, FRONTEND.describe, FRONTEND.execute, FRONTEND.close, FRONTEND.sync, FRONTEND.flush])
  IS_RECORDED[type] = 1

const DEALLOCATED = encodeCommandComplete('DEALLOCATE')
