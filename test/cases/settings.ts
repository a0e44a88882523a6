/** For each setting, a test that shows its effect: its file and its title as written there. test/settings.test.ts checks that it does. */

type Shown = readonly [file: string, title: string]

const LISTENING = 'flow/socket-settings.test.ts'
const WATCHING = [
  LISTENING,
  'keepalive, timeout and buffer settings apply to connections of clients and to servers, with new values after a SET',
] as const
const LISTENS_WITH = [LISTENING, 'listen_backlog and so_reuseport are passed to the listening socket'] as const
const CLIENTS_TLS = [
  'e2e/tls-settings.test.ts',
  'the client_tls_ settings determine protocols, ciphers and curves',
] as const
const SERVERS_TLS = ['e2e/tls-settings.test.ts', 'the server_tls_ settings determine protocols and ciphers'] as const
const LOG_LINES = [
  'e2e/log.test.ts',
  'log_connections, log_disconnections and log_pooler_errors turn log lines off',
] as const
const FIXED = [
  'flow/small-settings.test.ts',
  'pkt_buf, job_name and service_name are shown and cannot be SET without a restart',
] as const
const OTHER_DATABASE = [
  'e2e/auth-query.test.ts',
  'auth_query may run in another database (auth_dbname), and may differ per database',
] as const
const LIVES_BY_WORKERS = [
  'e2e/fleet-losses.test.ts',
  'RESTART WORKERS lets transactions finish, and disconnects clients between two of them',
] as const

