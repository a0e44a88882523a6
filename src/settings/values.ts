/** The value types of settings: how each is parsed from text and printed as PgBouncer prints it. */

import { homedir } from 'node:os'
import { join, resolve } from 'node:path'

/** A problem completes the sentence "x cannot be y: …". */
export type Parsed<T> = { readonly value: T } | { readonly problem: string }

export interface ValueType<T> {
  /** A short name for tables: `time`. */
  readonly name: string
  /** What the type accepts, for error messages. */
  readonly accepts: string
  parse(text: string): Parsed<T>
  print(value: T): string
  /** The type accepts nearly any text, but a trailing comment or surrounding quotes are surely a mistake and cause a warning. */
  readonly showsSlips?: boolean
}

export interface Bounds {
  readonly min?: number
  readonly max?: number
}

/** PgBouncer keeps its numbers in a C `int`. */
export const MAX_INTEGER = 2_147_483_647

/** The largest whole number of seconds that PgBouncer accepts. Some files use it to mean "never". */
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
      // PgBouncer reads 010 as octal and 0x10 as hexadecimal. Refusing both is safer than reading them differently.
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

/** A duration. The value is in milliseconds; a text without a unit is in seconds. */
export function time({ min = 0, max = MAX_TIME_MS }: Bounds = {}): ValueType<number> {
  const bounds = range(min / 1000, max / 1000, MAX_INTEGER, 's')
  return {
    name: `time${bounds}`,
    accepts: `a number of seconds, or a number with a unit (us, ms, s, min, h, d)${bounds}`,
    parse(text) {
      const value = readMs(text, 's')
      if (value !== null && value > MAX_TIME_MS && max === MAX_TIME_MS) return atMost(`${MAX_INTEGER} seconds`)
      return value !== null && value >= min && value <= max ? { value } : refuse(this)
    },
    print: (value) => String(value / 1000),
  }
}

/** A duration for settings that PgBouncer counts in milliseconds: a text without a unit is in milliseconds. */
export function milliseconds(): ValueType<number> {
  return {
    name: 'milliseconds',
    accepts: 'a whole number of milliseconds, or a number with a unit (ms, s, min, h, d)',
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
  // Round to whole microseconds, so that 2.3 seconds do not become 2299.9999999999995 ms.
  return digits === undefined || unitMs === undefined ? null : Math.round(Number(digits) * unitMs * 1000) / 1000
}

const UNIT_BYTES: Record<string, number> = { b: 1, kb: 1024, mb: 1024 ** 2, gb: 1024 ** 3 }

export function bytes({ min = 0, max = MAX_INTEGER }: Bounds = {}): ValueType<number> {
  return {
    name: `bytes${range(min, max, MAX_INTEGER)}`,
    accepts: `a number of bytes, or a number with a unit (kB, MB, GB)${range(min, max, MAX_INTEGER)}`,
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

/** Text such as names and addresses, in which comments and quotes are mistakes, unlike in SQL. */
export const plainText: ValueType<string> = { ...text, showsSlips: true }

export const secret: ValueType<string> = {
  name: 'text',
  accepts: 'text',
  parse: (value) => ({ value }),
  print: (value) => (value === '' ? '' : '********'),
}

/** As in PgBouncer, a relative path is relative to the working directory of pgweir, not to the file that contains it. `~/` is expanded. */
export const path: ValueType<string> = {
  name: 'path',
  accepts: 'a path',
  parse: (value) => ({ value: value.startsWith('~/') ? join(homedir(), value.slice(2)) : value }),
  print: (value) => value,
  showsSlips: true,
}

export const list: ValueType<readonly string[]> = {
  name: 'list',
  accepts: 'a list, separated by commas or spaces',
  parse: (value) => ({ value: value.split(/[\s,]+/).filter((item) => item !== '') }),
  print: (value) => value.join(', '),
  showsSlips: true,
}

/** An address on which HTTP is served. `host` has no brackets around an IPv6 address; the text has. */
export interface HttpAddress {
  readonly host: string
  readonly port: number
}

/** `127.0.0.1:9127, [::1]:9127`. A port alone means 127.0.0.1; `*` means all addresses. */
export const httpAddresses: ValueType<readonly HttpAddress[]> = {
  name: 'addresses',
  accepts: 'addresses with ports, such as 127.0.0.1:9127 or [::1]:9127, separated by commas',
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

/** One of `words`, in any case. `others` are words that PgBouncer or PostgreSQL accept and we do not, each with the reason. */
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
      if (Object.hasOwn(others, lower)) return { problem: `${others[lower]}; use one of ${words.join(', ')}` }
      return refuse(this)
    },
    print: (value) => value,
  }
}

/** The number of worker processes; `auto` means one per core. */
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

/** One host to dial, or several separated by commas. */
export const host: ValueType<string> = {
  name: 'host',
  accepts:
    'a host name, an IP address, the folder of a unix socket, or the start of the name of an abstract socket (@name); separate several hosts with commas',
  parse(value) {
    const hosts = value.split(',').map((each) => each.trim())
    // The path of a socket may contain any character.
    if (hosts.some((each) => /^[^/@]*[[\]]/.test(each)))
      return { problem: 'write an IPv6 address without brackets here' }
    return hosts.length > 1 && hosts.includes('') ? refuse(this) : { value }
  },
  print: (value) => value,
}

/** The directory of a unix socket, or `@` and the beginning of the name of an abstract one; empty for none. */
export const socketDirectory: ValueType<string> = {
  name: 'folder, or @name',
  accepts: 'the path of a folder, @ and a name, or empty',
  parse(value) {
    if (value === '' || value === '@') return { value: '' }
    return { value: value.startsWith('@') ? value : resolve(value) }
  },
  print: (value) => value,
  showsSlips: true,
}

/** A file mode, in octal digits as chmod takes it. */
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
 * A value for one database or user; null if the general setting applies. As in PgBouncer, a negative number means the general setting. For some
 * keys 0 does, too, so that these cannot be set to "unlimited" for one database.
 */
export function override(
  type: ValueType<number>,
  zero: 'zero is a value' | 'zero means general',
): ValueType<number | null> {
  const isZeroGeneral = zero === 'zero means general'
  return {
    ...orNull(type),
    name: `${type.name}; ${isZeroGeneral ? '0' : '-1'} for the general value`,
    parse(value) {
      if (/^-\d+$/.test(value)) return { value: null }
      const parsed = type.parse(value)
      return 'value' in parsed && parsed.value === 0 && isZeroGeneral ? { value: null } : parsed
    },
  }
}

function refuse({ accepts }: { readonly accepts: string }): { readonly problem: string } {
  return { problem: `it must be ${accepts}` }
}

/** The message for a number that does not fit into a C `int`. Other messages do not mention that limit. */
function atMost(most: string): { readonly problem: string } {
  return { problem: `it must be at most ${most}` }
}

function range(min: number, max: number, greatest: number, unit = ''): string {
  if (max < greatest) return ` from ${min} to ${max}${unit}`
  return min === 0 ? '' : `, at least ${min}${unit}`
}
