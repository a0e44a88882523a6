/** Writes the configuration files of a pooler under test, as an operator would. */

import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import type { SettingKey } from '../../../src/settings/schema.ts'
import type { TestDatabase } from '../postgres.ts'

export interface FileOptions {
  /** The database that it pools: the entry of [databases], and the one user in auth_file. */
  readonly database: TestDatabase
  /** Override the tests' defaults: transaction mode, one server, no password required. */
  readonly settings?: Partial<Record<SettingKey, string | number>>
  /** More connection settings for the entry, such as `pool_size=2`. */
  readonly entry?: string
  /** More lines of [databases] and [users], and the lines of [peers]. */
  readonly databases?: readonly string[]
  readonly users?: readonly string[]
  readonly peers?: readonly string[]
  /** The secrets in auth_file, instead of the owner's plain password. */
  readonly secrets?: Readonly<Record<string, string>>
}

export interface Files {
  readonly directory: string
  readonly iniFile: string
}

/** Writes an ini file and an auth_file into a directory that is removed after the test. */
export async function writeFiles(options: FileOptions): Promise<Files> {
  const directory = await mkdtemp(join(tmpdir(), 'pgweir-e2e-'))
  onTestFinished(() => rm(directory, { recursive: true, force: true }))
  return writeFilesInto(directory, options)
}

export async function writeFilesInto(directory: string, options: FileOptions): Promise<Files> {
  const { database, settings = {}, entry = '', databases = [], users = [], peers = [], secrets } = options
  const iniFile = join(directory, 'pgweir.ini')
  const authFile = join(directory, 'users.txt')
  const general = {
    listen_port: 0,
    unix_socket_dir: '',
    auth_type: 'trust',
    // Tests cause many failed logins, all from the same address.
    auth_failure_delay: 0,
    auth_file: authFile,
    pool_mode: 'transaction',
    default_pool_size: 1,
    transport: process.env['PGWEIR_TEST_TRANSPORT'] ?? 'auto',
    io_uring: process.env['PGWEIR_TEST_IO_URING'] ?? 'auto',
    auto_prepare: process.env['PGWEIR_TEST_AUTO_PREPARE'] ?? 0,
    ...settings,
  }
  const { host, port, database: name } = database
  await writeFile(
    iniFile,
    [
      '[databases]',
      `${name} = host=${host} port=${port} ${entry}`,
      ...databases,
      '[users]',
      ...users,
      '[peers]',
      ...peers,
      '[pgbouncer]',
      ...Object.entries(general).map(([key, value]) => `${key} = ${value}`),
      '',
    ].join('\n'),
  )
  const known = secrets ?? { [database.user]: database.password }
  const quoted = (text: string) => `"${text.replaceAll('"', '""')}"`
  await writeFile(
    authFile,
    Object.entries(known)
      .map(([user, secret]) => `${quoted(user)} ${quoted(secret)}\n`)
      .join(''),
  )
  return { directory, iniFile }
}
