/**
 * Hot path: one client and the server that it holds at the moment. Asks for a server when a request needs one, lets requests and
 * replies pass (each way has a file of its own), and gives the server back. Figures are in docs/performance.md.
 */

import { Link } from '../base/list.ts'
import type { Waiter } from '../pool/lease.ts'
import type { Pool } from '../pool/pool.ts'
import type { PoolMode } from '../pool/settings.ts'
import { PoolerError } from '../problems.ts'
import { DEBT, type Effect } from '../server/ledger.ts'
import type { Profile } from '../server/profile.ts'
import type { Announcer } from '../server/schema-version.ts'
import type { Server } from '../server/server.ts'
import { SHARED_PREFIX } from '../server/statement-registry.ts'
import { READY_IDLE, READY_IN_TRANSACTION, READY_WITH, STATUS_IDLE } from '../wire/backend.ts'
import { encodeCloseStatement, FLUSH } from '../wire/frontend.ts'
import { encodeError, encodeNotice, type Notice } from '../wire/notices.ts'
import { Outbox } from '../wire/outbox.ts'
import { abandon } from './abandoned.ts'
import { Announcing } from './announcing.ts'
import { FollowedSettings } from './followed-settings.ts'
import type { Handler } from './handler.ts'
import type { Host } from './host.ts'
import { isFree, keepsServer } from './keeping.ts'
import { QueryTexts } from './query-texts.ts'
import { Replies, type RepliesListener } from './replies.ts'
import { Requests, type RequestsListener } from './requests.ts'
import { Rerun } from './rerun.ts'
import { Restoring, type RestoringListener } from './restoring.ts'
import { SchemaWatch } from './schema-watch.ts'
import { SESSION } from './states.ts'
import { dropsStatements } from './tags.ts'
import { Timekeeping } from './timekeeping.ts'

/** What one chunk gives rise to for the client. Shared by all sessions: see `Outbox`. */
const toClient = new Outbox()

/** Chunks that were passed on, of all sessions. */
let passes = 0

/** One of 64 is measured. */
const MEASURED_MASK = 63

/** How much a server may owe a client before no more is read from that; some pipelines send thousands of requests at once. */
const MAX_DEBTS = 4_096

export class Relay implements Handler, Waiter, RequestsListener, RepliesListener, RestoringListener, Announcer {
  readonly link = new Link<Waiter>()
  readonly session: Host
  readonly pool: Pool
  /** The server that is held. */
  server: Server | null = null
  waitingSinceMs = 0
  wasNotified = false
  promised: Server | null = null
  readonly settings: FollowedSettings
  /** Null until the client resets settings. */
  #restoring: Restoring | null = null
  readonly #times: Timekeeping
  readonly #requests: Requests
  readonly #replies = new Replies(this)
  /** That of the pool when the client logged in: what it has left on servers since is right for this one only. */
  readonly #mode: PoolMode
  /** The server has announced its end itself; the client needs no second word. */
  #fatalForwarded = false
  /** Null until the client changes tables. */
  #schemaWatch: SchemaWatch | null = null
  /** Null until the client changes tables that other processes serve, too. */
  #announcing: Announcing | null = null
  /** Null until a batch has to be sent again. */
  #rerun: Rerun | null = null
  /** Counts the stretches of time in which the server owes something: a cancel is meant for the one in which it came. */
  #stretch = 0
  /** Which timeout ends it. */
  #overdue: string | null = null
  /** What the client's next message waited for has come. */
  #goesOn = false
  #goesOnWhenReady = false
  /** An answer of our own within a batch: it can go with the next bytes of the server, which would have sent it no earlier either. */
  #heldAnswer: Buffer | null = null

  constructor(session: Host, pool: Pool, profile: Profile) {
    this.session = session
    this.pool = pool
    this.settings = new FollowedSettings(pool, profile)
    this.#times = new Timekeeping(session.clock, pool)
    this.#mode = pool.mode
    this.#requests = new Requests(this)
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
    return this.#requests.statements.size
  }

  get canSpeak(): boolean {
    return this.server === null || !this.#replies.isMidReply(this.server)
  }

  toClient(): Outbox {
    if (!toClient.isOpenFor(this.session.channel)) toClient.open(this.session.channel)
    if (this.#heldAnswer !== null) {
      toClient.addAll(this.#heldAnswer)
      this.#heldAnswer = null
    }
    return toClient
  }

  /** When the transaction began that runs; null if none does. */
  get transactionMs(): number | null {
    const { server } = this
    if (server === null || (server.status === STATUS_IDLE && server.ledger.isEmpty)) return null
    return this.#times.transactionMs
  }

  /** What a chunk gave rise to has been passed on. To look at the time costs a part of what is measured, so that some must do. */
  #passed(): void {
    if ((++passes & MEASURED_MASK) === 0) this.pool.durations.passing.note(this.session.clock.behindMs())
  }

