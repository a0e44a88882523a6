/** What is different between two states of the settings, and what follows from it for what runs. Pure. */

import { DATABASE_ROWS, type DatabaseSettings, FALLBACK_NAME } from './databases.ts'
import type { EntryRow } from './entry.ts'
import type { Settings } from './load.ts'
import { PEER_ROWS } from './peers.ts'
import { quote } from './problem.ts'
import { type GeneralSettings, SETTING_KEYS, SETTING_ROWS, type SettingKey, type SettingRow } from './schema.ts'
import { USER_ROWS } from './users.ts'

/** One key with another value than before. */
export interface KeyChange {
  readonly key: string
  /** For people: `20 → 10`. A secret is not shown. */
  readonly how: string
}

export interface SettingChange extends KeyChange {
  readonly key: SettingKey
  /** The value before was given on the console, and is forgotten now. */
  readonly wasSet: boolean
}

/** A line of [databases], [users] or [peers]. */
export interface EntryChange {
  readonly name: string
  readonly what: 'added' | 'removed' | 'changed'
  /** Of a line that was there before, and is still. */
  readonly keys: readonly KeyChange[]
  /** Servers that are open must not be used much longer. */
  readonly renewsServers: boolean
}

export interface Changes {
  /** General settings that hold from now on. */
  readonly settings: readonly SettingChange[]
  /** Those that must wait for a restart. */
  readonly atRestart: readonly SettingChange[]
  /** With the entry `*`. */
  readonly databases: readonly EntryChange[]
  readonly users: readonly EntryChange[]
  readonly peers: readonly EntryChange[]
}

export function changesBetween(before: Settings, after: Settings): Changes {
  // That a setting has no effect is told where it is read.
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

/** What a change of its line means for one database. It may have been made from `*`, and have a line of its own now, or the reverse. */
export function databaseChange(before: DatabaseSettings, after: DatabaseSettings): EntryChange | null {
  return entryChange(DATABASES, after.name, before, after)
}

/** The new settings as far as they can hold without a restart. */
export function withoutRestart(before: Settings, after: Settings): Settings {
  const general: Record<SettingKey, unknown> = { ...after.general }
  const origins = { ...after.origins }
  for (const key of SETTING_KEYS.filter(isForRestart)) {
    general[key] = before.general[key]
    origins[key] = before.origins[key]
  }
  return { ...after, general: general as unknown as GeneralSettings, origins }
}

/** What there is to say to the operator; `isWarning` where it does not do what was asked for. */
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

/** Values are texts, numbers, booleans and lists of texts. */
function differ(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) !== JSON.stringify(other)
}
