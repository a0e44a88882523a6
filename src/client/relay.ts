/**
 * Hot path: connects one client to the server that it holds at the moment. Asks the pool for a server when a request needs one, passes
 * requests and replies on (see `Requests` and `Replies`), and gives the server back. Figures are in docs/performance.md.
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
import { READY_IDLE, READY_IN_TRANSACTION, READY_WITH, STATUS_IDLE } from '../wire/backend.ts'
import { encodeError, encodeNotice, type Notice } from '../wire/notices.ts'
import { Outbox } from '../wire/outbox.ts'
import { abandon } from './abandoned.ts'
import { Announcing } from './announcing.ts'
import { afterReplies, afterRequests, afterServerDrained } from './balancing.ts'
import { fenceIfNeeded } from './fencing.ts'
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

/** Collects what the client is sent because of one chunk. One outbox serves all sessions: see `Outbox`. */
const toClient = new Outbox()

/** Number of chunks passed on, over all sessions. */
let passes = 0

/** Only one chunk in 64 is measured. */
const MEASURED_MASK = 63

export class Relay implements Handler, Waiter, RequestsListener, RepliesListener, RestoringListener, Announcer {
  readonly link = new Link<Waiter>()
  readonly session: Host
  readonly pool: Pool
  /** The leased server; null while the session holds none. */
  server: Server | null = null
  waitingSinceMs = 0
  wasNotified = false
  promised: Server | null = null
  readonly settings: FollowedSettings
  /** Null until the client first sends something that may reset settings. */
  #restoring: Restoring | null = null
  readonly #times: Timekeeping
  readonly #requests: Requests
  readonly #replies = new Replies(this)
  /**
   * The pool's mode when the client logged in. It applies until the client leaves, even if a reload changes the pool's mode: what the client
   * has left on servers since its login is right for this mode only.
   */
  readonly #mode: PoolMode
  /** The server's own FATAL error has been passed on, so the client needs no other notice when the connection ends. */
  #fatalForwarded = false
  /** Null until the client runs a command that may change more than rows (see `isRareTag`). */
  #schemaWatch: SchemaWatch | null = null
  /** Null until the client changes tables of a database that other processes serve too. */
  #announcing: Announcing | null = null
  /** Null until the first request of a recorded batch fails. */
  #rerun: Rerun | null = null
  /** Counts the periods in which the server owes something. A cancel request applies only to the period in which it arrived. */
  #stretch = 0
  /** The message of the timeout that ends the session; null if none does. */
  #overdue: string | null = null
  /**
   * When the client's message that is held back is shown again: after the chunk of replies that is being read (`now`), since what it waited
   * for has come; or after the next ReadyForQuery, or once nothing is owed any more (`when ready`).
   */
  #goesOn: 'not' | 'when ready' | 'now' = 'not'
  /**
   * An answer of our own within a batch. It is held until the next bytes from the server, so that both are written at once; Postgres
   * would not have sent it any earlier either.
   */
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
    const isRunning = this.server !== null && !this.server.ledger.isEmpty
    return isRunning ? this.#times.requestMs : this.#times.askedMs
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

  /** When the current transaction began; null if none is open. A replication stream, or a base backup, runs outside of transactions, for days. */
  get transactionMs(): number | null {
    const { server } = this
    if (server === null) return null
    const runsByItself = !server.ledger.isEmpty && !this.pool.isOfOneClient
    return server.status !== STATUS_IDLE || runsByItself ? this.#times.transactionMs : null
  }

