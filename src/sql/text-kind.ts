/** Classifies SQL texts, for code that prepares a statement once and runs it again later. */

import { DASH, endOfComment, firstWord, isSpace, SLASH } from './scanning.ts'
import { createsTemporary } from './temporary.ts'

/**
 * The kinds of texts:
 * - `planned`: reads or changes rows, and means the same whenever it is run.
 * - `fleeting`: the same, but with a constant such as 'today', whose value is fixed when Postgres prepares the statement.
 * - `doubtful`: may be anything, since it is not known where its strings end.
 * - `begin`: begins a transaction or a savepoint, or releases one.
 * - `creates`: may create a table, which may hide another one.
 * - `creates-temporary`: creates a temporary table, which no other session sees.
 * - `sets`: may change settings that decide what texts mean and that servers do not report.
 * - `sets-path`: may change the search path, which servers report only from PostgreSQL 18 on.
 * - `other`: another utility command, or something that may change settings, or nothing.
 */
export type TextKind =
  | 'planned'
  | 'fleeting'
  | 'doubtful'
  | 'begin'
  | 'creates'
  | 'creates-temporary'
  | 'sets'
  | 'sets-path'
  | 'other'

/**
 * Returns the kind of the text from `start` to `end`.
 *
 * @param hasStandardStrings standard_conforming_strings is known to be on
 */
export function textKind(buffer: Buffer, start: number, end: number, hasStandardStrings = false): TextKind {
  const at = firstWord(buffer, start, end)
  switch (wordAt(buffer, at, end)) {
    case 'select':
    case 'with':
    case 'insert':
    case 'update':
    case 'delete':
    case 'merge':
    case 'values':
    case 'table':
      return plannedKind(buffer, at, end, hasStandardStrings)
    case 'begin':
    case 'start':
    case 'savepoint':
    case 'release':
      return 'begin'
    case 'create':
      return createsTemporary(buffer, at, end) ? 'creates-temporary' : 'creates'
    default:
      return settingKind(buffer, at, end)
  }
}

