/** The text of the files and arguments with which a throw-away PostgreSQL is set up. Pure. */

export type AuthMethod = 'scram-sha-256' | 'md5' | 'password' | 'trust'

export const HOST = '127.0.0.1'

/** Settings for throw-away data: fast, silent, and reachable over TCP on this machine only. */
const DEFAULTS: Readonly<Record<string, string>> = {
  listen_addresses: HOST,
  unix_socket_directories: '',
  max_connections: '200',
  fsync: 'off',
  synchronous_commit: 'off',
  full_page_writes: 'off',
  logging_collector: 'off',
  log_destination: 'stderr',
  // We recognize log lines by PostgreSQL's own, untranslated words.
  lc_messages: 'C',
}

/** Returns lines for postgresql.conf. Of several lines for one setting, the last one counts. */
export function configurationFile(settings: Readonly<Record<string, string>>): string {
  return Object.entries({ ...DEFAULTS, ...settings })
    .map(([name, value]) => `${name} = '${value.replaceAll('\\', '\\\\').replaceAll("'", "''")}'\n`)
    .join('')
}

/** Returns the whole pg_hba.conf. The first line that matches decides, so the caller's `lines` come first. */
export function hbaFile(method: AuthMethod, lines: readonly string[]): string {
  return [...lines, `host all all ${HOST}/32 ${method}`, ''].join('\n')
}

export interface ClusterOptions {
  readonly major: number
  readonly dataDirectory: string
  readonly passwordFile: string
  readonly superuser: string
  readonly authMethod: AuthMethod
}

export function initdbArguments(options: ClusterOptions): string[] {
  return [
    `--pgdata=${options.dataDirectory}`,
    `--username=${options.superuser}`,
    `--pwfile=${options.passwordFile}`,
    `--auth=${options.authMethod}`,
    '--encoding=UTF8',
    '--no-locale',
    // From version 17 on, PostgreSQL has a locale of its own that knows all of Unicode, wherever it runs.
    ...(options.major >= 17 ? ['--locale-provider=builtin', '--builtin-locale=C.UTF-8'] : []),
    '--no-sync',
  ]
}
