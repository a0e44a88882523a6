/** The states of a server and its moves; the pool keeps one list for each, so that counts are the lists. */

export const SERVER_STATES = [
  'dialing',
  'login',
  'idle',
  'checking',
  'aligning',
  'leased',
  'canceling',
  'cleaning',
  'closed',
] as const

export type ServerState = (typeof SERVER_STATES)[number]

export const SERVER_MOVES: Record<ServerState, readonly ServerState[]> = {
  /** A TCP connection is being opened. */
  dialing: ['login', 'closed'],
  /** Connected; not yet ready for queries. */
  login: ['idle', 'closed'],
  /** Free for the next lease. */
  idle: ['checking', 'aligning', 'leased', 'closed'],
  /** Idle for long: `server_check_query` runs before it is used. */
  checking: ['idle', 'closed'],
  /** Promised to a session; takes over its settings. */
  aligning: ['leased', 'idle', 'closed'],
  /** A session uses it. */
  leased: ['idle', 'canceling', 'cleaning', 'closed'],
  /** Free but for a cancel request that may still reach it. */
  canceling: ['idle', 'cleaning', 'closed'],
  /** Free but for `server_reset_query`, which runs. */
  cleaning: ['idle', 'closed'],
  closed: [],
}
