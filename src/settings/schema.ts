/** THE settings table: each row is a key of the section [pgbouncer], a flag and an environment variable. To add a setting, add a row. */

import { invariant } from '../base/invariant.ts'
import { MAX_PEER_ID } from '../wire/cancel-key.ts'
import { ldapOptions, lookupDatabase, NO_PAM } from './logging-in.ts'
import { protocols, SSL_MODES } from './tls.ts'
import {
  type Bounds,
  boolean,
  bytes,
  fileMode,
  fraction,
  httpAddresses,
  integer,
  list,
  milliseconds,
  oneOf,
  path,
  plainText,
  secret,
  socketDirectory,
  text,
  time,
  type ValueType,
  workerCount,
} from './values.ts'

export interface SettingRow<T> {
  readonly type: ValueType<T>
  readonly default: T
  /** Parts of the value, not the whole, may refer to variables and files. The code that parses the value resolves them. */
  readonly isResolvedInside?: boolean
  /** When a new value takes effect: at a reload (or `SET`), or only at a restart. */
  readonly access: 'reload' | 'restart'
  readonly meaning: string
  /** The setting is accepted but has no effect; this is the reason. */
  readonly noEffect?: string
  /** The value may be written as `file:PATH` and is never shown. */
  readonly isSecret?: boolean
  /** An empty value means "not set": it is shown as null, as in PgBouncer. */
  readonly isNullIfEmpty?: boolean
}

export const POOL_MODES = ['session', 'transaction', 'statement'] as const

export const SYSLOG_FACILITIES = [
  'auth',
  'authpriv',
  'daemon',
  'user',
  'local0',
  'local1',
  'local2',
  'local3',
  'local4',
  'local5',
  'local6',
  'local7',
] as const

const poolMode = oneOf(POOL_MODES)
const authType = oneOf(['any', 'trust', 'plain', 'md5', 'scram-sha-256', 'cert', 'hba', 'ldap'], {
  pam: `it is not supported, because ${NO_PAM}`,
  peer: 'it is a method of auth_hba_file, for auth_type = hba',
})

const LISTENING = {
  listen_addr: atRestart(
    plainText,
    '127.0.0.1',
    'Addresses to accept clients on, with commas between; `*` is all of them, nothing is none. Where it is not set PgBouncer listens on its unix socket only, and pgweir on this machine alone, too.',
  ),
  listen_port: atRestart(integer({ max: 65_535 }), '6432', 'Port to accept clients on; 0 lets the system choose one.'),
  unix_socket_dir: atRestart(
    socketDirectory,
    '/tmp',
    'Folder of a unix socket (`.s.PGSQL.` and the port) on which clients are accepted, too. `@name` is an abstract one; nothing is none.',
  ),
  unix_socket_mode: atRestart(fileMode, '0777', 'Rights of the unix socket: who may write to it may connect.'),
  unix_socket_group: atRestart(
    plainText,
    '',
    "Group of the unix socket, by name or number; the process's own if not set.",
  ),
  peer_id: row(
    integer({ max: MAX_PEER_ID }),
    '0',
    'Which of several poolers behind one address this is: a cancel request that arrives at another one finds its way by `[peers]`. 0 is the only one.',
  ),
  listen_backlog: atRestart(integer({ min: 1 }), '128', 'How many connections may wait in the kernel to be accepted.'),
  tcp_keepalive: row(boolean, '1', 'Whether the kernel probes silent TCP connections to clients and servers.'),
  tcp_keepidle: seconds('0', 'Silence before the first keepalive probe; 0 leaves it to the system.'),
  tcp_keepintvl: seconds(
    '0',
    'Time between two keepalive probes; 0 leaves it to the system. Not on the transport `node`.',
  ),
  tcp_keepcnt: count(
    '0',
    'Unanswered keepalive probes after which a connection is given up; 0 leaves it to the system. Not on the transport `node`.',
  ),
  tcp_user_timeout: row(
    milliseconds(),
    '0',
    'How long what was sent may stay unacknowledged before the connection is given up: milliseconds where no unit is written; 0 leaves it to the system. Not on the transport `node`.',
  ),
  tcp_socket_buffer: row(
    bytes(),
    '0',
    "Size of the kernel's buffers of each connection; 0 leaves it to the system, for clients from the next start on if it was something else. Not on the transport `node`.",
  ),
  tcp_defer_accept: seconds(
    '0',
    'How long the kernel may keep a new connection to itself until its first bytes have come; 0 is not at all. A change holds once the next one has been accepted. Not on the transport `node`. PgBouncer has 1.',
  ),
  so_reuseport: atRestart(
    boolean,
    '0',
    'Whether other processes of the same user may listen on the same port; the kernel shares out the connections. For several processes of one pgweir see `workers`. On the transport `node` it needs Node 23.1.',
  ),
  transport: atRestart(
    oneOf(['auto', 'epoll', 'node']),
    'auto',
    'What carries connections: `epoll`, which is faster and needs Linux and the optional package koffi; `node`, which runs everywhere; `auto` is epoll where it can run. Not in PgBouncer; see transports.md.',
  ),
}

