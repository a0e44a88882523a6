/** One line of [users]: the settings that apply to one user instead of the database's or the general ones. */

import type { Pairs } from './connection-string.ts'
import { type EntryTable, type Reading, readEntry } from './entry.ts'
import { quote } from './problem.ts'
import { POOL_MODES, type ValuesOf } from './schema.ts'
import { boolean, integer, oneOf, orNull, override, time } from './values.ts'

const size = override(integer(), 'zero is a value')
const limit = override(integer(), 'zero means general')
const timeout = override(time(), 'zero means general')

/** A default of null means the setting of the database or, if that is not set, the general one. */
export const USER_ROWS = {
  pool_mode: {
    type: orNull(oneOf(POOL_MODES)),
    default: null,
    meaning: "Overrides the database's pool_mode and the general one.",
  },
  pool_size: { type: size, default: null, meaning: "Overrides the database's pool_size and default_pool_size." },
  reserve_pool_size: {
    type: size,
    default: null,
    meaning: "Overrides the database's reserve_pool_size and the general one.",
  },
  max_user_connections: { type: limit, default: null, meaning: 'Overrides the general max_user_connections.' },
  max_user_client_connections: {
    type: limit,
    default: null,
    meaning: 'Overrides the general max_user_client_connections.',
  },
  query_timeout: { type: timeout, default: null, meaning: 'Overrides the general query_timeout.' },
  query_wait_timeout: {
    type: timeout,
    default: null,
    meaning: "Overrides the database's query_wait_timeout and the general one.",
  },
  idle_transaction_timeout: {
    type: timeout,
    default: null,
    meaning: 'Overrides the general idle_transaction_timeout.',
  },
  transaction_timeout: { type: timeout, default: null, meaning: 'Overrides the general transaction_timeout.' },
  auto_prepare: {
    type: orNull(boolean),
    default: null,
    meaning: "Overrides the database's auto_prepare and the general one.",
  },
  client_idle_timeout: { type: timeout, default: null, meaning: 'Overrides the general client_idle_timeout.' },
} as const

export interface UserSettings extends ValuesOf<typeof USER_ROWS> {
  readonly name: string
}

const USER_TABLE: EntryTable<typeof USER_ROWS> = {
  rows: USER_ROWS,
  aliases: {},
}

export function readUser(name: string, pairs: Pairs, reading: Reading): UserSettings {
  return { ...readEntry(USER_TABLE, `user ${quote(name)}`, pairs, reading), name }
}
