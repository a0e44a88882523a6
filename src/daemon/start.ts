/** Builds the pooler of one process from its settings: creates all parts in order, and removes them if a later step fails. */

import { openConsole } from '../admin/door.ts'
import { type Clock, SystemClock } from '../base/clock.ts'
import { Ids } from '../base/ids.ts'
import type { Log } from '../base/log.ts'
import type { ClientContext } from '../client/context.ts'
import { Session } from '../client/session.ts'
import { Sessions } from '../client/sessions.ts'
import { Turns } from '../client/turns.ts'
import type { HttpAddress } from '../metrics/http-server.ts'
import type { Address, Listener, Transport } from '../net/channel.ts'
import type { DialLdap } from '../net/ldap-connection.ts'
import type { NameService } from '../net/names/look-up.ts'
import type { PamHelpers } from '../net/pam-helpers.ts'
import { describeListening } from '../net/unix-sockets.ts'
import { SWEEP_MS, startJanitor } from '../pool/janitor.ts'
import { PermitBook, type SizesOf } from '../pool/permits/book.ts'
import { Pools } from '../pool/pools.ts'
import { TallyNames } from '../pool/tallies.ts'
import type { CancelSender } from '../server/cancel.ts'
import { Tracked } from '../server/profile.ts'
import type { Loaded, Settings } from '../settings/load.ts'
import { VERSION } from '../version.ts'
import type { CancelRoutes } from '../workers/cancel-routes.ts'
import { type Control, callOn } from '../workers/control.ts'
import { placeOf } from '../workers/failed-logins.ts'
import { LocalFleet } from '../workers/local-fleet.ts'
import type { PeerCancels } from '../workers/peer-cancels.ts'
import { Pulse } from '../workers/pulse.ts'
import { Applier } from './apply.ts'
import { arrivals } from './arrivals.ts'
import { openCancelling } from './cancelling.ts'
import { Conditions } from './conditions.ts'
import { LocalControl } from './control.ts'
import { Databases } from './databases.ts'
import { describeDatabases, describeUsers } from './describe.ts'
import { openEnding } from './ending.ts'
import { loadHba } from './hba.ts'
import { keepFiles } from './kept-files.ts'
import { unmetWishes } from './listening.ts'
import { openLive } from './live.ts'
import { LiveSettings } from './live-settings.ts'
import { openMonitoring } from './monitoring.ts'
import { openNetwork } from './network.ts'
import { alone, type Membership } from './one-of-several.ts'
import { openDoors } from './open-doors.ts'
import { tooFewOpenFiles } from './open-files.ts'
import { type OpenLog, openLog } from './open-log.ts'
import { permitSizes } from './pool-settings.ts'
import { becomeUser } from './privileges.ts'
import { ProcessFigures } from './process-figures.ts'
import { NO_SERVICE_MANAGER, type ServiceManager } from './service-manager.ts'
import { StatsLog } from './stats-log.ts'
import { Suspension } from './suspension.ts'
import { Tickets } from './tickets.ts'
import { loadTls } from './tls.ts'
import { UserFileWatch } from './user-file-watch.ts'
import { openUsers, type UserFileContent, Users } from './users.ts'
import { Welcomes } from './welcomes.ts'

export interface StartOptions {
  /** Logs nothing to standard error. */
  readonly isQuiet?: boolean
  readonly log?: Log
  readonly transport?: Transport
  /** Resolves host names, in place of the service that the settings name. Without it, a given `transport` is dialed by name, unresolved. */
  readonly names?: NameService
  /** Dials an LDAP server. */
  readonly dialLdap?: DialLdap
  /** Asks PAM. */
  readonly pamHelpers?: Pick<PamHelpers, 'isRight' | 'close'>
  readonly clock?: Clock
  /** False in tests, which move the clock and call `sweep` themselves. */
  readonly sweepsByItself?: boolean
  /** Descriptors of listening sockets that another program opened for us. They replace the addresses in the settings. */
  readonly inherited?: readonly number[]
  findServiceManager?(log: Log): ServiceManager
  /** Reads the settings again, for RELOAD. Without it, RELOAD only undoes earlier SET commands and reads the users again. */
  load?(iniFile: string): Loaded
  /** The content of auth_file, if another process reads that file. */
  readonly users?: UserFileContent
  /** Given if this process is one of several. */
  readonly membership?: Membership
}

