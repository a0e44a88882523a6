/** The states of a server and its moves; the pool keeps one list for each, so that counts are the lists. */

import { stateRows } from '../base/state-rows.ts'

export const SERVER_STATES = [
  'dialing',
  'login',
  'idle',
  'checking',
  'aligning',
  'leased',
  'restoring',
  'canceling',
  'cleaning',
  'closing',
  'closed',
] as const

export type ServerState = (typeof SERVER_STATES)[number]

export const SERVER = stateRows<ServerState>({
  /** A TCP connection is being opened. */
  dialing: ['login', 'closing'],
  /** Connected; not yet ready for queries. */
  login: ['idle', 'closing'],
  /** Free for the next lease. */
  idle: ['checking', 'aligning', 'leased', 'closing'],
  /** Idle for long: `server_check_query` runs before it is used. */
  checking: ['idle', 'closing'],
  /** Promised to a session; takes over its settings. */
  aligning: ['leased', 'idle', 'closing'],
  /** A session uses it. */
  leased: ['idle', 'restoring', 'canceling', 'cleaning', 'closing'],
  /** Its session waits until it has the settings again that it began with. */
  restoring: ['leased', 'closing'],
  /** Free but for a cancel request that may still reach it. */
  canceling: ['idle', 'cleaning', 'closing'],
  /** Free but for `server_reset_query`, which runs. */
  cleaning: ['idle', 'closing'],
  /** Not used any more; its connection is not gone yet, and so Postgres may still count it. */
  closing: ['closed'],
  closed: [],
})
