import { serialize } from 'pg-protocol'
import { expect, test } from 'vitest'
import { runProgram } from '../support/e2e/program.ts'
import { RawClient } from '../support/e2e/raw-client.ts'
import { until } from '../support/e2e/until.ts'
import { createDatabase } from '../support/postgres.ts'

const database = await createDatabase()

/** Users and databases that the pooler accepts but Postgres does not know. */
const STRANGERS = Array.from({ length: 20 }, (_, id) => ({ user: `user ${id}`, database: `database ${id}` }))

test('each worker forgets unused pools and databases, and statistics are kept', async () => {
  const { port, raw } = await runProgram({
    database,
    databases: [`* = host=${database.host} port=${database.port}`],
    secrets: {
      [database.user]: database.password,
      ...Object.fromEntries(STRANGERS.map(({ user }) => [user, 'secret'])),
    },
    settings: {
      auth_type: 'trust',
      admin_users: database.user,
      workers: 2,
      transport: 'node',
      server_idle_timeout: 1,
      pool_idle_timeout: 1,
      autodb_idle_timeout: 1,
    },
  })
  const admin = await RawClient.connect({ host: '127.0.0.1', port })
  await admin.logIn({ user: database.user, database: 'pgweir' })
  const show = async (what: string) => {
    const lines = await admin.ask(query(`show ${what}`))
    return lines.filter((line) => line.startsWith('DataRow')).map((line) => line.slice('DataRow '.length).split('|'))
  }
  // Only these clients get through to Postgres; it refuses all strangers.
  const clients = await Promise.all(Array.from({ length: 4 }, () => raw()))
  for (const client of clients) await client.ask(query('select 1'))
  for (const stranger of STRANGERS) {
    const client = await RawClient.connect({ host: '127.0.0.1', port })
    await expect(client.logIn(stranger)).rejects.toThrow('FATAL')
  }
  const queries = async () => (await show('stats')).find(([name]) => name === database.database)?.[3]
  expect(await queries()).toBe('4')
  for (const client of clients) await client.end()
  await until('only the console is left', async () => (await show('pools')).length === 1)
  await until('their databases are forgotten', async () => (await show('databases')).length === 2)
  expect(await queries()).toBe('4')
  const again = await raw()
  await again.ask(query('select 1'))
  expect(await queries()).toBe('5')
  await again.end()
  await admin.end()
})

function query(text: string): Uint8Array {
  return serialize.query(text)
}
