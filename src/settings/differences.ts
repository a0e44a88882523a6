/**
 * THE table of differences from PgBouncer. docs/migrating-from-pgbouncer.md shows it, and `pgweir check` prints the rows that concern a given
 * ini file before a migration. To add a difference, add a row. Pure.
 */

import type { DatabaseSettings } from './databases.ts'
import type { Origin, Settings, Written } from './load.ts'
import { NOWHERE, type Place, quote } from './problem.ts'
import type { SettingKey } from './schema.ts'

/** An ini file written for PgBouncer, and the system on which pgweir will use it. */
export interface ComparedFile {
  readonly settings: Settings
  readonly written: Written
  /** The rules of auth_hba_file, with what PgBouncer makes of them. */
  readonly rules: readonly { readonly line: number; readonly inPgbouncer: 'a rule' | 'left out' | 'a plain name' }[]
  /** Whether the transport is epoll: see the setting `transport`. */
  readonly hasEpoll: boolean
  /** Whether the system can report the process at the other end of a unix socket. */
  readonly knowsOwners: boolean
}

export interface Difference {
  readonly what: string
  readonly pgbouncer: string
  readonly pgweir: string
  /** The places in the file that the difference concerns. Not given for a difference that depends on no setting; it is never reported. */
  concerns?(file: ComparedFile): readonly Place[]
}

