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
  'A client has waited for reserve_pool_timeout. If it comes often, transactions have become longer, or pool_size is too small: see SHOW POOLS.'

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
  /** Of servers that are opened from now on. */
  #opening: Opening
  readonly #handover: Handover
  readonly #failures: Failures
  readonly #refusals: Refusals
  readonly #lifetimes: Lifetimes
  readonly #closing: Closing
  readonly #disuse = new Disuse()
  #standing = OPEN
  /** Sessions that have logged in to this pool. */
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

  /** Whom its servers log in as. */
  get user(): string {
    return this.#opening.identity.user
  }

  /** What the log calls it. */
  get subject(): string {
    return `${this.database}/${this.user}`
  }

  get counters(): Counters {
    return this.#counters
  }

  get durations(): Durations {
    return this.#durations
  }

  /** Told to its clients. */
  get errors(): ErrorCounts {
    return this.#errors
  }

  /** What was counted belongs to another user than what comes. */
  countAnew(): void {
    this.#counters = new Counters()
    this.#durations = new Durations()
    this.#errors = new ErrorCounts()
  }

  get settings(): PoolSettings {
    return this.#settings
  }

  /** It is there for one client, which keeps its server from its login to its end. Nobody else could use that. */
  get isOfOneClient(): boolean {
    return this.options.replication !== 'none'
  }

  /** What its clients' sessions keep to. */
  get mode(): PoolMode {
    return this.isOfOneClient ? 'session' : this.#settings.mode
  }

  get isSuspended(): boolean {
    return this.#isSuspended
  }

  get state(): PoolState {
    return this.#standing.state
  }

  /** How many servers are in a state. */
  count(state: ServerState): number {
    return this.#servers.of[state].length
  }

  servers(state: ServerState): Iterable<Server> {
    return this.#servers.of[state]
  }

  /** All servers but those that are being opened. */
  get live(): number {
    return this.total - this.#servers.opening
  }

  get total(): number {
    return this.#servers.total
  }

  /** All that Postgres may see: also those that are not used any more, and whose connection is not gone yet. */
  get connected(): number {
    return this.#servers.connected
  }

  /** It has no server, since nobody answers where they are. */
  get isCutOff(): boolean {
    return this.live === 0 && this.#failures.areOfReaching
  }

  // What its clients are welcomed with

  /** What a server of this pool reports when nothing was set; null before the first login. */
  get welcome(): ReadonlyMap<string, string> | null {
    return this.#opening.welcome.values
  }

  /**
   * The settings of a client that asked for nothing; null before the first login. After a change of servers it is what the old ones
   * said only as long as no new one can be asked.
   */
  get defaultProfile(): Profile | null {
    return this.#opening.welcome.profile(this.#standing.state === 'open')
  }

  /** What Postgres makes of a setting's value, if that is known already. */
  canonical(name: string, value: string): string | undefined {
    return this.#handover.canonical(name, value)
  }

  /** Another process has learned what its servers report: whoever waits for one only to be welcomed need not any more. */
  welcomeKnown(): void {
    for (const waiter of [...this.waiting]) if (this.waiting.has(waiter)) waiter.onWelcomeKnown()
  }

  // What its permits depend on

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
    // Servers that few can use are nothing to keep for all.
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

  /** Whoever comes finds as much in a new one. */
  get isForgettable(): boolean {
    const { nowMs } = this.options.clock
    if (this.#standing.state !== 'open' || this.#isInUse() || this.#failures.areRecent(nowMs)) return false
    return this.#disuse.isLongEnough(this.welcome !== null, this.settings.unusedTimeoutMs, nowMs)
  }

  /** Since when it has had neither clients nor servers; null while it has. */
  get unusedSinceMs(): number | null {
    return this.#disuse.sinceMs
  }

  get balance(): Balance | null {
    return this.#opening.target.hosts.balance
  }

  /** Somebody may also wait who is no client: who has to be looked up in Postgres to be let in. Between processes a permit takes its time. */
  #isInUse(): boolean {
    return this.clients > 0 || this.connected > 0 || this.waiting.length > 0
  }

  // Leases

  /**
   * A server for one request. Returns it if one can be used at once; otherwise the waiter queues up and `onGranted` or `onRefused`
   * follows, never before this has returned.
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

  /** The waiter has gone away, or does not want a server any more. */
  withdraw(waiter: Waiter): void {
    if (this.waiting.has(waiter)) this.waiting.remove(waiter)
    waiter.promised = null
  }

  /**
   * The lease is over and the server is clean: it goes to the next waiter, or idle.
   *
   * @param mode of the session that held it, if the pool has another one by now
   */
  release(server: Server, mode: PoolMode = this.#settings.mode): void {
    const { settings } = this
    // Whatever becomes of it now is no news for the session that held it.
    server.tenant = null
    if (this.isOfOneClient) server.close('replication client has left')
    else if (server.condemned !== null) server.close(server.condemned)
    else if (this.#standing.closesBecause !== null) server.close(this.#standing.closesBecause)
    else if (this.#lifetimes.isOver(server, this.options.clock.nowMs, settings))
      this.#lifetimes.end(server, this.options.clock.nowMs)
    else server.giveBack(mode === 'session' || settings.alwaysResets ? settings.resetQuery : '')
  }

  #takeIdle(wanted: Profile): Server | null {
    const server = this.#servers.bestIdle(wanted)
    if (server === null) return null
    const { checkQuery } = this.settings
    if (checkQuery === null || !this.needsCheck(server)) return server
    server.check(checkQuery)
    return null
  }

  /** It has been idle for so long that it must answer before it is used again. */
  needsCheck(server: Server): boolean {
    const { checkQuery, checkDelayMs } = this.settings
    return checkQuery !== null && this.options.clock.nowMs - server.checkedMs > checkDelayMs
  }

  /** Somebody waits: nobody shall while servers are idle. Those that must be checked first are checked, one for each who waits. */
  help(asking: Waiter | null = null): void {
    if (this.#standing.state !== 'open') return
    const { checkQuery } = this.settings
    const { idle, checking } = this.#servers.of
    for (let looks = idle.length; looks > 0 && this.waiting.length > checking.length; looks--) {
      const waiter = this.waiting.first as Waiter
      const server = this.#servers.bestIdle(waiter.wantedProfile)
      // Whoever asks right now is granted nothing before it has been told that it waits.
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
    // Not all who wait may have had a server opened for them, if too many were being opened at a time.
    if (from === 'login' && this.waiting.length > 0 && this.#standing.state === 'open')
      this.#opening.share.permits.ask()
  }

  onServerConnected(server: Server, begin: () => void): void {
    this.options.onServerConnected(server, Opening.of(server).share.permits, begin)
  }

  onServerReady(server: Server, login: LoginResult): void {
    if (server.context === this.#opening) this.#opening.target.welcome.learned(login.parameters)
    this.#counters.serversOpened++
    this.#durations.opening.note(this.options.clock.nowMs - server.startedMs)
    this.#failures.forget()
    this.#opening.target.hosts.worked(server.address)
    this.options.onServerOpened(server)
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

  /** They hold at once, for who waits and for what is idle too; servers that are too many now are closed as they come free. */
  reconfigure(settings: PoolSettings): void {
    const { nowMs } = this.options.clock
    this.#settings = settings
    this.#failures.shorten(nowMs, settings.loginRetryMs)
    this.#opening.share.permits.resized()
    this.#sweepIdle(nowMs)
    this.help()
  }

  /** New servers are opened elsewhere, or otherwise; those that are open are closed as they come free. */
  retarget(target: PoolTarget, reason: string): void {
    this.#opening = this.#opening.changedTo(target)
    this.renew(reason)
  }

  /** That logins to servers have failed is not held against the next: what they need, or who answers, is another thing now. */
  tryAgain(): void {
    this.#failures.forget()
    this.#opening.target.hosts.forget()
  }

  /** Each server that is open is closed, at once or as it comes free. Others may be opened at once. */
  renew(reason: string): void {
    this.tryAgain()
    this.#closing.condemnAll(reason)
  }

  /** The same, said by somebody who may have changed tables elsewhere: what was prepared so far is looked at anew. */
  reconnect(): void {
    this.#opening.schema.changedElsewhere()
    this.renew('RECONNECT')
  }

  /** Servers that were opened where their host is not any more are closed as they come free. */
  hostMoved(host: string, addresses: ReadonlySet<string>): void {
    this.#closing.condemnMoved(host, addresses)
  }

  // Time

  /** Called by the janitor: whatever has taken too long ends, whatever is due is done. */
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
    this.waiting.sweep(nowMs, this.settings)
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

  /** While this is on, its servers are not read, and neither are those that are opened. */
  suspend(isOn: boolean): void {
    this.#isSuspended = isOn
    for (const server of this.#servers.all) server.stopReading('suspended', isOn)
  }

  // Pauses

  /** open → pausing → paused: idle servers are closed, busy ones as they come free; whoever waits goes on waiting, newcomers too. */
  pause(): void {
    if (this.#enter(whenPaused(this.#standing))) this.#closeFree()
  }

  /** pausing, paused → open: whoever waits is served. What PostgreSQL has failed at before says nothing of how it is now. */
  resume(): void {
    if (!this.#enter(whenResumed(this.#standing))) return
    this.tryAgain()
    this.help()
  }

  // The end

  /** open, pausing, paused → retiring → gone: waiting clients are refused, idle servers closed, busy ones as they come free. */
  retire(notice: Notice): void {
    if (!this.#enter(whenRetired(this.#standing, notice))) return
    this.waiting.refuseAll(notice)
    this.#closeFree()
  }

  /** Closes what is left, whoever uses it. */
  closeAll(notice: Notice): void {
    for (const server of this.#servers.all) server.close(notice.message, notice)
  }

  /** Servers that are in use are closed as they come free. */
  #closeFree(): void {
    this.#closing.closeFree(this.#standing)
    this.#closing.endStreams(this.#standing)
    this.#checkEmpty()
  }

  /** Where there are no leases, the last server has gone. */
  #checkEmpty(): void {
    if (this.connected > 0 || !this.#enter(whenEmptied(this.#standing))) return
    if (this.state === 'gone') this.#opening.share.retire()
  }

  /** Returns whether this changes anything. */
  #enter(next: Standing): boolean {
    if (next === this.#standing) return false
    this.#standing = next
    return true
  }
}
