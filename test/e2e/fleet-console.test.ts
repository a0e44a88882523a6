/** Console commands and cancel requests take effect in all worker processes, whichever worker receives them. */

import type { Client } from 'pg'
import { describe, expect, test } from 'vitest'
import type { WorkerSnapshot } from '../../src/workers/fleet.ts'
import { keyOf } from '../support/e2e/keys.ts'
import { sharedPgweir, startPgweir } from '../support/e2e/pgweir.ts'
import { onePerWorker, workerOf } from '../support/e2e/places.ts'
import { Roster } from '../support/e2e/roster.ts'
import { expectNoneLess, scrape } from '../support/e2e/samples.ts'
import { activity, untilRunning } from '../support/e2e/server-side.ts'
import { failureOf, until } from '../support/e2e/until.ts'
import { createDatabase } from '../support/postgres.ts'

const database = await createDatabase()
const other = await createDatabase()
const secrets = { [database.user]: database.password, [other.user]: other.password, root: 'r' }
const CONSOLE = { database: 'pgweir', user: 'root', password: 'r' }
const CANCELLED = { code: '57014', severity: 'ERROR' }
const WORKERS = [1, 2, 3, 4]

describe('a cancel request, whichever of four workers receives it,', () => {
  const options = { workers: 4, database, secrets, settings: { default_pool_size: 5 } }

  test('ends the right query, and no other', async () => {
    const pgweir = await sharedPgweir(options)
    const clients = await onePerWorker(pgweir, WORKERS)
    const bystander = await pgweir.client()
    const untouched = failureOf(bystander.query(`select pg_sleep(600), 'untouched'`))
    const pid = await untilRunning(database, 'untouched')
    for (let round = 0; round < 5; round++) {
      const answers = new Map<Client, Promise<unknown>>()
      for (const [index, client] of clients.entries()) {
        const mark = `round ${round}, query ${index}`
        answers.set(client, failureOf(client.query(`select pg_sleep(600), '${mark}'`)))
        await untilRunning(database, mark)
      }
      for (const [client, answer] of answers) {
        await pgweir.cancel(keyOf(client))
        expect(await answer).toMatchObject(CANCELLED)
        answers.delete(client)
      }
    }
    expect((await activity(database)).find((row) => row.pid === pid)).toMatchObject({ state: 'active' })
    await pgweir.cancel(keyOf(bystander))
    expect(await untouched).toMatchObject(CANCELLED)
    for (const client of clients) expect((await client.query('select 1 as one')).rows).toEqual([{ one: 1 }])
  })

  test('ends the wait of a client for a server', async () => {
    const pgweir = await sharedPgweir(options)
    const busy = await Promise.all(Array.from({ length: 5 }, () => pgweir.client()))
    for (const client of busy) await client.query('begin')
    const clients = await onePerWorker(pgweir, WORKERS)
    const questions = clients.map((client) => ({ client, answer: failureOf(client.query('select 1')) }))
    await until('they wait', async () => (await pgweir.counts()).waiting === questions.length)
    for (const { client, answer } of questions) {
      await pgweir.cancel(keyOf(client))
      expect(await answer).toMatchObject(CANCELLED)
    }
    for (const client of busy) await client.query('commit')
    for (const { client } of questions) expect((await client.query('select 1 as one')).rows).toEqual([{ one: 1 }])
  })
})