/** The rows by the headings of the migration guide. */
export const DIFFERENCES = {
  Statements: [
    {
      what: 'an unknown or duplicate prepared statement',
      pgbouncer: 'ends the connection',
      pgweir:
        'causes an ordinary error (26000, 42P05), as in PostgreSQL; drivers that know these errors prepare the statement again',
      concerns: whereStatementsAreShared,
    },
    {
      what: "a prepared statement with a constant such as `'today'`",
      pgbouncer: 'may be one that another client prepared days ago',
      pgweir: 'is not shared with other clients',
      concerns: whereStatementsAreShared,
    },
    {
      what: 'a prepared statement with a constant whose meaning depends on a setting, such as a time without a zone',
      pgbouncer: 'may be one that a client with another `TimeZone` prepared',
      pgweir: 'is shared only by clients with the same settings',
      concerns: whereStatementsAreShared,
    },
    {
      what: 'a prepared statement after DDL',
      pgbouncer: 'may be described as it was before the change',
      pgweir: 'is described as it is now',
      concerns: whereStatementsAreShared,
    },
    {
      what: 'a client that disconnects during a query',
      pgbouncer: 'the server is closed; the query may continue in PostgreSQL',
      pgweir: 'the query is canceled, too',
    },
    {
      what: 'a query that takes longer than `query_timeout`',
      pgbouncer: 'may continue in PostgreSQL',
      pgweir: 'is canceled',
      concerns: ({ settings, written }) => [
        ...where(settings, 'query_timeout', ({ query_timeout }) => query_timeout > 0),
        ...[...settings.users]
          .filter(([, user]) => user.query_timeout !== null)
          .map(([name]) => placeOf(written, 'user', name)),
      ],
    },
    {
      what: "PostgreSQL's error when it ends a connection",
      pgbouncer: 'is followed by `server conn crashed?`',
      pgweir: 'is the last message to the client, with its SQLSTATE',
    },
    {
      what: 'several queries that are sent at once',
      pgbouncer: 'count as one in `SHOW STATS`',
      pgweir: 'are counted separately',
    },
    {
      what: '`LISTEN` in transaction or statement mode',
      pgbouncer: 'stays on the server, and whoever has that server gets the notifications',
      pgweir: 'is undone when the server is given back, and logged as a warning',
    },
    {
      what: 'commands on the console',
      pgbouncer: 'are part of `SHOW TOTALS` and of the log line `stats:`',
      pgweir:
        'are not, since they take no time and would lower the averages; `SHOW STATS` has them, in a row of their own',
    },
  ],

  'Logging in': [
    {
      what: 'settings that a client sends at login',
      pgbouncer: 'are refused, except for a few, unless `ignore_startup_parameters` drops them',
      pgweir: 'take effect in PostgreSQL, unless `ignore_startup_parameters` drops them',
      concerns: ({ settings }) => where(settings, 'ignore_startup_parameters'),
    },
    {
      what: '`auth_type = any` and a database without `user`',
      pgbouncer: 'all clients are refused',
      pgweir: 'clients are accepted if PostgreSQL asks for no password; no stored secret is sent to it',
      concerns: ({ settings, written }) =>
        settings.general.auth_type !== 'any'
          ? []
          : databasesOf(settings, written).flatMap(({ database, place }) => (database.user === null ? [place] : [])),
    },
    {
      what: 'repeated failed logins from one address',
      pgbouncer: 'are answered at once',
      pgweir: 'are answered after an increasing delay; `auth_failure_delay = 0` restores the old behavior',
      concerns: ({ settings }) =>
        ['any', 'trust'].includes(settings.general.auth_type) ? [] : whereUnset(settings, 'auth_failure_delay'),
    },
    {
      what: 'a changed `auth_file`',
      pgbouncer: 'is read at the next reload',
      pgweir: 'is read within seconds; a broken file is ignored until it is repaired, or until the next reload',
      concerns: ({ settings }) => where(settings, 'auth_file', ({ auth_file }) => auth_file !== ''),
    },
    {
      what: 'a broken line in `auth_file`',
      pgbouncer: 'the lines after it are ignored',
      pgweir: 'only that line is ignored',
    },
    {
      what: '`auth_query`',
      pgbouncer: 'runs at each login',
      pgweir:
        'is cached for `auth_query_lifetime`, 10 s, including the answer that a user does not exist; 0 restores the old behavior. A wrong password makes the next login run the query again',
      concerns: ({ settings, written }) =>
        settings.general.auth_user !== '' || databasesOf(settings, written).some(({ database }) => database.auth_user)
          ? whereUnset(settings, 'auth_query_lifetime')
          : [],
    },
    {
      what: 'an HBA line that cannot be understood',
      pgbouncer: 'is ignored, with a warning',
      pgweir: 'is an error, since it may be the line that keeps somebody out',
    },
    {
      what: 'an HBA line with the method `cert`, if `client_tls_sslmode` is neither `verify-ca` nor `verify-full`',
      pgbouncer: 'refuses the clients that it applies to',
      pgweir: 'is an error, and pgweir does not start',
    },
    {
      what: 'an HBA line with a host name, `samehost`, `samenet`, a role (`+name`) or the method `pam`',
      pgbouncer: 'is ignored, with a warning',
      pgweir: 'is a rule',
      concerns: (file) => whereRules(file, 'left out'),
    },
    {
      what: 'a name in an HBA line that begins with a slash, or is `samerole` or `samegroup`',
      pgbouncer: 'is that literal name',
      pgweir: 'is a regular expression, or stands for a role',
      concerns: (file) => whereRules(file, 'a plain name'),
    },
    {
      what: 'a user who may not use the console',
      pgbouncer: 'is refused before being asked for a password',
      pgweir: 'is refused after logging in',
    },
    {
      what: 'access to the console through the unix socket without a password, and the method `peer`, if koffi cannot be loaded',
      pgbouncer: 'work',
      pgweir: 'are refused, because pgweir cannot see which user is at the other end',
      concerns: ({ settings, knowsOwners }) =>
        knowsOwners ? [] : where(settings, 'unix_socket_dir', ({ unix_socket_dir }) => unix_socket_dir !== ''),
    },
  ],

  TLS: [
    {
      what: 'cancel requests to servers with TLS',
      pgbouncer: 'are not encrypted',
      pgweir: 'are encrypted',
      concerns: whereServersHaveTls,
    },
    {
      what: "the server's host name (SNI)",
      pgbouncer: 'is sent to servers with `verify-full`',
      pgweir: 'is sent with every sslmode',
      concerns: whereServersHaveTls,
    },
    {
      what: 'TLS from the first byte (`sslnegotiation=direct`)',
      pgbouncer: 'works for clients, since 1.25',
      pgweir: "works for clients, and for servers with `sslnegotiation=direct` in the database's line",
    },
    {
      what: 'SCRAM bound to the TLS connection (SCRAM-SHA-256-PLUS)',
      pgbouncer: 'is neither offered nor used',
      pgweir:
        'is offered to clients with TLS, and used with servers that offer it: this detects a proxy in between that terminates TLS',
      concerns: (file) => [...whereClientsHaveTls(file), ...whereServersHaveTls(file)],
    },
    {
      what: 'many TLS handshakes at the same time',
      pgbouncer: 'delay queries',
      pgweir: 'are handled one by one, with queries in between: `client_tls_handshakes_at_once`',
      concerns: whereClientsHaveTls,
    },
  ],

  Servers: [
    {
      what: "a server's host name",
      pgbouncer: 'is looked up when a server is opened',
      pgweir:
        'is looked up again as long as it has servers, so that pgweir notices when the host moves; servers stay open if a name server does not answer, and a name that alternates between addresses does not count as moved',
      concerns: ({ settings, written }) => whereHosts(settings, written, (hosts) => hosts.some(isName)),
    },
    {
      what: 'one of several hosts that does not answer',
      pgbouncer: 'delays the pool for `server_login_retry`',
      pgweir: 'the next host is tried at once; the one that failed is skipped for `server_login_retry`',
      concerns: ({ settings, written }) => whereHosts(settings, written, (hosts) => hosts.length > 1),
    },
    {
      what: 'whether the server is a standby (`in_hot_standby`), which clients with `target_session_attrs` need to know',
      pgbouncer: 'is reported at login, as it was when the pool opened its first server',
      pgweir:
        'is not reported at login; clients ask with a query instead, which a server answers with its current state',
    },
    {
      what: '`max_client_conn`',
      pgbouncer: 'counts clients as soon as they have sent a user name',
      pgweir:
        'counts clients once they have authenticated; others have a limit of their own: see [security](security.md)',
    },
    {
      what: 'limits on servers',
      pgbouncer: 'count connections',
      pgweir: 'count each server until its PostgreSQL process has ended, as PostgreSQL itself does',
      concerns: ({ settings, written }) => [
        ...where(settings, 'max_db_connections', (general) => general.max_db_connections > 0),
        ...where(settings, 'max_user_connections', (general) => general.max_user_connections > 0),
        ...databasesOf(settings, written).flatMap(({ database, place }) =>
          database.max_db_connections === null ? [] : [place],
        ),
        ...[...settings.users]
          .filter(([, user]) => user.max_user_connections !== null)
          .map(([name]) => placeOf(written, 'user', name)),
      ],
    },
    {
      what: 'pools that nobody uses',
      pgbouncer: 'stay; later versions have `pool_idle_timeout`, with default 0',
      pgweir: 'are removed after `pool_idle_timeout`, 60 s, and created again when needed',
      concerns: ({ settings }) => whereUnset(settings, 'pool_idle_timeout'),
    },
    {
      what: '`PAUSE` during streaming replication',
      pgbouncer: 'waits for the end of the stream',
      pgweir: 'ends the stream; its client resumes it after `RESUME`: see [replication](replication.md)',
    },
  ],

  'The console': [
    {
      what: 'errors of the pooler',
      pgbouncer: 'nearly all have SQLSTATE 08P01',
      pgweir: 'have the same texts, with specific SQLSTATEs: see [messages](messages.md)',
    },
    {
      what: 'a reload with an error in the file',
      pgbouncer: 'is applied in part',
      pgweir: 'changes nothing; the log has the error',
    },
    {
      what: '`SET` of a setting that needs a restart',
      pgbouncer: 'is accepted and has no effect',
      pgweir: 'is refused',
    },
    {
      what: '`PAUSE` without a name while everything is paused',
      pgbouncer: 'is an error',
      pgweir: 'is answered once everything is paused, so the command can be repeated if its first answer was lost',
    },
  ],

  'The file': [
    {
      what: `\`\${NAME}\` in a value, \`file:PATH\` as a password`,
      pgbouncer: 'are literal text',
      pgweir: `refer to an environment variable, and to the content of a file; \`$\${NAME}\` is the literal text`,
      concerns: ({ written }) => written.references,
    },
    { what: 'numbers such as `010`', pgbouncer: 'are octal', pgweir: 'are refused' },
    {
      what: 'meaningless values such as `max_client_conn = -1`, `log_stats = 2` or `pool_size=abc`',
      pgbouncer: 'are taken as some number',
      pgweir: 'are refused',
    },
    {
      what: 'a configured file that cannot be read, such as `auth_file` or `auth_hba_file`',
      pgbouncer: 'is reported in the log',
      pgweir: 'is an error, and pgweir does not start',
    },
    {
      what: 'times with a fraction in a line of `[users]`, such as `query_timeout=1.5`',
      pgbouncer: 'are whole seconds',
      pgweir: 'keep their fraction',
      concerns: ({ settings, written }) =>
        [...settings.users]
          .filter(([, user]) => USER_TIMES.some((key) => (user[key] ?? 0) % 1000 !== 0))
          .map(([name]) => placeOf(written, 'user', name)),
    },
    {
      what: '`listen_addr`, if not set',
      pgbouncer: 'listens on the unix socket only',
      pgweir: 'listens on 127.0.0.1 and the unix socket; an empty `listen_addr =` restores the old behavior',
      concerns: ({ settings }) => whereUnset(settings, 'listen_addr'),
    },
    {
      what: '`tcp_defer_accept`, if not set',
      pgbouncer: 'is 1: the kernel holds back a client that sends nothing',
      pgweir: 'is 0: such a client is accepted at once, and `client_login_timeout` applies to it',
      concerns: ({ settings }) => whereUnset(settings, 'tcp_defer_accept'),
    },
    {
      what: '`tcp_defer_accept`, `tcp_keepcnt`, `tcp_keepintvl`, `tcp_user_timeout` and `tcp_socket_buffer` on the transport `node`',
      pgbouncer: 'have no such restriction',
      pgweir: "have no effect, and the log says so: the system's defaults apply. See [transports](transports.md)",
      concerns: ({ settings, hasEpoll }) =>
        hasEpoll ? [] : EPOLL_SETTINGS.flatMap((key) => where(settings, key, (general) => general[key] > 0)),
    },
  ],

  'Running it': [
    {
      what: '`user`',
      pgbouncer: 'takes effect before anything is opened',
      pgweir:
        'takes effect after pgweir has opened its sockets and read its files, so that these files may be readable for root only',
      concerns: ({ settings }) => where(settings, 'user', ({ user }) => user !== ''),
    },
    { what: 'root', pgbouncer: 'is refused', pgweir: 'is refused, unless `allow_root = 1`' },
    {
      what: '`-d`',
      pgbouncer: 'the command ends at once, whether or not the start succeeds',
      pgweir: 'the command ends with 0 once clients are served, or with 1 and the reason: see [running](running.md)',
    },
    {
      what: 'many similar warnings or errors in the log',
      pgbouncer: 'are all written',
      pgweir:
        'are limited to 100 per second; one line says how many were left out. `log_rate_limit = 0` restores the old behavior',
      concerns: ({ settings }) => whereUnset(settings, 'log_rate_limit'),
    },
    {
      what: 'log lines about an unusual end of a client or server, or an error that ends one',
      pgbouncer: 'have the reason',
      pgweir: 'also have a `HINT:` that says what to check',
    },
  ],
} as const satisfies Readonly<Record<string, readonly Difference[]>>

