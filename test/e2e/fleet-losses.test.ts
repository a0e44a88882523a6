/** Worker processes that are killed, hang or are replaced: only their own clients notice, limits are kept, and no permit is lost. */

import type { Client } from 'pg'
import { expect, test } from 'vitest'
import type { WorkerSnapshot } from '../../src/workers/fleet.ts'
import { Crowd } from '../support/e2e/crowd.ts'
import { startPgweir } from '../support/e2e/pgweir.ts'
import { clientsOf } from '../support/e2e/places.ts'
import { Roster } from '../support/e2e/roster.ts'
import { activity, untilRunning } from '../support/e2e/server-side.ts'
import { failureOf, until } from '../support/e2e/until.ts'
import { Watch } from '../support/e2e/watch.ts'
import { adminClient, createDatabase, type TestDatabase } from '../support/postgres.ts'

const one = await createDatabase()
const three = await createDatabase()
const twenty = await createDatabase()
const secrets = Object.fromEntries([one, three, twenty].map(({ user, password }) => [user, password]))

function entry({ host, port, database }: TestDatabase, settings: string): string {
  return `${database} = host=${host} port=${port} ${settings}`
}

test('when workers are killed, hang or are replaced under load, limits are kept, no permit is lost and all clients are served', {
  timeout: 120_000,
}, async () => {
  const sizes = { [one.database]: 1, [three.database]: 3, [twenty.database]: 20 }
  const options = (twentys = 'pool_size=20', threes = 'pool_size=3') => ({
    workers: 4,
    database: one,
    entry: 'pool_size=1',
    databases: [entry(three, threes), entry(twenty, twentys)],
    // On a busy machine, a healthy worker may be silent for seconds.
    settings: { worker_timeout: 4, worker_restart_grace: 0.1 },
    secrets,
  })
  const watch = await Watch.start()
  for (const { database } of [one, three, twenty]) watch.limit(database, { database }, () => sizes[database] ?? 0)
  await watch.untilNoServers()
  const roster = new Roster()
  const pgweir = await startPgweir(options())
  roster.of(pgweir)
  const crowds = [one, three, twenty].map(
    ({ database, user }, index) => new Crowd(pgweir, [5, 8, 24][index] ?? 0, { database, user }),
  )
  const everybody = {
    untilAnswered: (times: number) => Promise.all(crowds.map((crowd) => crowd.untilAnswered(times))),
    losses: () => crowds.flatMap(({ losses }) => losses),
  }
  for (const crowd of crowds) crowd.begin()
  await everybody.untilAnswered(2)
  expect(everybody.losses()).toEqual([])

  const [killed] = (await roster.serving()) as [WorkerSnapshot]
  process.kill(killed.pid, 'SIGKILL')
  await roster.untilReplaced([killed], 4)
  await everybody.untilAnswered(1)
  const [hung] = (await roster.serving()) as [WorkerSnapshot]
  process.kill(hung.pid, 'SIGSTOP')
  await roster.untilReplaced([hung], 4)
  await everybody.untilAnswered(1)
  const gone = everybody.losses().length
  for (const { worker, why } of everybody.losses()) {
    expect(why).toBe('gone')
    expect([0, killed.number, hung.number]).toContain(worker)
  }
  expect(await roster.restarts()).toBe(2)

  await pgweir.rewrite(options('pool_size=5', 'pool_size=1'))
  await pgweir.fleet.control.reload()
  await watch.untilAtMost(twenty.database, 5)
  await watch.untilAtMost(three.database, 1)
  sizes[twenty.database] = 5
  sizes[three.database] = 1
  await everybody.untilAnswered(1)
  sizes[twenty.database] = 20
  sizes[three.database] = 3
  await pgweir.rewrite(options('pool_size=20 min_pool_size=7'))
  await pgweir.fleet.control.reload()
  await everybody.untilAnswered(1)
  expect(everybody.losses()).toHaveLength(gone)

  const old = await roster.all()
  await pgweir.fleet.control.restartWorkers()
  await roster.untilReplaced(old, 4)
  await everybody.untilAnswered(1)
  expect(everybody.losses().filter(({ why }) => why === 'gone')).toHaveLength(gone)
  // Workers that RESTART WORKERS has replaced do not count as restarts.
  expect(await roster.restarts()).toBe(2)

  for (const crowd of crowds) await crowd.stop()
  expect(await watch.stop()).toEqual([])
  const { servers } = await pgweir.fleet.lists()
  expect(servers).toBeGreaterThanOrEqual(7)
  await until('the pooler and PostgreSQL agree on the servers', async () => {
    const pids = await Promise.all([one, three, twenty].map(({ database, user }) => pgweir.serverPids(database, user)))
    const seen = await Promise.all([one, three, twenty].map((database) => activity(database)))
    return JSON.stringify(pids) === JSON.stringify(seen.map((rows) => rows.map(({ pid }) => pid)))
  })
  for (const crowd of crowds) await crowd.leave()
})