export const GENERAL: Readonly<Record<string, Shown>> = {
  listen_addr: ['e2e/listening.test.ts', 'listen_addr may name several addresses, which share one port'],
  listen_port: [
    'e2e/listening.test.ts',
    'if listen_port is in use, pgweir fails with an error and releases its other addresses',
  ],
  unix_socket_dir: ['e2e/unix-sockets.test.ts', 'pgweir may listen on a unix socket alone'],
  unix_socket_mode: ['e2e/unix-sockets.test.ts', 'unix_socket_mode and unix_socket_group apply to the socket file'],
  unix_socket_group: ['e2e/unix-sockets.test.ts', 'unix_socket_mode and unix_socket_group apply to the socket file'],
  peer_id: ['flow/peers.test.ts', 'earlier cancel keys stay valid at their pooler, and new keys have the new peer_id'],
  listen_backlog: LISTENS_WITH,
  tcp_keepalive: [
    'e2e/operating.test.ts',
    'a change of tcp_keepalive applies to new connections of clients and to servers',
  ],
  tcp_keepidle: WATCHING,
  tcp_keepintvl: WATCHING,
  tcp_keepcnt: WATCHING,
  tcp_user_timeout: WATCHING,
  tcp_socket_buffer: WATCHING,
  tcp_defer_accept: WATCHING,
  so_reuseport: LISTENS_WITH,
  transport: ['unit/net/choose-transport.test.ts', 'transport = epoll is an error that gives the reason'],
  io_uring: ['unit/net/choose-transport.test.ts', 'io_uring = auto uses io_uring, or says why it does not'],
  client_tls_sslmode: [
    'e2e/tls.test.ts',
    'clients must use TLS with client_tls_sslmode = require, except on a unix socket',
  ],
  client_tls_key_file: ['e2e/tls.test.ts', 'clients get a new certificate after RELOAD, and connected clients stay'],
  client_tls_cert_file: ['e2e/tls.test.ts', 'clients get a new certificate after RELOAD, and connected clients stay'],
  client_tls_ca_file: ['e2e/tls.test.ts', 'clients must present a certificate with client_tls_sslmode = verify-full'],
  client_tls_protocols: CLIENTS_TLS,
  client_tls_ciphers: CLIENTS_TLS,
  client_tls13_ciphers: CLIENTS_TLS,
  client_tls_ecdhcurve: CLIENTS_TLS,
  client_tls_dheparams: [
    'e2e/tls-settings.test.ts',
    'client_tls_dheparams determines whether DHE is offered, with an RSA certificate',
  ],
  client_tls_handshakes_at_once: [
    'flow/tls.test.ts',
    'with client_tls_handshakes_at_once = %i, of six handshakes that arrive together at most %i are answered per turn of the event loop',
  ],
  server_tls_sslmode: ['e2e/tls.test.ts', 'TLS is not requested with server_tls_sslmode = disable'],
  server_tls_key_file: ['e2e/tls.test.ts', 'pgweir presents its certificate to servers'],
  server_tls_cert_file: ['e2e/tls.test.ts', 'pgweir presents its certificate to servers'],
  server_tls_ca_file: ['e2e/tls.test.ts', 'verify-ca requires a certificate of a known authority, for any host'],
  server_tls_protocols: SERVERS_TLS,
  server_tls_ciphers: SERVERS_TLS,
  server_tls13_ciphers: SERVERS_TLS,
  conffile: ['flow/small-settings.test.ts', 'RELOAD reads the file to which conffile was SET'],
  workers: ['e2e/fleet-console.test.ts', 'a worker that starts later observes PAUSE and DISABLE, and can end them'],
  worker_restart_grace: LIVES_BY_WORKERS,
  shutdown_grace: ['flow/shutdown.test.ts', 'disconnects clients between two transactions after shutdown_grace'],
  shutdown_timeout: ['flow/shutdown.test.ts', '%s waits no longer than shutdown_timeout, even if queries run'],
  worker_timeout: [
    'e2e/fleet-losses.test.ts',
    'when workers are killed, hang or are replaced under load, limits are kept, no permit is lost and all clients are served',
  ],
  auth_type: ['clients/psql.test.ts', 'psql logs in to pgweir with auth_type = %s'],
  auth_file: ['e2e/login-of-clients.test.ts', 'lets in every user in auth_file, and no others'],
  auth_hba_file: [
    'e2e/hba.test.ts',
    'the first auth_hba_file rule that matches decides how a client logs in, if at all',
  ],
  auth_ident_file: [
    'e2e/hba.test.ts',
    'the auth method peer lets in the system user, or the users that the map allows for it',
  ],
  auth_ldap_options: ['clients/ldap.test.ts', 'LDAP works with ldapurl'],
  auth_pam_service: ['clients/pam.test.ts', 'psql logs in with the password that PAM accepts, and with no other'],
  auth_user: OTHER_DATABASE,
  auth_query: OTHER_DATABASE,
  auth_dbname: OTHER_DATABASE,
  auth_failure_delay: [
    'flow/failed-logins.test.ts',
    'the fourth failure from an address is answered after auth_failure_delay, the fifth after twice that, whether or not the user exists',
  ],
  auth_query_lifetime: ['e2e/auth-query.test.ts', 'is not cached with auth_query_lifetime = 0'],
  admin_users: [
    'e2e/console.test.ts',
    'admin_users may run everything, stats_users may only SHOW, other users are refused',
  ],
  stats_users: [
    'e2e/console.test.ts',
    'admin_users may run everything, stats_users may only SHOW, other users are refused',
  ],
  client_login_timeout: [
    'e2e/timeouts.test.ts',
    'client_login_timeout disconnects a client that does not finish its login',
  ],
  scram_iterations: [
    'flow/small-settings.test.ts',
    'scram_iterations is the number of iterations for a plain password',
  ],
  login_notify_message: [
    'flow/small-settings.test.ts',
    'is sent to each client that logs in, right before ReadyForQuery',
  ],
  ignore_startup_parameters: [
    'e2e/startup-parameters.test.ts',
    'drops the parameters that it names, in options or not',
  ],
  application_name_add_host: ['e2e/startup-parameters.test.ts', 'application_name_add_host adds the client’s address'],
  pool_mode: [
    'e2e/pool-modes.test.ts',
    'the pool_mode of a user takes precedence over that of the database, and that over the general one',
  ],
  default_pool_size: ['flow/limits.test.ts', 'is how many servers a pool may have: the next client waits'],
  min_pool_size: ['e2e/limits.test.ts', 'min_pool_size: servers are opened as soon as there is a client'],
  reserve_pool_size: [
    'e2e/limits.test.ts',
    'reserve_pool_size: more servers are opened while a client waits for too long',
  ],
  reserve_pool_timeout: ['flow/limits.test.ts', 'is used when a client has waited for reserve_pool_timeout'],
  pool_idle_timeout: [
    'flow/forgetting.test.ts',
    'is forgotten after pool_idle_timeout, whose new value applies from a reload on',
  ],
  server_round_robin: ['flow/queueing.test.ts', 'with server_round_robin, idle servers take turns'],
  max_prepared_statements: [
    'e2e/prepared-statements.test.ts',
    'are limited to max_prepared_statements on a server, which closes the least recently used one',
  ],
  auto_prepare: ['flow/auto-prepare.test.ts', 'of a database takes precedence over the general one'],
  auto_prepare_max_bytes: [
    'flow/auto-prepare.test.ts',
    'auto_prepare_max_bytes: as many statements are closed as a larger one needs',
  ],
  track_extra_parameters: [
    'flow/small-settings.test.ts',
    'parameters named in track_extra_parameters follow the client from server to server',
  ],
  max_client_conn: ['e2e/limits.test.ts', 'max_client_conn refuses one more client until another disconnects'],
  max_db_connections: [
    'e2e/limits.test.ts',
    'max_db_connections limits the users of a database together; an idle server is closed for another user',
  ],
  max_user_connections: ['e2e/limits.test.ts', 'max_user_connections limits the databases of a user together'],
  max_db_client_connections: [
    'e2e/limits.test.ts',
    'max_db_client_connections applies to each database, and may be set for one',
  ],
  max_user_client_connections: [
    'e2e/limits.test.ts',
    'max_user_client_connections applies to each user, and may be set for one',
  ],
  disable_pqexec: ['flow/small-settings.test.ts', 'refuses simple queries, without costing a server'],
  max_packet_size: [
    'e2e/bad-input.test.ts',
    'messages larger than max_packet_size are refused, from clients and from servers',
  ],
  server_reset_query: ['e2e/pool-modes.test.ts', 'with an empty server_reset_query, nothing is reset'],
  server_reset_query_always: ['e2e/pool-modes.test.ts', 'server_reset_query_always resets after each transaction'],
  server_check_query: ['flow/queueing.test.ts', 'is not run if it is set to nothing'],
  server_check_delay: ['flow/queueing.test.ts', 'is run before a server is used that was idle for server_check_delay'],
  server_fast_close: ['flow/small-settings.test.ts', 'can be turned on after RECONNECT'],
  server_lifetime: [
    'e2e/timeouts.test.ts',
    'server_lifetime closes old servers once they are free, one after the other',
  ],
  autodb_idle_timeout: ['flow/forgetting.test.ts', 'is forgotten with its statistics after autodb_idle_timeout'],
  server_idle_timeout: ['e2e/timeouts.test.ts', 'server_idle_timeout closes idle servers, down to min_pool_size'],
  server_connect_timeout: [
    'flow/opening.test.ts',
    'it accepts the connection and never answers (server_connect_timeout)',
  ],
  server_login_retry: [
    'e2e/login-to-servers.test.ts',
    'until the next attempt, new clients get the same error at once',
  ],
  dns_max_ttl: ['e2e/hosts.test.ts', 'servers of a host whose address has changed are replaced automatically'],
  dns_nxdomain_ttl: [
    'flow/names.test.ts',
    'a host name that does not exist is an error, and is looked up again after dns_nxdomain_ttl',
  ],
  dns_zone_check_period: [
    'flow/names.test.ts',
    'the hosts of a zone are looked up again when its serial changes (dns_zone_check_period)',
  ],
  resolv_conf: ['e2e/hosts.test.ts', 'servers of a host whose address has changed are replaced automatically'],
  query_timeout: ['e2e/timeouts.test.ts', 'disconnects the client and cancels the query on the server'],
  query_wait_timeout: [
    'e2e/timeouts.test.ts',
    'query_wait_timeout disconnects a client that has waited too long, and query_wait_notify sends it a notice before',
  ],
  query_wait_notify: [
    'e2e/timeouts.test.ts',
    'query_wait_timeout disconnects a client that has waited too long, and query_wait_notify sends it a notice before',
  ],
  idle_transaction_timeout: [
    'e2e/timeouts.test.ts',
    'idle_transaction_timeout disconnects a client that is idle in a transaction, and frees its server',
  ],
  transaction_timeout: [
    'e2e/timeouts.test.ts',
    'transaction_timeout ends a transaction that takes too long, even if it is busy',
  ],
  client_idle_timeout: [
    'e2e/timeouts.test.ts',
    'client_idle_timeout disconnects a client that is idle outside a transaction',
  ],
  suspend_timeout: ['flow/suspend.test.ts', 'a client that does not read is disconnected after suspend_timeout'],
  cancel_wait_timeout: [
    'flow/cancel.test.ts',
    'gives up a cancel that was sent and not finished, and closes its server',
  ],
  logfile: ['e2e/log.test.ts', 'log lines are written to logfile'],
  syslog: ['unit/daemon/system-log.test.ts', 'a reload turns syslog on and off and changes its name'],
  syslog_facility: [
    'unit/daemon/system-log.test.ts',
    'a line has facility, severity, wall-clock time, name and process, but no host',
  ],
  syslog_ident: ['unit/daemon/system-log.test.ts', 'a reload turns syslog on and off and changes its name'],
  log_format: ['e2e/log.test.ts', 'log_format = json writes one object per line'],
  verbose: ['unit/daemon/open-log.test.ts', 'reopening the log applies the new file, format and verbosity'],
  log_connections: LOG_LINES,
  log_disconnections: LOG_LINES,
  log_pooler_errors: LOG_LINES,
  log_min_duration: ['flow/slow-queries.test.ts', 'a reload turns log_min_duration on and off for connected clients'],
  log_sample_rate: [
    'flow/slow-queries.test.ts',
    'with log_query_values the text is logged unchanged; with log_sample_rate = 0 no slow query is logged',
  ],
  log_query_values: [
    'flow/slow-queries.test.ts',
    'with log_query_values the text is logged unchanged; with log_sample_rate = 0 no slow query is logged',
  ],
  log_rate_limit: [
    'unit/daemon/open-log.test.ts',
    'at most log_rate_limit lines of one kind are written per second, and a reload changes the limit',
  ],
  log_stats: ['flow/small-settings.test.ts', 'log_stats = 0 turns off the log line of each stats_period'],
  stats_period: ['e2e/log.test.ts', 'each stats_period ends with a log line with its averages'],
  pkt_buf: FIXED,
  sbuf_loopcnt: ['flow/small-settings.test.ts', 'sbuf_loopcnt can be SET, and the log says that it has no effect'],
  job_name: FIXED,
  service_name: FIXED,
  user: [
    'e2e/other-user.test.ts',
    'pgweir -u runs all its processes as that user, which owns its files but cannot read the keys',
  ],
  allow_root: ['unit/daemon/privileges.test.ts', '%s'],
  pidfile: [
    'e2e/background.test.ts',
    'pgweir -d serves clients once the command has ended, until SIGTERM; the pidfile has the process id of the daemon',
  ],
  http_listen: ['e2e/health.test.ts', '/healthz and /readyz answer 200, with and without clients'],
  health_listen: ['e2e/health.test.ts', 'health_listen serves the health pages only'],
  http_token: ['e2e/health.test.ts', 'with http_token, the metrics require the token, and the health pages do not'],
  metrics_compat: [
    'e2e/metrics.test.ts',
    'with metrics_compat, the metrics of pgbouncer_exporter are included, and agree with the console',
  ],
  metrics_max_pools: [
    'flow/small-settings.test.ts',
    'metrics_max_pools: the first pools are shown by name, the rest together',
  ],
}

