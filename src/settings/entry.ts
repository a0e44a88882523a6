/** Reads one line of [databases] or [users] by a table of rows. */

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
  /** When a reload changes it, servers that are open are closed as they come free. Else they go on, and what is new holds at once. */
  readonly renewsServers?: boolean
  /** Its value stands in no log. */
  readonly isSecret?: boolean
}

/** What can be said in one section's lines. */
export interface EntryTable<Rows> {
  readonly rows: Rows
  /** Other names of keys, as PgBouncer has them. */
  readonly aliases: Readonly<Record<string, string>>
}

/** Where a line stands, and what it may refer to. */
export interface Reading {
  readonly place: Place
  readonly references: References
  /** Problems are collected here. */
  readonly problems: Problem[]
}

/** `subject` begins each sentence: `database "app"`. What is wrong keeps its default. */
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
      // What is repeated is what stands there, not what it refers to.
      else problems.push(error(place, `${subject}: ${key} cannot be ${shown(pair.value)}: ${parsed.problem}`))
      if (seen.has(key))
        problems.push(warning(place, `${subject}: ${key} is given more than once; the last one counts`))
    } else if (seen.has('password')) {
      // A password with a space in it and no quotes would show up here as a "key".
      problems.push(
        error(place, `${subject}: there is no such key as that of pair ${index + 1}, which follows the password`),
      )
    } else {
      problems.push(error(place, `${subject}: there is no key ${quote(key)}${suggestion(key, rows.keys())}`))
    }
    seen.add(key)
  }
  if (problem !== null) problems.push(error(place, `${subject}: ${problem}`))
  return Object.fromEntries(values) as ValuesOf<Rows>
}

/** Where the space between two pairs is missing, the second may be the password. */
function shown(value: string): string {
  return value.includes('=') ? 'what stands there' : quote(value)
}