export interface Pooler {
  readonly addresses: readonly Address[]
  readonly httpAddresses: readonly HttpAddress[]
  /** The console commands. They apply to this process, or to the whole fleet if `launch` has started one. */
  readonly control: Control
  /** Stops the pooler: clients receive an error, servers are closed. */
  stop(): Promise<void>
  /** Resolves when the pooler has stopped, whatever stopped it. */
  readonly stopped: Promise<void>
  readonly parts: PoolerParts
}

/** The parts of a pooler, for the console, metrics and tests. */
export interface PoolerParts {
  /** The current settings. */
  readonly settings: Settings
  readonly log: Log
  readonly clock: Clock
  readonly sessions: Sessions
  readonly pools: Pools
  readonly permits: PermitBook
  readonly cancels: CancelSender
  readonly cancelRoutes: CancelRoutes
  readonly peerCancels: PeerCancels
  /** This process alone. */
  readonly fleet: LocalFleet
  readonly databases: Databases
  readonly applier: Applier
  readonly control: Control
  /** Accepts no new clients and stops when the last one has left. After `graceMs`, clients that are between two transactions are disconnected. */
  drain(graceMs: number): void
  /** @param isLate the process was held up, and bytes that have arrived may be unread: enforce no timeouts on clients and servers this time */
  sweep(isLate?: boolean): void
}