test('the servers of a killed worker count towards limits exactly until PostgreSQL has ended them', async () => {
  const admin = await adminClient(one.database)
  await admin.query(`
    create function ignore_cancels(times int) returns void language plpgsql as $$ begin
      for n in 1..times loop
        begin
          perform pg_sleep(600);
        exception when query_canceled then null;
        end;
      end loop;
    end $$`)
  await admin.end()
  const watch = await Watch.start()
  watch.limit('pool_size 3', { database: one.database }, 3)
  await watch.untilNoServers()
  const roster = new Roster()
  const pgweir = await startPgweir({ workers: 2, database: one, entry: 'pool_size=3' })
  const [doomed, other] = (await roster.of(pgweir).all()) as [WorkerSnapshot, WorkerSnapshot]
  const trios = await clientsOf(pgweir, [doomed.number, other.number], 3)
  const [stubborn, fetching, open] = trios.get(doomed.number) as unknown as Trio
  const lost = [
    stubborn.query('select ignore_cancels(5)'),
    // Its answer will fill all buffers, because nobody reads it after the worker's death.
    fetching.query(`select repeat('x', 1000000) from generate_series(1, 1000000)`),
    open.query('begin; select pg_sleep(600)'),
  ].map((answer) => failureOf(answer))
  await until('they hold all servers', async () => (await pgweir.counts()).leased === 3)
  await untilRunning(one, 'ignore_cancels')
  await untilRunning(one, 'pg_sleep')
  const waiting = trios.get(other.number) as Client[]
  // Each opens a transaction and keeps its server, so these answers arrive only when all three servers are free.
  const answers = waiting.map((client) => client.query('begin'))
  await until('they wait', async () => (await pgweir.counts()).waiting === 3)
  process.kill(doomed.pid, 'SIGKILL')
  await Promise.all([...lost, ...answers])
  expect(await watch.stop()).toEqual([])
  expect((await activity(one)).filter(({ query }) => query.includes('ignore_cancels'))).toEqual([])
})

test('RESTART WORKERS lets transactions finish, and disconnects clients between two of them', async () => {
  const roster = new Roster()
  const pgweir = await startPgweir({
    workers: 2,
    database: twenty,
    entry: 'pool_size=2',
    settings: { worker_restart_grace: 0.1 },
  })
  roster.of(pgweir)
  const old = await roster.all()
  const trios = await clientsOf(
    pgweir,
    old.map(({ number }) => number),
    3,
  )
  const groups = [...trios].map(([worker, clients]) => new Group(worker, clients as unknown as Trio))
  for (const { clients } of groups) await clients[0].query('begin')
  const questions = groups.map(({ clients }) => clients[2].query('select 1 as one').catch((problem: Error) => problem))
  await until('one waits on each', async () => (await pgweir.counts()).waiting === groups.length)

  await pgweir.fleet.control.restartWorkers()
  for (let left = groups.length; left > 0; left--) {
    let draining = 0
    await until('a worker drains', async () => {
      draining = (await roster.all()).find(({ state }) => state === 'draining')?.number ?? 0
      return groups.some(({ worker, isOver }) => worker === draining && !isOver)
    })
    const index = groups.findIndex(({ worker }) => worker === draining)
    const group = groups[index] as Group
    const [busy, idle] = group.clients
    await until('the idle client is sent away', () => group.lastWords.get(idle) === '57P01')
    // The waiting client has no transaction, so it is disconnected. In the second worker it may get a server once the first transaction is over.
    if (left === groups.length) expect(await questions[index]).toMatchObject({ code: '57P01', severity: 'FATAL' })
    expect((await busy.query('select 1 as one')).rows).toEqual([{ one: 1 }])
    expect((await busy.query('commit')).command).toBe('COMMIT')
    await until('the busy client is sent away', () => group.lastWords.get(busy) === '57P01')
    group.isOver = true
  }
  await Promise.all(questions)
  await roster.untilReplaced(old, 2)
  expect(await roster.restarts()).toBe(0)
  expect((await (await pgweir.client()).query('select 1 as one')).rows).toEqual([{ one: 1 }])
})

type Trio = readonly [Client, Client, Client]

/** Three clients of one worker. */
class Group {
  readonly worker: number
  readonly clients: Trio
  /** The SQLSTATE of the error that each has received between two queries. */
  readonly lastWords = new Map<Client, string>()
  isOver = false

  constructor(worker: number, clients: Trio) {
    this.worker = worker
    this.clients = clients
    for (const client of clients)
      client.on('error', (problem: Error & { code?: string }) => {
        // Keep the first error. The end of the connection causes another one.
        if (!this.lastWords.has(client)) this.lastWords.set(client, problem.code ?? '')
      })
  }
}
