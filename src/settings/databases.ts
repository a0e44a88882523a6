/** One line of [databases]: where the servers of a database are, and the settings that apply to it instead of the general ones. */

import type { Pairs } from './connection-string.ts'
import { type EntryTable, type Reading, readEntry } from './entry.ts'
import { CONSOLE_NAMES, lookupDatabase } from './logging-in.ts'
import { error, quote, warning } from './problem.ts'
import { POOL_MODES, type ValuesOf } from './schema.ts'
import { SSL_MODES } from './tls.ts'
import { boolean, host, integer, oneOf, orNull, override, text, time } from './values.ts'

const optionalText = orNull(text)

/** A default of null means the general setting, or "not set" if there is no general one. */
export const DATABASE_ROWS = {
  host: {
    type: host,
    default: '',
    renewsServers: true,
    meaning:
      'Where PostgreSQL is: a host name, an IP address, the folder of its unix socket, or the start of the name of an abstract socket (`@name`). Several hosts, separated by commas, must all have the same database. If not set, the unix socket in unix_socket_dir.',
  },
  load_balance_hosts: {
    type: oneOf(['round-robin', 'disable']),
    default: 'round-robin',
    renewsServers: true,
    meaning:
      'How to use several hosts: `round-robin` opens servers on each host in turn; `disable` stays with one host as long as it works. If a host fails, the next one is tried at once, and the failed one is skipped for `server_login_retry`.',
  },
  port: { type: integer({ min: 1, max: 65_535 }), default: 5432, renewsServers: true, meaning: 'Port of PostgreSQL.' },
  dbname: {
    type: optionalText,
    default: null,
    renewsServers: true,
    meaning: 'Name of the database in PostgreSQL. If not set, the name of the entry.',
  },
  user: {
    type: optionalText,
    default: null,
    renewsServers: true,
    meaning: 'Forced user: all clients share one pool, whose servers log in as this user.',
  },
  password: {
    type: optionalText,
    default: null,
    isSecret: true,
    meaning: 'Password of the forced user. `file:PATH` reads it from a file. If not set, it is looked up in auth_file.',
  },
  pool_mode: { type: orNull(oneOf(POOL_MODES)), default: null, meaning: 'Overrides the general pool_mode.' },
  pool_size: { type: override(integer(), 'zero is a value'), default: null, meaning: 'Overrides default_pool_size.' },
  min_pool_size: {
    type: override(integer(), 'zero is a value'),
    default: null,
    meaning: 'Overrides the general min_pool_size.',
  },
  reserve_pool_size: {
    type: override(integer(), 'zero is a value'),
    default: null,
    meaning: 'Overrides the general reserve_pool_size. Can also be written as `reserve_pool`.',
  },
  max_db_connections: {
    type: override(integer(), 'zero means general'),
    default: null,
    meaning: 'Overrides the general max_db_connections.',
  },
  max_db_client_connections: {
    type: override(integer(), 'zero means general'),
    default: null,
    meaning: 'Overrides the general max_db_client_connections.',
  },
  server_lifetime: {
    type: override(time(), 'zero means general'),
    default: null,
    meaning: 'Overrides the general server_lifetime.',
  },
  query_wait_timeout: {
    type: override(time(), 'zero means general'),
    default: null,
    meaning: 'Overrides the general query_wait_timeout.',
  },
  auto_prepare: { type: orNull(boolean), default: null, meaning: 'Overrides the general auto_prepare.' },
  sslmode: {
    type: orNull(oneOf(SSL_MODES)),
    default: null,
    renewsServers: true,
    meaning: 'Overrides server_tls_sslmode; connection URLs often contain it. Not in PgBouncer.',
  },
  sslnegotiation: {
    type: oneOf(['postgres', 'direct']),
    default: 'postgres',
    renewsServers: true,
    meaning:
      'How TLS starts: `postgres` asks the server first; `direct` starts at once, which saves a round trip but needs PostgreSQL 17 and at least `sslmode` require. Not in PgBouncer.',
  },
  auth_user: { type: optionalText, default: null, meaning: 'Overrides the general auth_user.' },
  auth_query: {
    type: optionalText,
    default: null,
    renewsServers: true,
    meaning: 'Overrides the general auth_query.',
  },
  auth_dbname: {
    type: orNull(lookupDatabase),
    default: null,
    renewsServers: true,
    meaning: 'Overrides the general auth_dbname.',
  },
  connect_query: {
    type: optionalText,
    default: null,
    renewsServers: true,
    isSecret: true,
    meaning: 'SQL that each new server runs before clients use it.',
  },
  client_encoding: startupParameter(),
  datestyle: startupParameter(),
  timezone: startupParameter(),
  application_name: startupParameter(),
} as const

/** Unlike in PgBouncer, a changed startup parameter renews the servers. Otherwise it would be chance whether a client gets the old or new value. */
function startupParameter() {
  return {
    type: optionalText,
    default: null,
    renewsServers: true,
    meaning: 'Startup parameter that servers are opened with.',
  } as const
}

export interface DatabaseSettings extends Omit<ValuesOf<typeof DATABASE_ROWS>, 'dbname'> {
  /** What clients ask for; `*` for the fallback entry. */
  readonly name: string
  readonly dbname: string
}

/** The name of the entry that is used for every database without an entry of its own. */
export const FALLBACK_NAME = '*'

const DATABASE_TABLE: EntryTable<typeof DATABASE_ROWS> = {
  rows: DATABASE_ROWS,
  aliases: { reserve_pool: 'reserve_pool_size' },
}

export function readDatabase(name: string, pairs: Pairs, reading: Reading): DatabaseSettings {
  const { place, problems } = reading
  const subject = `database ${quote(name)}`
  if (CONSOLE_NAMES.includes(name))
    problems.push(error(place, `the name ${quote(name)} is reserved for the admin console`))
  const values = readEntry(DATABASE_TABLE, subject, pairs, reading)
  if (values.password !== null && values.user === null)
    problems.push(warning(place, `${subject}: the password is not used, because no user is set`))
  return { ...values, name, dbname: values.dbname ?? name }
}
