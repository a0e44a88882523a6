/** Hints for the log about a client that has left: what to look at. */

import type { SessionState } from './states.ts'

/** Why a session ends whose client has asked for it. */
export const CLOSE_REQUEST = 'client close request'

/** What the client has left behind on the server that it held. */
export type LeftOnServer = 'nothing' | 'query' | 'transaction'

export interface Predicament {
  readonly state: SessionState
  readonly left: LeftOnServer
  /** The connection has ended because the TLS handshake failed. */
  readonly isWithoutTls?: boolean
}

/** Returns the hint; undefined if nothing was under way: many programs close their connections like that. */
export function adviceOnLeaving({ state, left, isWithoutTls = false }: Predicament): string | undefined {
  switch (state) {
    case 'greeting':
      if (isWithoutTls) return WITHOUT_TLS
      return 'It left before it said who it is, as a health check by TCP does (/readyz of http_listen is made for that), a port scan, and a client that wants TLS where none is offered (client_tls_sslmode).'
    case 'authenticating':
      return 'It left in the midst of its login: it has no password to answer with, or its connect timeout is short.'
    case 'welcoming':
      return 'It left while the first server for it was being opened: its connect timeout is shorter than that takes. SHOW POOLS and the lines about servers tell why.'
    case 'waiting':
      return 'It gave up waiting for a server: its own timeout is shorter than query_wait_timeout, and SHOW POOLS tells whether its pool is full.'
    default:
      return WITH_A_SERVER[left]
  }
}

const WITHOUT_TLS =
  'It could not agree with us on TLS. An alert of its own, such as "unknown ca", says what it does not like of client_tls_cert_file; other words are about what it speaks (client_tls_protocols, client_tls_ciphers) or shows (client_tls_ca_file).'

const WITH_A_SERVER: Readonly<Record<LeftOnServer, string | undefined>> = {
  nothing: undefined,
  query:
    'Its query had not been answered and is cancelled: the program was ended or has lost patience, which its own log tells, or the network between was cut.',
  transaction:
    'It was within a transaction, which is rolled back: the program was ended or forgot COMMIT, which its own log tells, or something between cuts idle connections (tcp_keepidle).',
}
