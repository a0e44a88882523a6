/**
 * Hot path: reads what a client sends, and passes it to the server that it holds; with THE table of what clients may send, and what
 * each message means to a lease. Nothing is allocated per message that passes.
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
  /** How much of the message is looked at. */
  readonly needs: number
  /** What the server owes for it; null for nothing. */
  readonly debt: number | null
  /**
   * What it means to a session that holds no server: `begins` a request and so needs one; is a `leftover` of a COPY that the server
   * has already ended, and is dropped; or is handled by the session itself.
   */
  readonly withoutLease: 'begins' | 'leftover' | 'own'
}

/** Enough of a query to tell whether it is a DEALLOCATE or DISCARD. */
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

/** The same where simple queries are refused: they count as unknown, and nobody has to look at each message for that. */
const NEEDS_WITHOUT_QUERIES = needsTable(
  Object.fromEntries(
    Object.entries(REQUESTS)
      .filter(([type]) => type !== 'Q')
      .map(([type, row]) => [type, row.needs]),
  ),
)

/** By type byte; 0 where nothing is owed. */
const REQUEST_DEBTS = new Uint8Array(256)

/** By type byte. */
const BEGINS_REQUEST = new Uint8Array(256)

for (const [type, row] of Object.entries(REQUESTS)) {
  REQUEST_DEBTS[type.charCodeAt(0)] = row.debt ?? 0
  BEGINS_REQUEST[type.charCodeAt(0)] = row.withoutLease === 'begins' ? 1 : 0
}

/** What the requests mean to whoever holds the server. */
export interface RequestsListener {
  readonly session: Host
  readonly pool: Pool
  /** The server that is held. */
  readonly server: Server | null
  /** What the client sends has to wait, even if there is a server. */
  readonly holdsClient: boolean
  /** Opens the outbox if need be. */
  toClient(): Outbox
  /** A request needs a server. Returns whether there is one at once; if not, the frame is shown again. */
  lease(): boolean
  /** A request is about to be sent, and nothing is owed for one before it. */
  onRequest(server: Server): void
  /** What has just been sent may reset settings. */
  onMayReset(): void
  /** The client has been answered by us. */
  onAnswered(): void
  /** Answers of our own are owed, and may be next. The last of them may wait for the server's answer to what follows it. */
  answerOurselves(server: Server): void
  /** The client waits for what it has not been told yet. */
  sayHeld(): void
  /** The frame that was held back can be shown again. */
  goOnSoon(): void
  /** The same, when the next batch has been answered, or all that is owed. */
  goOnWhenReady(): void
}

/** What one chunk gives rise to. Shared by all sessions: see `Outbox`. */
const toServer = new Outbox()

/** While a wait was cancelled in the midst of an extended batch, what is left of the batch is skipped, as Postgres would. */
type Skipping = 'nothing' | 'one' | 'to-sync'

export class Requests implements FrameSink, StatementsContext {
  readonly pool: Pool
  readonly statements: Statements
  readonly toServer = toServer
  readonly #listener: RequestsListener
  readonly #frames: Frames
  readonly #tracksStatements: boolean
  readonly #needs: ReturnType<typeof needsTable>
  #skipping: Skipping = 'nothing'
  /** It has parsed a text that looks as if it resets settings. */
  #mayReset = false
  /** The type of the frame that asked for a server. */
  #askedWith = 0
  /** What is left of the client's message at hand is dropped. */
  #dropsRest = false
  #chunk: Buffer | null = null
  #chunkEnd = 0
  /** Only while slow queries are logged. */
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

  /** A message has been sent on in part. */
  get isMidRequest(): boolean {
    return this.#frames.isMidFrame && !this.#dropsRest
  }