describe('with three workers, whichever worker the console is connected to:', () => {
  const WORKERS = [1, 2, 3]
  const options = { workers: 3, database, secrets, settings: { default_pool_size: 4, admin_users: 'root' } }

  test('PAUSE, RESUME, DISABLE, ENABLE and KILL affect all workers, and SHOW returns the same', async () => {
    const pgweir = await sharedPgweir(options)
    const consoles = await onePerWorker(pgweir, WORKERS, CONSOLE)
    const clients = await onePerWorker(pgweir, WORKERS)
    for (const [index, console] of consoles.entries()) {
      const next = consoles[(index + 1) % consoles.length] as Client
      await console.query(`pause ${database.database}`)
      expect((await pgweir.counts()).servers).toBe(0)
      const answers = clients.map((client) => client.query('select 1 as one'))
      await until('all wait', async () => (await pgweir.counts()).waiting === clients.length)
      await next.query(`resume ${database.database}`)
      for (const answer of answers) expect((await answer).rows).toEqual([{ one: 1 }])

      await console.query(`disable ${database.database}`)
      for (let tries = 0; tries < 4; tries++)
        expect((await failureOf(pgweir.unconnected().connect())).message).toMatch(/is disabled/)
      await next.query(`enable ${database.database}`)
      await (await pgweir.client()).end()
    }

    // Clients that were refused or have left may not be gone yet.
    await until(
      'no other client is left',
      async () => (await pgweir.connections()) === consoles.length + clients.length,
    )
    const [first, ...others] = await Promise.all(consoles.map(shownBy))
    for (const shown of others) expect(shown).toEqual(first)
    const ids = (await pgweir.fleet.clients()).map(({ id }) => id)
    expect(new Set(ids).size).toBe(ids.length)

    const [console, next] = consoles as [Client, Client]
    const lost = clients.map((client) => new Promise((resolve) => client.once('end', resolve)))
    await console.query(`kill ${database.database}`)
    await Promise.all(lost)
    await next.query(`resume ${database.database}`)
    expect((await (await pgweir.client()).query('select 1 as one')).rows).toEqual([{ one: 1 }])
  })

  test('SHOW SOCKETS lists clients that are logging in to any worker', async () => {
    const pgweir = await sharedPgweir(options)
    const [console] = (await onePerWorker(pgweir, [1], CONSOLE)) as [Client]
    for (let count = 0; count < 6; count++) await pgweir.stranger()
    await until('all are shown', async () => {
      const { rows } = await console.query('show sockets')
      return rows.filter(({ state }) => state === 'cl_login').length === 6
    })
  })

  test('SUSPEND affects all workers, and ends with RESUME or when its console disconnects', async () => {
    const pgweir = await sharedPgweir(options)
    const [one, two] = (await onePerWorker(pgweir, WORKERS, CONSOLE)) as [Client, Client, Client]
    const clients = await onePerWorker(pgweir, WORKERS)
    const held = async (end: () => Promise<unknown>) => {
      expect((await two.query('show state')).rows).toContainEqual({ key: 'suspended', value: 'yes' })
      let answered = 0
      const answers = clients.map(async (client) => {
        await client.query('select 1')
        answered++
      })
      // SHOW CLIENTS asks all workers, so each of them has polled its sockets since the queries were sent.
      await two.query('show clients')
      expect(answered).toBe(0)
      await end()
      await Promise.all(answers)
    }
    await one.query('suspend')
    expect(await failureOf(two.query('suspend'))).toMatchObject({ message: 'already suspended/paused' })
    await held(() => two.query('resume'))
    await one.query('suspend')
    await held(() => one.end())
  })

  test('SUSPEND ends when the worker of its console dies', async () => {
    const roster = new Roster()
    const pgweir = await startPgweir({ ...options, workers: 2 })
    const [doomed] = (await roster.of(pgweir).all()) as [WorkerSnapshot]
    const [root] = (await onePerWorker(pgweir, [doomed.number], CONSOLE)) as [Client]
    const [client] = (await onePerWorker(pgweir, [doomed.number === 1 ? 2 : 1])) as [Client]
    await root.query('suspend')
    const answer = client.query('select 1 as one')
    process.kill(doomed.pid, 'SIGKILL')
    expect((await answer).rows).toEqual([{ one: 1 }])
    await roster.untilReplaced([doomed], 2)
  })

  test('a worker that starts later observes PAUSE and DISABLE, and can end them', async () => {
    const roster = new Roster()
    const pgweir = await startPgweir({
      ...options,
      workers: 2,
      databases: [`${other.database} = host=${other.host} port=${other.port}`],
    })
    const [doomed] = (await roster.of(pgweir).all()) as [WorkerSnapshot]
    const survivor = doomed.number === 1 ? 2 : 1
    // Opens a server once, so that later clients can be welcomed while there is none.
    await (await pgweir.client()).query('select 1')
    const [root] = (await onePerWorker(pgweir, [survivor], CONSOLE)) as [Client]
    await root.query(`pause ${database.database}`)
    await root.query(`disable ${other.database}`)
    // A pause of all databases, and its end. The pause of the one database stays in effect.
    await root.query('pause; resume')
    expect((await failureOf(root.query('resume'))).message).toBe('pooler is not paused/suspended')
    process.kill(doomed.pid, 'SIGKILL')
    await roster.untilReplaced([doomed], 2)

    const [{ number: successor }] = (await roster.all()).filter(({ number }) => number !== survivor) as [WorkerSnapshot]
    const [newcomer] = (await onePerWorker(pgweir, [successor])) as [Client]
    const answer = newcomer.query('select 1 as one')
    await until('it waits', async () => (await pgweir.counts()).waiting === 1)
    expect((await pgweir.counts()).servers).toBe(0)
    const { database: name, user } = other
    const refusal = await failureOf(pgweir.unconnected({ database: name, user }).connect())
    expect(refusal.message).toMatch(/is disabled/)

    const [console] = (await onePerWorker(pgweir, [successor], CONSOLE)) as [Client]
    await console.query(`resume ${database.database}`)
    expect((await answer).rows).toEqual([{ one: 1 }])
    await console.query(`enable ${other.database}`)
    for (const client of await onePerWorker(pgweir, [survivor, successor], { database: name, user }))
      expect((await client.query('select 1 as one')).rows).toEqual([{ one: 1 }])
    expect(await roster.restarts()).toBe(1)
  })
})

