/** The servers of one database and user, and the sessions that wait for them. */

import type { Birth } from '../server/birth.ts'
import type { LoginResult } from '../server/login.ts'
import type { Profile } from '../server/profile.ts'
import { Server } from '../server/server.ts'
import { StatementRegistry } from '../server/statement-registry.ts'
import type { ServerState } from '../server/states.ts'
import type { Notice } from '../wire/notices.ts'
import { Closing } from './closing.ts'
import { Counters, Durations } from './counters.ts'
import { Disuse } from './disuse.ts'
import { ErrorCounts } from './error-counts.ts'
import { Failures } from './failures.ts'
import { Handover, type HandoverOwner } from './handover.ts'
import type { Balance } from './hosts.ts'
import type { Waiter } from './lease.ts'
import { Lifetimes } from './lifetimes.ts'
import { Opening, type OpeningPool } from './opening.ts'
import type { PoolOptions, PoolTarget } from './options.ts'
import { Refusals, type RefusingPool } from './refusals.ts'
import { ServerLists } from './server-lists.ts'
import type { PoolMode, PoolSettings } from './settings.ts'
import { serversMissing } from './sizing.ts'
import { OPEN, type PoolState, type Standing, whenEmptied, whenPaused, whenResumed, whenRetired } from './states.ts'
import { Waiting } from './waiting.ts'

const RESERVE_HINT =
  'A client has waited for reserve_pool_timeout. If this happens often, transactions take longer than before, or pool_size is too small; see SHOW POOLS.'

export class Pool implements HandoverOwner, OpeningPool, RefusingPool {
  readonly database: string
  readonly birth: Birth
  readonly options: PoolOptions
  #counters = new Counters()
  #durations = new Durations()
  #errors = new ErrorCounts()
  readonly statements = new StatementRegistry()
  readonly waiting = new Waiting()
  readonly #servers = new ServerLists()
  #settings: PoolSettings
  /** How servers are opened from now on. Each open server keeps the `Opening` that it was opened with. */
  #opening: Opening
  readonly #handover: Handover
  readonly #failures: Failures
  readonly #refusals: Refusals
  readonly #lifetimes: Lifetimes
  readonly #closing: Closing
  readonly #disuse = new Disuse()
  #standing = OPEN
  /** How many sessions are logged in to this pool. */
  clients = 0
  #isSuspended = false

  constructor(options: PoolOptions) {
    this.options = options
    this.database = options.database
    this.birth = options.birth
    this.#failures = new Failures(this.birth.size > 0)
    this.#refusals = new Refusals(this, this.#failures, options.clock)
    this.#handover = new Handover(this, options.clock, options.log)
    this.#lifetimes = new Lifetimes(this.#servers)
    this.#closing = new Closing(this.#servers, this.isOfOneClient)
    this.#settings = options.settings
    this.#opening = new Opening(this, options.target)
  }

  /** The PostgreSQL user that its servers log in as. */
  get user(): string {
    return this.#opening.identity.user
  }

  /** Names the pool in log lines. */
  get subject(): string {
    return `${this.database}/${this.user}`
  }

  get counters(): Counters {
    return this.#counters
  }

  get durations(): Durations {
    return this.#durations
  }

  /** Errors that the pool's clients have received. */
  get errors(): ErrorCounts {
    return this.#errors
  }

  /** Starts new counters. Called when the pool's servers begin to log in as another user: what was counted so far belongs to the former user. */
  countAnew(): void {
    this.#counters = new Counters()
    this.#durations = new Durations()
    this.#errors = new ErrorCounts()
  }

  get settings(): PoolSettings {
    return this.#settings
  }

  /** A replication client has a pool of its own and keeps its server from login to disconnect. No other client could use that server. */
  get isOfOneClient(): boolean {
    return this.options.replication !== 'none'
  }

  /** The pool mode that its sessions follow; always `session` for a replication client. */
  get mode(): PoolMode {
    return this.isOfOneClient ? 'session' : this.#settings.mode
  }

  get isSuspended(): boolean {
    return this.#isSuspended
  }

