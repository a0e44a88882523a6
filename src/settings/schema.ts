/** THE settings table: each row is a key of the section [pgbouncer], a flag and an environment variable. To add a setting, add a row. */

import { invariant } from '../base/invariant.ts'
import { MAX_PEER_ID } from '../wire/cancel-key.ts'
import { ldapOptions, lookupDatabase, pamService } from './logging-in.ts'
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
const authType = oneOf(['any', 'trust', 'plain', 'md5', 'scram-sha-256', 'cert', 'hba', 'ldap', 'pam'], {
  peer: 'it is a method of auth_hba_file, for auth_type = hba',
})

const LISTENING = {
  listen_addr: atRestart(
    plainText,
    '127.0.0.1',
    'Addresses on which to accept clients, separated by commas. `*` is all addresses; an empty value is none. If not set, PgBouncer listens on its unix socket only; pgweir also listens on 127.0.0.1.',
  ),
  listen_port: atRestart(
    integer({ max: 65_535 }),
    '6432',
    'Port on which to accept clients; 0 lets the system choose one.',
  ),
  unix_socket_dir: atRestart(
    socketDirectory,
    '/tmp',
    'Folder of the unix socket on which to accept clients; the socket is named `.s.PGSQL.` and the port. `@name` creates an abstract socket; an empty value creates none.',
  ),
  unix_socket_mode: atRestart(fileMode, '0777', 'File mode of the unix socket. Users who may write to it may connect.'),
  unix_socket_group: atRestart(
    plainText,
    '',
    'Group of the unix socket, by name or number. If not set, the group of the process.',
  ),
  peer_id: row(
    integer({ max: MAX_PEER_ID }),
    '0',
    'Number of this pooler among several behind one address. With `[peers]`, a cancel request that arrives at another pooler is passed on to this one. 0 means that there is only one.',
  ),
  listen_backlog: atRestart(
    integer({ min: 1 }),
    '128',
    'Number of connections that may wait in the kernel to be accepted.',
  ),
  tcp_keepalive: row(
    boolean,
    '1',
    'Whether the kernel sends keepalive probes on idle TCP connections to clients and servers.',
  ),
  tcp_keepidle: seconds('0', "Idle time before the first keepalive probe; 0 uses the system's value."),
  tcp_keepintvl: seconds(
    '0',
    "Time between two keepalive probes; 0 uses the system's value. Not supported by the transport `node`.",
  ),
  tcp_keepcnt: count(
    '0',
    "Number of unanswered keepalive probes after which a connection is closed; 0 uses the system's value. Not supported by the transport `node`.",
  ),
  tcp_user_timeout: row(
    milliseconds(),
    '0',
    "How long sent data may stay unacknowledged before the connection is closed, in milliseconds if no unit is given; 0 uses the system's value. Not supported by the transport `node`.",
  ),
  tcp_socket_buffer: row(
    bytes(),
    '0',
    "Size of the kernel's buffers for each connection; 0 uses the system's value. A change back to 0 takes effect for clients at the next start. Not supported by the transport `node`.",
  ),
  tcp_defer_accept: seconds(
    '0',
    'How long the kernel may hold a new connection back until its first bytes arrive; 0 does not hold any back. A change takes effect after the next accepted connection. Not supported by the transport `node`. The default in PgBouncer is 1.',
  ),
  so_reuseport: atRestart(
    boolean,
    '0',
    'Whether other processes of the same user may listen on the same port; the kernel distributes the connections. To run several processes in one pgweir, use `workers` instead. On the transport `node` it needs Node 23.1.',
  ),
  transport: atRestart(
    oneOf(['auto', 'epoll', 'node']),
    'auto',
    'How connections are handled: `epoll` is faster and needs Linux and the optional package koffi; `node` runs everywhere; `auto` uses epoll where it can run. Not in PgBouncer; see transports.md.',
  ),
  io_uring: atRestart(
    oneOf(['auto', 'off']),
    'auto',
    'Whether the transport `epoll` receives and sends for many connections by one system call, through io_uring: `auto` uses io_uring where the system has it and allows it (Linux 6.0), `off` does not. Not in PgBouncer; see transports.md.',
  ),
}