/** The rows that concern a file, one line per place, in the order of the table. */
export function notesOf(file: ComparedFile): string[] {
  return Object.entries(DIFFERENCES).flatMap(([heading, rows]: [string, readonly Difference[]]) =>
    rows.flatMap((row) => {
      const places = row.concerns?.(file) ?? []
      if (places.length === 0) return []
      const sentence = `${row.what} | PgBouncer: ${row.pgbouncer} | pgweir: ${row.pgweir} (#${anchorOf(heading)})`
      return [...new Set(places.map(shown))].map((place) => `${place}: note: ${plain(sentence)}`)
    }),
  )

  function shown({ file: path, line }: Place): string {
    const own = path ?? file.settings.iniFile ?? 'pgweir'
    return line === null ? own : `${own}:${line}`
  }
}

/** The section of the migration guide. */
export function differencesSection(): string {
  const tables = Object.entries(DIFFERENCES).map(([heading, rows]: [string, readonly Difference[]]) => {
    const lines = rows.map(({ what, pgbouncer, pgweir }) => `| ${what} | ${pgbouncer} | ${pgweir} |`)
    return `### ${heading}\n\n| | PgBouncer | pgweir |\n| --- | --- | --- |\n${lines.join('\n')}`
  })
  return tables.join('\n\n')
}