  read(buffer: Buffer, start: number, end: number): number {
    this.#frames.limit = this.pool.settings.maxPacketBytes
    this.#chunk = buffer
    this.#chunkEnd = end
    try {
      const stoppedAt = this.#frames.read(buffer, start, end, this.#needs, this)
      toServer.close()
      const recording = this.#listener.server?.recording
      if (recording?.isOn) recording.settle()
      return stoppedAt
    } finally {
      toServer.discard()
      this.#chunk = null
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
    if (ledger.isEmpty && BEGINS_REQUEST[type] !== 0) listener.onRequest(server)
    let effect: Effect | null = null
    switch (type) {
      case FRONTEND.parse:
        this.#noteResets(buffer, start + HEADER_BYTES, end)
        if (this.#tracksStatements) {
          const isDone = this.statements.parse(buffer, start, end, length)
          listener.answerOurselves(server)
          return isDone
        }
        // Clients that came after a reload may be tracked.
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
    // With a Flush the answer may come before the Sync is sent.
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

  /** What was recorded is sent once more, as it is to be understood now. */
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

  // For the statements

  fail(problem: PoolerError): void {
    this.#drop()
    this.#listener.session.end(problem)
  }

  demand(bytes: number): void {
    this.#frames.demand(bytes)
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
      // Within a COPY the server has nothing more to say before it.
      if (name !== null && ledger.copy !== 'open' && this.statements.knows(name)) {
        if (ledger.isBatchOpen ? ledger.awaitsReady : !ledger.isClear || server.frames.isMidFrame) {
          this.goOnWhenReady()
          return false
        }
        // In a failed transaction Postgres has the word.
        if (server.status !== STATUS_FAILED) {
          // The server answers in its place.
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

  /** The client may reset settings with any batch from now on, since it keeps what it has parsed. */
  #noteResets(buffer: Buffer, nameStart: number, end: number): void {
    const nameEnd = textEnd(buffer, nameStart, end)
    if (nameEnd !== -1 && resetsSettings(buffer, nameEnd + 1, end)) this.#mayReset = true
  }

  /** DEALLOCATE of a statement that was prepared by the protocol, and so has another name on the server: answered by us if it can be. */
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
    // It has been asked for already: what stood before this frame was dropped, and the frame is shown again.
    if (this.#listener.session.state === 'waiting') return false
    this.#askedWith = type
    return this.#listener.lease()
  }

  /** A message that needs no server: the end, what is left of a COPY, or what must not come now. */
  #withoutLease(type: number): boolean {
    this.#dropsRest = true
    if (type === FRONTEND.terminate) this.#listener.session.leave(CLOSE_REQUEST)
    else if (type === FRONTEND.password)
      this.fail(new PoolerError('message-out-of-turn', { type: typeName(type), when: 'after the login' }))
    return true
  }

  /**
   * The request that waits for a server is answered with an error: a batch is skipped up to its Sync, anything else is complete in
   * itself. Returns which it is.
   */
  skipAsked(): 'batch' | 'whole' {
    const isBatch =
      this.#askedWith !== FRONTEND.query &&
      this.#askedWith !== FRONTEND.functionCall &&
      this.#askedWith !== FRONTEND.sync
    this.#skipping = isBatch ? 'to-sync' : 'one'
    return isBatch ? 'batch' : 'whole'
  }

  /** What is left of a request that was answered with an error: itself, or a batch up to its Sync, which is answered by us. */
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

/** What is recorded of a batch with one statement: nothing that brings another one, and nothing behind its end. */
function record(recording: Recording, type: number, buffer: Buffer, start: number, end: number): void {
  if (recording.state === 'complete' || IS_RECORDED[type] === 0) {
    recording.stop()
    return
  }
  recording.add(buffer, start, end)
  if (type === FRONTEND.sync) recording.complete()
}

/** By type byte. */
const IS_RECORDED = new Uint8Array(256)

for (const type of [FRONTEND.bind, FRONTEND.describe, FRONTEND.execute, FRONTEND.close, FRONTEND.sync, FRONTEND.flush])
  IS_RECORDED[type] = 1

const DEALLOCATED = encodeCommandComplete('DEALLOCATE')
