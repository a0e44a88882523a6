/** Runs pgweir inside another program, such as a test: `import { startPooler } from 'pgweir'`. */

import { SystemClock } from '../base/clock.ts'
import { createLog, silentLog } from '../base/log.ts'
import { FALLBACK_NAME } from '../settings/databases.ts'
import { loadSettings } from '../settings/load.ts'
import { formatProblem, hasErrors } from '../settings/problem.ts'
import { startPooler as start } from './start.ts'

/** At least one of `upstream`, `databases` and `iniFile` must say where the servers are. */
export interface PoolerOptions {
  /**
   * `postgres://user:password@host:5432/`: the server for every database that has no entry of its own. Without an `auth_file`, clients log in
   * with the same user and password.
   */
  readonly upstream?: string
  /** Entries of [databases]: `{ app: 'host=10.0.0.5 port=5432 pool_size=5' }`. */
  readonly databases?: Readonly<Record<string, string>>
  /** Settings by their names in the ini file: `{ pool_mode: 'transaction', default_pool_size: 5 }`. `listen_port` defaults to any free port. */
  readonly settings?: Readonly<Record<string, string | number | boolean>>
  /** Read at the start, before the other options, and again on RELOAD. */
  readonly iniFile?: string
  /** Receives each log line. Without it, nothing is logged. */
  onLog?(line: string): void
}

/** Settings that only a program of its own can have. They are ignored, with a warning, so that the program's file can be used here as well. */
const WITHOUT_EFFECT = { user: '', logfile: '', syslog: '0', pidfile: '' } as const

/** An address at which clients are accepted: host and port, or the path of a unix socket and the port in its name. */
export interface PoolerAddress {
  readonly host: string
  readonly port: number
}

export interface PoolSnapshot {
  readonly database: string
  readonly user: string
  readonly mode: 'session' | 'transaction' | 'statement'
  readonly clients: { readonly active: number; readonly idle: number; readonly waiting: number }
  readonly servers: { readonly active: number; readonly idle: number; readonly opening: number; readonly all: number }
  /** How long the longest-waiting client has waited. */
  readonly longestWaitMs: number
}

export interface EmbeddedPooler {
  readonly addresses: readonly PoolerAddress[]
  /** The current state of all pools. */
  snapshot(): Promise<readonly PoolSnapshot[]>
  /** Stops the pooler: clients receive an error, servers are closed. */
  stop(): Promise<void>
}

/**
 * Starts a pooler in this process. Resolves once clients are accepted. Rejects with one error that lists all problems in the settings, or if
 * an address is in use; nothing keeps running in that case. Reads no environment variables and handles no signals.
 */
export async function startPooler(options: PoolerOptions): Promise<EmbeddedPooler> {
  const { upstream = null, databases = {}, iniFile = null, onLog } = options
  const given: Record<string, string> = {}
  for (const [key, value] of Object.entries(options.settings ?? {}))
    given[key] = typeof value === 'boolean' ? String(Number(value)) : String(value)
  const lines = Object.entries(databases).map(([name, value]) => `${quoteName(name)} = ${value}`)
  const load = (file: string | null) =>
    loadSettings({
      upstream,
      iniFile: file,
      flags: { ...ownDefaults(file), ...given, ...WITHOUT_EFFECT },
      databases: lines,
    })
  const { settings, problems } = load(iniFile)
  if (hasErrors(problems)) throw new Error(problems.map(formatProblem).join('\n'))
  const { workers } = settings.general
  if (workers !== 1)
    throw new Error(
      `workers = ${workers} is not possible inside another program, because workers are separate processes; run the program pgweir instead`,
    )

  const clock = new SystemClock()
  const { log_format: format, verbose } = settings.general
  const log = onLog
    ? createLog({ format, level: verbose > 0 ? 'debug' : 'info', wallMs: () => clock.wallMs(), write: onLog })
    : silentLog
  for (const problem of problems) log.warning(formatProblem(problem))
  for (const key of withoutEffect(iniFile, given)) log.warning(`${key} has no effect inside another program`)
  const pooler = await start(settings, { log, clock, load: (file) => load(file || null) })
  return {
    addresses: pooler.addresses.map(({ host, port }) => ({ host, port })),
    async snapshot() {
      const pools = await pooler.parts.fleet.pools()
      return pools.map(({ database, user, mode, clients, servers, longestWaitUs }) => {
        const { active, idle, used, tested, new: opening, being_canceled: cancelled } = servers
        const all = active + idle + used + tested + opening + cancelled
        return {
          ...{ database, user, mode, clients: { ...clients } },
          servers: { active, idle: idle + used, opening, all },
          longestWaitMs: longestWaitUs / 1000,
        }
      })
    },
    stop: () => pooler.stop(),
  }
}

/**
 * Defaults with which several poolers can run side by side, and next to a separate pgweir: any free port, no unix socket. The ini file takes
 * precedence over them.
 */
function ownDefaults(iniFile: string | null): Record<string, string> {
  const { origins } = loadSettings({ iniFile }).settings
  const defaults = { listen_port: '0', unix_socket_dir: '' } as const
  return Object.fromEntries(
    Object.entries(defaults).filter(([key]) => origins[key as keyof typeof defaults].from === 'default'),
  )
}

function withoutEffect(iniFile: string | null, given: Readonly<Record<string, string>>): string[] {
  const { origins } = loadSettings({ iniFile }).settings
  const isSet = (key: keyof typeof WITHOUT_EFFECT) => key in given || origins[key].from !== 'default'
  return Object.keys(WITHOUT_EFFECT).filter((key) => isSet(key as keyof typeof WITHOUT_EFFECT))
}

/** Quotes a database name for [databases]. `*` stays unquoted, since only then it means the fallback entry. */
function quoteName(name: string): string {
  return name === FALLBACK_NAME ? name : `"${name.replaceAll('"', '""')}"`
}
