/** Which console is meant: from flags, the environment as of any client of PostgreSQL, and the pooler's own file. Pure but for `isThere`. */

import { isPath, socketPath } from '../../net/unix-sockets.ts'
import type { GeneralSettings } from '../../settings/schema.ts'

export interface TargetOptions {
  readonly host?: string | undefined
  readonly port?: string | undefined
  readonly username?: string | undefined
  readonly env: Readonly<Record<string, string | undefined>>
  /** Of the pooler. */
  readonly general: Pick<GeneralSettings, 'listen_addr' | 'listen_port' | 'unix_socket_dir'>
  /** Who asks, on this system. */
  readonly systemUser: string
  isThere(path: string): boolean
}

export interface Target {
  readonly host: string
  readonly port: number
  readonly user: string
}

/** Whoever runs the pooler comes by its unix socket, without a password, as this user. */
const OWNER = 'pgbouncer'

export function targetOf({ env, general, systemUser, isThere, ...given }: TargetOptions): Target {
  const port = Number(given.port ?? env['PGPORT'] ?? general.listen_port)
  const host = given.host ?? env['PGHOST'] ?? hostOf(general, port, isThere)
  return { host, port, user: given.username ?? env['PGUSER'] ?? (isPath(host) ? OWNER : systemUser) }
}

function hostOf(
  { listen_addr, unix_socket_dir }: TargetOptions['general'],
  port: number,
  isThere: TargetOptions['isThere'],
) {
  if (unix_socket_dir.startsWith('/') && isThere(socketPath(unix_socket_dir, port))) return unix_socket_dir
  const [first = ''] = listen_addr.split(',').map((address) => address.trim())
  const isAll = ['', '*', '0.0.0.0', '::'].includes(first)
  return isAll ? '127.0.0.1' : first
}
