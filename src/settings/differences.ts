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
      pgweir: 'an ordinary error (26000, 42P05), as from PostgreSQL; drivers that know these prepare again',
      concerns: whereStatementsAreShared,
    },
    {
      what: "a prepared statement with a constant such as `'today'`",
      pgbouncer: 'may be one that another client has prepared, days ago',
      pgweir: "is the client's own",
      concerns: whereStatementsAreShared,
    },
    {
      what: 'a prepared statement with a constant that a setting gives its meaning, a time without a zone for example',
      pgbouncer: 'may be one that a client with another `TimeZone` has prepared',
      pgweir: 'is shared by clients with the same settings',
      concerns: whereStatementsAreShared,
    },
    {
      what: 'a prepared statement after DDL',
      pgbouncer: 'may be described as it was before',
      pgweir: 'is described as it is',
      concerns: whereStatementsAreShared,
    },
    {
      what: 'a client that disappears in the midst of a query',
      pgbouncer: 'the server is closed; the query may go on in PostgreSQL',
      pgweir: 'the query is cancelled, too',
    },
    {
      what: 'a query that takes longer than `query_timeout`',
      pgbouncer: 'may go on in PostgreSQL',
      pgweir: 'is cancelled',
      concerns: ({ settings, written }) => [
        ...where(settings, 'query_timeout', ({ query_timeout }) => query_timeout > 0),
        ...[...settings.users]
          .filter(([, user]) => user.query_timeout !== null)
          .map(([name]) => placeOf(written, 'user', name)),
      ],
    },
    {
      what: 'what PostgreSQL says when it ends a connection',
      pgbouncer: 'is followed by `server conn crashed?`',
      pgweir: 'is the last word, with its SQLSTATE',
    },
    {
      what: 'several queries that are sent at once',
      pgbouncer: 'count as one in `SHOW STATS`',
      pgweir: 'are counted each',
    },
  ],

  'Logging in': [
    {
      what: 'settings that a client gives at login',
      pgbouncer: 'are refused where `ignore_startup_parameters` does not drop them, but for a few',
      pgweir: 'take effect in PostgreSQL where `ignore_startup_parameters` does not drop them',
      concerns: ({ settings }) => where(settings, 'ignore_startup_parameters'),
    },
    {
      what: '`auth_type = any` and a database without `user`',
      pgbouncer: 'refuses all clients',
      pgweir: 'takes them where PostgreSQL asks for no password; no stored secret is given to it',
      concerns: ({ settings, written }) =>
        settings.general.auth_type !== 'any'
          ? []
          : databasesOf(settings, written).flatMap(({ database, place }) => (database.user === null ? [place] : [])),
    },
    {
      what: 'repeated failures to log in from one address',
      pgbouncer: 'are answered at once',
      pgweir: 'are answered ever later; `auth_failure_delay = 0` is as before',
      concerns: ({ settings }) =>
        ['any', 'trust'].includes(settings.general.auth_type) ? [] : whereUnset(settings, 'auth_failure_delay'),
    },
    {
      what: 'a changed `auth_file`',
      pgbouncer: 'is read at the next reload',
      pgweir: 'is read at once; a broken one waits for the next reload, or to be mended',
      concerns: ({ settings }) => where(settings, 'auth_file', ({ auth_file }) => auth_file !== ''),
    },
    {
      what: 'a broken line in `auth_file`',
      pgbouncer: 'the lines behind it are lost',
      pgweir: 'loses itself only',
    },
    {
      what: '`auth_query`',
      pgbouncer: 'is asked at each login',
      pgweir:
        'is good for `auth_query_lifetime`, 10 s, and so is that there is no such user; 0 is as before. A wrong password has the next login ask anew',
      concerns: ({ settings, written }) =>
        settings.general.auth_user !== '' || databasesOf(settings, written).some(({ database }) => database.auth_user)
          ? whereUnset(settings, 'auth_query_lifetime')
          : [],
    },
    {
      what: 'an HBA line that cannot be understood',
      pgbouncer: 'is left out, with a warning',
      pgweir: 'is an error: it might be the line that keeps somebody out',
    },
    {
      what: "an HBA line with a host's name, `samehost`, `samenet` or a role (`+name`)",
      pgbouncer: 'is left out, with a warning',
      pgweir: 'is a rule',
      concerns: (file) => whereRules(file, 'left out'),
    },
    {
      what: 'a name in an HBA line that begins with a slash, or is `samerole` or `samegroup`',
      pgbouncer: 'is that name',
      pgweir: 'is a regular expression, or a role',
      concerns: (file) => whereRules(file, 'a plain name'),
    },
    {
      what: 'a user who may not come to the console',
      pgbouncer: 'is told so before being asked for a password',
      pgweir: 'is told so after logging in',
    },
    {
      what: 'the console without a password by the unix socket, and `peer`, where koffi cannot be loaded',
      pgbouncer: 'works',
      pgweir: 'is refused: nobody tells who is at the other end',
      concerns: ({ settings, knowsOwners }) =>
        knowsOwners ? [] : where(settings, 'unix_socket_dir', ({ unix_socket_dir }) => unix_socket_dir !== ''),
    },
  ],

  TLS: [
    {
      what: 'cancel requests to servers with TLS',
      pgbouncer: 'go in the clear',
      pgweir: 'are encrypted',
      concerns: whereServersHaveTls,
    },
    {
      what: 'the name of the host (SNI)',
      pgbouncer: 'is sent to servers with `verify-full`',
      pgweir: 'is sent in all sslmodes',
      concerns: whereServersHaveTls,
    },
    {
      what: 'TLS from the first byte (`sslnegotiation=direct`)',
      pgbouncer: 'by clients, since 1.25',
      pgweir: 'by clients, and to servers with `sslnegotiation=direct` in their line',
    },
    {
      what: 'SCRAM bound to the TLS connection (SCRAM-SHA-256-PLUS)',
      pgbouncer: 'not offered, not used',
      pgweir:
        'is offered to clients with TLS, and used to servers that offer it: a proxy in between that ends TLS is found out',
      concerns: (file) => [...whereClientsHaveTls(file), ...whereServersHaveTls(file)],
    },
    {
      what: 'many handshakes of TLS at a time',
      pgbouncer: 'hold up queries',
      pgweir: 'are worked on one by one between queries: `client_tls_handshakes_at_once`',
      concerns: whereClientsHaveTls,
    },
  ],

  Servers: [
    {
      what: 'a host that is known by name',
      pgbouncer: 'is asked for when a server is opened',
      pgweir:
        'is asked for again while it has servers, so that a move is noticed by itself; a name server that does not answer costs no servers, and a name whose addresses take turns is told from one that has moved',
      concerns: ({ settings, written }) => whereHosts(settings, written, (hosts) => hosts.some(isName)),
    },
    {
      what: 'one of several hosts that does not answer',
      pgbouncer: 'holds up all for `server_login_retry`',
      pgweir: 'is passed over at once, and has no turn for `server_login_retry`',
      concerns: ({ settings, written }) => whereHosts(settings, written, (hosts) => hosts.length > 1),
    },
    {
      what: 'whether the server is a standby (`in_hot_standby`), as clients with `target_session_attrs` want to know',
      pgbouncer: 'is told at login, as it was when the pool had its first server',
      pgweir: 'is not told at login, so that they ask by a query, which a server answers as it is now',
    },
    {
      what: '`max_client_conn`',
      pgbouncer: 'counts whoever has said a name',
      pgweir: 'counts who has proved it; strangers have a limit of their own: see [security](security.md)',
    },
    {
      what: 'limits on servers',
      pgbouncer: 'count connections',
      pgweir: 'count as PostgreSQL does, until the backend has left',
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
      pgbouncer: 'stay; later versions have `pool_idle_timeout`, which is 0',
      pgweir: 'are forgotten after `pool_idle_timeout`, 60 s, and found again',
      concerns: ({ settings }) => whereUnset(settings, 'pool_idle_timeout'),
    },
    {
      what: '`PAUSE` while somebody streams by replication',
      pgbouncer: 'waits for the end of the stream',
      pgweir: 'ends the stream, which its client takes up again after `RESUME`: see [replication](replication.md)',
    },
  ],

  'The console': [
    {
      what: 'errors of the pooler',
      pgbouncer: 'nearly all 08P01',
      pgweir: 'the same words with fitting SQLSTATEs: see [messages](messages.md)',
    },
    {
      what: 'a reload with an error in the file',
      pgbouncer: 'is half done',
      pgweir: 'changes nothing, and the log says why',
    },
    {
      what: '`SET` of a setting that needs a restart',
      pgbouncer: 'is accepted and does nothing',
      pgweir: 'is refused',
    },
    {
      what: '`PAUSE` of all while all is paused',
      pgbouncer: 'is an error',
      pgweir: 'is answered when all is paused: who has lost the first answer may ask again',
    },
  ],

  'The file': [
    {
      what: `\`\${NAME}\` in a value, \`file:PATH\` as a password`,
      pgbouncer: 'are that text',
      pgweir: `are a variable of the environment, and what is in the file; \`$\${NAME}\` is that text`,
      concerns: ({ written }) => written.references,
    },
    { what: 'numbers such as `010`', pgbouncer: 'are octal', pgweir: 'are refused' },
    {
      what: 'values that mean nothing, such as `max_client_conn = -1`, `log_stats = 2` or `pool_size=abc`',
      pgbouncer: 'are taken for some number',
      pgweir: 'are refused',
    },
    {
      what: 'a file that is named and cannot be read, such as `auth_file` or `auth_hba_file`',
      pgbouncer: 'is told of in the log',
      pgweir: 'is an error, with which it does not start',
    },
    {
      what: 'times of a user with a fraction, such as `query_timeout=1.5`',
      pgbouncer: 'are whole seconds',
      pgweir: 'are as written',
      concerns: ({ settings, written }) =>
        [...settings.users]
          .filter(([, user]) => USER_TIMES.some((key) => (user[key] ?? 0) % 1000 !== 0))
          .map(([name]) => placeOf(written, 'user', name)),
    },
    {
      what: '`listen_addr` that is not set',
      pgbouncer: 'unix socket only',
      pgweir: 'this machine (127.0.0.1), and the unix socket; with nothing behind the = it is as before',
      concerns: ({ settings }) => whereUnset(settings, 'listen_addr'),
    },
    {
      what: '`tcp_defer_accept` that is not set',
      pgbouncer: '1: the kernel keeps a client to itself that says nothing',
      pgweir: '0: it is seen at once, and `client_login_timeout` counts',
      concerns: ({ settings }) => whereUnset(settings, 'tcp_defer_accept'),
    },
    {
      what: '`tcp_defer_accept`, `tcp_keepcnt`, `tcp_keepintvl`, `tcp_user_timeout` and `tcp_socket_buffer` on the transport `node`',
      pgbouncer: 'are there on every system',
      pgweir: "have no effect, and the log says so: the system's defaults hold. See [transports](transports.md)",
      concerns: ({ settings, hasEpoll }) =>
        hasEpoll ? [] : EPOLL_SETTINGS.flatMap((key) => where(settings, key, (general) => general[key] > 0)),
    },
  ],

  'Running it': [
    {
      what: '`user`',
      pgbouncer: 'is become before anything is opened',
      pgweir: "is become when the sockets are open and the files read, which may be root's alone",
      concerns: ({ settings }) => where(settings, 'user', ({ user }) => user !== ''),
    },
    { what: 'root', pgbouncer: 'is refused', pgweir: 'is refused, unless `allow_root = 1`' },
    {
      what: '`-d`',
      pgbouncer: 'ends at once, well or not',
      pgweir: 'ends when clients are served, or with 1 and the reason: see [running](running.md)',
    },
    {
      what: 'a flood of like warnings or errors in the log',
      pgbouncer: 'is written out',
      pgweir: 'is 100 a second, and how many more there were; `log_rate_limit = 0` is as before',
      concerns: ({ settings }) => whereUnset(settings, 'log_rate_limit'),
    },
    {
      what: 'lines of the log about a client or server whose end is not everyday, and about an error that ends one',
      pgbouncer: 'tell the reason',
      pgweir: 'end with `HINT:` and what to look at, too',
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