function anchorOf(heading: string): string {
  return heading.toLowerCase().replaceAll(' ', '-')
}

/** Removes Markdown, for a terminal. */
function plain(sentence: string): string {
  return sentence.replaceAll('`', '').replace(/\[([^\]]+)\]\(([^)]+)\)/g, '$2')
}

// Conditions

const USER_TIMES = [
  'query_timeout',
  'query_wait_timeout',
  'idle_transaction_timeout',
  'transaction_timeout',
  'client_idle_timeout',
] as const

export const EPOLL_SETTINGS = [
  'tcp_defer_accept',
  'tcp_keepcnt',
  'tcp_keepintvl',
  'tcp_user_timeout',
  'tcp_socket_buffer',
] as const satisfies readonly SettingKey[]

/** The place where a setting is given, if its value satisfies `isSuch`. */
function where(
  { general, origins }: Settings,
  key: SettingKey,
  isSuch: (general: Settings['general']) => boolean = () => true,
): readonly Origin[] {
  return origins[key].from !== 'default' && isSuch(general) ? [origins[key]] : []
}

/** For a setting whose default differs from PgBouncer's: reported only if the file does not set it. */
function whereUnset({ origins }: Settings, key: SettingKey): readonly Place[] {
  return origins[key].from === 'default' ? [NOWHERE] : []
}