/** The parts of SHOW that do not change from one moment to the next. */
async function shownBy(console: Client): Promise<unknown> {
  const rows = async (sql: string, columns: readonly string[]) =>
    (await console.query(sql)).rows.map((row) => columns.map((column) => row[column]).join('|')).sort()
  return {
    clients: await rows('show clients', ['user', 'database', 'addr', 'port', 'ptr']),
    servers: await rows('show servers', ['user', 'database', 'remote_pid', 'ptr']),
    lists: await rows('show lists', ['list', 'items']),
    workers: await rows('show workers', ['worker', 'pid', 'state', 'restarts']),
  }
}

test('while a worker hangs, the console and the metrics answer without it, and report that it is missing', {
  timeout: 90_000,
}, async () => {
  const settings = { admin_users: 'root', worker_timeout: 600, http_listen: '127.0.0.1:0' }
  const pgweir = await startPgweir({ workers: 2, database, secrets, settings })
  const console = await pgweir.client(CONSOLE)
  const notices: string[] = []
  console.on('notice', ({ message }) => notices.push(message ?? ''))
  const clients = await onePerWorker(pgweir, [1, 2])
  for (const client of clients) await client.query('select 1')
  const before = await scrape(pgweir)
  const hung = (await pgweir.fleet.workers()).find(({ number }) => number !== workerOf(console)) as WorkerSnapshot
  process.kill(hung.pid, 'SIGSTOP')
  try {
    const { rows } = await console.query('show pools')
    expect(rows.find((row) => row.database === database.database)).toMatchObject({ cl_active: 1 })
    expect(notices).toEqual([`worker ${hung.number} (pid ${hung.pid}) does not answer: its data is missing`])
    const samples = await scrape(pgweir)
    expect(samples.of('pgweir_workers', { state: 'silent' })).toBe(1)
    expectNoneLess(samples, before)
  } finally {
    process.kill(hung.pid, 'SIGKILL')
  }
})
