/** Keys for scenarios with TLS: PostgreSQL and both poolers show the same certificate, which nobody verifies. */

import { chmod, chown, copyFile } from 'node:fs/promises'
import { join } from 'node:path'
import { chooseOwner } from '../src/embedded/owner.ts'
import { OWN_ROOT } from './build.ts'

/** Which connections are encrypted: those of clients to the pooler, or also those of the pooler to PostgreSQL. */
export type Encryption = 'none' | 'clients' | 'all'

export interface KeyPair {
  readonly key: string
  readonly certificate: string
}

/** Writes the keys to a directory that everybody may read. */
export async function placeKeys(directory: string): Promise<KeyPair> {
  const pair = { key: join(directory, 'server.key'), certificate: join(directory, 'server.crt') }
  const ids = chooseOwner()?.ids
  for (const [name, path] of [
    ['server.key', pair.key],
    ['server.crt', pair.certificate],
  ] as const) {
    await copyFile(join(OWN_ROOT, 'test', 'cases', 'tls', name), path)
    if (ids) await chown(path, ids.uid, ids.gid)
    // PostgreSQL insists on a key that nobody else can read.
    await chmod(path, 0o600)
  }
  return pair
}

/** Lines for the ini file of either pooler. */
export function encryptionSettings(encryption: Encryption, { key, certificate }: KeyPair): Record<string, string> {
  return {
    server_tls_sslmode: encryption === 'all' ? 'require' : 'disable',
    ...(encryption === 'none'
      ? {}
      : { client_tls_sslmode: 'require', client_tls_key_file: key, client_tls_cert_file: certificate }),
  }
}
