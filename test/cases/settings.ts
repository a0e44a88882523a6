/** For each setting, a test that shows its effect: its file and its title as written there. test/settings.test.ts checks that it does. */

type Shown = readonly [file: string, title: string]

const LISTENING = 'flow/socket-settings.test.ts'
const WATCHING = [
  LISTENING,
  'keepalive, timeout and buffer settings apply to connections of clients and to servers, with new values after a SET',
] as const
const LISTENS_WITH = [LISTENING, 'listen_backlog and so_reuseport are passed to the listening socket'] as const
const CLIENTS_TLS = ['e2e/tls-settings.test.ts', 'with clients: protocols, ciphers and curves'] as const
const SERVERS_TLS = ['e2e/tls-settings.test.ts', 'with servers: protocols and ciphers'] as const
const LOG_LINES = [
  'e2e/log.test.ts',
  'log_connections, log_disconnections and log_pooler_errors turn lines off',
] as const
const FIXED = [
  'flow/small-settings.test.ts',
  'pkt_buf, job_name and service_name are shown and cannot be SET without a restart',
] as const
const OTHER_DATABASE = [
  'e2e/auth-query.test.ts',
  'in another database, and for one database otherwise than for others',
] as const
const LIVES_BY_WORKERS = [
  'e2e/fleet-losses.test.ts',
  'RESTART WORKERS lets transactions finish, and sends everybody away between two of them',
] as const

