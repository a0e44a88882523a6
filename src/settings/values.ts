/** The kinds of values that settings have: how each is read from text, and printed the way PgBouncer prints it. */

import { homedir } from 'node:os'
import { join, resolve } from 'node:path'

/** A problem completes the sentence "x cannot be y: …". */
export type Parsed<T> = { readonly value: T } | { readonly problem: string }

export interface ValueType<T> {
  /** Short, for tables: `time`. */
  readonly name: string
  /** What may be written, in words, for problems. */
  readonly accepts: string
  parse(text: string): Parsed<T>
  print(value: T): string
  /** It takes nearly any text, in which a comment or quotes can yet not be meant. */
  readonly showsSlips?: boolean
}

export interface Bounds {
  readonly min?: number
  readonly max?: number
}

/** PgBouncer keeps its numbers in a C `int`. */
export const MAX_INTEGER = 2_147_483_647

/** As long as the largest whole number of seconds that PgBouncer takes: files say that to mean "never". */
const MAX_TIME_MS = MAX_INTEGER * 1000

const TRUE = ['1', 'on', 'yes', 'true']
const FALSE = ['0', 'off', 'no', 'false']

export const boolean: ValueType<boolean> = {
  name: '0 or 1',
  accepts: '0 or 1 (also off/on, no/yes, false/true)',
  parse(text) {
    const word = text.toLowerCase()
    if (TRUE.includes(word)) return { value: true }
    if (FALSE.includes(word)) return { value: false }
    return refuse(this)
  },
  print: (value) => (value ? '1' : '0'),
}

export function integer({ min = 0, max = MAX_INTEGER }: Bounds = {}): ValueType<number> {
  return {
    name: `number${range(min, max, MAX_INTEGER)}`,
    accepts: `a whole number${range(min, max, MAX_INTEGER)}`,
    parse(text) {
      // PgBouncer reads 010 as octal and 0x10 as hexadecimal; refusing both is better than reading them otherwise.
      if (!/^-?(0|[1-9]\d*)$/.test(text)) return refuse(this)
      const value = Number(text)
      if (value > MAX_INTEGER && max === MAX_INTEGER) return atMost(`${MAX_INTEGER}`)
      return value >= min && value <= max ? { value } : refuse(this)
    },
    print: String,
  }
}

export const fraction: ValueType<number> = {
  name: 'number from 0 to 1',
  accepts: 'a number from 0 to 1',
  parse(text) {
    const value = /^(?:\d+(?:\.\d*)?|\.\d+)$/.test(text) ? Number(text) : Number.NaN
    return value >= 0 && value <= 1 ? { value } : refuse(this)
  },
  print: String,
}

const UNIT_MS: Record<string, number> = { us: 0.001, ms: 1, s: 1000, min: 60_000, h: 3_600_000, d: 86_400_000 }

/** A length of time: milliseconds once parsed, seconds where no unit is written. */
export function time({ min = 0, max = MAX_TIME_MS }: Bounds = {}): ValueType<number> {
  const bounds = range(min / 1000, max / 1000, MAX_INTEGER, 's')
  return {
    name: `time${bounds}`,
    accepts: `seconds, or a number with a unit (us, ms, s, min, h, d)${bounds}`,
    parse(text) {
      const value = readMs(text, 's')
      if (value !== null && value > MAX_TIME_MS && max === MAX_TIME_MS) return atMost(`${MAX_INTEGER} seconds`)
      return value !== null && value >= min && value <= max ? { value } : refuse(this)
    },
    print: (value) => String(value / 1000),
  }
}

/** The same where PgBouncer counts milliseconds, and so does a number without a unit. */
export function milliseconds(): ValueType<number> {
  return {
    name: 'milliseconds',
    accepts: 'whole milliseconds, or a number with a unit (ms, s, min, h, d)',
    parse(text) {
      const value = readMs(text, 'ms')
      if (value !== null && value > MAX_INTEGER) return atMost(`${MAX_INTEGER} milliseconds`)
      return value !== null && Number.isInteger(value) ? { value } : refuse(this)
    },
    print: String,
  }
}

