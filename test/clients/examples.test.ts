/** The applications of `examples/`, as their READMEs run them: each does far more at once than its pool has servers. */

import pg from 'pg'
import { expect, onTestFailed, test } from 'vitest'
import { blocksOf, type Command, commandsOf, ROOT } from '../support/docs/documents.ts'
import { type Pgweir, sharedPgweir } from '../support/e2e/pgweir.ts'
import { createDatabase, type TestDatabase } from '../support/postgres.ts'
import { type ProgramName, run } from './support/program.ts'

const SERVERS = 3

const DATABASES = {
  'node-postgres': await createDatabase(),
  sqlalchemy: await createDatabase(),
  django: await createDatabase(),
  jdbc: await createDatabase(),
  rails: await createDatabase(),
}
type Name = keyof typeof DATABASES

/** One for all, in which each has a database of its own. */
function start(): Promise<Pgweir> {
  const [database, ...others] = Object.values(DATABASES) as [TestDatabase, ...TestDatabase[]]
  return sharedPgweir({
    database,
    databases: others.map((other) => `${other.database} = host=${other.host} port=${other.port}`),
    secrets: Object.fromEntries([database, ...others].map(({ user, password }) => [user, password])),
    settings: {
      auth_type: 'scram-sha-256',
      pool_mode: 'transaction',
      default_pool_size: SERVERS,
      max_client_conn: 200,
      // The notice comes only where the machine is slow.
      query_wait_notify: 0,
    },
  })
}

interface Script {
  readonly commands: readonly Command[]
  readonly env: Readonly<Record<string, string>>
}

/** What the README of an example has people type after `npm start`. */
function scriptOf(name: Name): Script {
  const all = blocksOf(`examples/${name}/README.md`).flatMap(commandsOf)
  const exported = all.flatMap(({ words: [word, ...rest] }) => (word === 'export' ? rest : []))
  return {
    commands: all.filter(({ words: [word] }) => word !== 'npm' && word !== 'export'),
    env: Object.fromEntries(exported.map((assignment) => assignment.split(/=(.*)/s).slice(0, 2))),
  }
}

const PROGRAMS: Readonly<Record<string, ProgramName>> = { node: 'node', python3: 'python', java: 'java', ruby: 'ruby' }

function programOf(word = ''): ProgramName {
  const name = PROGRAMS[word]
  if (name === undefined) throw new Error(`a README starts ${word}, which has no place in PROGRAMS`)
  return name
}

/** Runs the commands of an example, and returns the lines that they print. */
async function runExample(name: Name): Promise<string[]> {
  const database = DATABASES[name]
  const pgweir = await start()
  onTestFailed(() => console.log(pgweir.log.slice(-SHOWN_LINES).join('\n')))
  const { host, port } = pgweir.address
  const DATABASE_URL = `postgres://${database.user}:${database.password}@${host}:${port}/${database.database}`
  const lines: string[] = []
  const { commands, env: exported } = scriptOf(name)
  for (const { words } of commands) {
    const [word, ...args] = words
    const target = { ...database, host, port }
    const env = { ...exported, DATABASE_URL, PYTHONSAFEPATH: '' }
    const { code, stdout, stderr } = await run(programOf(word), args, target, { cwd: ROOT, env })
    expect({ code, stderr }, stdout).toEqual({ code: 0, stderr: '' })
    if (stdout !== '') lines.push(...stdout.trimEnd().split('\n'))
  }
  const { servers } = await pgweir.counts(database.database, database.user)
  expect(servers).toBeGreaterThan(0)
  expect(servers).toBeLessThanOrEqual(SERVERS)
  expect(await loginsTo(pgweir, database)).toBeGreaterThan(SERVERS)
  return lines
}

const SHOWN_LINES = 40

async function loginsTo(pgweir: Pgweir, { database }: TestDatabase): Promise<number> {
  const stats = await pgweir.fleet.stats()
  return stats.find((one) => one.database === database)?.totals.clientLogins ?? 0
}

/** What is in the tables of an example when it is done. */
async function sold(name: Name): Promise<unknown> {
  const [events, bookings] = name === 'django' ? ['tickets_event', 'tickets_booking'] : ['events', 'bookings']
  const client = new pg.Client(DATABASES[name].url)
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

/** What its README says that it prints. */
function promisedBy(name: Name): string[] {
  const [shown] = blocksOf(`examples/${name}/README.md`).filter(({ kind }) => kind === 'text')
  return (shown?.text ?? '').trimEnd().split('\n')
}

test.each(Object.keys(DATABASES) as Name[])('%s does what its README says', async (name) => {
  expect(promisedBy(name)[0]).toBe('50 of 60 buyers have seats, 0 of 100 seats are left')
  expect(await runExample(name)).toEqual(promisedBy(name))
  expect(await sold(name)).toEqual({ left: 0, bookings: 50, seats: 100, buyers: 50 })
})
