/** Compares two versions of the settings and says what follows for the running pooler. Pure. */

import { DATABASE_ROWS, type DatabaseSettings, FALLBACK_NAME } from './databases.ts'
import type { EntryRow } from './entry.ts'
import type { Settings } from './load.ts'
import { PEER_ROWS } from './peers.ts'
import { quote } from './problem.ts'
import { type GeneralSettings, SETTING_KEYS, SETTING_ROWS, type SettingKey, type SettingRow } from './schema.ts'
import { USER_ROWS } from './users.ts'

/** A key whose value has changed. */
export interface KeyChange {
  readonly key: string
  /** The change in readable form: `20 → 10`. Secrets are not shown. */
  readonly how: string
}

export interface SettingChange extends KeyChange {
  readonly key: SettingKey
  /** The old value was given by SET on the console and is now dropped. */
  readonly wasSet: boolean
}

/** A change of a line in [databases], [users] or [peers]. */
export interface EntryChange {
  readonly name: string
  readonly what: 'added' | 'removed' | 'changed'
  /** The changed keys, if the line existed before and still exists. */
  readonly keys: readonly KeyChange[]
  /** Open servers have to be closed as they come free. */
  readonly renewsServers: boolean
}

export interface Changes {
  /** General settings that take effect now. */
  readonly settings: readonly SettingChange[]
  /** General settings that take effect only after a restart. */
  readonly atRestart: readonly SettingChange[]
  /** Includes the entry `*`. */
  readonly databases: readonly EntryChange[]
  readonly users: readonly EntryChange[]
  readonly peers: readonly EntryChange[]
}

export function changesBetween(before: Settings, after: Settings): Changes {
  // Settings without effect are left out; loading them has warned about that already.
  const all = SETTING_KEYS.filter((key) => SETTING_ROWS.get(key)?.noEffect === undefined)
    .filter((key) => differ(before.general[key], after.general[key]))
    .map((key) => settingChange(before, after, key))
  return {
    settings: all.filter(({ key }) => !isForRestart(key)),
    atRestart: all.filter(({ key }) => isForRestart(key)),
    databases: entryChanges(DATABASES, allDatabases(before), allDatabases(after)),
    users: entryChanges(USERS, before.users, after.users),
    peers: entryChanges(PEERS, before.peers, after.peers),
  }
}

/** Compares the settings of one database. Either may come from its own line or from `*`. Returns null if nothing has changed. */
export function databaseChange(before: DatabaseSettings, after: DatabaseSettings): EntryChange | null {
  return entryChange(DATABASES, after.name, before, after)
}

/** Returns the new settings, with the old values of those that take effect only after a restart. */
export function withoutRestart(before: Settings, after: Settings): Settings {
  const general: Record<SettingKey, unknown> = { ...after.general }
  const origins = { ...after.origins }
  for (const key of SETTING_KEYS.filter(isForRestart)) {
    general[key] = before.general[key]
    origins[key] = before.origins[key]
  }
  return { ...after, general: general as unknown as GeneralSettings, origins }
}

/** A line for the operator. `isWarning` if the change does not take effect as asked. */
export interface ChangeLine {
  readonly sentence: string
  readonly isWarning: boolean
}

export function describeChanges({ settings, atRestart, databases, users, peers }: Changes): ChangeLine[] {
  const say = (sentence: string) => ({ sentence, isWarning: false })
  return [
    ...settings.map(({ key, how, wasSet }) => say(`${key}: ${how}${wasSet ? ' (it was SET on the console)' : ''}`)),
    ...atRestart.map(({ key, how }) => ({
      sentence: `${key}: ${how} takes effect only at a restart`,
      isWarning: true,
    })),
    ...databases.flatMap((change) => describeEntry('database', change)).map(say),
    ...users.flatMap((change) => describeEntry('user', change)).map(say),
    ...peers.flatMap((change) => describeEntry('peer', change)).map(say),
  ]
}

function describeEntry(noun: string, { name, what, keys, renewsServers }: EntryChange): string[] {
  const subject = `${noun} ${quote(name)}`
  if (what === 'removed' && noun === 'database') return [`${subject} is removed: its clients are dropped`]
  if (what !== 'changed') return [`${subject} is ${what}`]
  const lines = keys.map(({ key, how }) => `${subject}: ${key}: ${how}`)
  return renewsServers ? [...lines, `${subject}: its servers are closed as they come free`] : lines
}

// General settings

function isForRestart(key: SettingKey): boolean {
  return SETTING_ROWS.get(key)?.access === 'restart'
}

function settingChange(before: Settings, after: Settings, key: SettingKey): SettingChange {
  const { type } = SETTING_ROWS.get(key) as SettingRow<unknown>
  return {
    key,
    how: arrow(type.print(before.general[key]), type.print(after.general[key])),
    wasSet: before.origins[key].from === 'console' && after.origins[key].from !== 'console',
  }
}

function arrow(from: string, to: string): string {
  return `${from || EMPTY} → ${to || EMPTY}`
}

const EMPTY = "''"

// Entries

type Rows = Readonly<Record<string, EntryRow<unknown>>>

const DATABASES = DATABASE_ROWS as unknown as Rows
const USERS = USER_ROWS as unknown as Rows
const PEERS = PEER_ROWS as unknown as Rows

function allDatabases({ databases, fallback }: Settings): ReadonlyMap<string, DatabaseSettings> {
  return fallback === null ? databases : new Map(databases).set(FALLBACK_NAME, fallback)
}

function entryChanges(
  rows: Rows,
  before: ReadonlyMap<string, object>,
  after: ReadonlyMap<string, object>,
): EntryChange[] {
  const names = new Set([...before.keys(), ...after.keys()])
  return [...names].flatMap((name) => entryChange(rows, name, before.get(name) ?? null, after.get(name) ?? null) ?? [])
}

function entryChange(rows: Rows, name: string, before: object | null, after: object | null): EntryChange | null {
  if (before === null || after === null)
    return { name, what: before === null ? 'added' : 'removed', keys: [], renewsServers: false }
  const was = before as Readonly<Record<string, unknown>>
  const is = after as Readonly<Record<string, unknown>>
  const changed = Object.entries(rows).filter(([key]) => differ(was[key], is[key]))
  if (changed.length === 0) return null
  return {
    name,
    what: 'changed',
    keys: changed.map(([key, row]) => ({ key, how: row.isSecret ? 'changed' : howEntry(row, was[key], is[key]) })),
    renewsServers: changed.some(([, row]) => row.renewsServers === true),
  }
}

function howEntry({ type }: EntryRow<unknown>, from: unknown, to: unknown): string {
  const show = (value: unknown) => (value === null ? 'not set' : type.print(value))
  return arrow(show(from), show(to))
}

/** Compares as JSON, since values are texts, numbers, booleans and lists of texts. */
function differ(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) !== JSON.stringify(other)
}
