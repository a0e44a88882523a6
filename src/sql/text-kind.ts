/** What kind of statement a text is, as far as it matters to whoever wants to prepare it once and run it again later. */

import { DASH, endOfComment, firstWord, isSpace, SLASH } from './scanning.ts'
import { createsTemporary } from './temporary.ts'

/**
 * `planned`: reads and changes rows, and means the same whenever it is run. `fleeting`: the same, but with a constant such as 'today',
 * which Postgres reads when it prepares the statement. `doubtful`: may be anything, since it is not known where its strings end. `begin`:
 * begins a transaction, or a part of one. `creates`: makes a table, perhaps one that hides another one. `creates-temporary`: the same,
 * which nobody else sees. `sets`: may change what texts mean without anybody's being told. `sets-path`: the same by the search path,
 * which is reported from PostgreSQL 18 on. `other`: another utility command, or something that may change settings, or nothing.
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
 * The kind of the text from `start` to `end`.
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

/** No comments, and nothing behind it. */
const ONLY_BEGINS = /^\s*(?:begin|start\s+transaction|savepoint|release)\b[\w\s",]*;?\s*\0?$/i

/** Longer ones are not looked at. */
const MAX_BEGIN_BYTES = 120

/** Whether a simple query does nothing but begin a transaction, or a part of one. It may hold several statements. */
export function onlyBegins(buffer: Buffer, start: number, end: number): boolean {
  // Most queries begin with another letter than these two, and all with another one than `se` of select and set.
  const first = (buffer[start] as number) | 0x20
  if (first !== B && first !== R && (first !== S || ((buffer[start + 1] as number) | 0x20) === E)) return false
  return end - start <= MAX_BEGIN_BYTES && ONLY_BEGINS.test(buffer.toString('latin1', start, end))
}

/** Read when a statement is prepared. Which ones RESET ALL resets is not known. */
const SETTINGS_OF_MEANING =
  /array_nulls|transform_null_equals|lc_monetary|xmloption|\bxml\s+option\b|timezone_abbreviations|\breset\s+all\b/i

const SEARCH_PATH = /search_path|\bset\s+(?:(?:local|session)\s+)?schema\b/i

const CALLS_SET_CONFIG = /^select\s+(?:pg_catalog\s*\.\s*)?set_config\b/i

/** Longer beginnings are not looked at. */
const MAX_CALL_BYTES = 64

/**
 * Whether a text begins like one that sets something or makes a table, or like several of which one does. In the usual case a look at
 * a few letters.
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

/** Whether a text may be a SELECT … INTO: a look that takes a tenth of what it takes to tell. */
export function mayMakeTable(buffer: Buffer, start: number, end: number): boolean {
  const at = firstWord(buffer, start, end)
  const first = (buffer[at] as number) | 0x20
  return (first === S || first === W) && INTO.test(buffer.toString('latin1', at, end))
}

/** It may change what texts mean, and servers may not say so. */
export function setsUnseen(kind: TextKind): kind is 'sets' | 'sets-path' {
  return kind === 'sets' || kind === 'sets-path'
}

/** Longer texts are not looked at any further. */
export const MAX_SETTING_BYTES = 16 * 1024

/** Whether a text, in which there may be several commands, sets something that decides what others mean. */
export function settingKind(buffer: Buffer, start: number, end: number): 'sets' | 'sets-path' | 'other' {
  const text = buffer.toString('latin1', start, Math.min(end, start + MAX_SETTING_BYTES))
  return SETTINGS_OF_MEANING.test(text) ? 'sets' : SEARCH_PATH.test(text) ? 'sets-path' : 'other'
}

/** Postgres reads them when it prepares a statement. https://www.postgresql.org/docs/current/datatype-datetime.html */
const FLEETING = /(?:^|[^a-z])(?:now|today|tomorrow|yesterday)(?:[^a-z]|$)/i

/** Looks at all words and constants behind the first. */
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
        // What the escapes stand for is not looked up; behind U& they may begin with any letter.
        const hasEscapes = !hasBackslashes || buffer.subarray(quote, at).includes(BACKSLASH)
        if (hasEscapes || isFleeting(buffer, quote, at) || isContinued(buffer, at, end)) kind = 'fleeting'
      }
      continue
    }
    switch (letter) {
      case QUOTE: {
        const close = endOfQuoted(buffer, at, end, false)
        // With standard_conforming_strings off it goes on here, and all that follows is another text.
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

/** Of words only these: into, merge and insert, set_config; by their first letter. A look is cheaper than to read them. */
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

/** Where the quote of a string with escapes is whose prefix stands at `at`: E'…' and U&'…'. -1 if this is none. */
function escapedQuote(buffer: Buffer, at: number): number {
  const prefix = (buffer[at] as number) | 0x20
  const quote = prefix === E ? at + 1 : prefix === U && buffer[at + 1] === AMPERSAND ? at + 2 : -1
  return quote !== -1 && buffer[quote] === QUOTE ? quote : -1
}

/** A string from `start` to `end` ends with a quote that a backslash would take for a letter, if it took any. */
function isBackslashBeforeQuote(buffer: Buffer, start: number, end: number): boolean {
  let backslashes = 0
  for (let at = end - 2; at > start && buffer[at] === BACKSLASH; at--) backslashes++
  return backslashes % 2 === 1
}

/** In SJIS, BIG5, GBK and the like a backslash may be the second half of a letter, and what follows is not escaped then. */
function isHalfLetterBeforeQuote(buffer: Buffer, start: number, end: number): boolean {
  for (let at = start + 1; at < end - 2; at++)
    if ((buffer[at] as number) >= 0x80 && buffer[at + 1] === BACKSLASH && buffer[at + 2] === QUOTE) return true
  return false
}

/** Whether a string that ends at `start` goes on in the next one: with a new line between them they are one. */
function isContinued(buffer: Buffer, start: number, end: number): boolean {
  const next = firstWord(buffer, start, end)
  return next > start && next < end && buffer[next] === QUOTE
}

function isFleeting(buffer: Buffer, start: number, end: number): boolean {
  return FLEETING.test(buffer.toString('latin1', start, end))
}

/** The word at `at`, in lower case; empty if there is none. */
function wordAt(buffer: Buffer, at: number, end: number): string {
  if (at >= end || !isWordStart(buffer[at] as number)) return ''
  return buffer.toString('latin1', at, endOfWord(buffer, at, end)).toLowerCase()
}

function endOfWord(buffer: Buffer, start: number, end: number): number {
  let at = start
  while (at < end && isWordPart(buffer[at] as number)) at++
  return at
}

/** Where a string or a quoted name ends that begins with its quote at `start`. Doubled quotes are two that follow each other. */
function endOfQuoted(buffer: Buffer, start: number, end: number, hasEscapes: boolean): number {
  const quote = buffer[start]
  let at = start + 1
  while (at < end && buffer[at] !== quote) at += hasEscapes && buffer[at] === BACKSLASH ? 2 : 1
  return Math.min(at + 1, end)
}

/** Where the string ends that begins with $tag$ at `start`; one further if none does: $1 is a parameter. */
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

/** By letter: 1 where a word may begin with it, 2 where it may only go on with it. */
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