const PROCESSES = {
  conffile: orNone(
    path,
    '',
    'The file that a reload reads: the one of the command line, until SET or the file itself names another. Without a file on the command line this one is read, too.',
  ),
  workers: atRestart(
    workerCount,
    '1',
    'How many processes serve clients. They share one port, and all limits hold for them together. `auto` is one for each core that the process may use, also by the quota of a container.',
  ),
  worker_restart_grace: seconds(
    '10',
    'How long the clients of a worker may stay that RESTART WORKERS replaces; after that, each is sent away between two transactions.',
  ),
  shutdown_grace: seconds(
    '0',
    'How long clients may stay once SIGTERM or SHUTDOWN WAIT_FOR_CLIENTS has come; after that, each is sent away between two transactions. 0 is for as long as they like, as in PgBouncer.',
  ),
  shutdown_timeout: seconds(
    '0',
    'How long SIGTERM, SIGINT and SHUTDOWN WAIT_FOR_CLIENTS or WAIT_FOR_SERVERS may wait; whoever is left then is ended, and what runs is cancelled. 0 is for ever, as in PgBouncer.',
  ),
  worker_timeout: seconds(
    '10',
    'Silence after which a worker is taken for hung, killed and replaced; its clients are lost. 0 is never, and less than 3 is as much as 3.',
  ),
}

const CLIENT_TLS = {
  client_tls_sslmode: row(
    oneOf(SSL_MODES),
    'disable',
    'Whether clients are offered TLS (`allow`, `prefer`), must use it (`require`), and must show a certificate besides (`verify-ca`, `verify-full`). Not on unix sockets.',
  ),
  client_tls_key_file: row(path, '', 'Private key for connections of clients, in PEM.'),
  client_tls_cert_file: row(
    path,
    '',
    'Certificate that clients are shown, in PEM, with those between it and its authority.',
  ),
  client_tls_ca_file: row(path, '', "Authorities of clients' certificates, in PEM."),
  client_tls_protocols: row(
    protocols,
    'secure',
    'Versions of TLS for clients. `secure` is 1.2 and 1.3, `all` (or `legacy`) any that OpenSSL still has; a list is like `tlsv1.2:tlsv1.3` or `all:!tlsv1.0`.',
  ),
  client_tls_ciphers: row(
    text,
    'default',
    "Ciphers for clients up to TLS 1.2: OpenSSL's list, or `default` (also `secure`, `normal`, `fast`), `compat`, `legacy`, `all` (also `insecure`), as in PgBouncer.",
  ),
  client_tls13_ciphers: orNone(text, '', "Ciphers for clients with TLS 1.3; OpenSSL's own choice if not set."),
  client_tls_ecdhcurve: row(
    text,
    'auto',
    'Curves for clients, with colons between; `auto` leaves the choice to OpenSSL.',
  ),
  client_tls_dheparams: row(
    oneOf(['auto', 'none', 'legacy']),
    'auto',
    'Whether clients may use DHE; its parameters fit the key.',
  ),
  client_tls_handshakes_at_once: row(
    integer(),
    '1',
    'How many handshakes of clients a process works on before all others have their turn; more wait in the order they came, so that a storm of connects does not stop queries. 0 is no limit. Not in PgBouncer.',
  ),
}

