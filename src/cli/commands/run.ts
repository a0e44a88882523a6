/** `pgweir [flags] [config.ini]`: runs the pooler in the foreground until a signal ends it. */

import { InvariantError } from '../../base/invariant.ts'
import { type Loaded, type LoadOptions, loadSettings, type Settings } from '../../settings/load.ts'
import { formatProblem, hasErrors } from '../../settings/problem.ts'
import { stopListener } from '../signals.ts'

/** What this command needs of a running pooler. */
export interface Pooler {
  /** Ends it in good order; resolves when it is over. */
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

type StopSignal = 'SIGINT' | 'SIGTERM'

/** PgBouncer's other signals; without a listener some of them would end the process, or open Node's debugger. */
type LaterSignal = 'SIGHUP' | 'SIGUSR1' | 'SIGUSR2'

/** The part of `process` that is used here. */
export interface Surroundings {
  on(signal: StopSignal | LaterSignal, listener: () => void): unknown
  off(signal: StopSignal | LaterSignal, listener: () => void): unknown
  exit(code: number): void
  /** Writes to standard error. */
  complain(text: string): void
}

/** Resolves with the exit code. The first signal stops the pooler in good order, the second ends the process. */
export async function run(
  options: LoadOptions & StartOptions,
  start: Start,
  surroundings: Surroundings,
): Promise<number> {
  const load = () => loadSettings(options)
  const { settings, problems } = load()
  for (const problem of problems) surroundings.complain(`${formatProblem(problem)}\n`)
  if (hasErrors(problems)) return 1

  const { asked, forget } = firstSignal(surroundings)
  try {
    const pooler = await start(settings, { isQuiet: options.isQuiet, load })
    await Promise.race([pooler.stopped, asked.then(() => pooler.stop())])
    return 0
  } catch (cause) {
    if (cause instanceof InvariantError) throw cause
    surroundings.complain(`pgweir: error: ${cause instanceof Error ? cause.message : String(cause)}\n`)
    return 1
  } finally {
    forget()
  }
}

function firstSignal(surroundings: Surroundings): { readonly asked: Promise<void>; forget(): void } {
  let ask = () => {}
  const asked = new Promise<void>((resolve) => {
    ask = resolve
  })
  const listener = stopListener(ask, () => surroundings.exit(1))
  const refuse = (signal: LaterSignal) =>
    surroundings.complain(`pgweir: ${signal} is not supported yet; nothing is done\n`)
  const refusals = LATER_SIGNALS.map((signal) => ({ signal, listener: () => refuse(signal) }))
  for (const signal of STOP_SIGNALS) surroundings.on(signal, listener)
  for (const refusal of refusals) surroundings.on(refusal.signal, refusal.listener)
  return {
    asked,
    forget() {
      for (const signal of STOP_SIGNALS) surroundings.off(signal, listener)
      for (const refusal of refusals) surroundings.off(refusal.signal, refusal.listener)
    },
  }
}

const STOP_SIGNALS: readonly StopSignal[] = ['SIGINT', 'SIGTERM']
const LATER_SIGNALS: readonly LaterSignal[] = ['SIGHUP', 'SIGUSR1', 'SIGUSR2']
