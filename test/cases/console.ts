/** Facts of PgBouncer's console that tools and scripts rely on: columns, tags and messages. */

const SOCKET_COLUMNS = `type t, user t, database t, replication t, state t, addr t, port i, local_addr t, local_port i,
  connect_time t, request_time t, wait i, wait_us i, close_needed i, ptr t, link t, remote_pid i, tls t, application_name t,
  prepared_statements i, id i`

const ALL_SOCKETS_COLUMNS = `${SOCKET_COLUMNS}, recv_pos i, pkt_pos i, pkt_remain i, send_pos i, send_remain i, pkt_avail i,
  send_avail i`

/** The columns of each SHOW, in order, with their types: t is text, i int4, q int8, n numeric. */
export const COLUMNS: Readonly<Record<string, string>> = {
  clients: SOCKET_COLUMNS,
  servers: SOCKET_COLUMNS,
  pools: `database t, user t, cl_active i, cl_waiting i, cl_active_cancel_req i, cl_waiting_cancel_req i, sv_active i,
    sv_active_cancel i, sv_being_canceled i, sv_idle i, sv_used i, sv_tested i, sv_login i, maxwait i, maxwait_us i,
    pool_mode t, load_balance_hosts t`,
  databases: `name t, host t, port i, database t, force_user t, pool_size i, min_pool_size i, reserve_pool_size i,
    server_lifetime i, pool_mode t, load_balance_hosts t, max_connections i, current_connections i,
    max_client_connections i, current_client_connections i, paused i, disabled i`,
  users: `name t, pool_size t, reserve_pool_size t, pool_mode t, max_user_connections i, current_connections i,
    max_user_client_connections i, current_client_connections i`,
  stats: `database t, total_server_assignment_count n, total_xact_count n, total_query_count n, total_received n,
    total_sent n, total_xact_time n, total_query_time n, total_wait_time n, total_client_parse_count n,
    total_server_parse_count n, total_bind_count n, total_client_login_count n, avg_server_assignment_count n,
    avg_xact_count n, avg_query_count n, avg_recv n, avg_sent n, avg_xact_time n, avg_query_time n, avg_wait_time n,
    avg_client_parse_count n, avg_server_parse_count n, avg_bind_count n, avg_client_login_count n`,
  stats_totals: `database t, server_assignment_count n, xact_count n, query_count n, bytes_received n, bytes_sent n,
    xact_time n, query_time n, wait_time n, client_parse_count n, server_parse_count n, bind_count n,
    client_login_count n`,
  stats_averages: `database t, server_assignment_count n, xact_count n, query_count n, bytes_received n, bytes_sent n,
    xact_time n, query_time n, wait_time n, avg_client_parse_count n, avg_server_parse_count n, avg_bind_count n,
    avg_client_login_count n`,
  totals: 'name t, value n',
  lists: 'list t, items i',
  config: 'key t, value t, default t, changeable t',
  state: 'key t, value t',
  version: 'version t',
  peers: 'peer_id i, host t, port i, pool_size i',
  peer_pools: 'peer_id i, cl_active_cancel_req i, cl_waiting_cancel_req i, sv_active_cancel i, sv_login i',
  sockets: ALL_SOCKETS_COLUMNS,
  active_sockets: ALL_SOCKETS_COLUMNS,
  mem: 'name t, size i, used i, free i, memtotal i',
  dns_hosts: 'hostname t, ttl q, addrs t',
  dns_zones: 'zonename t, serial q, count i',
}

export const TYPES: Readonly<Record<string, { readonly name: string; readonly oid: number }>> = {
  t: { name: 'text', oid: 25 },
  i: { name: 'int4', oid: 23 },
  q: { name: 'int8', oid: 20 },
  n: { name: 'numeric', oid: 1700 },
}

/** The tag that answers a command that succeeds. `first` is a command to run before it, on another console. */
export interface Done {
  readonly command: string
  readonly tag: string
  readonly first?: string
}

export const DONE: readonly Done[] = [
  { command: 'reload', tag: 'RELOAD' },
  { command: 'pause', tag: 'PAUSE' },
  { command: 'pause app', tag: 'PAUSE' },
  { command: 'resume', tag: 'RESUME', first: 'pause' },
  { command: 'resume app', tag: 'RESUME', first: 'pause app' },
  { command: 'disable app', tag: 'DISABLE' },
  { command: 'enable app', tag: 'ENABLE', first: 'disable app' },
  { command: 'reconnect', tag: 'RECONNECT' },
  { command: 'reconnect app', tag: 'RECONNECT' },
  { command: 'kill', tag: 'KILL' },
  { command: 'kill app', tag: 'KILL' },
  { command: 'suspend', tag: 'SUSPEND' },
  { command: 'wait_close', tag: 'WAIT_CLOSE' },
  { command: 'wait_close app', tag: 'WAIT_CLOSE', first: 'reconnect app' },
  { command: 'set default_pool_size = 5', tag: 'SET default_pool_size=5' },
  { command: "set query_timeout to '5'", tag: 'SET query_timeout=5' },
  { command: 'shutdown wait_for_clients', tag: 'SHUTDOWN' },
  { command: 'shutdown wait_for_servers', tag: 'SHUTDOWN' },
]

