/** A pgweir for one test with a real client. At the end of the test, it checks that nothing is left. */

import { onTestFailed } from 'vitest'
import type { PoolMode, SettingKey } from '../../../src/settings/schema.ts'
import { type Pgweir, startPgweir } from '../../support/e2e/pgweir.ts'
import type { TestDatabase } from '../../support/postgres.ts'
import type { Target } from './program.ts'

export interface PoolOptions {
  readonly mode: PoolMode
  /** The maximum of servers; 5 by default. */
  readonly size?: number
  readonly settings?: Partial<Record<SettingKey, string | number>>
  /** More lines of [databases]. */
  readonly databases?: readonly string[]
  /** The user's secret in auth_file; the plain password by default. */
  readonly secret?: string
}

export interface Pooled {
  readonly pgweir: Pgweir
  /** What clients connect to. */
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
      // The notice appears only on a slow machine.
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
