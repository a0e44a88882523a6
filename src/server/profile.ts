/** The settings of a connection that follow a client from server to server. */

import { Lru } from '../base/lru.ts'
import { foreignBytes, isForeign } from '../wire/reported-text.ts'

/** Always tracked. All but search_path are reported by every server; search_path from PostgreSQL 18 on. `track_extra_parameters` adds others. */
const ALWAYS_TRACKED = [
  'client_encoding',
  'DateStyle',
  'TimeZone',
  'standard_conforming_strings',
  'application_name',
  'IntervalStyle',
  'search_path',
]

/** The settings that Postgres reports by itself (ParameterStatus) and that follow a client, and the place of each in a profile. */
export class Tracked {
  readonly names: readonly string[]
  readonly #places = new Map<string, number>()

  constructor(extra: readonly string[]) {
    const names = [...ALWAYS_TRACKED]
    for (const name of extra) if (!names.some((known) => known.toLowerCase() === name.toLowerCase())) names.push(name)
    this.names = names
    names.forEach((name, place) => {
      this.#places.set(name.toLowerCase(), place)
    })
  }

  /** Returns the names of `track_extra_parameters` that a server does not report, so that they cannot follow a client. */
  unreported(reported: ReadonlyMap<string, string>): readonly string[] {
    return this.names.slice(ALWAYS_TRACKED.length).filter((name) => !reported.has(name))
  }

  /** Returns the setting's place in a profile, or -1 if it is not tracked. */
  place(name: string): number {
    return this.#places.get(name) ?? this.#places.get(name.toLowerCase()) ?? -1
  }
}

const NO_EXTRAS: ReadonlyMap<string, string> = new Map()

/** How many different profiles are remembered. Equal profiles that are remembered are the same object, so that comparing them is cheap. */
const KNOWN_PROFILES = 1_000

/** The settings of a client or server. Immutable. `values` is in the order of `Tracked.names`; null means that the setting is not reported. */
export class Profile {
  static readonly #known = new Lru<string, Profile>(KNOWN_PROFILES)

  readonly values: readonly (string | null)[]
  /** Settings that are not reported and differ from the server's own defaults: name in lower case → value. */
  readonly extras: ReadonlyMap<string, string>

  #meaning: string | null = null

  private constructor(values: readonly (string | null)[], extras: ReadonlyMap<string, string>) {
    this.values = values
    this.extras = extras
  }

  static of(values: readonly (string | null)[], extras: ReadonlyMap<string, string> = NO_EXTRAS): Profile {
    const sorted = [...extras].sort(([left], [right]) => (left < right ? -1 : 1))
    const key = JSON.stringify([values, sorted])
    const known = Profile.#known.get(key)
    if (known) return known
    const profile = new Profile(values, extras.size === 0 ? NO_EXTRAS : new Map(sorted))
    Profile.#known.set(key, profile)
    return profile
  }

  withValue(place: number, value: string): Profile {
    if (this.values[place] === value) return this
    const values = [...this.values]
    values[place] = value
    return Profile.of(values, this.extras)
  }

  withExtras(extras: ReadonlyMap<string, string>): Profile {
    return Profile.of(this.values, extras)
  }

  /** Returns this profile with each null value replaced by that of `other`. The extras stay. */
  orElse(other: Profile): Profile {
    if (this.values.length === other.values.length && !this.values.includes(null)) return this
    return Profile.of(
      other.values.map((value, place) => this.values[place] ?? value),
      this.extras,
    )
  }

  /** Whether backslashes in strings without a prefix are known to be ordinary characters; false if the server does not report the setting. */
  hasStandardStrings(tracked: Tracked): boolean {
    return this.values[tracked.place('standard_conforming_strings')] === 'on'
  }

  /**
   * The settings that decide, besides its text, what a statement means. Nearly every setting may, since Postgres reads literals when it
   * prepares a statement. Only settings that are known to be harmless are left out, so that clients that differ in them share statements.
   */
  meaning(tracked: Tracked): string {
    if (this.#meaning === null) {
      const name = tracked.place('application_name')
      const values = this.values.map((value, place) => (place === name ? null : value))
      const extras = [...this.extras].filter(([extra]) => !HARMLESS.test(extra))
      this.#meaning = JSON.stringify([values, extras])
    }
    return this.#meaning
  }
}

