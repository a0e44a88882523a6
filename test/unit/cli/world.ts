/** Fakes everything outside the process, for tests of the command line. */

import type { ConsoleFlags } from '../../../src/cli/commands/console.ts'
import type { Pooler, Signal, StartOptions } from '../../../src/cli/commands/run.ts'
import type { CommandLine } from '../../../src/cli/flags.ts'
import { main, type World } from '../../../src/cli/main.ts'
import type { Settings } from '../../../src/settings/load.ts'
import { passedOn } from '../../../src/workers/control.ts'

export function fakeWorld(overrides: Partial<World> = {}) {
  const listeners = new Map<string, () => void>()
  const started: { settings: Settings; options: StartOptions }[] = []
  const demos: CommandLine[] = []
  const talks: { texts: readonly string[]; flags: ConsoleFlags }[] = []
  const exits: number[] = []
  const reports: string[] = []
  const written = { out: '', err: '' }
  const pooler = fakePooler()
  const world: World = {
    env: {},
    uid: 1000,
    print(text) {
      written.out += text
    },
    complain(text) {
      written.err += text
    },
    on: (signal, listener) => listeners.set(signal, listener),
    off: (signal) => listeners.delete(signal),
    exit: (code) => exits.push(code),
    startInBackground: async () => 9,
    reportReady: () => reports.push('ready'),
    starter: { complain: (text) => reports.push(text), reportReady: () => reports.push('ready to whoever started it') },
    loadStart: async () => async (settings, options) => {
      started.push({ settings, options })
      return pooler
    },
    loadTop: async () => async () => 0,
    loadConsole: async () => async (texts, flags) => {
      talks.push({ texts, flags })
      return 3
    },
    loadDemo: async () => async (options) => {
      demos.push(options)
      return 7
    },
    ...overrides,
  }
  return {
    ...{ world, started, demos, talks, exits, reports, written, pooler, listeners },
    signal: (name: Signal) => listeners.get(name)?.(),
    /** Runs a command that is expected to end by itself. */
    run: (...args: string[]) => main(args, world),
  }
}

export interface FakePooler extends Pooler {
  stops: number
  /** The commands that its control has received, such as `shutdown wait_for_clients`. */
  readonly asked: string[]
  readonly logged: string[]
  /** Answers the commands. */
  answer: () => Promise<unknown>
  /** Ends the pooler. */
  end(): void
}

function fakePooler(): FakePooler {
  let end = () => {}
  const stopped = new Promise<void>((resolve) => {
    end = resolve
  })
  const pooler: FakePooler = {
    stops: 0,
    asked: [],
    logged: [],
    log: { info: (sentence) => void pooler.logged.push(sentence) },
    answer: async () => {},
    control: passedOn(({ name, args }) => {
      pooler.asked.push([name, ...args].filter((word) => word !== null).join(' '))
      return pooler.answer()
    }),
    stopped,
    end,
    stop() {
      this.stops++
      return stopped
    },
  }
  return pooler
}
