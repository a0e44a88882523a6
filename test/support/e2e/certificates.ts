/**
 * Keys and certificates that are valid for a hundred years: for a server on this machine, for a client named ada, and others; `rsa` is a
 * self-signed RSA certificate.
 */

import { fileURLToPath } from 'node:url'

/** The path of a file of test/cases/tls. */
export function certificate(name: string): string {
  return fileURLToPath(new URL(`../../cases/tls/${name}`, import.meta.url))
}

/** The settings of a pooler that offers TLS to its clients. */
export const OFFERS_TLS = {
  client_tls_sslmode: 'allow',
  client_tls_key_file: certificate('server.key'),
  client_tls_cert_file: certificate('server.crt'),
} as const
