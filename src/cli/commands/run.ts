/** `pgweir [flags] [config.ini]`: runs the pooler until a signal ends it, in the foreground or, with `-d`, in the background. */

import { InvariantError } from '../../base/invariant.ts'
import type { Log } from '../../base/log.ts'
import { logAtStart } from '../../daemon/open-log.ts'
import { claimPidFile, type PidFile } from '../../daemon/pid-file.ts'
import { futureOwner, whyNotAsRoot } from '../../daemon/privileges.ts'
import { PoolerError } from '../../problems.ts'
import { type Loaded, type LoadOptions, loadSettings, type Settings } from '../../settings/load.ts'
import { formatProblem, hasErrors, type Problem, SettingsError } from '../../settings/problem.ts'
import type { GeneralSettings } from '../../settings/schema.ts'
import type { Control } from '../../workers/control.ts'
import { EndSignals } from '../signals.ts'
import { whyNotInBackground } from './background.ts'

/** The part of a running pooler that this command needs. */
export interface Pooler {
  readonly control: Control
  readonly log: Pick<Log, 'info'>
  /** Ends the pooler at once, but in good order. Resolves when that is over. */
  stop(): Promise<void>
  /** Resolves when the pooler has ended, no matter who ended it. */
  readonly stopped: Promise<void>
}

export interface StartOptions {
  /** Whether to log nothing to standard error. */
  readonly isQuiet: boolean
  /** Reads the settings again, from the given file; '' means no file. */
  load?(iniFile: string): Loaded
}

export type Start = (settings: Settings, options: StartOptions) => Promise<Pooler>

/** The part of `process` that is used here. */
export interface Surroundings {
  /** The id of the user who has started us; undefined where the system has no such ids. */
  readonly uid: number | undefined
  on(signal: Signal, listener: () => void): unknown
  off(signal: Signal, listener: () => void): unknown
  exit(code: number): void
  /** Writes to standard error, or to that of the process that has started us in the background. */
  complain(text: string): void
  /** Runs the pooler in a process of its own. Resolves with the exit code, once that process serves clients or cannot. */
  startInBackground(general: GeneralSettings): Promise<number>
  /** Tells the process that has started us in the background that clients are served. */
  reportReady(): void
}

export interface RunOptions extends LoadOptions {
  readonly isQuiet: boolean
  /** `-d`: another process is to serve clients. */
  readonly isDaemon?: boolean
  /** This is that other process. The process that has started it has reported the warnings already. */
  readonly isInBackground?: boolean
}

/** What each signal means, as in PgBouncer. The signals that end the pooler become more urgent when they are repeated: see `EndSignals`. */
const SIGNALS = {
  SIGHUP: (control) => control.reload(),
  SIGUSR1: (control) => control.pause(null),
  SIGUSR2: (control) => control.resume(null),
  SIGTERM: { ends: (control) => control.shutdown('wait_for_clients') },
  SIGINT: { ends: (control) => control.shutdown('wait_for_servers') },
  SIGQUIT: { ends: null },
} as const satisfies Record<string, Meaning>

export type Signal = keyof typeof SIGNALS

type Work = (control: Control) => Promise<void>

type Meaning = Work | { readonly ends: Work | null }