/** Settings that take effect when a statement is run, not when it is prepared. */
const HARMLESS =
  /_timeout$|^(extra_float_digits|work_mem|bytea_output|client_min_messages|synchronous_commit|log_|geqo|jit|enable_)/

/** One setting to change; null resets it to the server's own default. */
export interface Change {
  readonly name: string
  readonly value: string | null
}

/**
 * Returns the changes that take a server from one profile to another, in the order in which to make them. Most leases need none.
 *
 * @param isDoubtful the server's extras may have been changed without our knowing, so all of them are set again
 */
export function changesBetween(tracked: Tracked, from: Profile, to: Profile, isDoubtful: boolean): Change[] {
  if (from === to && !isDoubtful) return []
  const changes: Change[] = []
  // Resets come first, since a role or a timeout of the last client could prevent the other changes.
  for (const name of from.extras.keys()) if (!to.extras.has(name)) changes.push({ name, value: null })
  for (let place = 0; place < tracked.names.length; place++) {
    const value = to.values[place] ?? null
    if (value !== null && value !== from.values[place]) changes.push({ name: tracked.names[place] as string, value })
  }
  for (const [name, value] of to.extras) {
    if (isDoubtful || from.extras.get(name) !== value) changes.push({ name, value })
  }
  // The role comes last, since it may lack the rights to make the other changes.
  return changes.sort((left, right) => rank(left) - rank(right))
}

function rank(change: Change): number {
  if (change.value === null) return 0
  return change.name === 'role' || change.name === 'session_authorization' ? 2 : 1
}

/**
 * Returns SQL that makes all the changes and whose row holds each new value as Postgres writes it. `set_config` takes values as the startup
 * packet does, including lists and units, and null for the default.
 * https://www.postgresql.org/docs/current/functions-admin.html#FUNCTIONS-ADMIN-SET
 */
export function changesToSql(changes: readonly Change[]): string {
  const calls = changes.map(
    ({ name, value }) => `pg_catalog.set_config(${literal(name)}, ${value === null ? 'null' : literal(value)}, false)`,
  )
  // A DateStyle value with only one of its two parts would keep the other part of the last client's value.
  const fresh = changes.some(({ name, value }) => name === 'DateStyle' && value !== null && !value.includes(','))
    ? "select pg_catalog.set_config('DateStyle', null, false); "
    : ''
  return `${fresh}select ${calls.join(', ')}`
}

/** Settings that `pg_settings` does not show: they are at their defaults when they are empty or `none`. */
const HIDDEN = /^role$|\./

/**
 * Returns one statement that makes only the changes that undo a reset; it leaves settings that the session has set itself. `RESET x` resets
 * only x, and asking the server is the only way to find out which settings were reset.
 * https://www.postgresql.org/docs/current/view-pg-settings.html
 */
export function restoringSql(changes: readonly Change[]): string {
  const calls = changes.map(({ name, value }) => {
    const known = literal(name.toLowerCase())
    const isShownReset = `${known} operator(pg_catalog.=) any (shown.reset)`
    const isHiddenReset = `coalesce(pg_catalog.current_setting(${known}, true), '') operator(pg_catalog.=) any ('{"",none}')`
    const isReset = HIDDEN.test(name) ? `${isShownReset} or ${isHiddenReset}` : isShownReset
    return `case when ${isReset} then pg_catalog.set_config(${literal(name)}, ${literal(value ?? '')}, false) end`
  })
  return `select ${calls.join(', ')} from (select pg_catalog.array_agg(pg_catalog.lower(name)) as reset from pg_catalog.pg_settings where source operator(pg_catalog.<>) 'session') shown`
}

/** Quotes a text so that it means the same with standard_conforming_strings on or off, and in every client_encoding. */
function literal(text: string): string {
  if (isForeign(text)) {
    const { encoding, bytes } = foreignBytes(text)
    return decoded(bytes, encoding)
  }
  if (/[^\x00-\x7f]/.test(text)) return decoded(Buffer.from(text), 'UTF8')
  const quoted = text.replaceAll("'", "''")
  return quoted.includes('\\') ? `E'${quoted.replaceAll('\\', '\\\\')}'` : `'${quoted}'`
}

function decoded(bytes: Buffer, encoding: string): string {
  return `pg_catalog.convert_from(pg_catalog.decode('${bytes.toString('hex')}', 'hex'), ${literal(encoding)})`
}
