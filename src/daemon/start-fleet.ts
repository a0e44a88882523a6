/** Builds a fleet: this process becomes the primary, which serves no clients, and starts the workers as separate processes. */

import { fileURLToPath } from 'node:url'
import { createSaltKey } from '../auth/secrets.ts'
import { type Clock, SystemClock } from '../base/clock.ts'
import type { Log } from '../base/log.ts'
import { later } from '../base/timers.ts'
import type { HttpAddress, HttpServer } from '../metrics/http-server.ts'
import type { Address } from '../net/channel.ts'
import { chooseTransport } from '../net/choose-transport.ts'
import { createNodeTransport } from '../net/node-transport.ts'
import { describeListening } from '../net/unix-sockets.ts'
import { startJanitor } from '../pool/janitor.ts'
import { TallyNames } from '../pool/tallies.ts'
import type { Loaded, Settings } from '../settings/load.ts'
import { formatProblem, hasErrors, SettingsError } from '../settings/problem.ts'
import { VERSION } from '../version.ts'
import type { Control } from '../workers/control.ts'
import { Leftovers } from '../workers/leftovers.ts'
import { Primary } from '../workers/primary.ts'
import { SpawnedWorker } from '../workers/spawn.ts'
import { Applier, type ReadFiles } from './apply.ts'
import { maxClients } from './client-limits.ts'
import { EarlyConnections } from './early-connections.ts'
import { openEntrance } from './entrance.ts'
import { failedLoginsOf } from './failed-logins.ts'
import { fleetControl } from './fleet-control.ts'
import { FleetEnding } from './fleet-ending.ts'
import { loadHba, NO_RULES } from './hba.ts'
import { keepFiles, keptFiles } from './kept-files.ts'
import { Live } from './live.ts'
import { LiveSettings } from './live-settings.ts'
import { openMonitoring } from './monitoring.ts'
import { tooFewOpenFiles } from './open-files.ts'
import { type OpenLog, openLog } from './open-log.ts'
import { permitSizes } from './pool-settings.ts'
import { becomeUser } from './privileges.ts'
import { NO_SERVICE_MANAGER, type ServiceManager } from './service-manager.ts'
import { StatsLog } from './stats-log.ts'
import { encryptionLike, loadTls, NO_TLS } from './tls.ts'
import { UserFileWatch } from './user-file-watch.ts'
import { openUsers } from './users.ts'

export interface StartFleetOptions {
  readonly isQuiet?: boolean
  readonly log?: Log
  readonly clock?: Clock
  /** The program that a worker runs. Default: the compiled one next to this file. */
  readonly workerProgram?: string
  readonly inherited?: readonly number[]
  findServiceManager?(log: Log): ServiceManager
  /** Reads the settings from the same sources as at the start. */
  load?(iniFile: string): Loaded
}

/** The order that a worker receives when it starts; see `daemon/work.ts`. */
export interface Work {
  /** As returned by `Users.texts`. */
  readonly users: ReadonlyMap<string, string>
  readonly settings: Settings
  readonly isQuiet: boolean
  /** The addresses at which clients are accepted. */
  readonly addresses: readonly Address[]
  /** True: the worker inherits one listening socket per address and accepts from it. False: the primary accepts and hands over connections. */
  readonly sharesSockets: boolean
  /** The content of files that the worker may have no right to read. */
  readonly keptFiles: ReadonlyMap<string, Uint8Array>
  /** The salt key in base64: see `createSaltKey`. */
  readonly saltKey: string
}

/** A change of settings or users, as sent to running workers. */
export interface Told {
  /** Null if the settings are unchanged. */
  readonly settings: Settings | null
  /** Which files the worker has to read again. */
  readonly files: ReadFiles
  /** The users of auth_file; null if it was not read. */
  readonly users: ReadonlyMap<string, string> | null
}

export interface RunningFleet {
  readonly log: Log
  readonly addresses: readonly Address[]
  readonly httpAddresses: readonly HttpAddress[]
  readonly primary: Primary
  readonly control: Control
  stop(): Promise<void>
  readonly stopped: Promise<void>
}