function readMs(text: string, standardUnit: 's' | 'ms'): number | null {
  const [, digits, unit] = /^(\d+(?:\.\d*)?|\.\d+) *([a-z]*)$/.exec(text) ?? []
  const unitMs = UNIT_MS[unit || standardUnit]
  // Whole microseconds, so that 2.3 seconds are not 2299.9999999999995 ms.
  return digits === undefined || unitMs === undefined ? null : Math.round(Number(digits) * unitMs * 1000) / 1000
}

const UNIT_BYTES: Record<string, number> = { b: 1, kb: 1024, mb: 1024 ** 2, gb: 1024 ** 3 }

export function bytes({ min = 0, max = MAX_INTEGER }: Bounds = {}): ValueType<number> {
  return {
    name: `bytes${range(min, max, MAX_INTEGER)}`,
    accepts: `bytes, or a number with a unit (kB, MB, GB)${range(min, max, MAX_INTEGER)}`,
    parse(text) {
      const [, digits, unit] = /^(0|[1-9]\d*) *([a-z]*)$/i.exec(text) ?? []
      const unitBytes = UNIT_BYTES[(unit || 'b').toLowerCase()]
      if (digits === undefined || unitBytes === undefined) return refuse(this)
      const value = Number(digits) * unitBytes
      if (value > MAX_INTEGER && max === MAX_INTEGER) return atMost(`${MAX_INTEGER} bytes`)
      return value >= min && value <= max ? { value } : refuse(this)
    },
    print: String,
  }
}

export const text: ValueType<string> = {
  name: 'text',
  accepts: 'text',
  parse: (value) => ({ value }),
  print: (value) => value,
}

/** Names and addresses, unlike SQL. */
export const plainText: ValueType<string> = { ...text, showsSlips: true }

export const secret: ValueType<string> = {
  name: 'text',
  accepts: 'text',
  parse: (value) => ({ value }),
  print: (value) => (value === '' ? '' : '********'),
}

/** A relative path stays relative to the folder that pgweir was started in, whichever file names it, as in PgBouncer. */
export const path: ValueType<string> = {
  name: 'path',
  accepts: 'a path',
  parse: (value) => ({ value: value.startsWith('~/') ? join(homedir(), value.slice(2)) : value }),
  print: (value) => value,
  showsSlips: true,
}

export const list: ValueType<readonly string[]> = {
  name: 'list',
  accepts: 'a list, with commas or spaces between',
  parse: (value) => ({ value: value.split(/[\s,]+/).filter((item) => item !== '') }),
  print: (value) => value.join(', '),
  showsSlips: true,
}

/** Where the HTTP server listens; an IPv6 address is in brackets where it is written. */
export interface HttpAddress {
  readonly host: string
  readonly port: number
}

/** `127.0.0.1:9127, [::1]:9127`; a port alone is on this machine, and `*` is every address. */
export const httpAddresses: ValueType<readonly HttpAddress[]> = {
  name: 'addresses',
  accepts: 'addresses with ports, such as 127.0.0.1:9127 or [::1]:9127, with commas between',
  parse(text) {
    const addresses: HttpAddress[] = []
    for (const each of text.split(',').map((part) => part.trim())) {
      if (each === '') continue
      const [, inBrackets, name, digits] = /^(?:(?:\[([^\]\s]+)\]|([^:\s[\]]+)):)?(\d{1,5})$/.exec(each) ?? []
      const port = Number(digits)
      if (digits === undefined || port > 65_535) return refuse(this)
      addresses.push({ host: inBrackets ?? name ?? '127.0.0.1', port })
    }
    return { value: addresses }
  },
  print: (value) => value.map(({ host, port }) => `${host.includes(':') ? `[${host}]` : host}:${port}`).join(', '),
}

