/** pgbouncer_exporter and other programs in Go connect to the console with lib/pq. */

import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { COLUMNS, EXPORTER } from '../cases/console.ts'
import { createDatabase } from '../support/postgres.ts'
import { poolOf } from './support/pgweir.ts'

/** Takes only seconds on an idle machine. */
const BUILD_MS = 240_000

interface Answer {
  readonly Columns: readonly string[]
  readonly Kinds: readonly string[]
  readonly Rows: number
}

const folder = mkdtempSync(join(tmpdir(), 'pgweir-go-'))
const program = join(folder, 'exporter')
const run = promisify(execFile)
/** Debian's packages are where Go looked for them before modules existed. */
const env = { PATH: '/usr/bin:/bin', HOME: folder, GO111MODULE: 'off', GOPATH: '/usr/share/gocode', CGO_ENABLED: '0' }

beforeAll(async () => {
  const source = fileURLToPath(new URL('go/exporter.go', import.meta.url))
  await run('/usr/bin/go', ['build', '-o', program, source], { env })
}, BUILD_MS)

afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** The Go type of each PostgreSQL type. */
const KINDS: Readonly<Record<string, string>> = { t: 'string', i: 'int64', q: 'int64', n: '[]uint8' }

test.each([
  ['', 'scram-sha-256'],
  ['&binary_parameters=yes', 'md5'],
] as const)(
  'lib/pq can read everything that pgbouncer_exporter needs (%s, auth_type = %s)',
  async (option, auth_type) => {
    const database = await createDatabase()
    const { user, password } = database
    const { pgweir, target } = await poolOf(database, {
      mode: 'transaction',
      settings: { auth_type, stats_users: user },
    })
    await (await pgweir.client()).query('select 1')
    const url = `postgres://${user}:${password}@${target.host}:${target.port}/pgbouncer?sslmode=disable${option}`
    const { stdout } = await run(program, [url, ...Object.keys(EXPORTER)], { env })
    const answers: Readonly<Record<string, Answer>> = JSON.parse(stdout)
    for (const [query, read] of Object.entries(EXPORTER)) {
      const answer = answers[query]
      expect(answer?.Columns, query).toEqual(expect.arrayContaining([...read]))
      expect(answer?.Rows, query).toBeGreaterThan(0)
      const topic = /SHOW (\w+);/.exec(query)?.[1]?.toLowerCase() ?? ''
      const types = (COLUMNS[topic] ?? '').split(',').map((column) => column.trim().split(' ')[1] ?? '')
      // null has no type.
      expect(
        answer?.Kinds.map((kind, index) => (kind === '<nil>' ? KINDS[types[index] ?? ''] : kind)),
        query,
      ).toEqual(types.map((type) => KINDS[type]))
    }
  },
)
