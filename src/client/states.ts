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
  /** The client's first packets are awaited. */
  greeting: ['authenticating', 'closing', 'closed'],
  authenticating: ['welcoming', 'closing', 'closed'],
  /** Authenticated; what the client has to be told about the server is not known yet. */
  welcoming: ['idle', 'active', 'closing', 'closed'],
  /** Logged in, holds no server. */
  idle: ['waiting', 'active', 'closing', 'closed'],
  /** Has asked for a server. */
  waiting: ['idle', 'active', 'closing', 'closed'],
  /** Holds a server. */
  active: ['idle', 'closing', 'closed'],
  /** The client has been sent our last message; what it still sends is dropped. */
  closing: ['closed'],
  closed: [],
})
