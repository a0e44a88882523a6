/** `pgweir [flags] [config.ini]`: runs the pooler in the foreground until a signal ends it. */

import { InvariantError } from '../../base/invariant.ts'
import { PoolerError } from '../../problems.ts'
import { type Loaded, type LoadOptions, loadSettings, type Settings } from '../../settings/load.ts'
import { formatProblem, hasErrors } from '../../settings/problem.ts'
import type { Control } from '../../workers/control.ts'
import { EndSignals } from '../signals.ts'

/** What this command needs of a running pooler. */
export interface Pooler {
  readonly control: Control
  /** Ends it at once, but in good order; resolves when it is over. */
  stop(): Promise<void>
  /** Resolves when it is over, whoever ended it. */
  readonly stopped: Promise<void>
}

export interface StartOptions {
  /** Nothing is to be logged to standard error. */
  readonly isQuiet: boolean
  /** Reads the settings again. */
  load?(): Loaded
}

export type Start = (settings: Settings, options: StartOptions) => Promise<Pooler>

/** The part of `process` that is used here. */
export interface Surroundings {
  on(signal: Signal, listener: () => void): unknown
  off(signal: Signal, listener: () => void): unknown
  exit(code: number): void
  /** Writes to standard error. */
  complain(text: string): void
}

/** What each signal means, as in PgBouncer. Those that end the pooler are more urgent each time: see `EndSignals`. */
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
export async function run(
  options: LoadOptions & Pick<StartOptions, 'isQuiet'>,
  start: Start,
  surroundings: Surroundings,
): Promise<number> {
  const load = () => loadSettings(options)
  const { settings, problems } = load()
  for (const problem of problems) surroundings.complain(`${formatProblem(problem)}\n`)
  if (hasErrors(problems)) return 1

  const signals = new Signals(surroundings)
  try {
    const pooler = await start(settings, { isQuiet: options.isQuiet, load })
    await Promise.race([pooler.stopped, signals.obey(pooler)])
    return 0
  } catch (cause) {
    if (cause instanceof InvariantError) throw cause
    surroundings.complain(`pgweir: error: ${cause instanceof Error ? cause.message : String(cause)}\n`)
    return 1
  } finally {
    signals.forget()
  }
}

/** Listens from the beginning; what comes before the pooler runs is done as soon as it does. */
class Signals {
  readonly #surroundings: Surroundings
  readonly #ends: EndSignals
  readonly #listeners: readonly { readonly signal: Signal; readonly listener: () => void }[]
  #pooler: Pooler | null = null
  #early: ((pooler: Pooler) => void)[] = []
  #fail: (cause: unknown) => void = () => {}

  constructor(surroundings: Surroundings) {
    this.#surroundings = surroundings
    this.#ends = new EndSignals(
      () => this.#when((pooler) => this.#watch('stop', pooler.stop())),
      () => surroundings.exit(1),
    )
    this.#listeners = Object.entries<Meaning>(SIGNALS).map(([name, meaning]) => {
      const signal = name as Signal
      return { signal, listener: () => this.#received(signal, meaning) }
    })
    for (const { signal, listener } of this.#listeners) surroundings.on(signal, listener)
  }

  /** Never resolves; rejects if something goes wrong that nobody has foreseen. */
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
    const run = (work: Work) => this.#when(({ control }) => this.#watch(signal, work(control)))
    if (typeof meaning === 'function') run(meaning)
    else {
      const { ends } = meaning
      this.#ends.received(signal, ends && (() => run(ends)))
    }
  }

  #when(work: (pooler: Pooler) => void): void {
    if (this.#pooler === null) this.#early.push(work)
    else work(this.#pooler)
  }

  #watch(what: string, work: Promise<void>): void {
    work.catch((cause: unknown) => {
      // What is no news for whoever reads the log is one for whoever has sent the signal.
      if (cause instanceof PoolerError) this.#surroundings.complain(`pgweir: ${what}: ${cause.message}\n`)
      else this.#fail(cause)
    })
  }
}