const PROCESSES = {
  conffile: orNone(
    path,
    '',
    'File that a reload reads: the file on the command line, until SET or the file itself names another. If there is no file on the command line, pgweir also starts with this one.',
  ),
  workers: atRestart(
    workerCount,
    '1',
    'Number of processes that serve clients. They share one port, and all limits apply to them together. `auto` starts one for each core that the process may use, within the CPU quota of a container.',
  ),
  worker_restart_grace: seconds(
    '10',
    'How long clients may stay on a worker that RESTART WORKERS replaces; after that, each client is disconnected between two transactions.',
  ),
  shutdown_grace: seconds(
    '0',
    'How long clients may stay after SIGTERM or SHUTDOWN WAIT_FOR_CLIENTS; after that, each client is disconnected between two transactions. 0 means no limit, as in PgBouncer.',
  ),
  shutdown_timeout: seconds(
    '0',
    'How long SIGTERM, SIGINT, SHUTDOWN WAIT_FOR_CLIENTS and SHUTDOWN WAIT_FOR_SERVERS may wait; after that, the remaining connections are closed and running queries are canceled. 0 means no limit, as in PgBouncer.',
  ),
  worker_timeout: seconds(
    '10',
    'How long a worker may be silent before it is considered hung, killed and replaced; its clients lose their connections. 0 turns this off; values below 3 count as 3.',
  ),
}

const CLIENT_TLS = {
  client_tls_sslmode: row(
    oneOf(SSL_MODES),
    'disable',
    'Whether clients may use TLS (`allow`, `prefer`), must use TLS (`require`), or must also present a valid certificate (`verify-ca`, `verify-full`). Does not apply to unix sockets.',
  ),
  client_tls_key_file: row(path, '', 'Private key for TLS with clients, in PEM format.'),
  client_tls_cert_file: row(
    path,
    '',
    'Certificate to present to clients, in PEM format, followed by its intermediate certificates.',
  ),
  client_tls_ca_file: row(
    path,
    '',
    "Certificates of the authorities that clients' certificates are checked against, in PEM format.",
  ),
  client_tls_protocols: row(
    protocols,
    'secure',
    'TLS versions for clients. `secure` is 1.2 and 1.3; `all` (or `legacy`) is every version that OpenSSL supports. Lists look like `tlsv1.2:tlsv1.3` or `all:!tlsv1.0`.',
  ),
  client_tls_ciphers: row(
    text,
    'default',
    "Ciphers for clients with TLS 1.2 or older: a list in OpenSSL's syntax, or as in PgBouncer `default` (also `secure`, `normal`, `fast`), `compat`, `legacy` or `all` (also `insecure`).",
  ),
  client_tls13_ciphers: orNone(text, '', "Ciphers for clients with TLS 1.3. If not set, OpenSSL's defaults."),
  client_tls_ecdhcurve: row(
    text,
    'auto',
    'Curves for clients, separated by colons; `auto` leaves the choice to OpenSSL.',
  ),
  client_tls_dheparams: row(
    oneOf(['auto', 'none', 'legacy']),
    'auto',
    'Whether clients may use DHE key exchange: `none` turns it off; `auto` and `legacy` allow it, with parameters that match the key.',
  ),
  client_tls_handshakes_at_once: row(
    integer(),
    '1',
    'Number of TLS handshakes with clients that a process handles before it serves other work; further handshakes wait in order of arrival, so that many connects at once do not stop queries. 0 is no limit. Not in PgBouncer.',
  ),
}

const SERVER_TLS = {
  server_tls_sslmode: row(
    oneOf(SSL_MODES),
    'prefer',
    'Whether servers are asked for TLS (`allow`, `prefer`), must use TLS (`require`), must also present a certificate signed by server_tls_ca_file (`verify-ca`), and one that matches their host name (`verify-full`). Does not apply to unix sockets.',
  ),
  server_tls_key_file: row(path, '', 'Private key for the certificate in server_tls_cert_file, in PEM format.'),
  server_tls_cert_file: row(path, '', 'Certificate to present to servers, in PEM format.'),
  server_tls_ca_file: row(
    path,
    '',
    "Certificates of the authorities that servers' certificates are checked against, in PEM format.",
  ),
  server_tls_protocols: row(protocols, 'secure', 'TLS versions for servers, in the format of client_tls_protocols.'),
  server_tls_ciphers: row(
    text,
    'default',
    'Ciphers for servers with TLS 1.2 or older, in the format of client_tls_ciphers.',
  ),
  server_tls13_ciphers: orNone(text, '', "Ciphers for servers with TLS 1.3. If not set, OpenSSL's defaults."),
}

