/** A pgweir in this process for one test with a real client; at its end it is checked that nobody was forgotten. */

import { onTestFailed } from 'vitest'
import type { PoolMode, SettingKey } from '../../../src/settings/schema.ts'
import { type Pgweir, startPgweir } from '../../support/e2e/pgweir.ts'
import type { TestDatabase } from '../../support/postgres.ts'
import type { Target } from './program.ts'

export interface PoolOptions {
  readonly mode: PoolMode
  /** How many servers there may be. */
  readonly size?: number
  readonly settings?: Partial<Record<SettingKey, string | number>>
  /** More lines of [databases]. */
  readonly databases?: readonly string[]
  /** What auth_file knows of the user; the plain password if it is not given. */
  readonly secret?: string
}

export interface Pooled {
  readonly pgweir: Pgweir
  /** Where clients connect. */
  readonly target: Target
}

export async function poolOf(database: TestDatabase, options: PoolOptions): Promise<Pooled> {
  const pgweir = await startPgweir({
    database,
    settings: {
      auth_type: 'scram-sha-256',
      pool_mode: options.mode,
      default_pool_size: options.size ?? 5,
      max_client_conn: 500,
      // The notice comes only where the machine is slow.
      query_wait_notify: 0,
      ...options.settings,
    },
    ...(options.databases && { databases: options.databases }),
    ...(options.secret && { secrets: { [database.user]: options.secret } }),
  })
  onTestFailed(() => console.log(['pgweir logged last:', ...pgweir.log.slice(-SHOWN_LINES)].join('\n  ')))
  return { pgweir, target: { ...database, port: pgweir.address.port } }
}

const SHOWN_LINES = 40
