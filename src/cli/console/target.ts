/**
 * Finds out which console is meant: from flags, from the environment variables of every PostgreSQL client, and from the pooler's own file.
 * Pure, except for the callbacks that it is given.
 */

import { isPath, socketPath } from '../../net/unix-sockets.ts'
import { quote } from '../../settings/problem.ts'
import type { GeneralSettings } from '../../settings/schema.ts'
import { integer } from '../../settings/values.ts'

export interface TargetOptions {
  readonly host?: string | undefined
  readonly port?: string | undefined
  readonly username?: string | undefined
  readonly env: Readonly<Record<string, string | undefined>>
  /** The pooler's settings. */
  readonly general: Pick<GeneralSettings, 'listen_addr' | 'listen_port' | 'unix_socket_dir'>
  /** Returns the name of the system user who runs this command; null if the user has no name. */
  systemUser(): string | null
  isThere(path: string): boolean
}

export interface Target {
  readonly host: string
  readonly port: number
  readonly user: string
}

/** The system user who runs the pooler may connect by its unix socket without a password, as this user. */
const OWNER = 'pgbouncer'

/** Whether flags and the environment alone decide where the console is. */
export function isPlaceGiven({ host, port, env }: Pick<TargetOptions, 'host' | 'port' | 'env'>): boolean {
  return Boolean((host || env['PGHOST']) && (port || env['PGPORT']))
}

/** An empty value counts as not given, as with any client of PostgreSQL. */
export function targetOf(options: TargetOptions): Target | { readonly problem: string } {
  const { env, general, isThere } = options
  const found = portOf(options)
  if ('problem' in found) return found
  const port = found.value
  const host = options.host || env['PGHOST'] || hostOf(general, port, isThere)
  const user = options.username || env['PGUSER'] || (isPath(host) ? OWNER : options.systemUser())
  return user === null ? { problem: NO_NAME } : { host, port, user }
}

const NO_NAME = 'the current system user has no name: set --username or PGUSER'

const PORT = integer({ min: 1, max: 65_535 })

function portOf({ port, env, general }: TargetOptions): { readonly value: number } | { readonly problem: string } {
  const [label, text] = port
    ? (['--port', port] as const)
    : env['PGPORT']
      ? (['PGPORT', env['PGPORT']] as const)
      : (['listen_port', String(general.listen_port)] as const)
  if (label === 'listen_port' && text === '0')
    return { problem: 'the system chooses the port (listen_port = 0): give it with --port' }
  const parsed = PORT.parse(text)
  return 'problem' in parsed ? { problem: `${label} cannot be ${quote(text)}: ${parsed.problem}` } : parsed
}

function hostOf(
  { listen_addr, unix_socket_dir }: TargetOptions['general'],
  port: number,
  isThere: TargetOptions['isThere'],
) {
  if (unix_socket_dir !== '' && isThere(socketPath(unix_socket_dir, port))) return unix_socket_dir
  const [first = ''] = listen_addr.split(',').map((address) => address.trim())
  const isAll = ['', '*', '0.0.0.0', '::'].includes(first)
  return isAll ? '127.0.0.1' : first
}