const LOGGING_IN = {
  auth_type: row(
    authType,
    'md5',
    "How clients authenticate. `md5` uses SCRAM for users with a SCRAM secret. `cert` compares the user with the name in the client's certificate, `hba` follows auth_hba_file, `ldap` checks the password with a directory, and `pam` with the operating system's PAM. `trust` and `any` ask for no password; `any` also ignores the user name, and no secret of that user is used to log in to servers: a database whose server asks for a password needs a `user`.",
  ),
  auth_file: orNone(
    path,
    '',
    'File with the names and secrets of users, one `"user" "secret"` per line. pgweir reads it again within seconds of a change, without a reload. If it is broken then, pgweir logs that and keeps the users as they were.',
  ),
  auth_hba_file: row(
    path,
    '',
    "Rules for who may log in from where, and how, with auth_type = hba: a file like PostgreSQL's pg_hba.conf. The first rule that matches decides. Regular expressions, samehost and samenet are supported. A host name matches if it resolves to the client's address; `.example.com` matches if the client's address has a name in that domain that resolves back to it. Answers are cached for dns_max_ttl; while name servers do not answer, the last answer stays in use. For roles (`+name`, samerole) pgweir asks PostgreSQL as auth_user, and caches the answer for auth_query_lifetime.",
  ),
  auth_ident_file: orNone(
    path,
    '',
    "Maps system user names (peer) and certificate names (cert) to the users that they may log in as: a file like PostgreSQL's pg_ident.conf.",
  ),
  auth_ldap_options: {
    ...orNone(
      ldapOptions,
      '',
      'Which directory to ask, and how, with auth_type = ldap. Takes PostgreSQL\'s options, such as `ldapserver=ldap.example.com ldapprefix="uid=" ldapsuffix=",ou=people,dc=example,dc=com"`. See logging-in.md.',
    ),
    isResolvedInside: true,
  },
  auth_pam_service: row(
    pamService,
    'pgbouncer',
    'Name of the file in /etc/pam.d that decides about logins, with auth_type = pam. Not in PgBouncer, which always takes `pgbouncer`. See logging-in.md.',
  ),
  auth_user: orNone(
    plainText,
    '',
    'User that looks up users that are not in auth_file, in the database that the client asks for. If not set, nobody is looked up. The secret of auth_user itself must be in auth_file.',
  ),
  auth_query: row(
    text,
    'SELECT rolname, CASE WHEN rolvaliduntil < now() THEN NULL ELSE rolpassword END FROM pg_authid WHERE rolname=$1 AND rolcanlogin',
    'Query that auth_user runs to look up a user. Its parameter `$1` is the name; it must return two columns, name and secret.',
  ),
  auth_dbname: orNone(
    lookupDatabase,
    '',
    'Database in which auth_query runs, instead of the one that the client asks for. Cannot be the console.',
  ),
  auth_query_lifetime: seconds(
    '10',
    'How long an answer of auth_query is cached, including that a user does not exist; 0 runs the query for every login, as PgBouncer does. A wrong password makes the next login run it again. Not in PgBouncer.',
  ),
  admin_users: row(list, '', 'Users who may run every command on the console. With `auth_type = any` every user may.'),
  stats_users: row(list, '', 'Users who may run only the `SHOW` commands on the console.'),
  auth_failure_delay: seconds(
    '0.1',
    'How long the answer to a failed login is delayed once three others from the same address (for IPv6, the same /64 network) have failed. Each further failure doubles the delay, up to 64 times; one failure is forgotten every 10 s. Other addresses and successful logins are not delayed; on unix sockets, failures count per system user. 0 turns this off. Not in PgBouncer.',
  ),
  client_login_timeout: seconds(
    '60',
    'How long a client may take to log in before it is disconnected; 0 means no limit.',
  ),
  scram_iterations: row(
    integer({ min: 1, max: 1_000_000 }),
    '4096',
    'Number of hash iterations when pgweir makes a SCRAM secret from a plain password in auth_file.',
  ),
  login_notify_message: row(
    text,
    '',
    'Notice that each client receives after it logs in, for example to announce maintenance. An empty value sends none.',
  ),
  ignore_startup_parameters: row(
    list,
    '',
    'Startup parameters that pgweir drops instead of passing them to PostgreSQL. `options` drops all settings inside `options` that are not tracked (see track_extra_parameters).',
  ),
  application_name_add_host: row(
    boolean,
    '0',
    "Whether to add the client's address to its application_name when it connects.",
  ),
}

