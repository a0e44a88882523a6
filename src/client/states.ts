/** The states of a session and its moves. */

import { stateRows } from '../base/state-rows.ts'

export const SESSION_STATES = [
  'greeting',
  'authenticating',
  'welcoming',
  'idle',
  'waiting',
  'active',
  'closing',
  'closed',
] as const

export type SessionState = (typeof SESSION_STATES)[number]

export const SESSION = stateRows<SessionState>({
  /** Its first packets are awaited. */
  greeting: ['authenticating', 'closing', 'closed'],
  authenticating: ['welcoming', 'closing', 'closed'],
  /** Logged in; what it must be told of the server is not known yet. */
  welcoming: ['idle', 'active', 'closing', 'closed'],
  /** Logged in, holds no server. */
  idle: ['waiting', 'active', 'closing', 'closed'],
  /** Has asked for a server. */
  waiting: ['idle', 'active', 'closing', 'closed'],
  /** Holds a server. */
  active: ['idle', 'closing', 'closed'],
  /** Has been told the last word; what it still sends is dropped. */
  closing: ['closed'],
  closed: [],
})
