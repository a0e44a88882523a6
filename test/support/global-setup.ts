/** Starts one temporary PostgreSQL for a test run, if the run has files that need it, and provides its address to them. */

import { randomBytes } from 'node:crypto'
import pg from 'pg'
import type { TestProject } from 'vitest/node'
import { findSystemPostgres } from '../../src/embedded/binaries.ts'
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../src/embedded/postgres.ts'

/** The server's address, and its superuser. */
export type ServerAddress = Pick<EmbeddedPostgres, 'host' | 'port' | 'user' | 'password' | 'version'>

declare module 'vitest' {
  export interface ProvidedContext {
    postgres: ServerAddress
  }
}

/** Roles that log in with another method than SCRAM have a name with this prefix and are members of the group `<prefix>roles`. */
export const METHOD_PREFIXES = { md5: 'md5_', password: 'plain_', trust: 'trust_' } as const

const NEEDS_POSTGRES = /\/test\/(e2e|clients)\//

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  let postgres: EmbeddedPostgres | null = null

  async function startIfNeeded(files: readonly string[]): Promise<void> {
    if (postgres || !files.some((file) => NEEDS_POSTGRES.test(file))) return
    const startedMs = performance.now()
    postgres = await startForTests()
    const { host, port, user, password, version } = postgres
    project.provide('postgres', { host, port, user, password, version })
    const tookMs = performance.now() - startedMs
    console.log(`PostgreSQL ${version} for the tests is ready on port ${port} (${Math.round(tookMs)} ms)`)
  }

  await startIfNeeded(project.vitest.state.getPaths())
  project.onTestsRerun((specifications) => startIfNeeded(specifications.map(({ moduleId }) => moduleId)))
  return async () => postgres?.stop()
}

async function startForTests(): Promise<EmbeddedPostgres> {
  const progress: string[] = []
  try {
    const postgres = await startEmbeddedPostgres({
      superuser: 'postgres',
      password: randomBytes(12).toString('hex'),
      settings: {
        max_connections: '500',
        wal_level: 'logical',
        max_wal_senders: '50',
        max_replication_slots: '50',
        // Lets a subscription that has lost its connection reconnect soon.
        wal_retrieve_retry_interval: '100ms',
      },
      hba: methodLines,
      onProgress: (sentence) => progress.push(sentence),
      ...chosenBinaries(process.env['PGWEIR_TEST_POSTGRES']),
    })
    await createMethodGroups(postgres)
    return postgres
  } catch (cause) {
    throw new Error(`the tests have no PostgreSQL; what was done:\n  ${progress.join('\n  ')}`, { cause })
  }
}

/** PGWEIR_TEST_POSTGRES=15 runs the tests on that version, if it is installed on this machine. */
function chosenBinaries(wanted: string | undefined): { binDirectory?: string } {
  if (!wanted) return {}
  const system = findSystemPostgres({ major: Number(wanted) })
  if (!system) throw new Error(`PGWEIR_TEST_POSTGRES asks for PostgreSQL ${wanted}, which is not installed here`)
  return { binDirectory: system.binDirectory }
}

function methodLines(major: number): string[] {
  const methods = Object.entries(METHOD_PREFIXES).flatMap(([method, prefix]) => [
    `host all +${prefix}roles 127.0.0.1/32 ${method}`,
    // PostgreSQL supports patterns from version 16 on; before that, only the group matches.
    ...(major >= 16 ? [`host all "/^${prefix}" 127.0.0.1/32 ${method}`] : []),
  ])
  // Physical replication belongs to no database, so lines for all databases do not match it.
  const physical = `host replication all 127.0.0.1/32 scram-sha-256`
  return [...methods, ...methods.map((line) => line.replace('host all', 'host replication')), physical]
}

async function createMethodGroups({ host, port, user, password }: EmbeddedPostgres): Promise<void> {
  const client = new pg.Client({ host, port, user, password, database: 'postgres' })
  await client.connect()
  for (const prefix of Object.values(METHOD_PREFIXES)) await client.query(`create role ${prefix}roles nologin`)
  await client.end()
}