const POOLS = {
  pool_mode: row(
    poolMode,
    'session',
    'When a server returns to its pool: `session` after the client disconnects, `transaction` after each transaction, `statement` after each statement. A reload does not change the mode of clients that are logged in.',
  ),
  default_pool_size: count('20', 'Maximum number of servers for each pair of database and user; 0 is no limit.'),
  min_pool_size: count(
    '0',
    'Number of servers that a pool keeps open while it has clients, even if none of them uses a server. With a forced `user` it applies always.',
  ),
  reserve_pool_size: count(
    '0',
    'Number of additional servers that a pool may open when a client has waited for reserve_pool_timeout.',
  ),
  reserve_pool_timeout: seconds(
    '5',
    'How long a client waits before its pool uses reserve_pool_size; 0 means that the reserve is not used.',
  ),
  pool_idle_timeout: seconds(
    '60',
    'How long a pool is kept after its last client and server have gone; 0, the default in PgBouncer, keeps it forever. A pool in which no login has ever succeeded is removed in any case.',
  ),
  server_round_robin: row(
    boolean,
    '0',
    'Whether a pool uses its servers in turn, instead of the most recently used one first.',
  ),
  max_prepared_statements: count(
    '200',
    'Number of prepared statements kept on each server, so that named statements of clients work in transaction and statement mode; 0 turns this off. Turning it on or off affects only clients that log in afterwards.',
  ),
  auto_prepare: row(
    boolean,
    '0',
    'Whether servers keep unnamed statements that are parsed repeatedly, so that PostgreSQL does not have to parse them again. In session mode a change affects only clients that log in afterwards.',
  ),
  auto_prepare_max_bytes: row(
    bytes(),
    '4MB',
    'Total size of the statements that a server keeps prepared with auto_prepare, including named ones; beyond it, the least recently used are removed. 0 is no limit.',
  ),
  track_extra_parameters: atRestart(
    list,
    'IntervalStyle',
    'Server parameters that follow a client from server to server, in addition to those that are always tracked. Only parameters that PostgreSQL reports can follow, such as `default_transaction_read_only` (from PostgreSQL 14 on); pgweir warns about the others.',
  ),
}

const LIMITS = {
  max_client_conn: count('100', 'Maximum number of clients for all databases together.'),
  max_db_connections: count('0', 'Maximum number of servers for each database, all users together; 0 is no limit.'),
  max_user_connections: count('0', 'Maximum number of servers for each user, all databases together; 0 is no limit.'),
  max_db_client_connections: count('0', 'Maximum number of clients for each database; 0 is no limit.'),
  max_user_client_connections: count('0', 'Maximum number of clients for each user; 0 is no limit.'),
  disable_pqexec: atRestart(
    boolean,
    '0',
    'Whether to refuse the simple query protocol. It allows several statements in one text, which makes SQL injection easier. The console is not affected.',
  ),
  max_packet_size: row(bytes({ min: 1024 }), '2147483647', 'Maximum size of a message from a client or a server.'),
}