/** Rejects if an address cannot be listened on, or no worker starts; nothing keeps running in that case. */
export async function startFleet(
  first: Settings,
  workers: number,
  options: StartFleetOptions = {},
): Promise<RunningFleet> {
  const { isQuiet = false, clock = new SystemClock(), workerProgram = WORKER_PROGRAM } = options
  const live = new LiveSettings(first)
  const general = () => live.now.general
  const openedLog: OpenLog = options.log
    ? { log: options.log, reopen: () => {}, close: () => {} }
    : openLog(first.general, clock, isQuiet)
  const { log } = openedLog
  const serviceManager = options.findServiceManager?.(log) ?? NO_SERVICE_MANAGER
  const { transport, because } = chooseTransport(first.general, () => {})

  // Read files with the rights that we were started with, and keep their content: with the setting `user`, workers may lack these rights.
  if (first.general.user !== '') keepFiles()
  const firstTls = loadTls(first)
  const found = [...firstTls.problems, ...loadHba(first).problems]
  if (hasErrors(found)) throw new SettingsError(found.filter(({ severity }) => severity === 'error'))
  const tls = new Live(firstTls.setup ?? NO_TLS)
  const users = openUsers(first, log)
  const saltKey = createSaltKey().toString('base64')
  const early = new EarlyConnections()
  const entrance = await openEntrance({
    settings: first,
    keepAlive: live.keepAlive,
    tell: (sentence) => log.warning(sentence),
    inherited: options.inherited ?? [],
    isShared: transport.name === 'epoll',
    give(message, socket) {
      early.give(socket, () => {
        const worker = primary.nextInTurn()
        if (worker === null) return false
        ;(worker.process as SpawnedWorker).handOver(message, socket)
        return true
      })
    },
  })
  const { addresses, descriptors } = entrance
  const ending = new FleetEnding({
    ...{ log, serviceManager },
    stopListeningByTcp() {
      entrance.closeTcp()
      // The fleet that takes over our port has the same settings, and needs the address of the HTTP server.
      if (first.general.so_reuseport) http?.close()
    },
    stopListening() {
      entrance.close()
      early.close()
    },
    primary: () => primary,
    close() {
      http?.close()
      janitor.stop()
      leftovers.stop()
      openedLog.close()
    },
  })
  const applier = new Applier({
    ...{ live, log, reopenLog: openedLog.reopen },
    // The primary reads the TLS and HBA files only to check them; workers use them.
    ...{ tls, hba: new Live(NO_RULES) },
    users,
    databases: {
      // The primary has no databases or pools; it only adjusts the number of permits and the listening sockets.
      refresh() {
        primary.resize()
        entrance.keepUp()
      },
    },
    load: options.load ?? (() => ({ settings: first, problems: [] })),
  })
  const { control, standing, workerGone } = fleetControl({
    ...{ log, applier, serviceManager },
    everywhere: (call) => primary.everywhere(call),
    keepStats: (isThere, removed) => primary.keepStats(isThere, removed),
    apply: ({ settings, users: content, tls, hba }) =>
      tell({ settings, users: content && users.texts(), files: { tls: tls !== null, hba: hba !== null } }),
    restart: () => primary.restart(general().worker_restart_grace),
    shutdown: async (mode) => ending.shutdown(mode),
  })
  const leftovers = new Leftovers({
    ...{ transport: createNodeTransport(), keepAlive: live.keepAlive, later },
    encryption: (how) => encryptionLike(tls.setup, how),
  })
  const primary: Primary = new Primary({
    ...{ clock, log, workers, control, standing },
    onServing: () => early.goOn(),
    onWorkerGone: workerGone,
    tallyNames: new TallyNames(first.general.metrics_max_pools),
    work: (): Work => ({
      ...{ settings: live.now, users: users.texts() },
      ...{ isQuiet, addresses, sharesSockets: descriptors.length > 0, saltKey, keptFiles: keptFiles() },
    }),
    maxClients: (claim) => maxClients(live.now, claim),
    failedLogins: failedLoginsOf(live, clock, log),
    sizesOf: (kind, database, user) => permitSizes(live.now, kind, database, user),
    later,
    leftovers,
    silenceMs: () => general().worker_timeout,
    databaseIdleMs: (name) => (live.now.databases.has(name) ? Infinity : general().autodb_idle_timeout || Infinity),
    spawn: (listener) => new SpawnedWorker({ program: workerProgram, descriptors }, listener),
  })
  const tell = (what: Told) => primary.apply(what)
  const userFile = new UserFileWatch({
    settings: () => live.now,
    ...{ log, users },
    take(loaded) {
      applier.takeUsers(loaded)
      tell({ settings: null, users: users.texts(), files: { tls: false, hba: false } }).catch(() => {})
    },
  })
  const statsLog = new StatsLog({
    ...{ clock, log },
    periodMs: () => general().stats_period,
    isLogged: () => general().log_stats,
    status: (line) => serviceManager.status(line),
    endPeriod: () => primary.endPeriod(),
  })
  const janitor = startJanitor(() => {
    clock.refresh()
    primary.sweep()
    userFile.sweep(clock.nowMs)
    log.tellLeftOut()
    statsLog.sweep()
  })

  let http: HttpServer | null = null
  try {
    http = await openMonitoring({ settings: () => live.now, log, fleet: primary })
    becomeUser(first.general)
    await primary.start()
  } catch (problem) {
    await ending.stop()
    throw problem
  }
  for (const problem of found) log.warning(formatProblem(problem))
  for (const address of addresses) log.info(`listening on ${describeListening(address)}`)
  log.info(`process up: pgweir ${VERSION}, ${workers} workers, transport ${transport.name} (${because})`)
  const tooFew = tooFewOpenFiles(first.general)
  if (tooFew !== null) log.warning(tooFew)
  serviceManager.ready()
  return {
    log,
    addresses,
    httpAddresses: http.addresses,
    primary,
    control,
    stop: () => ending.stop(),
    stopped: ending.stopped,
  }
}

const WORKER_PROGRAM = fileURLToPath(new URL('../cli/worker.js', import.meta.url))
