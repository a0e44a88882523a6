/** Reads one line of [databases], [users] or [peers] according to a table of rows. */

import type { Pairs } from './connection-string.ts'
import { suggestion } from './nearest.ts'
import { error, type Place, type Problem, quote, warning } from './problem.ts'
import type { References } from './references.ts'
import type { ValuesOf } from './schema.ts'
import type { ValueType } from './values.ts'

export interface EntryRow<T> {
  readonly type: ValueType<T>
  readonly default: T
  readonly meaning: string
  /** If a reload changes the value, open servers are closed as they come free. Otherwise they stay open, and the value applies at once. */
  readonly renewsServers?: boolean
  /** The value is never logged. */
  readonly isSecret?: boolean
}

/** The keys that may occur in a line of one section. */
export interface EntryTable<Rows> {
  readonly rows: Rows
  /** Alternative names of keys that PgBouncer accepts. */
  readonly aliases: Readonly<Record<string, string>>
}

/** The place of a line, and what is needed to read it. */
export interface Reading {
  readonly place: Place
  readonly references: References
  /** Problems are collected here. */
  readonly problems: Problem[]
}

/** Returns the values of a line; a key with a wrong value keeps its default. `subject` begins each message: `database "app"`. */
export function readEntry<Rows extends object>(
  table: EntryTable<Rows>,
  subject: string,
  { pairs, problem }: Pairs,
  { place, references, problems }: Reading,
): ValuesOf<Rows> {
  const rows = new Map<string, EntryRow<unknown>>(Object.entries(table.rows))
  const values = new Map([...rows].map(([key, row]) => [key, row.default]))
  const seen = new Set<string>()

  for (const [index, pair] of pairs.entries()) {
    const key = Object.hasOwn(table.aliases, pair.key) ? (table.aliases[pair.key] ?? pair.key) : pair.key
    const row = rows.get(key)
    if (row !== undefined) {
      const resolved = references.resolve(pair.value, row.isSecret ?? false, place)
      const parsed = 'value' in resolved ? row.type.parse(resolved.value) : resolved
      if ('value' in parsed) values.set(key, parsed.value)
      else if (parsed === resolved) problems.push(error(place, `${subject}: ${key} ${parsed.problem}`))
      // The message repeats the written text, not the value it refers to.
      else problems.push(error(place, `${subject}: ${key} cannot be ${shown(pair.value)}: ${parsed.problem}`))
      if (seen.has(key))
        problems.push(warning(place, `${subject}: ${key} appears more than once; the last value is used`))
    } else if (seen.has('password')) {
      // Do not name the key: after the password it may be the rest of a password that contains a space and has no quotes.
      problems.push(
        error(
          place,
          `${subject}: pair ${index + 1}, after the password, has an unknown key; a password with spaces needs single quotes`,
        ),
      )
    } else {
      problems.push(error(place, `${subject}: there is no key ${quote(key)}${suggestion(key, rows.keys())}`))
    }
    seen.add(key)
  }
  if (problem !== null) problems.push(error(place, `${subject}: ${problem}`))
  return Object.fromEntries(values) as ValuesOf<Rows>
}

/** Hides a value that contains `=`: if the space between two pairs is missing, the second may be the password. */
function shown(value: string): string {
  return value.includes('=') ? 'this value' : quote(value)
}