const SERVER_TLS = {
  server_tls_sslmode: row(
    oneOf(SSL_MODES),
    'prefer',
    'Whether servers are asked for TLS (`allow`, `prefer`), must have it (`require`), must show a certificate of an authority in server_tls_ca_file (`verify-ca`), and for their host (`verify-full`). Not on unix sockets.',
  ),
  server_tls_key_file: row(path, '', 'Private key to log in to servers with, in PEM.'),
  server_tls_cert_file: row(path, '', 'Certificate that servers are shown, in PEM.'),
  server_tls_ca_file: row(path, '', "Authorities of servers' certificates, in PEM."),
  server_tls_protocols: row(protocols, 'secure', 'Versions of TLS for servers, as client_tls_protocols.'),
  server_tls_ciphers: row(text, 'default', 'Ciphers for servers up to TLS 1.2, as client_tls_ciphers.'),
  server_tls13_ciphers: orNone(text, '', "Ciphers for servers with TLS 1.3; OpenSSL's own choice if not set."),
}

const LOGGING_IN = {
  auth_type: row(
    authType,
    'md5',
    "How clients prove who they are. `md5` uses SCRAM for users whose secret is a SCRAM one; `any` and `trust` ask for no password; `any` also ignores the user name, and no secret of that user logs in to servers for it: databases whose servers ask for a password need a `user`. `cert` is by the name in the client's certificate, `hba` as auth_hba_file says, `ldap` by the password that a directory has.",
  ),
  auth_file: orNone(
    path,
    '',
    'File with the names and secrets of users, one `"user" "secret"` a line. It is read again within seconds when it has changed, without a reload; one that is broken is told of in the log, and users stay as they were.',
  ),
  auth_hba_file: row(
    path,
    '',
    "Who may log in from where, and how, with auth_type = hba: a file like PostgreSQL's pg_hba.conf. The first rule that fits decides. Regular expressions, samehost and samenet are understood, and names of hosts: the client must have one of the addresses of `db1.example.com`, or for `.example.com` a name in that domain that leads back to it; answers are good for dns_max_ttl, and while nobody answers the last one goes on. For roles (`+name`, samerole) PostgreSQL is asked by auth_user; answers are good for auth_query_lifetime.",
  ),
  auth_ident_file: orNone(
    path,
    '',
    "Which users those may log in as who have another name on the system (peer) or in their certificate (cert): a file like PostgreSQL's pg_ident.conf.",
  ),
  auth_ldap_options: {
    ...orNone(
      ldapOptions,
      '',
      'Which directory is asked, and for what, with auth_type = ldap: PostgreSQL\'s options, as `ldapserver=ldap.example.com ldapprefix="uid=" ldapsuffix=",ou=people,dc=example,dc=com"`. See logging-in.md.',
    ),
    isResolvedInside: true,
  },
  auth_user: orNone(
    plainText,
    '',
    'Who looks up users that are not in auth_file, in the database that they ask for; nobody is looked up if not set. Its own secret stands in auth_file.',
  ),
  auth_query: row(
    text,
    'SELECT rolname, CASE WHEN rolvaliduntil < now() THEN NULL ELSE rolpassword END FROM pg_authid WHERE rolname=$1 AND rolcanlogin',
    'The query by which auth_user does so. It has the name as its parameter `$1`, and two columns: name and secret.',
  ),
  auth_dbname: orNone(
    lookupDatabase,
    '',
    'Database in which users are looked up, instead of the one that they ask for; never the console.',
  ),
  auth_query_lifetime: seconds(
    '10',
    'How long the answer of auth_query is taken for true; 0 asks anew for every login, as PgBouncer does. That there is no such user is remembered as well; a wrong password has the next login ask anew. Not in PgBouncer.',
  ),
  admin_users: row(list, '', 'Users who may do everything on the console. With `auth_type = any` everyone may.'),
  stats_users: row(list, '', 'Users who may run the `SHOW` commands on the console, and no other.'),
  auth_failure_delay: seconds(
    '0.1',
    'How long the answer to a failed login is held back when three others have failed from the same address just before; each further one doubles it, up to 64 times as long, and each 10 s one is forgotten. Other addresses, and logins that succeed, are not held up; users of a unix socket are told apart. 0 is never. Not in PgBouncer.',
  ),
  client_login_timeout: seconds('60', 'How long a client may take to log in; 0 is for ever.'),
  scram_iterations: row(
    integer({ min: 1, max: 1_000_000 }),
    '4096',
    'Rounds of hashing when a SCRAM secret is made from a plain password of auth_file.',
  ),
  login_notify_message: row(
    text,
    '',
    'A notice that each client gets when it has logged in, such as of work to come; nothing is none.',
  ),
  ignore_startup_parameters: row(
    list,
    '',
    'Startup parameters to drop silently instead of refusing the client; `options` drops every unknown one inside `options`.',
  ),
  application_name_add_host: row(
    boolean,
    '0',
    "Whether the client's address is added to its application_name when it connects.",
  ),
}