/** The error that refuses a command; `first` as above. PgBouncer's SQLSTATE is 08P01 for nearly all of them. */
export interface Refused {
  readonly command: string
  readonly sqlstate: string
  readonly message: string
  readonly first?: string
}

const inNoDatabase = (command: string): Refused => ({
  command: `${command} nowhere`,
  sqlstate: '3D000',
  message: 'no such database: nowhere',
})

const inTheConsole = (command: string, verb: string): Refused => ({
  command: `${command} pgbouncer`,
  sqlstate: '0A000',
  message: `cannot ${verb} admin db: pgbouncer`,
})

export const REFUSED: readonly Refused[] = [
  ...['pause', 'resume', 'kill', 'disable', 'enable', 'reconnect', 'wait_close'].map(inNoDatabase),
  inTheConsole('pause', 'pause'),
  inTheConsole('kill', 'kill'),
  inTheConsole('disable', 'disable'),
  inTheConsole('enable', 'enable'),
  { command: 'resume pgbouncer', sqlstate: '55000', message: 'database pgbouncer is not paused' },
  inTheConsole('reconnect', 'reconnect'),
  inTheConsole('wait_close', 'wait in'),
  { command: 'disable', sqlstate: '42601', message: 'a database is required' },
  { command: 'enable', sqlstate: '42601', message: 'a database is required' },
  { command: 'resume', sqlstate: '55000', message: 'pooler is not paused/suspended' },
  { command: 'resume app', sqlstate: '55000', message: 'database app is not paused' },
  { command: 'suspend', sqlstate: '55000', message: 'already suspended/paused', first: 'pause' },
  { command: 'suspend', sqlstate: '55000', message: 'cannot suspend with paused databases', first: 'pause app' },
  { command: 'kill_client 12345', sqlstate: '42704', message: 'client not found' },
  { command: 'kill_client nobody', sqlstate: '22023', message: 'invalid client pointer supplied' },
  { command: 'set default_pool_size = many', sqlstate: '22023', message: 'SET failed' },
  { command: 'set nothing = 1', sqlstate: '22023', message: 'SET failed' },
  {
    command: 'set listen_port = 1',
    sqlstate: '55P02',
    message: 'parameter "listen_port" cannot be changed without restarting the pooler',
  },
  { command: 'pause', sqlstate: '55000', message: 'pooler is shutting down', first: 'shutdown wait_for_clients' },
  { command: 'resume', sqlstate: '55000', message: 'pooler is shutting down', first: 'shutdown wait_for_clients' },
  { command: 'pause app now', sqlstate: '42601', message: "invalid command 'pause app now', use SHOW HELP;" },
  { command: 'show', sqlstate: '42601', message: "invalid command 'show', use SHOW HELP;" },
  { command: 'show nothing', sqlstate: '42601', message: "invalid command 'show nothing', use SHOW HELP;" },
  { command: 'show fds', sqlstate: '0A000', message: 'SHOW FDS is not supported' },
  { command: 'nothing', sqlstate: '42601', message: "invalid command 'nothing', use SHOW HELP;" },
]

/** The queries of pgbouncer_exporter and the columns that it reads. It uses lib/pq, which pings with an empty query. */
export const EXPORTER: Readonly<Record<string, readonly string[]>> = {
  'SHOW VERSION;': ['version'],
  'SHOW LISTS;': ['list', 'items'],
  'SHOW CONFIG;': ['key', 'value', 'changeable'],
  'SHOW DATABASES;': [
    ...['name', 'host', 'port', 'database', 'force_user', 'pool_size', 'reserve_pool_size', 'pool_mode'],
    ...['max_connections', 'current_connections', 'paused', 'disabled'],
  ],
  'SHOW STATS;': [
    ...['database', 'total_query_count', 'total_query_time', 'total_received', 'total_sent', 'total_wait_time'],
    ...['total_xact_count', 'total_xact_time', 'total_client_parse_count', 'total_server_parse_count'],
    ...['total_bind_count', 'total_server_assignment_count'],
  ],
  'SHOW POOLS;': [
    ...['database', 'user', 'cl_active', 'cl_active_cancel_req', 'cl_waiting', 'cl_waiting_cancel_req', 'sv_active'],
    ...['sv_active_cancel', 'sv_being_canceled', 'sv_idle', 'sv_used', 'sv_tested', 'sv_login', 'maxwait'],
    ...['maxwait_us', 'pool_mode'],
  ],
  'SHOW CLIENTS;': ['type', 'user', 'database', 'state', 'application_name'],
}