const SERVERS = {
  server_reset_query: row(
    text,
    'DISCARD ALL',
    'Query that a server runs in session mode before another client gets it. An empty value runs none.',
  ),
  server_reset_query_always: row(
    boolean,
    '0',
    'Whether to run server_reset_query in transaction and statement mode, too.',
  ),
  server_check_query: row(
    text,
    '<empty>',
    'Query that tests a server that has been idle. `<empty>` sends a query without text; an empty value turns the test off.',
  ),
  server_check_delay: seconds('30', 'Idle time after which a server is tested before its next use.'),
  server_fast_close: row(
    boolean,
    '0',
    'Whether in session mode a server that must not be used again (after RECONNECT, a reload or a change of its host) is closed at the end of its transaction, together with its client. Otherwise it is closed when the client disconnects.',
  ),
  server_lifetime: seconds('3600', 'Age at which a server is closed once it is idle; 0 uses each server only once.'),
  autodb_idle_timeout: seconds(
    '3600',
    'How long a database created from the entry `*` may be unused before it is removed, with its pools and statistics; 0 means no limit.',
  ),
  server_idle_timeout: seconds('600', 'How long a server may be idle before it is closed; 0 means no limit.'),
  server_connect_timeout: seconds(
    '15',
    'How long it may take to connect and log in to a server, and how long a server may take for each check, reset or change of settings between two clients; 0 means no limit.',
  ),
  server_login_retry: seconds(
    '15',
    'Longest wait after a failed connection or login before pgweir tries the server again.',
  ),
}

const NAMES = {
  dns_max_ttl: seconds(
    '15',
    'How long the addresses of a host are cached; less if the name server says so. Servers at an address that the host no longer has are closed when they are free.',
  ),
  dns_nxdomain_ttl: seconds(
    '15',
    'How long pgweir remembers that a host has no address. If the name cannot be looked up at all, the known addresses stay in use.',
  ),
  dns_zone_check_period: seconds(
    '0',
    'How often to check the serial numbers of the DNS zones of all hosts (the zone is the part of the name after the first dot); if one has changed, its hosts are looked up again. 0 turns this off.',
  ),
  resolv_conf: atRestart(
    path,
    '',
    'File like /etc/resolv.conf with the name servers to ask instead of the system; /etc/hosts comes first. If not set, pgweir asks the system, which reads /etc/hosts and follows nsswitch.conf.',
  ),
}

const TIMEOUTS = {
  query_timeout: seconds(
    '0',
    'How long a query may run before it is canceled, and its client and server are disconnected; 0 means no limit.',
  ),
  query_wait_timeout: seconds(
    '120',
    'How long a client may wait for a server before it is disconnected; 0 means no limit.',
  ),
  query_wait_notify: seconds(
    '5',
    'How long a client waits for a server before it receives a notice that it is queued; 0 sends none.',
  ),
  idle_transaction_timeout: seconds(
    '0',
    'How long a client may be idle inside a transaction before it is disconnected; 0 means no limit.',
  ),
  transaction_timeout: seconds(
    '0',
    'How long a transaction may take before its client is disconnected; 0 means no limit.',
  ),
  client_idle_timeout: seconds(
    '0',
    'How long a client that holds no server may be idle before it is disconnected; 0 means no limit.',
  ),
  suspend_timeout: seconds(
    '10',
    'How long SUSPEND waits for clients and servers to receive what was sent to them; connections that have not received it by then are closed.',
  ),
  cancel_wait_timeout: seconds(
    '10',
    'How long a cancel request may wait to be sent, and then for the server to deal with it; 0 means no limit.',
  ),
}

