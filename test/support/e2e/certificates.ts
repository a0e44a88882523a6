/** Keys and certificates that last for a hundred years: of a server on this machine, of a client called ada, and of others; `rsa` is one of RSA that signs itself. */

import { fileURLToPath } from 'node:url'

/** The path of a file of test/cases/tls. */
export function certificate(name: string): string {
  return fileURLToPath(new URL(`../../cases/tls/${name}`, import.meta.url))
}

/** For a pooler whose clients are offered TLS. */
export const OFFERS_TLS = {
  client_tls_sslmode: 'allow',
  client_tls_key_file: certificate('server.key'),
  client_tls_cert_file: certificate('server.crt'),
} as const