/** One of some words. `others` are words that PgBouncer or PostgreSQL know and we do not, with the reason. */
export function oneOf<const Word extends string>(
  words: readonly Word[],
  others: Readonly<Record<string, string>> = {},
): ValueType<Word> {
  return {
    name: words.join(', '),
    accepts: `one of ${words.join(', ')}`,
    parse(value) {
      const lower = value.toLowerCase()
      const word = words.find((candidate) => candidate === lower)
      if (word !== undefined) return { value: word }
      if (Object.hasOwn(others, lower)) return { problem: `${others[lower]}; there are ${words.join(', ')}` }
      return refuse(this)
    },
    print: (value) => value,
  }
}

/** How many worker processes there are: `auto` is one for each core. */
export const workerCount: ValueType<number | 'auto'> = {
  name: 'auto, or a number from 1 to 64',
  accepts: 'auto, or a whole number from 1 to 64',
  parse(text) {
    if (text.toLowerCase() === 'auto') return { value: 'auto' }
    const parsed = integer({ min: 1, max: 64 }).parse(text)
    return 'value' in parsed ? parsed : refuse(this)
  },
  print: String,
}

/** A host to dial, or several. */
export const host: ValueType<string> = {
  name: 'host',
  accepts:
    'a host name, an IP address, the folder of a unix socket, or the beginning of an abstract one (@name); or several, with commas between',
  parse(value) {
    const isList = value.includes(',')
    return isList && value.split(',').some((each) => each.trim() === '') ? refuse(this) : { value }
  },
  print: (value) => value,
}

/** Where a unix socket is, or the beginning of its name behind an @; nothing is none. */
export const socketDirectory: ValueType<string> = {
  name: 'folder, or @name',
  accepts: 'the path of a folder, a name behind an @, or nothing',
  parse(value) {
    if (value === '' || value === '@') return { value: '' }
    return { value: value.startsWith('@') ? value : resolve(value) }
  },
  print: (value) => value,
  showsSlips: true,
}

/** Rights of a file, as chmod takes them: octal digits once printed. */
export const fileMode: ValueType<number> = {
  name: 'octal digits',
  accepts: 'octal digits from 0000 to 0777',
  parse: (text) => (/^0*[0-7]{1,3}$/.test(text) ? { value: Number.parseInt(text, 8) } : refuse(fileMode)),
  print: (value) => value.toString(8).padStart(4, '0'),
}

export function orNull<T>(type: ValueType<T>): ValueType<T | null> {
  return { ...type, print: (value) => (value === null ? '' : type.print(value)) }
}

/**
 * The value of one database or user, null where the general setting applies. As in PgBouncer a negative number means that,
 * and for some keys 0 does too, so that these cannot be set to "unlimited" for one database.
 */
export function override(
  type: ValueType<number>,
  zero: 'zero is a value' | 'zero means general',
): ValueType<number | null> {
  const isZeroGeneral = zero === 'zero means general'
  return {
    ...orNull(type),
    name: `${type.name}; ${isZeroGeneral ? '0' : '-1'} for general`,
    parse(value) {
      if (/^-\d+$/.test(value)) return { value: null }
      const parsed = type.parse(value)
      return 'value' in parsed && parsed.value === 0 && isZeroGeneral ? { value: null } : parsed
    },
  }
}

function refuse({ accepts }: { readonly accepts: string }): { readonly problem: string } {
  return { problem: `it takes ${accepts}` }
}

/** What is more than a C `int` holds; said only to whoever has written more. */
function atMost(most: string): { readonly problem: string } {
  return { problem: `it takes ${most} at most` }
}

function range(min: number, max: number, greatest: number, unit = ''): string {
  if (max < greatest) return ` from ${min} to ${max}${unit}`
  return min === 0 ? '' : `, at least ${min}${unit}`
}