const ENTRY = ['e2e/startup-parameters.test.ts', 'settings of the entry in [databases] apply to its clients'] as const
const MOVED = [
  'e2e/operating.test.ts',
  'a database that is moved while it is paused is served from its new location, with sessions and statements as before',
] as const
const POOL_SIZE = [
  'flow/limits.test.ts',
  'is overridden by pool_size of the database, and that by pool_size of the user',
] as const
const HOSTS = ['e2e/hosts.test.ts', 'with several hosts, servers are opened on each host in turn'] as const
const FLEET_LIMITS = [
  'e2e/fleet-limits.test.ts',
  'open as many servers as each limit allows and never more, and each client gets its own answers',
] as const
const DIRECT = [
  'e2e/tls.test.ts',
  'with sslnegotiation = direct, TLS is started directly, for cancel requests too',
] as const
const OWN_TIMES = ['flow/timeouts.test.ts', 'of the database takes precedence'] as const
const OWN_CLIENTS = ['flow/limits.test.ts', 'a database and a user may have limits of their own'] as const
const RESERVE = [
  'flow/own-settings.test.ts',
  'reserve_pool_size of a user or a database takes precedence over the general one',
] as const
const AUTO_PREPARE = ['flow/auto-prepare.test.ts', 'of a user takes precedence over that of the database'] as const
const MODES = [
  'flow/modes.test.ts',
  'the pool_mode of a user takes precedence over that of the database, and that over the general one',
] as const

