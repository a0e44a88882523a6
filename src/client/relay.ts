/**
 * Hot path: passes a client's requests to the server that it holds, and the replies back. Nothing is allocated per message that
 * passes; the figures are in docs/performance.md.
 */

import { Link } from '../base/list.ts'
import type { Waiter } from '../pool/lease.ts'
import type { Pool } from '../pool/pool.ts'
import type { PoolMode } from '../pool/settings.ts'
import { PoolerError } from '../problems.ts'
import { DEBT, type Effect } from '../server/ledger.ts'
import type { Profile } from '../server/profile.ts'
import type { Server } from '../server/server.ts'
import { SHARED_PREFIX } from '../server/statement-registry.ts'
import { deallocatedName, deallocatesAll, mayDeallocate } from '../sql/deallocate.ts'
import { encodeCommandComplete, READY_IDLE, READY_IN_TRANSACTION, STATUS_FAILED, STATUS_IDLE } from '../wire/backend.ts'
import { type FrameSink, Frames, HEADER_BYTES, type Refusal } from '../wire/frames.ts'
import { encodeCloseStatement, FLUSH } from '../wire/frontend.ts'
import { encodeError, encodeNotice, type Notice } from '../wire/notices.ts'
import { Outbox } from '../wire/outbox.ts'
import { FRONTEND, typeName } from '../wire/types.ts'
import { abandon } from './abandoned.ts'
import { FollowedSettings } from './followed-settings.ts'
import type { Handler } from './handler.ts'
import type { Host } from './host.ts'
import { isFree, keepsServer } from './keeping.ts'
import { Replies, type RepliesListener } from './replies.ts'
import { BEGINS_REQUEST, REQUEST_DEBTS, REQUEST_NEEDS } from './requests.ts'
import { Restoring, type RestoringListener } from './restoring.ts'
import { SchemaWatch, schemaEffect } from './schema-watch.ts'
import { Statements, type StatementsContext } from './statements.ts'
import { dropsStatements } from './tags.ts'
import { Timekeeping } from './timekeeping.ts'

/** What one chunk gives rise to, for either side. Shared by all sessions: see `Outbox`. */
const toServer = new Outbox()
const toClient = new Outbox()

/** How much a server may owe a client before no more is read from that; some pipelines send thousands of requests at once. */
const MAX_DEBTS = 4_096

/** While a wait was cancelled in the midst of an extended batch, what is left of the batch is skipped, as Postgres would. */
type Skipping = 'nothing' | 'one' | 'to-sync'

export class Relay implements Handler, Waiter, FrameSink, StatementsContext, RepliesListener, RestoringListener {
  readonly link = new Link<Waiter>()
  readonly session: Host
  readonly pool: Pool
  readonly statements: Statements
  /** The server that is held. */
  server: Server | null = null
  waitingSinceMs = 0
  wasNotified = false
  promised: Server | null = null
  readonly settings: FollowedSettings
  /** Null until the client resets settings. */
  #restoring: Restoring | null = null
  readonly #times: Timekeeping
  readonly toServer = toServer
  readonly #frames: Frames
  readonly #replies = new Replies(this)
  /** That of the pool when the client logged in: what it has left on servers since is right for this one only. */
  readonly #mode: PoolMode
  readonly #tracksStatements: boolean
  #skipping: Skipping = 'nothing'
  /** The type of the frame that asked for a server. */
  #askedWith = 0
  /** What is left of the client's message at hand is dropped. */
  #dropsRest = false
  #chunk: Buffer | null = null
  #chunkEnd = 0
  /** The server has announced its end itself; the client needs no second word. */
  #fatalForwarded = false
  readonly #schemaWatch = new SchemaWatch()
  /** Counts the stretches of time in which the server owes something: a cancel is meant for the one in which it came. */
  #stretch = 0
  /** What the client's next message waited for has come. */
  #goesOn = false
  #goesOnWhenReady = false

  constructor(session: Host, pool: Pool, profile: Profile) {
    this.session = session
    this.pool = pool
    this.settings = new FollowedSettings(pool, profile)
    this.statements = new Statements(this)
    this.#times = new Timekeeping(session.clock, pool)
    const { mode, maxPreparedStatements, maxPacketBytes } = pool.settings
    this.#frames = new Frames(maxPacketBytes)
    this.#mode = mode
    this.#tracksStatements = mode !== 'session' && maxPreparedStatements > 0
  }