/** Does not match texts with comments or further commands. */
const ONLY_BEGINS = /^\s*(?:begin|start\s+transaction|savepoint|release)\b[\w\s",]*;?\s*\0?$/i

/** Longer texts are not examined. */
const MAX_BEGIN_BYTES = 120

/** Whether a simple query, which may hold several statements, does nothing but begin a transaction, or make or release a savepoint. */
export function onlyBegins(buffer: Buffer, start: number, end: number): boolean {
  // Most queries do not begin with b or r. An s must not be followed by e, which rules out SELECT and SET.
  const first = (buffer[start] as number) | 0x20
  if (first !== B && first !== R && (first !== S || ((buffer[start + 1] as number) | 0x20) === E)) return false
  return end - start <= MAX_BEGIN_BYTES && ONLY_BEGINS.test(buffer.toString('latin1', start, end))
}

/** Settings that Postgres applies when it prepares a statement. RESET ALL may reset any of them. */
const SETTINGS_OF_MEANING =
  /array_nulls|transform_null_equals|lc_monetary|xmloption|\bxml\s+option\b|timezone_abbreviations|\breset\s+all\b/i

const SEARCH_PATH = /search_path|\bset\s+(?:(?:local|session)\s+)?schema\b/i

const CALLS_SET_CONFIG = /^select\s+(?:pg_catalog\s*\.\s*)?set_config\b/i

/** How much of the beginning of a text is examined. */
const MAX_CALL_BYTES = 64

/**
 * Whether a text begins like one that sets something or creates a table, or like several commands of which one does. Usually a few letters
 * are enough to tell.
 */
export function beginsLikeChange(buffer: Buffer, start: number, end: number): boolean {
  const at = firstWord(buffer, start, end)
  const second = (buffer[at + 1] as number) | 0x20
  switch ((buffer[at] as number) | 0x20) {
    case S: // set and start, and a select only if it calls set_config
      if (second !== E) return second === T
      return ((buffer[at + 2] as number) | 0x20) === T || callsSetConfig(buffer, at, end)
    case R:
    case B:
      return second === E
    case C: // not commit
      return second === R
    default:
      return false
  }
}

function callsSetConfig(buffer: Buffer, start: number, end: number): boolean {
  const next = (buffer[firstWord(buffer, start + 6, end)] as number) | 0x20
  if (next !== S && next !== P) return false
  return CALLS_SET_CONFIG.test(buffer.toString('latin1', start, Math.min(end, start + MAX_CALL_BYTES)))
}

const INTO = /\binto\b/i

/** Whether a text may be a SELECT … INTO. Takes a tenth of the time that it takes to be sure. */
export function mayMakeTable(buffer: Buffer, start: number, end: number): boolean {
  const at = firstWord(buffer, start, end)
  const first = (buffer[at] as number) | 0x20
  return (first === S || first === W) && INTO.test(buffer.toString('latin1', at, end))
}

/** Whether a text of this kind may change settings that decide what texts mean and that servers may not report. */
export function setsUnseen(kind: TextKind): kind is 'sets' | 'sets-path' {
  return kind === 'sets' || kind === 'sets-path'
}

/** Text beyond this length is not examined. */
export const MAX_SETTING_BYTES = 16 * 1024

/** Classifies a text that may hold several commands by whether it sets something that decides what texts mean. */
export function settingKind(buffer: Buffer, start: number, end: number): 'sets' | 'sets-path' | 'other' {
  const text = buffer.toString('latin1', start, Math.min(end, start + MAX_SETTING_BYTES))
  return SETTINGS_OF_MEANING.test(text) ? 'sets' : SEARCH_PATH.test(text) ? 'sets-path' : 'other'
}

/** Constants that Postgres evaluates when it prepares a statement: https://www.postgresql.org/docs/current/datatype-datetime.html */
const FLEETING = /(?:^|[^a-z])(?:now|today|tomorrow|yesterday)(?:[^a-z]|$)/i

/** Examines all words and constants of a text. */
function plannedKind(buffer: Buffer, start: number, end: number, hasStandardStrings: boolean): TextKind {
  let kind: TextKind = 'planned'
  let before = ''
  let at = start
  while (at < end) {
    const letter = buffer[at] as number
    if (isWordStart(letter)) {
      const wordEnd = endOfWord(buffer, at, end)
      const length = wordEnd - at
      if (isOfInterest(letter | 0x20, length)) {
        const word = wordAt(buffer, at, end)
        if (word === 'into' && before !== 'insert' && before !== 'merge') return 'creates'
        if (word === 'set_config') return settingKind(buffer, start, end)
        before = word
      } else before = ''
      at = wordEnd
      const quote = length === 1 ? escapedQuote(buffer, wordEnd - 1) : -1
      if (quote !== -1) {
        const hasBackslashes = quote === wordEnd
        at = endOfQuoted(buffer, quote, end, hasBackslashes)
        if (hasBackslashes && isHalfLetterBeforeQuote(buffer, quote, at)) return 'doubtful'
        // Escapes are not decoded, so such a string may hold any constant. After U& any character may be the escape character.
        const hasEscapes = !hasBackslashes || buffer.subarray(quote, at).includes(BACKSLASH)
        if (hasEscapes || isFleeting(buffer, quote, at) || isContinued(buffer, at, end)) kind = 'fleeting'
      }
      continue
    }
    switch (letter) {
      case QUOTE: {
        const close = endOfQuoted(buffer, at, end, false)
        // With standard_conforming_strings off the string does not end here, and everything after it reads differently.
        if (!hasStandardStrings && isBackslashBeforeQuote(buffer, at, close)) return 'doubtful'
        if (isFleeting(buffer, at, close) || isContinued(buffer, close, end)) kind = 'fleeting'
        at = close
        break
      }
      case DOUBLE_QUOTE: {
        const close = endOfQuoted(buffer, at, end, false)
        if (close - at === 12 && buffer.toString('latin1', at + 1, close - 1) === 'set_config')
          return settingKind(buffer, start, end)
        before = ''
        at = close
        break
      }
      case DOLLAR: {
        const close = endOfDollarQuoted(buffer, at, end)
        if (close > at + 1 && isFleeting(buffer, at, close)) kind = 'fleeting'
        at = close
        break
      }
      case DASH:
      case SLASH: {
        const close = endOfComment(buffer, at, end)
        at = close === at ? at + 1 : close
        break
      }
      default:
        if (!isSpace(letter)) before = ''
        at = isDigit(letter) ? endOfWord(buffer, at, end) : at + 1
    }
  }
  return kind
}

/** Whether a word may be into, insert, merge or set_config, by its length and first letter, which is cheaper than reading it. */
function isOfInterest(first: number, length: number): boolean {
  switch (length) {
    case 4:
    case 6:
      return first === I
    case 5:
      return first === M
    case 10:
      return first === S
    default:
      return false
  }
}

/** Returns where the quote is if `at` is the prefix of a string with escapes (E'…' or U&'…'); otherwise -1. */
function escapedQuote(buffer: Buffer, at: number): number {
  const prefix = (buffer[at] as number) | 0x20
  const quote = prefix === E ? at + 1 : prefix === U && buffer[at + 1] === AMPERSAND ? at + 2 : -1
  return quote !== -1 && buffer[quote] === QUOTE ? quote : -1
}

/** Whether the closing quote of the string from `start` to `end` would be escaped by a backslash if backslashes did escape. */
function isBackslashBeforeQuote(buffer: Buffer, start: number, end: number): boolean {
  let backslashes = 0
  for (let at = end - 2; at > start && buffer[at] === BACKSLASH; at--) backslashes++
  return backslashes % 2 === 1
}

/**
 * Whether a string has a backslash before a quote that may be the second byte of a character, as in SJIS, BIG5 or GBK. It then does not
 * escape the quote.
 */
function isHalfLetterBeforeQuote(buffer: Buffer, start: number, end: number): boolean {
  for (let at = start + 1; at < end - 2; at++)
    if ((buffer[at] as number) >= 0x80 && buffer[at + 1] === BACKSLASH && buffer[at + 2] === QUOTE) return true
  return false
}

/** Whether the string that ends at `start` may continue in a next one: Postgres joins strings that only white space with a newline separates. */
function isContinued(buffer: Buffer, start: number, end: number): boolean {
  const next = firstWord(buffer, start, end)
  return next > start && next < end && buffer[next] === QUOTE
}

function isFleeting(buffer: Buffer, start: number, end: number): boolean {
  return FLEETING.test(buffer.toString('latin1', start, end))
}

/** Returns the word at `at` in lower case; empty if there is none. */
function wordAt(buffer: Buffer, at: number, end: number): string {
  if (at >= end || !isWordStart(buffer[at] as number)) return ''
  return buffer.toString('latin1', at, endOfWord(buffer, at, end)).toLowerCase()
}

function endOfWord(buffer: Buffer, start: number, end: number): number {
  let at = start
  while (at < end && isWordPart(buffer[at] as number)) at++
  return at
}

/** Returns the end of the string or quoted name that begins with its quote at `start`. A doubled quote ends it; the caller sees a second one. */
function endOfQuoted(buffer: Buffer, start: number, end: number, hasEscapes: boolean): number {
  const quote = buffer[start]
  let at = start + 1
  while (at < end && buffer[at] !== quote) at += hasEscapes && buffer[at] === BACKSLASH ? 2 : 1
  return Math.min(at + 1, end)
}

/** Returns the end of the string that begins with $tag$ at `start`; `start + 1` if there is none, as with the parameter $1. */
function endOfDollarQuoted(buffer: Buffer, start: number, end: number): number {
  let at = start + 1
  while (at < end && isWordPart(buffer[at] as number) && buffer[at] !== DOLLAR) at++
  const isTag = buffer[at] === DOLLAR && !isDigit(buffer[start + 1] as number)
  if (!isTag || at >= end) return start + 1
  const close = buffer.indexOf(buffer.subarray(start, at + 1), at + 1)
  return close === -1 ? end : Math.min(close + at + 1 - start, end)
}

const QUOTE = 0x27
const DOUBLE_QUOTE = 0x22
const DOLLAR = 0x24
const BACKSLASH = 0x5c
const AMPERSAND = 0x26
const B = 0x62
const C = 0x63
const E = 0x65
const I = 0x69
const M = 0x6d
const P = 0x70
const R = 0x72
const S = 0x73
const T = 0x74
const U = 0x75
const W = 0x77

/** For each byte: 1 if a word may begin with it, 2 if it may only occur later in a word. */
const WORD_LETTERS = new Uint8Array(256)
WORD_LETTERS.fill(1, 0x80)
for (const letter of Buffer.from('_abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ')) WORD_LETTERS[letter] = 1
for (const letter of Buffer.from('$0123456789')) WORD_LETTERS[letter] = 2

function isWordStart(letter: number): boolean {
  return WORD_LETTERS[letter] === 1
}

function isWordPart(letter: number): boolean {
  return WORD_LETTERS[letter] !== 0
}

function isDigit(letter: number): boolean {
  return letter >= 0x30 && letter <= 0x39
}