function whereStatementsAreShared({ settings, written }: ComparedFile): readonly Place[] {
  const { general, users } = settings
  if (general.max_prepared_statements === 0) return []
  return [
    ...where(settings, 'pool_mode', ({ pool_mode }) => pool_mode !== 'session'),
    ...databasesOf(settings, written).flatMap(({ database, place }) => (shares(database) ? [place] : [])),
    ...[...users].filter(([, user]) => shares(user)).map(([name]) => placeOf(written, 'user', name)),
  ]
}

function shares({ pool_mode }: Pick<DatabaseSettings, 'pool_mode'>): boolean {
  return pool_mode !== null && pool_mode !== 'session'
}

function whereClientsHaveTls({ settings }: ComparedFile): readonly Place[] {
  return where(settings, 'client_tls_sslmode', ({ client_tls_sslmode }) => client_tls_sslmode !== 'disable')
}

function whereServersHaveTls({ settings }: ComparedFile): readonly Place[] {
  return where(settings, 'server_tls_sslmode', ({ server_tls_sslmode }) => server_tls_sslmode !== 'disable')
}

function whereRules({ settings, rules }: ComparedFile, inPgbouncer: 'left out' | 'a plain name'): readonly Place[] {
  const file = settings.general.auth_hba_file
  return rules.filter((rule) => rule.inPgbouncer === inPgbouncer).map(({ line }) => ({ file, line }))
}

function whereHosts(
  settings: Settings,
  written: Written,
  areSuch: (hosts: readonly string[]) => boolean,
): readonly Place[] {
  return databasesOf(settings, written).flatMap(({ database, place }) => {
    const hosts = database.host.split(',').map((host) => host.trim())
    return areSuch(hosts) ? [place] : []
  })
}

/** Whether a host is a name, not an address or a path. */
function isName(host: string): boolean {
  return host !== '' && !/^[/@]|:|^[\d.]+$/.test(host)
}

function databasesOf({ databases, fallback }: Settings, written: Written) {
  return [...databases.values(), ...(fallback === null ? [] : [fallback])].map((database) => ({
    database,
    place: placeOf(written, 'database', database.name),
  }))
}

function placeOf({ places }: Written, noun: 'database' | 'user', name: string): Place {
  return places.get(`${noun} ${quote(name)}`) ?? NOWHERE
}