  get state(): PoolState {
    return this.#standing.state
  }

  /** Returns the number of servers in `state`. */
  count(state: ServerState): number {
    return this.#servers.of[state].length
  }

  servers(state: ServerState): Iterable<Server> {
    return this.#servers.of[state]
  }

  /** Servers that are logged in and not closing. */
  get live(): number {
    return this.total - this.#servers.opening
  }

  /** All servers except closing ones. */
  get total(): number {
    return this.#servers.total
  }

  /** All servers that Postgres may still count, including closing ones whose connection has not ended yet. */
  get connected(): number {
    return this.#servers.connected
  }

  /**
   * True if the pool has no live server, and the last attempt to open one failed because the host did not answer, or Postgres was starting up or
   * shutting down.
   */
  get isCutOff(): boolean {
    return this.live === 0 && this.#failures.areOfReaching
  }

  // Parameter values that clients receive after login

  /** The values that a new server of this pool reports before a client changes any; null before the first login to a server. */
  get welcome(): ReadonlyMap<string, string> | null {
    return this.#opening.welcome.values
  }

  /**
   * The settings of a client that asked for none itself; null before the first login to a server. After `retarget`, values reported by former
   * servers count only while the pool opens no new ones.
   */
  get defaultProfile(): Profile | null {
    return this.#opening.welcome.profile(this.#standing.state === 'open')
  }

  /** Returns `value` as Postgres writes it when it reports the setting; undefined if that is not known yet. */
  canonical(name: string, value: string): string | undefined {
    return this.#handover.canonical(name, value)
  }

  /** Called when another process has learned what servers of this pool report. Waiters that need a server for nothing else stop waiting. */
  welcomeKnown(): void {
    for (const waiter of [...this.waiting]) if (this.waiting.has(waiter)) waiter.onWelcomeKnown()
  }

  // What decides how many permits the pool gets: see `SharingPool`