  get leased(): Server {
    return this.server as Server
  }

  get wantedProfile(): Profile {
    return this.settings.profile
  }

  get requestMs(): number {
    return this.#times.requestMs
  }

  /** When the client was last answered. */
  get answeredMs(): number {
    return this.#times.answeredMs
  }

  get preparedStatements(): number {
    return this.statements.size
  }

  /** A message of the client has been sent on in part. */
  get #isMidRequest(): boolean {
    return this.#frames.isMidFrame && !this.#dropsRest
  }

  get canSpeak(): boolean {
    return this.server === null || !this.#replies.isMidReply(this.server)
  }

  toClient(): Outbox {
    if (!toClient.isOpenFor(this.session.channel)) toClient.open(this.session.channel)
    return toClient
  }

  // From the client

  read(buffer: Buffer, start: number, end: number): number {
    this.pool.counters.received += end - start
    this.#frames.limit = this.pool.settings.maxPacketBytes
    this.#chunk = buffer
    this.#chunkEnd = end
    let stoppedAt = end
    this.session.workBegins()
    try {
      stoppedAt = this.#frames.read(buffer, start, end, REQUEST_NEEDS, this)
      toServer.close()
      toClient.close()
    } finally {
      toServer.discard()
      toClient.discard()
      this.#chunk = null
      this.session.workEnds()
    }
    this.#balance()
    return stoppedAt
  }

  frame(type: number, buffer: Buffer, start: number, end: number, length: number): boolean {
    this.#dropsRest = false
    if (!this.session.isOpen) return this.#drop()
    if (this.server === null) {
      if (BEGINS_REQUEST[type] === 0) return this.#withoutLease(type)
      if (this.#skipping !== 'nothing') return this.#skip(type)
      if (!this.#lease(type)) return false
    }
    if (this.#restoring?.holdsClient) return false
    const server = this.server as Server
    const { ledger } = server
    if (ledger.skipsToSync && type !== FRONTEND.sync && type !== FRONTEND.terminate) return this.#drop()
    if (!toServer.isOpenFor(server.channel)) toServer.open(server.channel)
    if (ledger.isEmpty && BEGINS_REQUEST[type] !== 0) {
      this.#times.requestBegins(server)
      this.#stretch++
    }
    switch (type) {
      case FRONTEND.parse:
        if (this.#tracksStatements) {
          const isDone = this.statements.parse(buffer, start, end, length)
          this.#replies.answerOurselves(server)
          return isDone
        }
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
          this.#replies.answerOurselves(server)
          return isDone
        }
        break
      case FRONTEND.query:
        if (this.#tracksStatements && mayDeallocate(buffer, start + HEADER_BYTES, length)) {
          if (end - start < length) {
            this.demand(length)
            return false
          }
          const name = deallocatedName(buffer.toString('utf8', start + HEADER_BYTES, end - 1))
          if (name !== null && this.statements.knows(name)) {
            if (!ledger.isClear && !ledger.isBatchOpen) {
              this.goOnWhenReady()
              return false
            }
            if (this.#deallocate(server, name)) return true
          }
        }
        ledger.owe(DEBT.query, this.statements.querySent() ?? this.#schemaEffect(buffer, start, end, length))
        if (this.#tracksStatements && deallocatesAll(buffer, start + HEADER_BYTES, end)) this.statements.dropSent()
        toServer.add(buffer, start, end)
        return true
      case FRONTEND.terminate:
      case FRONTEND.password:
        return this.#withoutLease(type)
    }
    const debt = REQUEST_DEBTS[type] as number
    if (debt !== 0) ledger.owe(debt)
    toServer.add(buffer, start, end)
    return true
  }

  rest(_type: number, buffer: Buffer, start: number, end: number): void {
    if (this.#dropsRest || this.server === null) return
    if (!toServer.isOpenFor(this.server.channel)) toServer.open(this.server.channel)
    toServer.add(buffer, start, end)
  }

  pass(): void {}

  refuse(type: number, length: number, why: Refusal): void {
    const problem =
      why === 'unknown'
        ? new PoolerError('unknown-message', { type: typeName(type) })
        : why === 'length'
          ? new PoolerError('bad-length', { type: typeName(type), length: length - 1 })
          : new PoolerError('message-too-large', { length, limit: this.#frames.limit })
    this.fail(problem)
  }

  fail(problem: PoolerError): void {
    this.#drop()
    this.session.end(problem)
  }

  demand(bytes: number): void {
    this.#frames.demand(bytes)
  }

  goOnSoon(): void {
    this.#goesOn = true
  }

  goOnWhenReady(): void {
    this.#goesOnWhenReady = true
  }

  isPortalDescribedNext(buffer: Buffer, frameEnd: number): boolean {
    return (
      buffer === this.#chunk &&
      frameEnd + HEADER_BYTES < this.#chunkEnd &&
      buffer[frameEnd] === FRONTEND.describe &&
      buffer[frameEnd + HEADER_BYTES] === FRONTEND.parse
    )
  }

  /** A message that needs no server: the end, what is left of a COPY, or what must not come now. */
  #withoutLease(type: number): boolean {
    this.#dropsRest = true
    if (type === FRONTEND.terminate) this.session.leave('client close request')
    else if (type === FRONTEND.password)
      this.fail(new PoolerError('message-out-of-turn', { type: typeName(type), when: 'after the login' }))
    return true
  }

  #drop(): true {
    this.#dropsRest = true
    return true
  }

  /** What is left of a request whose wait was cancelled: itself, or a batch up to its Sync, which is answered by us. */
  #skip(type: number): true {
    if (this.#skipping === 'one') this.#skipping = 'nothing'
    else if (type === FRONTEND.sync) {
      this.#skipping = 'nothing'
      this.#say(READY_IDLE)
    }
    return this.#drop()
  }

  /** Asks for a server. If there is one at once, the frame at hand goes on. */
  #lease(type: number): boolean {
    // It has been asked for already: what stood before this frame was dropped, and the frame is shown again.
    if (this.session.state === 'waiting') return false
    this.#askedWith = type
    this.#times.requestCame()
    const server = this.pool.lease(this)
    if (server === null) {
      if (this.session.state === 'idle') this.session.enter('waiting')
      return false
    }
    this.#begin(server)
    return true
  }

  onGranted(server: Server): void {
    this.settings.profile = server.profile
    this.#begin(server)
    this.session.goOn()
  }

  #begin(server: Server): void {
    this.server = server
    this.#times.leaseBegins()
    this.#fatalForwarded = false
    this.statements.leaseBegins()
    this.session.enter('active')
  }

  /**
   * DEALLOCATE of a statement that was prepared by the protocol, and so has another name on the server: answered by us. Behind other
   * requests, or in a failed transaction, Postgres has the word.
   */
  #deallocate(server: Server, name: string): boolean {
    if (!server.ledger.isClear || server.status === STATUS_FAILED) return false
    this.statements.deallocate(name)
    this.#times.answeredByUs()
    this.#say(DEALLOCATED)
    this.#say(server.status === STATUS_IDLE ? READY_IDLE : READY_IN_TRANSACTION)
    return true
  }

  #schemaEffect(buffer: Buffer, start: number, end: number, length: number): Effect | null {
    return end - start === length ? schemaEffect(buffer, start + HEADER_BYTES, end - 1) : null
  }

  onRefused(notice: Notice): void {
    this.session.end(notice)
  }

  onStillWaiting(): void {
    this.#sayNow(
      encodeNotice({
        severity: 'NOTICE',
        sqlstate: '00000',
        message: 'No server connection available in postgres backend, client being queued',
        hint: 'All servers of the pool are busy. The settings are default_pool_size and query_wait_notify.',
      }),
    )
  }

  // From the server

  onReplies(buffer: Buffer, start: number, end: number): void {
    const server = this.server as Server
    this.pool.counters.sent += end - start
    this.session.workBegins()
    try {
      this.#replies.read(server, buffer, start, end)
      toClient.close()
    } finally {
      toClient.discard()
      this.session.workEnds()
    }
    if (this.#goesOn || (this.#goesOnWhenReady && server.ledger.isEmpty)) {
      this.#goesOn = false
      this.#goesOnWhenReady = false
      this.session.goOn()
    }
    // The server may have been closed by what it sent.
    if (this.server !== server) return
    if (this.#fatalForwarded) {
      server.close('the server has ended the connection')
      return
    }
    if (this.session.channel.owedBytes > 0) server.channel.pause()
    if (server.ledger.length <= MAX_DEBTS) this.session.stopReading('server-full', server.channel.owedBytes > 0)
    if (server.ledger.isInDoubt) this.#fence(server)
    if (server.ledger.isEmpty) this.#considerRelease(server)
  }

  get withholdsReady(): boolean {
    return this.#restoring?.withholdsReady ?? false
  }

  onReady(server: Server, status: number): void {
    server.status = status
    this.#times.answered(status)
    this.settings.onReady()
    const ready = this.#restoring?.onReady(server, status)
    if (ready) this.#say(ready)
    if (this.#goesOnWhenReady) this.#goesOn = true
    this.#goesOnWhenReady = false
    if (status === STATUS_IDLE) this.#schemaWatch.onIdle(server)
    else if (this.#mode === 'statement') this.session.end(new PoolerError('statement-mode-transaction'))
  }

  onParameter(server: Server, name: string, value: string): void {
    this.settings.onParameter(server, name, value)
  }

  onRareTag(server: Server, tag: string): void {
    if (this.#schemaWatch.onTag(server, tag)) return
    if (dropsStatements(tag)) {
      this.statements.clear()
      // What was sent behind a command that we did not see coming is prepared after it, and we would not know of it any more.
      if (server.ledger.length > 1 && !this.statements.areAllInDoubt)
        server.condemn('statements were dropped within a pipeline')
    }
    server.noteTag(tag)
    if ((tag === 'DISCARD ALL' || tag === 'RESET') && this.settings.hasWishes) {
      this.#restoring ??= new Restoring(this.settings, this)
      this.#restoring.onReset()
    }
  }

  onStalePlan(server: Server): void {
    server.context.schema.changed()
  }

  onSharedNameFailed(server: Server): void {
    server.condemn('its shared statements are not what they should be')
  }

  onFatal(server: Server): boolean {
    server.condemn('the server has ended the connection')
    // Right behind its last answer, it is no news for a client that is done with this server.
    if (server.ledger.isEmpty) this.#considerRelease(server)
    this.#fatalForwarded = this.server !== null
    return this.#fatalForwarded
  }

  onNonsense(reason: string): void {
    this.server?.close(`the server sent nonsense: ${reason}`, new PoolerError('server-nonsense', { reason }))
  }

  onServerGone(notice: Notice): void {
    const server = this.server
    const canSpeak = server === null || !this.#replies.isMidReply(server)
    this.server = null
    if (this.#fatalForwarded) this.session.leave('server conn crashed?')
    else if (canSpeak) this.session.end(notice)
    else this.session.endMute(notice)
  }

  // Flow

  /** After input: whoever cannot take more stops whoever feeds it. */
  #balance(): void {
    const { server, session } = this
    if (!session.isOpen) return
    session.stopReading('server-full', server !== null && this.#isServerFull(server))
    session.stopReading('client-full', session.channel.owedBytes > 0)
    if (server === null) return
    if (server.ledger.isInDoubt) this.#fence(server)
    if (server.ledger.isEmpty) this.#considerRelease(server)
  }

  /** It does not take more bytes; or it owes so much that what we remember of it must not grow. */
  #isServerFull(server: Server): boolean {
    if (server.channel.owedBytes > 0) return true
    if (server.ledger.length <= MAX_DEBTS || this.#isMidRequest) return false
    // What it has answered may wait in its own buffer for a Sync that we have not read yet.
    server.send(FLUSH)
    return true
  }

  onDrained(): void {
    this.session.stopReading('client-full', false)
    const { server } = this
    if (server === null) return
    server.channel.resume()
    if (server.ledger.isEmpty) this.#considerRelease(server)
  }

  onServerDrained(): void {
    const { server } = this
    this.session.stopReading('server-full', server !== null && server.ledger.length > MAX_DEBTS)
  }

  /** A COPY has failed with Syncs in it: nobody else may get a ReadyForQuery too many, and the client none too late. */
  #fence(server: Server): void {
    if (!server.ledger.needsFence || this.#isMidRequest) return
    server.ledger.oweFence()
    server.send(FENCE)
  }

  #considerRelease(server: Server): void {
    if (this.#restoring?.holdsClient) {
      if (this.#restoring.isDue && server.isClean && !this.#isMidRequest) this.#restoring.start(server)
      return
    }
    const keeps = keepsServer({
      mode: this.#mode,
      isServerClean: server.isClean,
      owedToClient: this.session.channel.owedBytes,
      isMidRequest: this.#isMidRequest,
    })
    if (keeps || !this.session.isOpen) return
    this.server = null
    this.session.stopReading('server-full', false)
    this.session.enter('idle')
    this.pool.release(server, this.#mode)
  }

  // Settings that were reset

  tell(buffer: Buffer, start: number, end: number): void {
    this.session.channel.write(buffer, start, end)
  }

  onRestored(server: Server): void {
    this.#considerRelease(server)
    this.session.goOn()
  }

  onAbandoned(server: Server): void {
    this.pool.release(server, this.#mode)
  }

  onNotRestored(notice: Notice): void {
    this.session.end(notice)
  }

  // The end

  end(state: 'sound' | 'doubtful'): void {
    this.pool.withdraw(this)
    this.statements.clear()
    const { server } = this
    if (server === null) return
    this.server = null
    if (this.#restoring?.abandon()) {
      if (state === 'doubtful') server.close('internal error')
      return
    }
    const isQuiet = isFree({
      isServerClean: server.isClean,
      owedToClient: this.session.channel.isOpen ? this.session.channel.owedBytes : 0,
      isMidRequest: this.#isMidRequest,
    })
    if (state === 'doubtful') server.close('internal error')
    else if (isQuiet) {
      // It was not read while the client that is gone did not take what it had.
      server.channel.resume()
      this.pool.release(server, this.#mode)
    } else this.#abandon(server)
  }

  /** Nothing of what this server still sends may reach anybody: its query is cancelled, and it is closed. */
  #abandon(server: Server): void {
    if (!server.ledger.isEmpty) {
      abandon(server, this.session.cancels, this.#isMidRequest)
      return
    }
    // The session is over, and must not hear of the server's end as if it were the reason.
    server.tenant = null
    server.close(
      this.session.channel.owedBytes > 0 && server.isClean
        ? 'client disconnect before everything was sent to the server'
        : 'client disconnect while server was not ready',
    )
  }

  cancel(over: () => void): void {
    const { server } = this
    if (server !== null && !server.ledger.isEmpty) {
      const stretch = this.#stretch
      this.session.cancels.send(server, {
        isStillWanted: () => this.server === server && this.#stretch === stretch && !server.ledger.isEmpty,
        over,
      })
      return
    }
    if (server === null && this.session.state === 'waiting') this.#cancelWait()
    over()
  }

  #cancelWait(): void {
    this.pool.withdraw(this)
    this.session.enter('idle')
    this.#times.answeredByUs()
    this.#sayNow(encodeError(new PoolerError('wait-cancelled')))
    // The request that waits is answered with the error: a batch is skipped up to its Sync, anything else is complete in itself.
    const isBatch =
      this.#askedWith !== FRONTEND.query &&
      this.#askedWith !== FRONTEND.functionCall &&
      this.#askedWith !== FRONTEND.sync
    if (!isBatch) this.#sayNow(READY_IDLE)
    this.#skipping = isBatch ? 'to-sync' : 'one'
    this.session.goOn()
  }

  #say(message: Buffer): void {
    this.toClient().addAll(message)
  }

  #sayNow(message: Buffer): void {
    this.session.channel.write(message, 0, message.length)
  }

  onSweep(nowMs: number): void {
    const { server } = this
    if (server === null) return
    const problem = this.#times.problem(nowMs, server)
    if (problem) this.session.end(new PoolerError(problem))
  }
}

/** Changes nothing, whatever the state of the transaction, and is answered at once. */
const FENCE = Buffer.concat([encodeCloseStatement(`${SHARED_PREFIX}fence`), FLUSH])

const DEALLOCATED = encodeCommandComplete('DEALLOCATE')
