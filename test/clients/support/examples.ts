/** Runs the applications in `examples/` as their READMEs say. Each does far more work at once than its pool has servers. */

import pg from 'pg'
import { expect, onTestFailed, test } from 'vitest'
import { blocksOf, type Command, commandsOf, ROOT } from '../../support/docs/documents.ts'
import { type Pgweir, sharedPgweir } from '../../support/e2e/pgweir.ts'
import { createDatabase, type TestDatabase } from '../../support/postgres.ts'
import { type ProgramName, run } from './program.ts'

export interface Example {
  /** The names of its tables, if they are not `events` and `bookings`. */
  readonly tables?: readonly [events: string, bookings: string]
  /** A copy of the project's folder, for an example that writes into its own. */
  readonly root?: string
  /** How long each of its commands may take. */
  readonly timeoutMs?: number
  readonly env?: Readonly<Record<string, string>>
}

const SERVERS = 3

/** Declares a test for each example. They share a pgweir, in which each has its own database. */
export async function promiseExamples(examples: Readonly<Record<string, Example>>): Promise<void> {
  const names = Object.keys(examples)
  const databases = await Promise.all(names.map(() => createDatabase()))
  test.for(names.map((name, index) => [name, databases[index] as TestDatabase, examples[name] ?? {}] as const))(
    '%s does what its README says',
    { timeout: 2 * MAX_MS },
    async ([name, database, example]) => {
      const pgweir = await start(databases)
      onTestFailed(() => console.log(pgweir.log.slice(-SHOWN_LINES).join('\n')))
      const promised = promisedBy(name)
      expect(promised[0]).toBe('50 of 60 buyers have seats, 0 of 100 seats are left')
      const lines = await runExample(name, example, { ...database, port: pgweir.address.port })
      expect(lines.slice(-promised.length)).toEqual(promised)
      expect(await sold(database, example)).toEqual({ left: 0, bookings: 50, seats: 100, buyers: 50 })
      const { servers } = await pgweir.counts(database.database, database.user)
      expect(servers).toBeGreaterThan(0)
      expect(servers).toBeLessThanOrEqual(SERVERS)
      expect(await loginsTo(pgweir, database)).toBeGreaterThan(SERVERS)
    },
  )
}

const SHOWN_LINES = 40
const MAX_MS = 300_000

function start(databases: readonly TestDatabase[]): Promise<Pgweir> {
  const [database, ...others] = databases as [TestDatabase, ...TestDatabase[]]
  return sharedPgweir({
    database,
    databases: others.map((other) => `${other.database} = host=${other.host} port=${other.port}`),
    secrets: Object.fromEntries(databases.map(({ user, password }) => [user, password])),
    settings: {
      auth_type: 'scram-sha-256',
      pool_mode: 'transaction',
      default_pool_size: SERVERS,
      max_client_conn: 200,
      // The notice appears only on a slow machine.
      query_wait_notify: 0,
    },
  })
}

/** Returns the lines that its commands print. */
async function runExample(name: string, { root = ROOT, ...example }: Example, target: TestDatabase): Promise<string[]> {
  const { host, port, user, password, database } = target
  const DATABASE_URL = `postgres://${user}:${password}@${host}:${port}/${database}`
  const { commands, exported } = scriptOf(name)
  const options = {
    cwd: root,
    // Unlike in other tests, programs may load modules beside them, as on a user's machine.
    env: { ...exported, DATABASE_URL, PYTHONSAFEPATH: '', ...example.env },
    timeoutMs: example.timeoutMs ?? MAX_MS,
  }
  const lines: string[] = []
  for (const { words, line } of commands) {
    const [word = '', ...args] = words.map((each) => (each === '$DATABASE_URL' ? DATABASE_URL : each))
    const { code, stdout, stderr } = await run(programOf(word), args, target, options)
    expect(code, `${line}\n${stdout}${stderr}`).toBe(0)
    // npm reports its progress on standard error.
    if (word !== 'npm') expect(stderr, line).toBe('')
    lines.push(...stdout.trimEnd().split('\n'))
  }
  return lines
}

interface Script {
  readonly commands: readonly Command[]
  readonly exported: Readonly<Record<string, string>>
}

/** Returns the commands in an example's README that need a running pgweir: those from the first `export` on, which sets its address. */
function scriptOf(name: string): Script {
  const all = blocksOf(`examples/${name}/README.md`).flatMap(commandsOf)
  const isExport = ({ words: [word] }: Command) => word === 'export'
  const assignments = all.filter(isExport).map(({ words: [, assignment = ''] }) => assignment)
  return {
    commands: all.slice(all.findIndex(isExport)).filter((command) => !isExport(command)),
    exported: Object.fromEntries(assignments.map((assignment) => assignment.split(/=(.*)/s).slice(0, 2))),
  }
}

const PROGRAMS: Readonly<Record<string, ProgramName>> = {
  ...{ node: 'node', npm: 'npm', python3: 'python', java: 'java', ruby: 'ruby', psql: 'psql' },
}

function programOf(word: string): ProgramName {
  const name = PROGRAMS[word]
  if (name === undefined) throw new Error(`a README starts ${word}, which has no place in PROGRAMS`)
  return name
}

/** Returns the lines that the README says the example prints. */
function promisedBy(name: string): string[] {
  const [shown] = blocksOf(`examples/${name}/README.md`).filter(({ kind }) => kind === 'text')
  return (shown?.text ?? '').trimEnd().split('\n')
}

/** Summarizes the tables of an example after it has run. */
async function sold(database: TestDatabase, { tables = ['events', 'bookings'] }: Example): Promise<unknown> {
  const [events, bookings] = tables
  const client = new pg.Client(database.url)
  await client.connect()
  try {
    const { rows } = await client.query(
      `select (select sum(seats_left)::int from ${events}) as left, count(*)::int as bookings, sum(seats)::int as seats,
        count(distinct buyer)::int as buyers from ${bookings}`,
    )
    return rows[0]
  } finally {
    await client.end()
  }
}

async function loginsTo(pgweir: Pgweir, { database }: TestDatabase): Promise<number> {
  const stats = await pgweir.fleet.stats()
  return stats.find((one) => one.database === database)?.totals.clientLogins ?? 0
}