export const DATABASES: Readonly<Record<string, Shown>> = {
  host: HOSTS,
  load_balance_hosts: [
    'e2e/hosts.test.ts',
    'with load_balance_hosts=disable, servers are opened on the first host while it works',
  ],
  port: HOSTS,
  dbname: MOVED,
  user: ['e2e/login-of-clients.test.ts', 'is used for all users of the database, who share one pool'],
  password: ['e2e/login-of-clients.test.ts', 'is used for all users of the database, who share one pool'],
  pool_mode: MODES,
  pool_size: POOL_SIZE,
  min_pool_size: [
    'e2e/login-of-clients.test.ts',
    'may have its password in auth_file, and its pool is filled before any client connects',
  ],
  reserve_pool_size: RESERVE,
  max_db_connections: FLEET_LIMITS,
  max_db_client_connections: OWN_CLIENTS,
  server_lifetime: ['flow/own-settings.test.ts', 'server_lifetime of a database takes precedence over the general one'],
  query_wait_timeout: OWN_TIMES,
  auto_prepare: AUTO_PREPARE,
  sslmode: DIRECT,
  sslnegotiation: DIRECT,
  auth_user: OTHER_DATABASE,
  auth_query: OTHER_DATABASE,
  auth_dbname: OTHER_DATABASE,
  connect_query: ['flow/opening.test.ts', 'connect_query runs before any client uses the server'],
  client_encoding: [
    'flow/own-settings.test.ts',
    'servers are opened with client_encoding, datestyle, timezone and application_name of their database',
  ],
  datestyle: ENTRY,
  timezone: ENTRY,
  application_name: ENTRY,
}