const POOLS = {
  pool_mode: row(
    poolMode,
    'session',
    'When a server goes back to its pool: when the client leaves, after each transaction, or after each statement. After a reload a session keeps the mode that it logged in with.',
  ),
  default_pool_size: count('20', 'Servers per pair of database and user; 0 is no limit.'),
  min_pool_size: count('0', 'Servers to keep open per pool even when nobody uses them.'),
  reserve_pool_size: count(
    '0',
    'Extra servers that a pool may open when a client has waited for reserve_pool_timeout.',
  ),
  reserve_pool_timeout: seconds(
    '5',
    'How long a client waits before the reserve is used; 0 is for ever: the reserve is not used.',
  ),
  pool_idle_timeout: seconds(
    '60',
    'How long a pool is remembered after its last client and server have gone; 0, which is the default in PgBouncer, is for ever. One in which no login has ever worked is forgotten in any case.',
  ),
  server_round_robin: row(boolean, '0', 'Whether servers are reused in turn rather than the latest first.'),
  max_prepared_statements: count(
    '200',
    "Prepared statements kept per server so that clients' named statements work in transaction and statement mode; 0 turns that off. Whether it is on for a client is decided when that logs in.",
  ),
  auto_prepare: row(
    boolean,
    '0',
    'Whether servers keep unnamed statements that are parsed again and again, so that a Parse of a known text costs them nothing. In session mode that is decided for a client when it logs in.',
  ),
  auto_prepare_max_bytes: row(
    bytes(),
    '4MB',
    'With auto_prepare: how much text a server keeps prepared, named statements included, before those used least recently go; 0 is no limit.',
  ),
  track_extra_parameters: atRestart(
    list,
    'IntervalStyle',
    'Server parameters that follow the client from server to server, beyond those always tracked.',
  ),
}

const LIMITS = {
  max_client_conn: count('100', 'Clients at one time, all databases together.'),
  max_db_connections: count('0', 'Servers per database, all users together; 0 is no limit.'),
  max_user_connections: count('0', 'Servers per user, all databases together; 0 is no limit.'),
  max_db_client_connections: count('0', 'Clients per database; 0 is no limit.'),
  max_user_client_connections: count('0', 'Clients per user; 0 is no limit.'),
  disable_pqexec: atRestart(
    boolean,
    '0',
    'Whether the simple query protocol is refused, which takes several statements in one text and so helps whoever can smuggle SQL in. The console is not concerned.',
  ),
  max_packet_size: row(bytes({ min: 1024 }), '2147483647', 'The longest message accepted from a client or a server.'),
}

