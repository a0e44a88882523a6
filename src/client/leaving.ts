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
      return 'The client left before it sent a user name. Common causes are a TCP health check (use /readyz of http_listen instead), a port scan, or a client that requires TLS while client_tls_sslmode is disable.'
    case 'authenticating':
      return 'The client left during its login. It has no password, or its connect timeout is short.'
    case 'welcoming':
      return 'The client left while its first server was being opened, because its own connect timeout was too short for that. SHOW POOLS and the log lines about servers show why it took so long.'
    case 'waiting':
      return 'The client gave up waiting for a server; its own timeout is shorter than query_wait_timeout. SHOW POOLS shows whether its pool is full.'
    default:
      return WITH_A_SERVER[left]
  }
}

const WITHOUT_TLS =
  'The TLS handshake failed. An alert from the client, such as "unknown ca", means that it rejects client_tls_cert_file. Other errors concern its protocol versions and ciphers (client_tls_protocols, client_tls_ciphers), or its own certificate (client_tls_ca_file).'

const WITH_A_SERVER: Readonly<Record<LeftOnServer, string | undefined>> = {
  nothing: undefined,
  query:
    'The client left while its query was running; the query is canceled. Either the program ended or gave up waiting (see its own log), or the network connection broke.',
  transaction:
    'The client left during a transaction, which is rolled back. Either the program ended or forgot COMMIT (see its own log), or something in between drops idle connections (tcp_keepidle).',
}
