/** The settings of a connection that follow a client from server to server. */

import { Lru } from '../base/lru.ts'
import { foreignBytes, isForeign } from '../wire/reported-text.ts'

/** Reported by every server and followed always; others by `track_extra_parameters`, and search_path where the server reports it. */
const ALWAYS_TRACKED = [
  'client_encoding',
  'DateStyle',
  'TimeZone',
  'standard_conforming_strings',
  'application_name',
  'IntervalStyle',
  'search_path',
]

/** The settings that Postgres reports by itself (ParameterStatus) and that follow a client, each with its place in a profile. */
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

  /** Where the setting stands in a profile, or -1 if it is not tracked. */
  place(name: string): number {
    return this.#places.get(name) ?? this.#places.get(name.toLowerCase()) ?? -1
  }
}

const NO_EXTRAS: ReadonlyMap<string, string> = new Map()

/** How many different profiles are remembered, so that equal ones are the same object and compare at no cost. */
const KNOWN_PROFILES = 1_000

/** Immutable. `values` in the order of `Tracked.names`, null where the server does not report the setting. */
export class Profile {
  static readonly #known = new Lru<string, Profile>(KNOWN_PROFILES)

  readonly values: readonly (string | null)[]
  /** What differs from the server's own defaults besides: name in lower case → value. */
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

  /** These settings, and those of `other` where nothing is asked for. */
  orElse(other: Profile): Profile {
    if (this.values.length === other.values.length && !this.values.includes(null)) return this
    return Profile.of(
      other.values.map((value, place) => this.values[place] ?? value),
      this.extras,
    )
  }

  /** In a string without a prefix a backslash is a letter like any other; unknown where that is not reported. */
  hasStandardStrings(tracked: Tracked): boolean {
    return this.values[tracked.place('standard_conforming_strings')] === 'on'
  }

  /**
   * What decides, besides its text, what a statement means: nearly every setting may, since Postgres reads literals when it prepares.
   * Only those are left out that are known to change nothing, so that clients that differ in them share their statements.
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

/** Settings that take effect when a statement runs, not when it is prepared. */
const HARMLESS =
  /_timeout$|^(extra_float_digits|work_mem|bytea_output|client_min_messages|synchronous_commit|log_|geqo|jit|enable_)/

/** One setting to change: null means back to the server's own default. */
export interface Change {
  readonly name: string
  readonly value: string | null
}

/**
 * What has to be set so that a server goes from one profile to the other. Empty for most leases.
 *
 * @param isDoubtful the server's extras may have been changed behind our back, so that all of them are set again
 */
export function changesBetween(tracked: Tracked, from: Profile, to: Profile, isDoubtful: boolean): Change[] {
  if (from === to && !isDoubtful) return []
  const changes: Change[] = []
  // Back to the defaults first: a role or a timeout of the last client must not stand in the way of the rest.
  for (const name of from.extras.keys()) if (!to.extras.has(name)) changes.push({ name, value: null })
  for (let place = 0; place < tracked.names.length; place++) {
    const value = to.values[place] ?? null
    if (value !== null && value !== from.values[place]) changes.push({ name: tracked.names[place] as string, value })
  }
  for (const [name, value] of to.extras) {
    if (isDoubtful || from.extras.get(name) !== value) changes.push({ name, value })
  }
  // Rights come last, since they may not reach for what comes before.
  return changes.sort((left, right) => rank(left) - rank(right))
}

function rank(change: Change): number {
  if (change.value === null) return 0
  return change.name === 'role' || change.name === 'session_authorization' ? 2 : 1
}

/**
 * One statement that makes all changes, and whose row tells each new value as Postgres writes it. `set_config` takes a value as the
 * startup packet does, lists and units included, and null for the default.
 * https://www.postgresql.org/docs/current/functions-admin.html#FUNCTIONS-ADMIN-SET
 */
export function changesToSql(changes: readonly Change[]): string {
  const calls = changes.map(
    ({ name, value }) => `pg_catalog.set_config(${literal(name)}, ${value === null ? 'null' : literal(value)}, false)`,
  )
  // A DateStyle that names only one of its two parts leaves the other as it is: as the last client left it.
  const fresh = changes.some(({ name, value }) => name === 'DateStyle' && value !== null && !value.includes(','))
    ? "select pg_catalog.set_config('DateStyle', null, false); "
    : ''
  return `${fresh}select ${calls.join(', ')}`
}

/** Settings that `pg_settings` does not show: they are at their defaults when they are nothing. */
const HIDDEN = /^role$|\./

/**
 * One statement that makes those of the changes that undo a reset: what the session itself has set since is left as it is. After
 * `RESET x` only x is reset, and there is no other way to tell.
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

/** Quoted so that it means the same with standard_conforming_strings on and off, and in every client_encoding. */
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