const LOGS = {
  logfile: row(
    path,
    '',
    'File that the log is also written to. A reload reopens it, even a reload that fails, so that the file can be rotated.',
  ),
  syslog: row(
    boolean,
    '0',
    'Whether to write the log to the system log, too, through `/dev/log`. Needs Linux and the optional package koffi; elsewhere it is an error.',
  ),
  syslog_facility: row(oneOf(SYSLOG_FACILITIES), 'daemon', 'Facility in the system log.'),
  syslog_ident: row(text, 'pgbouncer', 'Program name in the system log.'),
  log_format: row(
    oneOf(['text', 'json']),
    'text',
    'Format of log lines: `text` for people, or `json` with one JSON object per line. Not in PgBouncer.',
  ),
  verbose: row(
    integer({ max: 9 }),
    '0',
    'From 1 on, the log also has details for debugging: how clients have to authenticate, which PostgreSQL process each server is, cancel requests, and answers of auth_query and of name servers. The same as that many `-v` flags.',
  ),
  log_connections: row(boolean, '1', 'Whether to log logins of clients and new connections to servers.'),
  log_disconnections: row(
    boolean,
    '1',
    'Whether to log when clients and servers disconnect, and why. A server that could not be opened is always logged.',
  ),
  log_pooler_errors: row(boolean, '1', 'Whether to log the errors that pgweir sends to clients.'),
  log_min_duration: seconds(
    '0',
    'Log queries that take at least this long, counted from when the server receives them, without the values in their text; 0 logs none. A batch of the extended protocol counts as one query. Not in PgBouncer.',
  ),
  log_sample_rate: row(
    fraction,
    '1',
    'Fraction of the queries selected by log_min_duration that is logged: 0.1 is one in ten. Not in PgBouncer.',
  ),
  log_query_values: row(
    boolean,
    '0',
    'Whether to log the queries selected by log_min_duration with the values in their text, which may be confidential. Values sent as parameters are never logged. Not in PgBouncer.',
  ),
  log_rate_limit: row(
    integer(),
    '100',
    'Maximum number of warnings and errors of one kind that each process logs per second; one more line says how many were left out. 0 is no limit. Not in PgBouncer.',
  ),
  log_stats: row(boolean, '1', 'Whether to log a line of statistics every stats_period.'),
  stats_period: seconds('60', 'Period over which averages are computed.', { min: 1000 }),
}

const RUNNING = {
  user: {
    ...atRestart(
      plainText,
      '',
      'User that pgweir becomes if root starts it, after it has opened its sockets and read its files. The name must be in `/etc/passwd`. The same as `-u`.',
    ),
    isNullIfEmpty: true,
  },
  allow_root: atRestart(
    boolean,
    '0',
    'Whether pgweir may run as root without becoming another user, for containers in which root is the only user. Not in PgBouncer.',
  ),
  pidfile: atRestart(
    path,
    '',
    'File that holds the process ID while pgweir runs. If it names another running process, pgweir does not start. Required for `-d`.',
  ),
}

const MONITORING = {
  http_listen: atRestart(
    httpAddresses,
    '',
    'Addresses with ports on which to serve `/metrics`, `/healthz`, `/readyz` and the live page over HTTP; see monitoring.md. An empty value is none. Not in PgBouncer.',
  ),
  health_listen: atRestart(
    httpAddresses,
    '',
    'Addresses with ports on which to serve only `/healthz` and `/readyz`, for load balancers that must not see the metrics. Not in PgBouncer.',
  ),
  http_token: {
    ...row(
      secret,
      '',
      'Token that HTTP requests must carry as `Authorization: Bearer TOKEN`; `/healthz`, `/readyz` and the empty live page need none. `file:PATH` reads it from a file. An empty value asks for no token. Not in PgBouncer.',
    ),
    isSecret: true,
  },
  metrics_compat: row(
    oneOf(['none', 'pgbouncer']),
    'none',
    'With `pgbouncer`, `/metrics` also has the names of the usual PgBouncer exporter, for existing dashboards and alerts. Not in PgBouncer.',
  ),
  metrics_max_pools: atRestart(
    integer({ min: 1, max: 10_000 }),
    '200',
    'Number of pairs of database and user that have their own metrics, in order of first use; all others are counted together as `other`. Not in PgBouncer.',
  ),
}

/** Settings that concern PgBouncer's internals or systems on which pgweir does not run. As in PgBouncer, most of them cannot be SET. */
const NO_EFFECT = {
  pkt_buf: withoutEffect(atRestart, bytes(), '4096', 'all connections are read into one buffer of 64 kB'),
  sbuf_loopcnt: withoutEffect(
    row,
    integer(),
    '5',
    'each connection with pending data is read once before the next one',
  ),
  job_name: withoutEffect(atRestart, text, 'pgbouncer', 'it names a Windows service'),
  service_name: withoutEffect(atRestart, text, 'pgbouncer', 'it names a Windows service'),
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
  'Host names': NAMES,
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