const SERVERS = {
  server_reset_query: row(
    text,
    'DISCARD ALL',
    'What a server runs before it goes to another client in session mode; empty is nothing.',
  ),
  server_reset_query_always: row(
    boolean,
    '0',
    'Whether server_reset_query also runs in transaction and statement mode.',
  ),
  server_check_query: row(
    text,
    '<empty>',
    'Query that tests a server that has been idle; `<empty>` sends a query without text, and nothing at all turns the test off.',
  ),
  server_check_delay: seconds('30', 'How long a server may be idle before it is tested again.'),
  server_fast_close: row(
    boolean,
    '0',
    'Whether in session mode a server that is not to be used any more (after RECONNECT, a reload or a move of its host) is closed at the end of its transaction, with its client. Else it is closed when the client leaves.',
  ),
  server_lifetime: seconds('3600', 'Age at which an idle server is closed; 0 uses each server once.'),
  autodb_idle_timeout: seconds(
    '3600',
    'How long a database made from the entry `*` may be unused before it is forgotten, with its pools and its statistics; 0 is for ever.',
  ),
  server_idle_timeout: seconds('600', 'How long a server may be idle before it is closed; 0 is for ever.'),
  server_connect_timeout: seconds(
    '15',
    'How long connecting and logging in to a server may take, and what it is asked between two clients; 0 is for ever.',
  ),
  server_login_retry: seconds(
    '15',
    'How long to wait after a failed connection or login before trying that server again.',
  ),
}

const NAMES = {
  dns_max_ttl: seconds(
    '15',
    'How long the addresses of a host are believed at most; less if the name server says so. Servers at an address that the host has not any more are closed as they come free.',
  ),
  dns_nxdomain_ttl: seconds(
    '15',
    'How long it is believed that a host has no address. Where nobody can say, the addresses that were known go on being used.',
  ),
  dns_zone_check_period: seconds(
    '0',
    'How often the serial numbers of the zones are looked at that hosts are in (a zone is what follows the first dot); if one has changed, its hosts are asked for anew. 0 is never.',
  ),
  resolv_conf: atRestart(
    path,
    '',
    'File like /etc/resolv.conf with name servers to ask instead of having the system do it; names in /etc/hosts are found there first. If not set the system is asked, which reads /etc/hosts and follows nsswitch.conf.',
  ),
}

const TIMEOUTS = {
  query_timeout: seconds(
    '0',
    'Longest time a query may run before its client and server are disconnected; 0 is for ever.',
  ),
  query_wait_timeout: seconds('120', 'Longest time a client may wait for a server; 0 is for ever.'),
  query_wait_notify: seconds('5', 'Time after which a waiting client gets a notice that it is queued; 0 is never.'),
  idle_transaction_timeout: seconds('0', 'Longest time a client may be idle inside a transaction; 0 is for ever.'),
  transaction_timeout: seconds('0', 'Longest time a transaction may take; 0 is for ever.'),
  client_idle_timeout: seconds('0', 'Longest time a client may do nothing while it holds no server; 0 is for ever.'),
  suspend_timeout: seconds(
    '10',
    'How long SUSPEND waits for whoever does not take what was said; then these are dropped.',
  ),
  cancel_wait_timeout: seconds('10', 'Longest time a cancel request may wait for a connection; 0 is for ever.'),
}