export const GENERAL: Readonly<Record<string, Shown>> = {
  listen_addr: ['e2e/listening.test.ts', 'on several addresses, with one port'],
  listen_port: ['e2e/listening.test.ts', 'a port that is taken: it says so, and leaves nothing behind'],
  unix_socket_dir: ['e2e/unix-sockets.test.ts', 'by a unix socket alone'],
  unix_socket_mode: ['e2e/unix-sockets.test.ts', 'who may connect is a matter of its mode and group'],
  unix_socket_group: ['e2e/unix-sockets.test.ts', 'who may connect is a matter of its mode and group'],
  peer_id: ['flow/peers.test.ts', 'earlier cancel keys stay valid at their pooler, and new keys have the new peer_id'],
  listen_backlog: LISTENS_WITH,
  tcp_keepalive: [
    'e2e/operating.test.ts',
    'tcp_keepalive holds for connections from then on, of clients and to servers',
  ],
  tcp_keepidle: WATCHING,
  tcp_keepintvl: WATCHING,
  tcp_keepcnt: WATCHING,
  tcp_user_timeout: WATCHING,
  tcp_socket_buffer: WATCHING,
  tcp_defer_accept: WATCHING,
  so_reuseport: LISTENS_WITH,
  transport: ['unit/net/choose-transport.test.ts', 'transport = epoll is an error that gives the reason'],
  client_tls_sslmode: ['e2e/tls.test.ts', 'must come with TLS where it is required, unless by a unix socket'],
  client_tls_key_file: ['e2e/tls.test.ts', 'see a new certificate after RELOAD, and those who are in stay'],
  client_tls_cert_file: ['e2e/tls.test.ts', 'see a new certificate after RELOAD, and those who are in stay'],
  client_tls_ca_file: ['e2e/tls.test.ts', 'must show a certificate where that is asked for'],
  client_tls_protocols: CLIENTS_TLS,
  client_tls_ciphers: CLIENTS_TLS,
  client_tls13_ciphers: CLIENTS_TLS,
  client_tls_ecdhcurve: CLIENTS_TLS,
  client_tls_dheparams: ['e2e/tls-settings.test.ts', 'with clients: DHE, which takes a certificate of RSA'],
  client_tls_handshakes_at_once: [
    'flow/tls.test.ts',
    'with client_tls_handshakes_at_once = %i, of six handshakes that arrive together at most %i are answered per turn of the event loop',
  ],
  server_tls_sslmode: ['e2e/tls.test.ts', 'are not asked with server_tls_sslmode = disable'],
  server_tls_key_file: ['e2e/tls.test.ts', 'are shown our certificate'],
  server_tls_cert_file: ['e2e/tls.test.ts', 'are shown our certificate'],
  server_tls_ca_file: [
    'e2e/tls.test.ts',
    'must have a certificate of a known authority with verify-ca, for whatever host',
  ],
  server_tls_protocols: SERVERS_TLS,
  server_tls_ciphers: SERVERS_TLS,
  server_tls13_ciphers: SERVERS_TLS,
  conffile: ['flow/small-settings.test.ts', 'RELOAD reads the file to which conffile was SET'],
  workers: ['e2e/fleet-console.test.ts', 'what was said holds for a worker that starts later, and it may take it back'],
  worker_restart_grace: LIVES_BY_WORKERS,
  shutdown_grace: ['flow/shutdown.test.ts', 'disconnects clients between two transactions after shutdown_grace'],
  shutdown_timeout: ['flow/shutdown.test.ts', '%s waits no longer than shutdown_timeout, even if queries run'],
  worker_timeout: [
    'e2e/fleet-losses.test.ts',
    'whatever happens to workers under load, limits hold, no permit is lost and everybody is served',
  ],
  auth_type: ['clients/psql.test.ts', 'psql logs in to pgweir by %s'],
  auth_file: ['e2e/login-of-clients.test.ts', 'lets in every user of auth_file, and nobody else'],
  auth_hba_file: ['e2e/hba.test.ts', 'each client logs in by the first rule that fits, or not at all'],
  auth_ident_file: ['e2e/hba.test.ts', 'peer is whom the system says, or whom the map allows'],
  auth_ldap_options: ['clients/ldap.test.ts', 'all in one URL'],
  auth_pam_service: ['clients/pam.test.ts', 'psql logs in with the password that PAM accepts, and with no other'],
  auth_user: OTHER_DATABASE,
  auth_query: OTHER_DATABASE,
  auth_dbname: OTHER_DATABASE,
  auth_failure_delay: [
    'flow/failed-logins.test.ts',
    'the fourth failure from an address is answered after auth_failure_delay, the fifth after twice that, whether or not the user exists',
  ],
  auth_query_lifetime: ['e2e/auth-query.test.ts', 'is asked for each time with auth_query_lifetime = 0'],
  admin_users: ['e2e/console.test.ts', 'admins do everything, users for statistics look, others are refused'],
  stats_users: ['e2e/console.test.ts', 'admins do everything, users for statistics look, others are refused'],
  client_login_timeout: ['e2e/timeouts.test.ts', 'client_login_timeout ends whoever does not come to the point'],
  scram_iterations: [
    'flow/small-settings.test.ts',
    'scram_iterations is the number of iterations for a plain password',
  ],
  login_notify_message: [
    'flow/small-settings.test.ts',
    'is sent to each client that logs in, right before ReadyForQuery',
  ],
  ignore_startup_parameters: ['e2e/startup-parameters.test.ts', 'drops what it names, wherever that stands'],
  application_name_add_host: [
    'e2e/startup-parameters.test.ts',
    'application_name_add_host tells where a client comes from',
  ],
  pool_mode: [
    'e2e/pool-modes.test.ts',
    'the mode of a user goes before that of the database, and that before the general one',
  ],
  default_pool_size: ['flow/limits.test.ts', 'is how many servers a pool may have: the next client waits'],
  min_pool_size: ['e2e/limits.test.ts', 'min_pool_size: they are opened as soon as there is a client'],
  reserve_pool_size: ['e2e/limits.test.ts', 'reserve_pool_size: more of them while a client waits for too long'],
  reserve_pool_timeout: ['flow/limits.test.ts', 'is used when a client has waited for reserve_pool_timeout'],
  pool_idle_timeout: [
    'flow/forgetting.test.ts',
    'is forgotten after pool_idle_timeout, whose new value applies from a reload on',
  ],
  server_round_robin: ['flow/queueing.test.ts', 'with server_round_robin, idle servers take turns'],
  max_prepared_statements: [
    'e2e/prepared-statements.test.ts',
    'a server keeps no more than max_prepared_statements, the least recently used one goes',
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
  max_client_conn: ['e2e/limits.test.ts', 'max_client_conn: one more is refused until one leaves'],
  max_db_connections: [
    'e2e/limits.test.ts',
    'max_db_connections: shared by the users of a database; an idle one is given up for another user',
  ],
  max_user_connections: ['e2e/limits.test.ts', 'max_user_connections: shared by the databases of a user'],
  max_db_client_connections: ['e2e/limits.test.ts', 'max_db_client_connections, for each database and for one'],
  max_user_client_connections: ['e2e/limits.test.ts', 'max_user_client_connections, for each user and for one'],
  disable_pqexec: ['flow/small-settings.test.ts', 'refuses simple queries, without costing a server'],
  max_packet_size: ['e2e/bad-input.test.ts', 'messages that are larger than max_packet_size'],
  server_reset_query: [
    'e2e/pool-modes.test.ts',
    'server_reset_query decides what is cleaned up; nothing is if it is empty',
  ],
  server_reset_query_always: ['e2e/pool-modes.test.ts', 'server_reset_query_always resets after each transaction'],
  server_check_query: ['flow/queueing.test.ts', 'is not run if it is set to nothing'],
  server_check_delay: ['flow/queueing.test.ts', 'is run before a server is used that was idle for server_check_delay'],
  server_fast_close: ['flow/small-settings.test.ts', 'can be turned on after RECONNECT'],
  server_lifetime: ['e2e/timeouts.test.ts', 'server_lifetime closes old ones when they are free, one after the other'],
  autodb_idle_timeout: ['flow/forgetting.test.ts', 'is forgotten with its statistics after autodb_idle_timeout'],
  server_idle_timeout: [
    'e2e/timeouts.test.ts',
    'server_idle_timeout closes those that nobody uses, down to min_pool_size',
  ],
  server_connect_timeout: [
    'flow/opening.test.ts',
    'it accepts the connection and never answers (server_connect_timeout)',
  ],
  server_login_retry: ['e2e/login-to-servers.test.ts', 'until the next try, those who come are told the same at once'],
  dns_max_ttl: ['e2e/hosts.test.ts', 'servers of a host that has moved are replaced, without anybody who asks for it'],
  dns_nxdomain_ttl: [
    'flow/names.test.ts',
    'a host name that does not exist is an error, and is looked up again after dns_nxdomain_ttl',
  ],
  dns_zone_check_period: [
    'flow/names.test.ts',
    'the hosts of a zone are looked up again when its serial changes (dns_zone_check_period)',
  ],
  resolv_conf: ['e2e/hosts.test.ts', 'servers of a host that has moved are replaced, without anybody who asks for it'],
  query_timeout: ['e2e/timeouts.test.ts', 'ends client and query, on the server too'],
  query_wait_timeout: [
    'e2e/timeouts.test.ts',
    'query_wait_timeout ends whoever has waited for too long, and query_wait_notify tells before',
  ],
  query_wait_notify: [
    'e2e/timeouts.test.ts',
    'query_wait_timeout ends whoever has waited for too long, and query_wait_notify tells before',
  ],
  idle_transaction_timeout: [
    'e2e/timeouts.test.ts',
    'idle_transaction_timeout ends a client that forgot its transaction, and frees the server',
  ],
  transaction_timeout: ['e2e/timeouts.test.ts', 'transaction_timeout ends one that takes too long, even if it is busy'],
  client_idle_timeout: [
    'e2e/timeouts.test.ts',
    'client_idle_timeout ends a client that does nothing outside a transaction',
  ],
  suspend_timeout: ['flow/suspend.test.ts', 'a client that does not read is disconnected after suspend_timeout'],
  cancel_wait_timeout: [
    'flow/cancel.test.ts',
    'gives up a cancel that was sent and not finished, and closes its server',
  ],
  logfile: ['e2e/log.test.ts', 'logfile: the same lines'],
  syslog: ['unit/daemon/system-log.test.ts', 'a reload turns syslog on and off and changes its name'],
  syslog_facility: [
    'unit/daemon/system-log.test.ts',
    'a line has facility, severity, wall-clock time, name and process, but no host',
  ],
  syslog_ident: ['unit/daemon/system-log.test.ts', 'a reload turns syslog on and off and changes its name'],
  log_format: ['e2e/log.test.ts', 'log_format = json: one object a line'],
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
  stats_period: ['e2e/log.test.ts', 'stats_period: a line with the averages of that time'],
  pkt_buf: FIXED,
  sbuf_loopcnt: ['flow/small-settings.test.ts', 'sbuf_loopcnt can be SET, and the log says that it has no effect'],
  job_name: FIXED,
  service_name: FIXED,
  user: [
    'e2e/other-user.test.ts',
    'with -u all of its processes are that user, who has its files and not the rights to read keys',
  ],
  allow_root: ['unit/daemon/privileges.test.ts', '%s'],
  pidfile: [
    'e2e/background.test.ts',
    'clients are served when the command has ended, and until SIGTERM; the pidfile names who serves them',
  ],
  http_listen: ['e2e/health.test.ts', 'it lives, and is ready before anybody has come and after'],
  health_listen: ['e2e/health.test.ts', 'where only health is told, nothing else is'],
  http_token: ['e2e/health.test.ts', 'with a token metrics are for those who bring it, and health for everybody'],
  metrics_compat: [
    'e2e/metrics.test.ts',
    "with metrics_compat the names that PgBouncer's exporter has are told, too, and say what the console says",
  ],
  metrics_max_pools: [
    'flow/small-settings.test.ts',
    'metrics_max_pools: the first pools are shown by name, the rest together',
  ],
}

const ENTRY = [
  'e2e/startup-parameters.test.ts',
  'settings of the entry in [databases] are what a client finds',
] as const
const MOVED = [
  'e2e/operating.test.ts',
  'a database that is moved while it is paused serves from its new place, with sessions and statements as before',
] as const
const POOL_SIZE = [
  'flow/limits.test.ts',
  'is overridden by pool_size of the database, and that by pool_size of the user',
] as const
const HOSTS = ['e2e/hosts.test.ts', 'servers are opened on each in turn'] as const
const FLEET_LIMITS = [
  'e2e/fleet-limits.test.ts',
  'PostgreSQL sees as many servers as each limit allows, never more, and each client gets its own answers',
] as const
const DIRECT = [
  'e2e/tls.test.ts',
  'are reached with TLS at once with sslnegotiation = direct, and cancelled so',
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
  load_balance_hosts: ['e2e/hosts.test.ts', 'or on the first, while that works'],
  port: HOSTS,
  dbname: MOVED,
  user: ['e2e/login-of-clients.test.ts', 'stands for all users of the database, who share one pool'],
  password: ['e2e/login-of-clients.test.ts', 'stands for all users of the database, who share one pool'],
  pool_mode: MODES,
  pool_size: POOL_SIZE,
  min_pool_size: [
    'e2e/login-of-clients.test.ts',
    'its password may stand in auth_file, too, and its pool is filled before anybody comes',
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
  host: ['e2e/peers.test.ts', 'among poolers of several processes each the request reaches the process of its client'],
  port: ['e2e/peers.test.ts', 'among poolers of several processes each the request reaches the process of its client'],
  pool_size: ['flow/console.test.ts', 'peers, and the cancel requests that are being sent to them'],
}