  get missing(): number {
    if (this.#standing.state !== 'open' || this.#failures.isCoolingDown(this.options.clock.nowMs)) return 0
    const { opening } = this.#servers
    const { checking, cleaning } = this.#servers.of
    const soonFree = checking.length + cleaning.length
    return serversMissing({ waiting: this.waiting.length, opening, soonFree })
  }

  get waitingClients(): number {
    return this.waiting.length
  }

  get fillsMinimum(): boolean {
    // Servers opened with birth settings suit only the clients that asked for those settings, so min_pool_size does not apply to them.
    const hasClients = this.birth.size === 0 && (this.clients > 0 || this.#opening.target.fillsAlone())
    if (this.#standing.state !== 'open' || !hasClients || this.#servers.opening > 0) return false
    return !this.#failures.isCoolingDown(this.options.clock.nowMs)
  }

  get waitingSinceMs(): number {
    return this.waiting.sinceMs
  }

  get idleSinceMs(): number {
    const { first, last } = this.#servers.of.idle
    return (this.settings.roundRobin ? first : last)?.usedMs ?? Infinity
  }

  /** True if the pool can be removed: the next client would be served equally well by a new one. */
  get isForgettable(): boolean {
    const { nowMs } = this.options.clock
    if (this.#standing.state !== 'open' || this.#isInUse() || this.#failures.areRecent(nowMs)) return false
    return this.#disuse.isLongEnough(this.welcome !== null, this.settings.unusedTimeoutMs, nowMs)
  }

  /** Since when the pool has had no clients, servers or waiters; null while it has some. */
  get unusedSinceMs(): number | null {
    return this.#disuse.sinceMs
  }

  get balance(): Balance | null {
    return this.#opening.target.hosts.balance
  }

  /**
   * A pool without clients and servers may still have a waiter: an `auth_query` that looks up a user who is logging in. With several workers, it
   * may have to wait for a permit from the primary before a server is dialed.
   */
  #isInUse(): boolean {
    return this.clients > 0 || this.connected > 0 || this.waiting.length > 0
  }

  // Leases

  /**
   * Leases a server for one request. Returns the server if one can be used at once. Otherwise returns null, and `onGranted` or `onRefused` of
   * the waiter follows later, never before this method has returned.
   */
  lease(waiter: Waiter): Server | null {
    waiter.waitingSinceMs = this.options.clock.nowMs
    waiter.wasNotified = false
    if (this.#standing.state === 'open' && this.waiting.length === 0) {
      const server = this.#takeIdle(waiter.wantedProfile)
      if (server && this.#handover.lendIfFits(server, waiter)) return server
      if (server) {
        this.#handover.give(server, waiter)
        return null
      }
    }
    this.waiting.pushLast(waiter)
    const { lastWord } = this.#standing
    if (lastWord !== null) queueMicrotask(() => this.waiting.refuseAll(lastWord))
    else if (this.#standing.state !== 'open') return null
    else if (this.#refusals.wordsForNewcomers !== null) queueMicrotask(() => this.#refusals.refuseNewcomers())
    else this.help(waiter)
    return null
  }

  /** The waiter has gone away, or no longer wants a server. */
  withdraw(waiter: Waiter): void {
    if (this.waiting.has(waiter)) {
      this.waiting.remove(waiter)
      this.#durations.wait.note(this.options.clock.nowMs - waiter.waitingSinceMs)
    }
    waiter.promised = null
  }

  /**
   * Ends a lease. The server must be clean. It goes to the next waiter or becomes idle, unless there is a reason to close it.
   *
   * @param mode of the session that held the server, if the pool's mode has changed since
   */
  release(server: Server, mode: PoolMode = this.#settings.mode): void {
    const { settings } = this
    // Closing a server notifies its tenant, but this lease is already over.
    server.tenant = null
    if (this.isOfOneClient) server.close('replication client has left')
    else if (server.condemned !== null) server.close(server.condemned)
    else if (this.#standing.closesBecause !== null) server.close(this.#standing.closesBecause)
    else if (this.#lifetimes.isOver(server, this.options.clock.nowMs, settings))
      this.#lifetimes.end(server, this.options.clock.nowMs)
    else server.giveBack(mode === 'session' || settings.alwaysResets ? settings.resetQuery : unlistenSql(server))
  }

  #takeIdle(wanted: Profile): Server | null {
    const server = this.#servers.bestIdle(wanted)
    if (server === null) return null
    const { checkQuery } = this.settings
    if (checkQuery === null || !this.needsCheck(server)) return server
    server.check(checkQuery)
    return null
  }

  /** Returns whether the server has been idle for longer than `server_check_delay`, so that it must pass `server_check_query` before it is leased. */
  needsCheck(server: Server): boolean {
    const { checkQuery, checkDelayMs } = this.settings
    return checkQuery !== null && this.options.clock.nowMs - server.checkedMs > checkDelayMs
  }

  /**
   * Gives idle servers to waiters, and asks for permits to open more. An idle server that needs a check is checked first; no more servers are
   * checked than clients wait.
   *
   * @param asking the waiter whose call of `lease` has not returned yet
   */
  help(asking: Waiter | null = null): void {
    if (this.#standing.state !== 'open') return
    const { checkQuery } = this.settings
    const { idle, checking } = this.#servers.of
    for (let looks = idle.length; looks > 0 && this.waiting.length > checking.length; looks--) {
      const waiter = this.waiting.first as Waiter
      const server = this.#servers.bestIdle(waiter.wantedProfile)
      // `lease` has promised this waiter that it returns before `onGranted` is called.
      if (server === null || waiter === asking) break
      if (checkQuery !== null && this.needsCheck(server)) server.check(checkQuery)
      else {
        this.waiting.remove(waiter)
        this.#handover.give(server, waiter)
      }
    }
    this.#opening.share.permits.ask()
  }

  /** Puts a waiter that was about to get a server back where it was in the queue. */
  queueAgain(waiter: Waiter): void {
    this.waiting.putBack(waiter)
    const { lastWord } = this.#standing
    if (lastWord !== null) this.waiting.refuseAll(lastWord)
    else this.help()
  }

  // Servers

  onServerMoved(server: Server, from: ServerState, to: ServerState): void {
    this.#servers.move(server, from, to, to === 'idle' && !this.settings.roundRobin)
    if (to === 'closed') {
      this.options.onServerClosed(server)
      Opening.of(server).share.serverGone()
      this.#checkEmpty()
      return
    }
    if (to === 'idle') this.#serve(server)
    if (to === 'closing') {
      if (from !== 'dialing' && from !== 'login') this.#counters.serversClosed++
      this.#refusals.serverLost(this.#opening.share.permits)
    }
    // At most MAX_OPENING servers are opened at a time, which may have left some waiters without one. Now one more may be opened.
    if (from === 'login' && this.waiting.length > 0 && this.#standing.state === 'open')
      this.#opening.share.permits.ask()
  }

  onServerConnected(server: Server, begin: () => void): void {
    this.options.onServerConnected(server, Opening.of(server).share.permits, begin)
  }

  onServerReady(server: Server, login: LoginResult): void {
    const { welcome } = this.#opening.target
    if (server.context === this.#opening && welcome.learned(login.parameters)) this.#tellUnreported(login)
    this.#counters.serversOpened++
    this.#durations.opening.note(this.options.clock.nowMs - server.startedMs)
    this.#failures.forget()
    this.#opening.target.hosts.worked(server.address)
    this.options.onServerOpened(server)
  }

  #tellUnreported({ parameters }: LoginResult): void {
    const { log, tracked } = this.options
    // Nothing follows a client that has a server of its own.
    if (this.isOfOneClient) return
    for (const name of tracked.unreported(parameters))
      log.warning(`track_extra_parameters: the server does not report "${name}", so it does not follow clients`, {
        subject: this.subject,
      })
  }

  onServerFailed(server: Server, problem: Notice): void {
    this.#counters.serverFailures++
    const { nowMs } = this.options.clock
    const { startedMs } = server
    const { loginRetryMs } = this.settings
    if (this.#opening.target.hosts.failed(server.address, nowMs + loginRetryMs)) this.#failures.triesAnother(nowMs)
    else this.#failures.failed(problem, { startedMs, nowMs }, loginRetryMs, this.options.chance())
  }

  onServerLost(server: Server): void {
    this.#servers.doubtBeside(server)
  }

  #serve(server: Server): void {
    if (this.#standing.closesBecause !== null) {
      server.close(this.#standing.closesBecause)
      return
    }
    const because = this.#opening.share.permits.mustYield()
    if (because !== null) {
      server.close(because)
      return
    }
    const waiter = this.waiting.first
    if (waiter === null) return
    this.waiting.remove(waiter)
    this.#handover.give(server, waiter)
  }

  onGranted(usesReserve: boolean): void {
    if (usesReserve)
      this.options.log.warning('taking connection from reserve_pool', { subject: this.subject, hint: RESERVE_HINT })
    const server = new Server(this.#opening)
    this.#servers.add(server)
    server.dial()
  }

  onRecalled(because: string): void {
    this.#servers.longestIdle?.close(because)
  }

  // New settings

  /** Applies new settings at once, also to waiters and to idle servers. Servers above the new limits are closed as they come free. */
  reconfigure(settings: PoolSettings): void {
    const { nowMs } = this.options.clock
    this.#settings = settings
    this.#failures.shorten(nowMs, settings.loginRetryMs)
    this.#opening.share.permits.resized()
    this.#sweepIdle(nowMs)
    this.help()
  }

  /**
   * Opens new servers at another place, or in another way, from now on. Open servers are closed, at once if they are idle, otherwise as they
   * come free.
   */
  retarget(target: PoolTarget, reason: string): void {
    this.#opening = this.#opening.changedTo(target)
    this.renew(reason)
  }

  /**
   * Forgets failed logins, so that the next server is opened without delay. Called when a setting or PostgreSQL itself may have changed since
   * the last failure.
   */
  tryAgain(): void {
    this.#failures.forget()
    this.#opening.target.hosts.forget()
  }

  /** Closes all open servers, at once if they are idle, otherwise as they come free. Replacements may be opened immediately. */
  renew(reason: string): void {
    this.tryAgain()
    this.#closing.condemnAll(reason)
  }

  /**
   * Does the same for the console's RECONNECT. The operator may have changed tables where pgweir did not see it, so clients' statements are
   * prepared anew.
   */
  reconnect(): void {
    this.#opening.schema.changedElsewhere()
    this.renew('RECONNECT')
  }

  /** Closes servers that are connected to an address `host` no longer has, at once if they are idle, otherwise as they come free. */
  hostMoved(host: string, addresses: ReadonlySet<string>): void {
    this.#closing.condemnMoved(host, addresses)
  }

  // Time

  /** Called by the janitor: ends what has taken too long, and does what is due. */
  sweep(): void {
    try {
      this.#sweep()
    } catch (error) {
      const { log } = this.options
      log.error(`internal error: ${error instanceof Error ? error.stack : String(error)}`, { subject: this.subject })
    }
  }

  #sweep(): void {
    const { nowMs } = this.options.clock
    // Waits that end without a server count, too: otherwise the percentiles would be low where most of them end by a timeout.
    this.waiting.sweep(nowMs, this.settings, (waitedMs) => this.#durations.wait.note(waitedMs))
    this.#disuse.note(this.#isInUse(), nowMs)
    this.#servers.timeOut(nowMs, this.settings.connectTimeoutMs)
    for (const server of this.#servers.of.leased) server.tenant?.onSweep(nowMs)
    this.#sweepIdle(nowMs)
    this.#closing.endStreams(this.#standing)
    this.help()
  }

  #sweepIdle(nowMs: number): void {
    const floor = this.birth.size === 0 ? this.#opening.share.permits.floor : 0
    this.#lifetimes.sweepIdle(floor, nowMs, this.settings)
  }

  /** While suspended, none of the pool's servers is read, including servers that are opened meanwhile. */
  suspend(isOn: boolean): void {
    this.#isSuspended = isOn
    for (const server of this.#servers.all) server.stopReading('suspended', isOn)
  }

  // Pauses

  /**
   * open → pausing → paused: idle servers are closed at once, busy ones as they come free. Waiters keep waiting, and so do clients that come
   * later.
   */
  pause(): void {
    if (this.#enter(whenPaused(this.#standing))) this.#closeFree()
  }

  /** pausing, paused → open: waiters are served. Earlier login failures are forgotten, because PostgreSQL may be reachable again. */
  resume(): void {
    if (!this.#enter(whenResumed(this.#standing))) return
    this.tryAgain()
    this.help()
  }

  // The end

  /** open, pausing, paused → retiring → gone: waiting clients are refused, idle servers are closed at once, busy ones as they come free. */
  retire(notice: Notice): void {
    if (!this.#enter(whenRetired(this.#standing, notice))) return
    this.waiting.refuseAll(notice)
    this.#closeFree()
  }

  /** Closes all servers that are left, including those in use. Their clients receive `notice`. */
  closeAll(notice: Notice): void {
    for (const server of this.#servers.all) server.close(notice.message, notice)
  }

  /** Closes servers that nobody uses. Servers in use are closed as they come free. */
  #closeFree(): void {
    this.#closing.closeFree(this.#standing)
    this.#closing.endStreams(this.#standing)
    this.#checkEmpty()
  }

  /** Once the last connection has ended, enters `paused` from `pausing`, or `gone` from `retiring`. */
  #checkEmpty(): void {
    if (this.connected > 0 || !this.#enter(whenEmptied(this.#standing))) return
    if (this.state === 'gone') this.#opening.share.retire()
  }

  /** Returns false if the pool is in this standing already. */
  #enter(next: Standing): boolean {
    if (next === this.#standing) return false
    this.#standing = next
    return true
  }
}

/** The notifications that a client has asked for must not reach the next one. */
function unlistenSql(server: Server): string {
  if (!server.isListening) return ''
  server.isListening = false
  return 'UNLISTEN *'
}