export const USERS: Readonly<Record<string, Shown>> = {
  pool_mode: MODES,
  pool_size: POOL_SIZE,
  reserve_pool_size: RESERVE,
  max_user_connections: ['flow/reload-databases.test.ts', 'that changes counts towards its own max_user_connections'],
  max_user_client_connections: OWN_CLIENTS,
  query_timeout: ['flow/timeouts.test.ts', 'of the user takes precedence'],
  query_wait_timeout: OWN_TIMES,
  idle_transaction_timeout: [
    'flow/own-settings.test.ts',
    'idle_transaction_timeout of a user takes precedence over the general one',
  ],
  transaction_timeout: [
    'flow/own-settings.test.ts',
    'transaction_timeout of a user takes precedence over the general one',
  ],
  auto_prepare: AUTO_PREPARE,
  client_idle_timeout: ['flow/timeouts.test.ts', 'of one user does not apply to other users'],
}

export const PEERS: Readonly<Record<string, Shown>> = {
  host: [
    'e2e/peers.test.ts',
    'among poolers with several processes each, a cancel request reaches the process of its client',
  ],
  port: [
    'e2e/peers.test.ts',
    'among poolers with several processes each, a cancel request reaches the process of its client',
  ],
  pool_size: ['flow/console.test.ts', 'peers, and the cancel requests that are being sent to them'],
}