  /** Called when a chunk has been passed on. Reading the clock takes a part of the time that is measured, so only some chunks are measured. */
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
    // The bytes from `stoppedAt` on are held back and will be read again.
    this.pool.counters.received += stoppedAt - start
    this.#passed()
    this.#balance()
    return stoppedAt
  }

  get holdsClient(): boolean {
    // A batch that is being sent again must not wait for what its own first attempt may have done.
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
    // The client may have received only a part of a message, since a notification may arrive in pieces at any time. Our answers follow
    // when that message has ended.
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
    this.#goesOn = 'now'
  }

  goOnWhenReady(): void {
    if (this.#goesOn === 'not') this.#goesOn = 'when ready'
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

  /** Takes over a server that is this client's alone, from before its first request until its end. */
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
    // No ReadyForQuery comes before the batch's Sync. The only sign that the client has been answered is that nothing is owed any more.
    if (server.ledger.isBatchOpen && server.ledger.isEmpty) this.#times.answeredOtherwise()
    if (wasHeld && !this.holdsClient) this.#goesOn = 'now'
    // If none is owed, or while the server waits for COPY data, no ReadyForQuery comes until the client continues.
    const { ledger } = server
    const isDue = ledger.isEmpty || !ledger.awaitsReady || ledger.copy === 'open'
    if (this.#goesOn === 'now' || (this.#goesOn === 'when ready' && isDue)) {
      this.#goesOn = 'not'
      this.session.goOn()
    }
    // What the server sent may have made us close it.
    if (this.server !== server) return
    if (this.#fatalForwarded) {
      server.close('the server has ended the connection')
      return
    }
    afterReplies(this.session, server)
    if (server.ledger.isInDoubt) fenceIfNeeded(server, this.#requests.isMidRequest)
    if (server.ledger.isEmpty) this.#considerRelease(server)
  }

  withholdsReady(server: Server, status: number): boolean {
    if (this.#rerun?.isAwaited) return false
    const created = server.inFlight.takeCreated(server.ledger)
    if (created !== null) this.#watch().onCreated(server, created)
    // The open transaction may be the implicit one of the batch. If only the batch's Sync follows, PostgreSQL 18 reports that the
    // transaction is over, and then refuses the next command: "StartTransactionCommand: unexpected state STARTED". No other client must
    // get this server.
    if (status !== STATUS_IDLE && server.status === STATUS_IDLE && server.ledger.isReadyWithinBatch)
      server.condemn('a query within a batch has left a transaction open')
    if (status === STATUS_IDLE) this.#schemaWatch?.onIdle(server, this)
    // In statement mode the command that began a transaction must fail itself, not the command after it.
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
      this.#goesOn = 'now'
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
    if (this.#goesOn === 'when ready') this.#goesOn = 'now'
  }

  #noteSlow(texts: QueryTexts, tookMs: number, { ledger }: Server): void {
    const text = texts.answered(ledger.isEmpty)
    if (tookMs >= this.session.settings.slowQueryMs) this.session.onSlowQuery(tookMs, text)
  }

  onParameter(server: Server, name: string, value: string): void {
    this.settings.onParameter(server, name, value)
  }

  #warnOfListen(): void {
    const { subject, id: client } = this.session
    this.pool.options.log.warning(`LISTEN has no effect in ${this.#mode} mode: the client gets no notifications`, {
      ...{ subject, client },
      hint: 'Let clients that LISTEN use a database entry with pool_mode=session.',
    })
  }

  onRareTag(server: Server, tag: string, effect: Effect | null): void {
    if (this.#watch().onTag(server, tag, effect)) return
    if (dropsStatements(tag)) {
      this.#requests.statements.clear()
      // We did not recognize this command when it was sent. Statements whose Parse was sent after it are on the server, but the record of
      // them has just been cleared.
      if (server.ledger.length > 1 && !this.#requests.statements.areAllInDoubt)
        server.condemn('statements were dropped within a pipeline')
    }
    server.noteTag(tag)
    if (tag === 'LISTEN' && this.#mode !== 'session') this.#warnOfListen()
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
    // That a statement of an earlier version fails proves no new change, and its client may go on binding it.
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
    // If the server owes nothing, the client may be done with it: then the server is released first, and the client does not get the error.
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
    // The transaction that changed tables may have been committed.
    if (this.#schemaWatch?.hasChangedForAll) server?.context.schema.changed()
    if (this.#fatalForwarded) this.session.leave('server conn crashed?')
    else if (canSpeak) this.session.end(notice)
    else this.session.endMute(notice)
  }

  // Flow

  /** Called after input from the client. */
  #balance(): void {
    const { server, session } = this
    if (!session.isOpen) return
    afterRequests(session, server, this.#requests.isMidRequest)
    if (server === null) return
    if (server.ledger.isInDoubt) fenceIfNeeded(server, this.#requests.isMidRequest)
    if (server.ledger.isEmpty) this.#considerRelease(server)
  }

  onDrained(): void {
    this.session.stopReading('client-full', false)
    const { server } = this
    if (server === null) return
    server.stopReading('client-full', false)
    if (server.ledger.isEmpty) this.#considerRelease(server)
  }

  onServerDrained(): void {
    afterServerDrained(this.session, this.server, this.#requests.isMidRequest)
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

  /** In session mode with `server_fast_close`, closes a condemned server, which ends its client's session, instead of waiting for the client. */
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
      // Its reading may have been stopped because the client, now gone, did not take its replies.
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
        sent: () => this.#requests.onCancelSent(),
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

/** A ReadyForQuery of our own that has to wait for the end of a message. */
const READY: Effect = { reply: READY_IDLE, undo: () => {} }