const LOGS = {
  logfile: row(
    path,
    '',
    'File that the log is also written to; a reload opens it anew, also one that fails, so that it can be moved away.',
  ),
  syslog: row(
    boolean,
    '0',
    "Whether the log also goes to the system's log, by `/dev/log`. On Linux, and with the optional package koffi; elsewhere it is an error.",
  ),
  syslog_facility: row(oneOf(SYSLOG_FACILITIES), 'daemon', "Under which facility it stands in the system's log."),
  syslog_ident: row(text, 'pgbouncer', "Under which name it stands in the system's log."),
  log_format: row(
    oneOf(['text', 'json']),
    'text',
    'How log lines are written: for people, or one JSON object each. Not in PgBouncer.',
  ),
  verbose: row(
    integer({ max: 9 }),
    '0',
    'Whether the log also has what is of use for debugging alone, from 1 on: how clients are to prove who they are, which process of PostgreSQL each server is, cancel requests, and answers of auth_query and of name servers. The same as that many `-v`.',
  ),
  log_connections: row(boolean, '1', 'Whether logins of clients are logged, and connections to servers.'),
  log_disconnections: row(
    boolean,
    '1',
    'Whether the ends of clients and of servers are logged, with the reason. That a server could not be opened is logged in any case.',
  ),
  log_pooler_errors: row(boolean, '1', 'Whether errors that pgweir sends to clients are logged.'),
  log_min_duration: seconds(
    '0',
    'Queries that take that long from when the server gets them are logged, without the values in them; 0 is never. A batch of the extended protocol counts as one. Not in PgBouncer.',
  ),
  log_sample_rate: row(fraction, '1', 'How many of those queries are logged: 0.1 is one in ten. Not in PgBouncer.'),
  log_query_values: row(
    boolean,
    '0',
    'Whether those queries are logged as they are, with the values in their texts, which may be confidential. Values that are sent as parameters are never logged. Not in PgBouncer.',
  ),
  log_rate_limit: row(
    integer(),
    '100',
    'How many warnings and errors of one kind each process logs in a second; how many more there were is told in one line. 0 is no limit. Not in PgBouncer.',
  ),
  log_stats: row(boolean, '1', 'Whether a line of statistics is logged each stats_period.'),
  stats_period: seconds('60', 'The time over which averages are taken.', { min: 1000 }),
}

const RUNNING = {
  user: {
    ...atRestart(
      plainText,
      '',
      'Who pgweir becomes when root has started it, once it has opened its sockets and read its files; named in `/etc/passwd`. The same as `-u`.',
    ),
    isNullIfEmpty: true,
  },
  allow_root: atRestart(
    boolean,
    '0',
    'Whether it may run as root without becoming another user: where root is the only one, as in containers. Not in PgBouncer.',
  ),
  pidfile: atRestart(
    path,
    '',
    'File that the process id is written to for as long as pgweir runs. If it names another process that runs, pgweir does not start. Needed for `-d`.',
  ),
}

const MONITORING = {
  http_listen: atRestart(
    httpAddresses,
    '',
    'Addresses with ports to answer HTTP on: `/metrics`, `/healthz` and `/readyz`; see monitoring.md. Nothing is none. Not in PgBouncer.',
  ),
  health_listen: atRestart(
    httpAddresses,
    '',
    'Addresses with ports to answer `/healthz` and `/readyz` on and nothing else, for whoever must not see the metrics. Not in PgBouncer.',
  ),
  http_token: {
    ...row(
      secret,
      '',
      'What a request must bring for all but `/healthz` and `/readyz`: `Authorization: Bearer` and this. `file:PATH` is what is in that file. Nothing asks for none. Not in PgBouncer.',
    ),
    isSecret: true,
  },
  metrics_compat: row(
    oneOf(['none', 'pgbouncer']),
    'none',
    "Whether `/metrics` also has the names of PgBouncer's usual exporter, for dashboards and alerts made for these. Not in PgBouncer.",
  ),
  metrics_max_pools: atRestart(
    integer({ min: 1, max: 10_000 }),
    '200',
    'How many pairs of database and user have metrics of their own, those that come first; the rest is counted under `other`. Not in PgBouncer.',
  ),
}

/** Settings that concern PgBouncer's internals or systems on which pgweir does not run. As in PgBouncer, most of them cannot be SET. */
const NO_EFFECT = {
  pkt_buf: withoutEffect(atRestart, bytes(), '4096', 'all connections are read into one buffer of 64 kB'),
  sbuf_loopcnt: withoutEffect(
    row,
    integer(),
    '5',
    'each connection that has something is read once before another gets its turn',
  ),
  job_name: withoutEffect(atRestart, text, 'pgbouncer', 'it names a service of Windows'),
  service_name: withoutEffect(atRestart, text, 'pgbouncer', 'it names a service of Windows'),
}

