/** The states of a server and the moves between them. The pool keeps one list of servers for each state and takes its counts from the lists. */

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
  /** Not known to have answered within `server_check_delay`: `server_check_query` runs before it is used. */
  checking: ['idle', 'closing'],
  /** Promised to a session, whose settings are being set. */
  aligning: ['leased', 'idle', 'closing'],
  /** Used by a session. */
  leased: ['idle', 'restoring', 'canceling', 'cleaning', 'closing'],
  /** Its session waits until the settings that it asked for at login are set again. */
  restoring: ['leased', 'closing'],
  /** Given back, but a cancel request may still reach it. */
  canceling: ['idle', 'cleaning', 'closing'],
  /** Given back, and `server_reset_query` is running. */
  cleaning: ['idle', 'closing'],
  /** No longer used, but its connection still exists, so Postgres may still count it. */
  closing: ['closed'],
  closed: [],
})
