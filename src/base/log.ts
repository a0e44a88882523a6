/** Writes one line per event, as text or as JSON, for the operator. */

import { CONTROLS } from './control-characters.ts'
import type { LogLimit } from './log-limit.ts'

export type Level = 'debug' | 'info' | 'warning' | 'error'

/** The details of a line: kept apart from its sentence, so that JSON lines can be searched by field. */
export type LogFields = Readonly<Record<string, string | number | boolean | null | undefined>>

export interface Log {
  readonly isDebug: boolean
  debug(sentence: string, fields?: LogFields): void
  info(sentence: string, fields?: LogFields): void
  warning(sentence: string, fields?: LogFields): void
  error(sentence: string, fields?: LogFields): void
  /** Reports how many lines were left out because there were too many of their kind, once the second is over. */
  tellLeftOut(): void
}

export type LogFormat = 'text' | 'json'

const LABELS: Record<Level, string> = { debug: 'DEBUG', info: 'LOG', warning: 'WARNING', error: 'ERROR' }
const RANKS: Record<Level, number> = { debug: 0, info: 1, warning: 2, error: 3 }

/** Read again for each line, since format and level may change. */
export interface LogOptions {
  format: LogFormat
  /** The lowest level that is written. */
  level: Level
  /** Applies to warnings and errors. */
  readonly limit?: LogLimit
  wallMs(): number
  /** @param bare the line without time, process and level, for destinations that add these themselves; with JSON, the whole line */
  write(line: string, level: Level, bare: string): void
}

/**
 * A line of text is `2024-05-01 12:00:00.000 UTC [pid] LOG C-0x1: app/ada@10.0.0.7:50112 login attempt: …`. The field `subject` precedes
 * the sentence. Behind it, in PostgreSQL's manner, come `client` (the id of the client concerned, in a line that is about something else),
 * `traceparent`, and `hint` (what to do now). The other fields appear only in JSON. Lines with the same `kind` are limited together; without
 * it, the sentence decides.
 */
export function createLog(options: LogOptions): Log {
  function log(level: Level, sentence: string, fields: LogFields = {}): void {
    if (RANKS[level] < RANKS[options.level]) return
    tellLeftOut()
    if (RANKS[level] >= RANKS.warning && !passes(sentence, fields)) return
    write(level, sentence, fields)
  }

  function passes(sentence: string, { kind }: LogFields): boolean {
    return options.limit?.passes(sentence, options.wallMs(), typeof kind === 'string' ? kind : undefined) ?? true
  }

  function tellLeftOut(): void {
    for (const { count, sentence } of options.limit?.takeLeftOut(options.wallMs()) ?? []) {
      const lines = count === 1 ? 'line in a second like this one was' : 'lines in a second like this one were'
      write('warning', `${count} more ${lines} left out: ${sentence}`, {})
    }
  }

  function write(level: Level, sentence: string, fields: LogFields): void {
    if (options.format === 'json') {
      const line = jsonLine(options.wallMs(), level, sentence, fields)
      options.write(line, level, line)
    } else {
      const bare = bareText(sentence, fields)
      options.write(`${textHead(options.wallMs(), level)} ${bare}`, level, bare)
    }
  }

  return {
    get isDebug() {
      return options.level === 'debug'
    },
    debug: (sentence, fields) => log('debug', sentence, fields),
    info: (sentence, fields) => log('info', sentence, fields),
    warning: (sentence, fields) => log('warning', sentence, fields),
    error: (sentence, fields) => log('error', sentence, fields),
    tellLeftOut,
  }
}

export const silentLog: Log = createLog({ format: 'text', level: 'error', wallMs: () => 0, write: () => {} })

function textHead(wallMs: number, level: Level): string {
  const at = new Date(wallMs).toISOString().replace('T', ' ').replace('Z', ' UTC')
  return `${at} [${process.pid}] ${LABELS[level]}`
}

function bareText(sentence: string, { subject, client, traceparent, hint }: LogFields): string {
  const parts = [sentence]
  if (subject !== undefined) parts.unshift(String(subject))
  // A client's own lines begin with its id.
  if (typeof client === 'number' && !String(subject).startsWith('C-')) parts.push(`client=C-0x${client.toString(16)}`)
  if (traceparent !== undefined) parts.push(`traceparent=${traceparent}`)
  if (hint !== undefined) parts.push(`HINT: ${hint}`)
  return oneLine(parts.join(' '))
}

function jsonLine(wallMs: number, level: Level, sentence: string, fields: LogFields): string {
  return escapeControls(
    JSON.stringify({ time: new Date(wallMs).toISOString(), pid: process.pid, level, message: sentence, ...fields }),
    jsonEscape,
  )
}

/** A name or an error text chosen by a client must not be able to start a log line of its own. */
function oneLine(text: string): string {
  return escapeControls(text, (code) => (code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : jsonEscape(code)))
}

function jsonEscape(code: number): string {
  return `\\u${code.toString(16).padStart(4, '0')}`
}

/**
 * Escapes all control characters, Unicode's NEL among them; LS and PS, which log readers also take for the end of a line; and the controls
 * of bidirectional text, with which a name would reverse the text behind it.
 */
function escapeControls(text: string, show: (code: number) => string): string {
  return text.replace(CONTROLS, (character) => show(character.charCodeAt(0)))
}