/** The table by topic, for the reference page and `--help`. */
export const TOPICS = {
  Listening: LISTENING,
  'TLS with clients': CLIENT_TLS,
  'TLS with servers': SERVER_TLS,
  Processes: PROCESSES,
  'Logging in': LOGGING_IN,
  Pools: POOLS,
  Limits: LIMITS,
  Servers: SERVERS,
  'Names of hosts': NAMES,
  Timeouts: TIMEOUTS,
  'Logs and statistics': LOGS,
  'Without effect': NO_EFFECT,
  'The process': RUNNING,
  Monitoring: MONITORING,
} as const

export const SETTINGS = {
  ...LISTENING,
  ...CLIENT_TLS,
  ...SERVER_TLS,
  ...PROCESSES,
  ...LOGGING_IN,
  ...POOLS,
  ...LIMITS,
  ...SERVERS,
  ...NAMES,
  ...TIMEOUTS,
  ...LOGS,
  ...NO_EFFECT,
  ...RUNNING,
  ...MONITORING,
} as const

export type SettingKey = keyof typeof SETTINGS

/** The values that result from reading a table of rows. */
export type ValuesOf<Rows> = {
  readonly [Key in keyof Rows]: Rows[Key] extends { readonly type: ValueType<infer T> } ? T : never
}

/** The parsed section [pgbouncer]. Times are milliseconds. */
export type GeneralSettings = ValuesOf<typeof SETTINGS>

export type PoolMode = GeneralSettings['pool_mode']

export const SETTING_KEYS = Object.keys(SETTINGS) as readonly SettingKey[]

/** The same table for code that iterates over all rows and does not need their value types. */
export const SETTING_ROWS: ReadonlyMap<string, SettingRow<unknown>> = new Map<string, SettingRow<unknown>>(
  Object.entries(SETTINGS as unknown as Record<string, SettingRow<unknown>>),
)

export const DEFAULTS = Object.fromEntries(SETTING_KEYS.map((key) => [key, SETTINGS[key].default])) as GeneralSettings

export function isSettingKey(key: string): key is SettingKey {
  return SETTING_ROWS.has(key)
}

/** `default_pool_size` → `--default-pool-size`. */
export function flagName(key: string): string {
  return `--${key.replaceAll('_', '-')}`
}

/** `default_pool_size` → `PGWEIR_DEFAULT_POOL_SIZE`. */
export function environmentName(key: string): string {
  return `${ENVIRONMENT_PREFIX}${key.toUpperCase()}`
}

export const ENVIRONMENT_PREFIX = 'PGWEIR_'

function row<T>(type: ValueType<T>, defaultText: string, meaning: string): SettingRow<T> {
  const parsed = type.parse(defaultText)
  invariant('value' in parsed, `the default ${JSON.stringify(defaultText)} is not a value of its own setting`)
  return { type, default: parsed.value, access: 'reload', meaning }
}

function atRestart<T>(type: ValueType<T>, defaultText: string, meaning: string): SettingRow<T> {
  return { ...row(type, defaultText, meaning), access: 'restart' }
}

function withoutEffect<T>(
  make: typeof row<T>,
  type: ValueType<T>,
  defaultText: string,
  because: string,
): SettingRow<T> {
  return { ...make(type, defaultText, `Has no effect: ${because}.`), noEffect: because }
}

function orNone(type: ValueType<string>, defaultText: string, meaning: string): SettingRow<string> {
  return { ...row(type, defaultText, meaning), isNullIfEmpty: true }
}

function seconds(defaultText: string, meaning: string, bounds: Bounds = {}): SettingRow<number> {
  return row(time(bounds), defaultText, meaning)
}

function count(defaultText: string, meaning: string): SettingRow<number> {
  return row(integer(), defaultText, meaning)
}