  // From the client

  read(buffer: Buffer, start: number, end: number): number {
    let stoppedAt = end
    this.session.workBegins()
    try {
      stoppedAt = this.#requests.read(buffer, start, end)
      if (this.server === null || this.server.ledger.isEmpty) this.sayHeld()
      toClient.close()
    } finally {
      toClient.discard()
      this.session.workEnds()
    }
    // The rest is held back, and comes again.
    this.pool.counters.received += stoppedAt - start
    this.#passed()
    this.#balance()
    return stoppedAt
  }

  get holdsClient(): boolean {
    // What is sent again is not held up by what its first sending may have done.
    if (this.#rerun?.isRunning) return false
    if (this.#rerun?.isAwaited || this.#announcing?.isAwaited) return true
    const { server } = this
    return server !== null && (this.#restoring?.holdsClient(server.ledger) ?? false)
  }

  onRequest(server: Server): void {
    if (this.#rerun?.isRunning) return
    if (server.unseen.areSet) server.unseen.settle(server)
    this.#times.requestBegins(server)
    this.#stretch++
    if (this.session.settings.slowQueryMs !== Infinity && !this.pool.isOfOneClient) {
      const { statements } = this.#requests
      this.#requests.texts ??= new QueryTexts((name) => statements.textOf(name))
    } else if (this.#requests.texts !== null) this.#requests.texts = null
  }

  onMayReset(): void {
    if (!this.settings.hasWishes) return
    this.#restoring ??= new Restoring(this.settings, this)
    this.#restoring.expect()
  }

  onAnswered(): void {
    this.#times.answeredOtherwise()
  }

  answerOurselves(server: Server): void {
    // A notification may come in pieces at any time: its end is followed by what is owed then.
    if (this.#replies.isMidReply(server)) return
    const { ledger } = server
    for (let reply = ledger.takeOurs(); reply !== null; reply = ledger.takeOurs()) {
      this.sayHeld()
      this.#heldAnswer = reply
    }
  }

  sayHeld(): void {
    if (this.#heldAnswer !== null) this.toClient()
  }

  goOnSoon(): void {
    this.#goesOn = true
  }

  goOnWhenReady(): void {
    this.#goesOnWhenReady = true
  }

  lease(): boolean {
    this.#times.requestCame()
    const server = this.pool.lease(this)
    if (server === null) {
      if (this.session.state === 'idle') this.session.enter(SESSION.waiting)
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
    server.clientId = this.session.id
    this.#times.leaseBegins()
    this.#fatalForwarded = false
    this.#requests.statements.leaseBegins()
    this.session.enter(SESSION.active)
  }

  /** The client holds a server of its own, from before its first request to its end. */
  own(server: Server): void {
    this.server = server
    server.tenant = this
    server.clientId = this.session.id
    this.#times.leaseBegins()
    this.#requests.statements.leaseBegins()
  }

  onRefused(notice: Notice): void {
    this.session.end(notice)
  }

  onWelcomeKnown(): void {}

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
    const wasHeld = this.holdsClient
    this.pool.counters.sent += end - start
    this.session.workBegins()
    try {
      this.sayHeld()
      this.#replies.read(server, buffer, start, end)
      toClient.close()
    } finally {
      toClient.discard()
      this.session.workEnds()
    }
    this.#passed()
    // In a batch that is not synced, that nothing is owed any more is all that tells of answers.
    if (server.ledger.isBatchOpen && server.ledger.isEmpty) this.#times.answeredOtherwise()
    if (wasHeld && !this.holdsClient) this.#goesOn = true
    // Where the server waits for data, nothing will be ready before the client goes on.
    const isDue = server.ledger.isEmpty || server.ledger.copy === 'open'
    if (this.#goesOn || (this.#goesOnWhenReady && isDue)) {
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
    if (this.session.channel.owedBytes > 0) server.stopReading('client-full', true)
    if (server.ledger.length <= MAX_DEBTS) this.session.stopReading('server-full', server.channel.owedBytes > 0)
    if (server.ledger.isInDoubt) this.#fence(server)
    if (server.ledger.isEmpty) this.#considerRelease(server)
  }

  withholdsReady(server: Server, status: number): boolean {
    if (this.#rerun?.isAwaited) return false
    const created = server.inFlight.takeCreated(server.ledger)
    if (created !== null) this.#watch().onCreated(server, created)
    // The transaction may be that of the batch. If nothing but its Sync follows, PostgreSQL 18 says that it is over, and then refuses
    // what comes next: "StartTransactionCommand: unexpected state STARTED". That is not to be another client's.
    if (status !== STATUS_IDLE && server.status === STATUS_IDLE && server.ledger.isReadyWithinBatch)
      server.condemn('a query within a batch has left a transaction open')
    if (status === STATUS_IDLE) this.#schemaWatch?.onIdle(server, this)
    // The command that began it is to fail, and not what comes after it.
    else if (this.#mode === 'statement') return true
    return (this.#restoring?.withholdsReady ?? false) || (this.#announcing?.isUnderWay ?? false)
  }

  announce(): () => void {
    this.#announcing ??= new Announcing(() => this.#onKnown())
    return this.#announcing.begin()
  }

  onReady(server: Server, status: number, isWithheld: boolean): void {
    server.status = status
    if (this.#rerun?.isAwaited) {
      this.#rerun.run(server, (requests) => this.#requests.sendAgain(requests))
      this.#goesOn = true
      return
    }
    const tookMs = this.#times.answered(status)
    if (this.#requests.texts !== null) this.#noteSlow(this.#requests.texts, tookMs, server)
    this.settings.onReady()
    if (status !== STATUS_IDLE && this.#mode === 'statement') {
      this.session.end(new PoolerError('statement-mode-transaction'))
      return
    }
    const isRestored = this.#restoring?.onReady(server, status) ?? true
    const isLast = status === STATUS_IDLE && server.ledger.isEmpty
    if (isWithheld && isRestored && !(isLast && this.#announcing?.await()))
      this.#say(READY_WITH[status] ?? READY_IN_TRANSACTION)
    if (this.#goesOnWhenReady) this.#goesOn = true
    this.#goesOnWhenReady = false
  }

  #noteSlow(texts: QueryTexts, tookMs: number, { ledger }: Server): void {
    const text = texts.answered(ledger.isEmpty)
    if (tookMs >= this.session.settings.slowQueryMs) this.session.onSlowQuery(tookMs, text)
  }

  onParameter(server: Server, name: string, value: string): void {
    this.settings.onParameter(server, name, value)
  }

  onRareTag(server: Server, tag: string, effect: Effect | null): void {
    if (this.#watch().onTag(server, tag, effect)) return
    if (dropsStatements(tag)) {
      this.#requests.statements.clear()
      // What was sent behind a command that we did not see coming is prepared after it, and we would not know of it any more.
      if (server.ledger.length > 1 && !this.#requests.statements.areAllInDoubt)
        server.condemn('statements were dropped within a pipeline')
    }
    server.noteTag(tag)
    if (tag === 'SET') this.#restoring?.onSet()
    if ((tag === 'DISCARD ALL' || tag === 'RESET') && this.settings.hasWishes) {
      this.#restoring ??= new Restoring(this.settings, this)
      this.#restoring.onReset()
    }
  }

  #watch(): SchemaWatch {
    this.#schemaWatch ??= new SchemaWatch()
    return this.#schemaWatch
  }

  onSkipped(queries: number): void {
    this.#requests.texts?.skipped(queries)
  }

  onErrorPassed(notice: Notice): void {
    this.pool.errors.note('postgresql', notice.sqlstate)
  }

  onOutdated(server: Server, version: number | undefined): void {
    // A statement of an earlier version says nothing new: its client may go on to bind it.
    if (version === undefined || version === server.statements.version) server.context.schema.changed()
  }

  onFirstFailed(server: Server, notice: Notice): boolean {
    if (this.#requests.isMidRequest) return false
    this.#rerun ??= new Rerun()
    return this.#rerun.begin(server, notice)
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

  clientNameOf(sharedName: string): string | null {
    return this.#requests.statements.clientNameOf(sharedName)
  }

  onNonsense(reason: string): void {
    this.server?.close(`the server sent nonsense: ${reason}`, new PoolerError('server-nonsense', { reason }))
  }

  onServerGone(notice: Notice): void {
    const server = this.server
    const canSpeak = server === null || !this.#replies.isMidReply(server)
    this.server = null
    // It may have been committed.
    if (this.#schemaWatch?.hasChangedForAll) server?.context.schema.changed()
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
    // Postgres goes on to read while a stream is not taken: what a client says meanwhile tells it that there is somebody.
    session.stopReading('client-full', session.channel.owedBytes > 0 && server?.ledger.copy !== 'both')
    if (server === null) return
    if (server.ledger.isInDoubt) this.#fence(server)
    if (server.ledger.isEmpty) this.#considerRelease(server)
  }

  /** It does not take more bytes; or it owes so much that what we remember of it must not grow. */
  #isServerFull(server: Server): boolean {
    if (server.channel.owedBytes > 0) return true
    if (server.ledger.length <= MAX_DEBTS || this.#requests.isMidRequest) return false
    // What it has answered may wait in its own buffer for a Sync that we have not read yet.
    server.send(FLUSH)
    return true
  }

  onDrained(): void {
    this.session.stopReading('client-full', false)
    const { server } = this
    if (server === null) return
    server.stopReading('client-full', false)
    if (server.ledger.isEmpty) this.#considerRelease(server)
  }

  onServerDrained(): void {
    const { server } = this
    this.session.stopReading('server-full', server !== null && this.#isServerFull(server))
  }

  /** A COPY has failed with Syncs in it: nobody else may get a ReadyForQuery too many, and the client none too late. */
  #fence(server: Server): void {
    if (!server.ledger.needsFence || this.#requests.isMidRequest) return
    server.ledger.oweFence()
    server.send(FENCE)
  }

  #considerRelease(server: Server): void {
    if (this.#restoring?.keepsServer) {
      if (this.#restoring.isDue && server.isClean && !this.#requests.isMidRequest) this.#restoring.start(server)
      return
    }
    const keeps = keepsServer({
      mode: this.#mode,
      isServerClean: server.isClean,
      owedToClient: this.session.channel.owedBytes,
      isMidRequest: this.#requests.isMidRequest,
    })
    if (keeps && server.condemned !== null) this.#closeIfFast(server, server.condemned)
    if (keeps || !this.session.isOpen) return
    this.server = null
    this.session.stopReading('server-full', false)
    this.session.enter(SESSION.idle)
    this.pool.release(server, this.#mode)
  }

  /** In session mode one that is not to be used again may cost its client the connection, rather than wait for it to leave. */
  #closeIfFast(server: Server, reason: string): void {
    if (this.#mode !== 'session' || !this.pool.settings.closesFast || !this.#isFree(server)) return
    server.close(reason, new PoolerError('server-given-up', { reason }))
  }

  #isFree(server: Server): boolean {
    return isFree({
      isServerClean: server.isClean,
      owedToClient: this.session.channel.owedBytes,
      isMidRequest: this.#requests.isMidRequest,
    })
  }

  // Settings that were reset

  tell(buffer: Buffer, start: number, end: number): void {
    this.session.channel.write(buffer, start, end)
  }

  onRestored(server: Server): void {
    if (!this.#announcing?.await()) this.#sayNow(READY_IDLE)
    this.#considerRelease(server)
    this.session.goOn()
  }

  #onKnown(): void {
    if (!this.session.isOpen) return
    const { server } = this
    if (server !== null && this.#replies.isMidReply(server)) server.ledger.owe(DEBT.ours, READY)
    else this.#sayNow(READY_IDLE)
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
    if (this.#heldAnswer !== null) this.#sayNow(this.#heldAnswer)
    this.#heldAnswer = null
    this.pool.withdraw(this)
    this.#requests.statements.clear()
    const { server } = this
    if (server === null) return
    this.server = null
    if (this.#restoring?.abandon()) {
      if (state === 'doubtful') server.close('internal error')
      return
    }
    const { channel, cancels } = this.session
    const { isMidRequest } = this.#requests
    const owedToClient = channel.isOpen ? channel.owedBytes : 0
    const isQuiet = isFree({ isServerClean: server.isClean, owedToClient, isMidRequest })
    if (state === 'doubtful') server.close('internal error')
    else if (isQuiet) {
      // It was not read while the client that is gone did not take what it had.
      server.stopReading('client-full', false)
      this.pool.release(server, this.#mode)
    } else {
      const hasChangedSchema = this.#schemaWatch?.hasChangedForAll ?? false
      const owed = channel.owedBytes
      abandon(server, { cancels, isMidRequest, owedToClient: owed, hasChangedSchema, overdue: this.#overdue })
    }
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
    this.session.enter(SESSION.idle)
    this.#times.answeredOtherwise()
    const problem = new PoolerError('wait-cancelled')
    this.pool.errors.note('pgweir', problem.sqlstate)
    this.#sayNow(encodeError(problem))
    if (this.#requests.skipAsked() === 'whole') this.#sayNow(READY_IDLE)
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
    if (problem) this.#endOverdue(new PoolerError(problem))
    else if (server.condemned !== null) this.#closeIfFast(server, server.condemned)
  }

  #endOverdue(problem: PoolerError): void {
    this.#overdue = problem.message
    this.session.end(problem)
  }
}

/** Changes nothing, whatever the state of the transaction, and is answered at once. */
const FENCE = Buffer.concat([encodeCloseStatement(`${SHARED_PREFIX}fence`), FLUSH])

/** An answer of our own that has to wait for the end of a message. */
const READY: Effect = { reply: READY_IDLE, undo: () => {} }
