/** `pgweir top`: shows the pools of a running pooler in a terminal, again and again. */

import { StringDecoder } from 'node:string_decoder'
import type pg from 'pg'
import { MAX_TIMER_MS } from '../../base/timers.ts'
import { quote } from '../../settings/problem.ts'
import { time } from '../../settings/values.ts'
import {
  type ConsoleStreams,
  connectToConsole,
  endWithReader,
  messageOf,
  NO_CONNECTION,
  type PlaceFlags,
} from '../console/connection.ts'
import { type Ask, type Counted, look } from '../top/look.ts'
import { FIRST_STATE, keysIn, press, screen, sizeOf, type TopState, type TopView } from '../top/screen.ts'

export interface TopFlags extends PlaceFlags {
  /** Seconds between two looks. */
  readonly delay?: string
  /** Looks once, and writes the result to standard output: for scripts. */
  readonly once?: boolean
}

/** The size where no terminal reports one. */
const SIZE = { columns: 140, rows: 1_000 }
const DELAY = time({ min: 100, max: MAX_TIMER_MS })

/** Switches the terminal to a separate screen without a cursor, and back. */
const ENTER = '\u001b[?1049h\u001b[?25l'
const LEAVE = '\u001b[?25h\u001b[?1049l'
const SIGNALS = ['SIGTERM', 'SIGHUP', 'SIGINT'] as const

const HOME = '\u001b[H'
const CLEAR_LINE = '\u001b[K'

/** Resolves with the exit code. */
export async function top(flags: TopFlags, streams: ConsoleStreams): Promise<number> {
  const { input, output } = streams
  const delay = DELAY.parse(flags.delay ?? '1')
  if ('problem' in delay) {
    streams.errors.write(`pgweir: error: --delay cannot be ${quote(flags.delay ?? '')}: ${delay.problem}\n`)
    return 1
  }
  endWithReader(output)
  const connection = await connectToConsole(flags, streams)
  if (connection === null) return NO_CONNECTION
  const { client, lost, complain } = connection
  const ask = asker(client)
  try {
    if (flags.once || !output.isTTY || !input.isTTY) {
      const { view } = await look(ask, null, performance.now())
      const lines = screen(view, FIRST_STATE, { ...SIZE, rows: view.rows.length + 6 })
      output.write(`${lines.slice(0, -1).join('\n')}\n`)
      return 0
    }
    const problem = await watch(ask, delay.value, lost, streams)
    if (problem === null) return 0
    complain(problem)
    return NO_CONNECTION
  } catch (problem) {
    complain(messageOf(problem))
    return NO_CONNECTION
  } finally {
    await Promise.race([client.end(), lost])
  }
}

function asker(client: pg.Client): Ask {
  const types = { getTypeParser: () => (text: string) => text } as unknown as pg.CustomTypesConfig
  return async (text) => (await client.query({ text, types })).rows
}

/** Resolves with the reason why it has ended; null if the user has ended it. */
async function watch(
  ask: Ask,
  delayMs: number,
  lost: Promise<string>,
  { input, output }: ConsoleStreams,
): Promise<string | null> {
  let state: TopState = FIRST_STATE
  let view: TopView | null = null
  let counted: Counted | null = null
  let timer: NodeJS.Timeout | undefined
  let end: (problem: string | null) => void = () => {}
  const ended = new Promise<string | null>((resolve) => {
    end = resolve
  })
  const draw = () => {
    if (view === null) return
    const lines = screen(view, state, sizeOf(output))
    output.write(HOME + lines.map((line) => line + CLEAR_LINE).join('\r\n'))
  }
  const again = async () => {
    if (!state.isHeld) {
      const seen = await look(ask, counted, performance.now())
      ;({ view, counted } = seen)
      draw()
    }
    timer = setTimeout(repeat, delayMs)
  }
  const repeat = () => {
    again().catch((problem) => end(messageOf(problem)))
  }
  const decoder = new StringDecoder('utf8')
  const onKey = (bytes: Buffer) => {
    for (const key of keysIn(decoder.write(bytes))) {
      const next = press(state, key)
      if (next === null) return end(null)
      state = next
    }
    draw()
  }
  // The screen is restored if a signal ends the program, too.
  const onSignal = () => end(null)
  for (const signal of SIGNALS) process.on(signal, onSignal)
  output.write(ENTER)
  input.setRawMode(true)
  input.on('data', onKey)
  input.resume()
  output.on('resize', draw)
  try {
    repeat()
    return await Promise.race([ended, lost])
  } finally {
    clearTimeout(timer)
    for (const signal of SIGNALS) process.off(signal, onSignal)
    output.off('resize', draw)
    input.off('data', onKey)
    input.setRawMode(false)
    input.pause()
    output.write(LEAVE)
  }
}
