/** The console for people: each line is a command, with completion and the few commands that users know from psql. */

import { createInterface, type Interface } from 'node:readline/promises'
import { COMMANDS } from '../../admin/commands.ts'
import { TOPICS } from '../../admin/show/topics.ts'
import { MAX_TIMER_MS } from '../../base/timers.ts'
import type { Layout } from './output.ts'

export interface PromptOptions {
  readonly input: NodeJS.ReadStream
  readonly output: NodeJS.WriteStream
  layout: Layout
  /** Runs what was typed and shows the result. */
  run(text: string, layout: Layout): Promise<void>
  /** Resolves with the reason once the connection is gone. */
  readonly lost: Promise<string>
}

const GREETING =
  'SHOW HELP (or \\?) lists the commands; \\x shows each column on its own line, \\watch 2 after a command repeats it, \\q quits.\n'
const PROMPT = 'pgweir=# '

/** Resolves with null when the user leaves, or with the reason why the connection is gone. */
export async function prompt({ input, output, run, lost, ...options }: PromptOptions): Promise<string | null> {
  let { layout } = options
  output.write(GREETING)
  const lines = createInterface({ input, output, prompt: PROMPT, completer: complete, historySize: 500 })
  let isOver = false
  let reason: string | null = null
  let leave = () => {}
  const left = new Promise<void>((resolve) => {
    leave = resolve
  })
  const end = () => {
    isOver = true
    leave()
    lines.close()
  }
  lost.then((why) => {
    reason = why
    end()
  })
  lines.on('SIGINT', end)
  lines.prompt()
  for await (const line of lines) {
    const [text, period] = splitWatch(line)
    if (/^(\\q|quit|exit)\s*;?$/i.test(text)) break
    if (text === '\\x') {
      layout = layout === 'expanded' ? 'table' : 'expanded'
      output.write(`Expanded display is ${layout === 'expanded' ? 'on' : 'off'}.\n`)
    } else if (text !== '') {
      const work =
        period === null
          ? run(text === '\\?' ? 'show help' : text, layout)
          : watch(lines, period, () => run(text, layout))
      // A PAUSE may take long.
      await Promise.race([work, left])
    }
    if (isOver) break
    lines.prompt()
  }
  lines.close()
  return reason
}

const WATCH = /^(.*?)\s*;?\s*\\watch(?:\s+(\d+(?:\.\d+)?))?\s*$/

/** Splits `show pools \watch 2` into the command and the time between two of its runs in milliseconds, which is null without `\watch`. */
export function splitWatch(line: string): [text: string, periodMs: number | null] {
  const [, text = '', seconds = '2'] = WATCH.exec(line.trim()) ?? []
  return text === '' ? [line.trim(), null] : [text, Math.min(Number(seconds) * 1_000, MAX_TIMER_MS)]
}

/** Repeats `work` until the user enters a line. */
async function watch(lines: Interface, periodMs: number, work: () => Promise<void>): Promise<void> {
  let isOver = false
  let wake = () => {}
  const stop = () => {
    isOver = true
    wake()
  }
  lines.once('line', stop)
  lines.once('close', stop)
  while (!isOver) {
    await work()
    if (isOver) break
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, periodMs)
      wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }
  lines.off('line', stop)
  lines.off('close', stop)
}

const WORDS = [...COMMANDS.keys()].map((name) => name.toUpperCase())
const TOPIC_WORDS = ['HELP', ...TOPICS.keys()].map((name) => name.toUpperCase())

/** For readline: returns how the beginning of a line may be completed. */
export function complete(line: string): [candidates: string[], part: string] {
  const [, verb = '', part = line] = /^\s*(show|select)\s+(\S*)$/i.exec(line) ?? []
  const all = verb === '' ? WORDS : TOPIC_WORDS
  return [all.filter((word) => word.startsWith(part.toUpperCase())), part]
}