/** Rejects if an address cannot be listened on, or a file cannot be read; nothing keeps running in that case. */
export async function startPooler(first: Settings, options: StartOptions = {}): Promise<Pooler> {
  const { general } = first
  const live = new LiveSettings(first)
  const settings = () => live.now
  const clock = options.clock ?? new SystemClock()
  const openedLog: OpenLog = options.log
    ? { log: options.log, reopen: () => {}, close: () => {} }
    : openLog(general, clock, options.isQuiet ?? false)
  const { log } = openedLog
  const serviceManager = options.findServiceManager?.(log) ?? NO_SERVICE_MANAGER
  if (general.user !== '') keepFiles()
  const { keepAlive } = live
  const network = openNetwork({
    ...{ settings, clock, log, transport: options.transport, service: options.names },
    onMoved: (host, addresses) => databases.hostMoved(host, addresses),
  })
  const { transport, names, hostNames, zones } = network
  const tracked = new Tracked(general.track_extra_parameters)
  const users = options.users ? new Users(options.users) : openUsers(first, log)
  const isAlone = options.membership === undefined
  const sizesOf: SizesOf = (kind, database, user) => permitSizes(settings(), kind, database, user)
  const permits = new PermitBook(sizesOf)
  const membership = options.membership ?? alone({ live, clock, log, permits, inherited: options.inherited })
  const { admissions, saltKey } = membership
  // In a fleet, the primary logs these warnings.
  const onWarning = (sentence: string) => {
    if (isAlone) log.warning(sentence)
  }
  const tls = openLive(loadTls(first), onWarning)
  const hba = openLive(loadHba(first), onWarning)
  const tickets = new Tickets(saltKey, () => clock.wallMs())
  const pools = new Pools(new TallyNames(general.metrics_max_pools), (name) => databases.isEstablished(name))
  const sessions = new Sessions()
  const { cancelKeys, cancelRoutes, peerCancels, cancels } = openCancelling({
    ...{ transport, clock, log, live },
    ...{ number: membership.number, forwardToWorker: membership.forwardCancel },
  })
  const conditions = new Conditions()
  const suspension = new Suspension({
    ...{ clock, sessions, pools, conditions },
    timeoutMs: () => settings().general.suspend_timeout,
  })
  const welcomes = new Welcomes((welcomed) => membership.onWelcomed(welcomed))
  for (const welcomed of membership.welcomed) welcomes.learnedElsewhere(welcomed)
  const databases: Databases = new Databases({
    ...{ settings, pools, users, tracked, transport, clock, log, keepAlive, welcomes },
    encryption: (mode, isDirect) => tls.setup.servers(mode ?? settings().general.server_tls_sslmode, isDirect),
    serverIds: new Ids(membership.number),
    firstTurn: membership.number,
    onSchemaChanged: membership.onSchemaChanged,
    onServerConnected: (server, permits, begin) => membership.onServerConnected(server, permits, begin),
    onServerOpened: (server) => membership.onServerOpened(server),
    onServerClosed: (server) => {
      conditions.check()
      membership.onServerClosed(server)
    },
    isSuspended: () => suspension.isOn,
    onTaken: () => conditions.check(),
    openPermits: (database, user, holder) =>
      membership.openPermits(database, user, holder, () => sizesOf('pool', database, user).min ?? 0),
    endClients: (lost, notice) => {
      for (const session of sessions) {
        const pool = session.waiter?.pool
        if (pool && lost.has(pool)) session.end(notice)
      }
    },
  })
  const applier = new Applier({
    ...{ live, log, users, tls, hba },
    databases: {
      refresh() {
        names.doubt()
        permits.renumber()
        databases.refresh()
      },
    },
    reopenLog: openedLog.reopen,
    load: options.load ?? (() => ({ settings: first, problems: [] })),
  })
  const userFile = options.users
    ? null
    : new UserFileWatch({ settings, log, users, take: (loaded) => applier.takeUsers(loaded) })
  const { lifecycle, farewell, drain } = openEnding({
    logsCommands: isAlone,
    ...{ clock, log, sessions, pools, cancels, peerCancels, conditions, serviceManager },
    consoles: () => doors.consoles,
    close() {
      network.stop()
      stopDoors()
      http?.close()
      openedLog.close()
    },
  })
  const control = new LocalControl({
    logsCommands: isAlone,
    ...{ log, applier, databases, sessions, conditions, lifecycle, names, suspension, serviceManager },
    onShutdown(mode) {
      farewell.shutdown(mode, clock.nowMs, settings().general)
      // The process that takes over our port has the same settings, and needs the address of the HTTP server.
      if (general.so_reuseport) http?.close()
    },
  })
  // PAUSE resolves once no server is connected. That already holds here, so there is nothing to wait for.
  for (const call of membership.standing) callOn(control, call).catch(() => {})
  let isStarting = true
  const pulse = new Pulse(SWEEP_MS)
  const figures = new ProcessFigures({
    ...{ sessions, cancels, pulse },
    expiries: () => tls.setup.expiries,
  })
  const fleet = new LocalFleet({
    figures,
    clock,
    sessions,
    pools,
    cancels,
    port: general.listen_port,
    pulse,
    control,
    state: () => (suspension.isOn ? 'suspended' : databases.isPaused ? 'paused' : 'active'),
    areAllPaused: () => databases.areAllPaused,
    closedBecause: () => (lifecycle.state !== 'serving' ? 'ending' : isStarting ? 'starting' : null),
    describeDatabases: () => describeDatabases(settings(), databases, pools, admissions),
    describeUsers: () => describeUsers(settings(), users, pools, admissions),
    describePeers: () => peerCancels.snapshot(),
    describeNames: () => names.snapshot(),
    describeZones: () => zones.snapshot(),
  })
  const statsLog = new StatsLog({
    clock,
    log,
    periodMs: () => settings().general.stats_period,
    isLogged: () => settings().general.log_stats,
    status: (line) => serviceManager.status(line),
    endPeriod: () => fleet.endPeriod(),
  })
  const { doors, stop: stopDoors } = openDoors({
    ...{ settings, clock, log, users, hba, hostNames, databases, admissions, saltKey },
    ...{ dialLdap: options.dialLdap, pamHelpers: options.pamHelpers },
    lastWord: () => lifecycle.lastWord,
    refusalOf: (peer) => lifecycle.refusalOf(peer),
    openConsole: (user, isOwner) =>
      openConsole({ fleet: membership.fleet ?? fleet, settings, log, counters: fleet.console }, user, isOwner),
  })

  const context: ClientContext = {
    ids: new Ids(membership.number),
    clock,
    log,
    sessions,
    errors: figures.errors,
    cancelKeys,
    cancels,
    tracked,
    settings: () => live.client,
    isSuspended: () => suspension.isOn,
    onTaken: () => conditions.check(),
    encryption: () => tickets.renew(tls.setup.clients),
    handshakes: new Turns(() => settings().general.client_tls_handshakes_at_once),
    admit: (session, wishes, done) => doors.admit(session, wishes, done),
    authentication: (session, wishes, done) => doors.authentication(session, wishes, done),
    destination: (session, wishes, proof, done) => doors.destination(session, wishes, proof, done),
    otherDestination: (session, wishes, refusal) => doors.otherDestination(session, wishes, refusal),
    cancel(pid, key, over) {
      figures.cancelRequests++
      cancelRoutes.cancel(pid, key, over)
    },
    onUnproved(session, done) {
      doors.onUnproved(session)
      if (settings().general.auth_failure_delay === 0) done(0)
      else membership.onLoginFailed(placeOf(session.channel.peer), done)
    },
    onGone: (session) => {
      doors.onGone(session)
      conditions.check()
      membership.onLoad(sessions.count)
    },
  }

  function sweep(isLate = false): void {
    clock.refresh()
    pulse.swept(clock.nowMs)
    // Enforce no timeout on peers whose bytes we do not read.
    const isUnread = suspension.leavesUnread
    if (!isLate) sessions.sweep(clock.nowMs, live.client, isUnread)
    suspension.sweep()
    if (!isLate && !isUnread) pools.sweep()
    databases.sweep()
    cancels.sweep()
    peerCancels.sweep()
    zones.sweep()
    names.sweep(() => databases.hostsInUse())
    farewell.sweep(clock.nowMs)
    userFile?.sweep(clock.nowMs)
    log.tellLeftOut()
    if (isAlone) statsLog.sweep()
  }

  const onAccepted = arrivals({
    ...{ clock, log, sessions, figures },
    maxClients: () => settings().general.max_client_conn,
    begin: (channel) => void new Session(channel, context),
    onLoad: (connections) => membership.onLoad(connections),
  })
  const http = isAlone ? await openMonitoring({ settings, log, fleet }) : null
  const listening = membership.listen(transport, keepAlive, onAccepted)
  let listeners: readonly Listener[] = []
  try {
    listeners = await listening
    becomeUser(general)
  } catch (problem) {
    for (const listener of listeners) listener.close()
    http?.close()
    throw problem
  }
  if (isAlone) for (const { address } of listeners) log.info(`listening on ${describeListening(address)}`)
  log.info(`process up: pgweir ${VERSION}, transport ${transport.name} (${network.because})`)
  const unmet = unmetWishes(general, transport.name)
  if (unmet !== null) log.warning(unmet)
  const tooFew = isAlone ? tooFewOpenFiles(general) : null
  if (tooFew !== null) log.warning(tooFew)
  databases.openForced()
  isStarting = false
  lifecycle.serve({ listeners, janitor: options.sweepsByItself === false ? null : startJanitor(sweep) })
  serviceManager.ready()

  return {
    addresses: listeners.map((listener) => listener.address),
    httpAddresses: http?.addresses ?? [],
    parts: {
      get settings() {
        return live.now
      },
      ...{
        log,
        clock,
        sessions,
        pools,
        permits,
        cancels,
        cancelRoutes,
        peerCancels,
        fleet,
        databases,
        applier,
        control,
        drain,
        sweep,
      },
    },
    control,
    stop: () => lifecycle.stop(),
    stopped: lifecycle.stopped,
  }
}