/** Resolves with the exit code. */
export async function run(options: RunOptions, start: Start, surroundings: Surroundings): Promise<number> {
  const { isInBackground = false } = options
  const keptSecrets = new Map<string, string>()
  const load = (iniFile: string) => loadSettings({ ...options, keptSecrets, iniFile: iniFile || null })
  const { settings, problems } = loadSettings({ ...options, keptSecrets })
  const told = isInBackground ? problems.filter(({ severity }) => severity === 'error') : problems
  for (const problem of told) surroundings.complain(`${formatProblem(problem)}\n`)
  const { general } = settings
  const forbidden = whyNotAsRoot(general, surroundings.uid)
  const refuseFor = (sentences: readonly string[]) => {
    // The user who is to run the pooler could not write a log file that root creates here.
    if (forbidden === null) logAtStart(general, 'error', sentences)
    return 1
  }
  const refuse = (sentence: string) => {
    surroundings.complain(`pgweir: error: ${sentence}\n`)
    return refuseFor([sentence])
  }
  if (hasErrors(problems)) return refuseFor(formatted(problems, 'error'))
  if (forbidden !== null) return refuse(forbidden)
  if (options.isDaemon) {
    const obstacle = whyNotInBackground(general)
    return obstacle === null ? surroundings.startInBackground(general) : refuse(obstacle)
  }

  let pidFile: PidFile | null = null
  const signals = new Signals(surroundings, () => {
    pidFile?.remove()
    surroundings.exit(1)
  })
  try {
    pidFile = claimPidFile(general.pidfile, futureOwner(general))
    logAtStart(general, 'warning', formatted(problems, 'warning'))
    const pooler = await start(settings, { isQuiet: options.isQuiet, load })
    surroundings.reportReady()
    await Promise.race([pooler.stopped, signals.obey(pooler)])
    return 0
  } catch (cause) {
    if (cause instanceof InvariantError) throw cause
    if (cause instanceof SettingsError) {
      surroundings.complain(`${cause.message}\n`)
      return refuseFor(formatted(cause.problems, 'error'))
    }
    return refuse(cause instanceof Error ? cause.message : String(cause))
  } finally {
    signals.forget()
    pidFile?.remove()
  }
}

function formatted(problems: readonly Problem[], wanted: Problem['severity']): string[] {
  return problems.filter(({ severity }) => severity === wanted).map(formatProblem)
}

/** Listens for signals from the beginning. A signal that comes before the pooler runs takes effect as soon as it does. */
class Signals {
  readonly #surroundings: Surroundings
  readonly #ends: EndSignals
  readonly #listeners: readonly { readonly signal: Signal; readonly listener: () => void }[]
  #pooler: Pooler | null = null
  #early: ((pooler: Pooler) => void)[] = []
  #fail: (cause: unknown) => void = () => {}

  constructor(surroundings: Surroundings, byForce: () => void) {
    this.#surroundings = surroundings
    this.#ends = new EndSignals(() => this.#when((pooler) => this.#watch('stop', pooler.stop())), byForce)
    this.#listeners = Object.entries<Meaning>(SIGNALS).map(([name, meaning]) => {
      const signal = name as Signal
      return { signal, listener: () => this.#received(signal, meaning) }
    })
    for (const { signal, listener } of this.#listeners) surroundings.on(signal, listener)
  }

  /** Never resolves. Rejects if something goes wrong that nobody has foreseen. */
  obey(pooler: Pooler): Promise<never> {
    const failure = new Promise<never>((_resolve, reject) => {
      this.#fail = reject
    })
    this.#pooler = pooler
    for (const work of this.#early.splice(0)) work(pooler)
    return failure
  }

  forget(): void {
    for (const { signal, listener } of this.#listeners) this.#surroundings.off(signal, listener)
  }

  #received(signal: Signal, meaning: Meaning): void {
    // The lines that follow are the same as for a command on the console, and operators look for whoever has given it.
    this.#when(({ log }) => log.info(`got ${signal}`))
    if (typeof meaning === 'function') this.#do(signal, meaning)
    else {
      const { ends } = meaning
      this.#ends.received(signal, ends && (() => this.#do(signal, (control) => this.#end(ends(control)))))
    }
  }

  #do(signal: Signal, work: Work): void {
    this.#when(({ control }) => this.#watch(signal, work(control)))
  }

  /** The pooler alone knows whether it is ending already, and how: an administrator may have been first, on the console. */
  async #end(begun: Promise<void>): Promise<void> {
    try {
      await begun
    } catch (cause) {
      if (!(cause instanceof PoolerError && cause.kind === 'shutting-down')) throw cause
      this.#ends.endAtOnce()
    }
  }

  #when(work: (pooler: Pooler) => void): void {
    if (this.#pooler === null) this.#early.push(work)
    else work(this.#pooler)
  }

  #watch(what: string, work: Promise<void>): void {
    work.catch((cause: unknown) => {
      // This is no news for readers of the log, but it is for the user who has sent the signal.
      if (cause instanceof PoolerError) this.#surroundings.complain(`pgweir: ${what}: ${cause.message}\n`)
      else this.#fail(cause)
    })
  }
}
