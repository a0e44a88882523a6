/** Limits apply to all worker processes together: for servers as PostgreSQL counts them, and for clients as they count themselves. */

import type { Client } from 'pg'
import { describe, expect, test } from 'vitest'
import { Crowd } from '../support/e2e/crowd.ts'
import { type Pgweir, startPgweir } from '../support/e2e/pgweir.ts'
import { workerOf } from '../support/e2e/places.ts'
import { until } from '../support/e2e/until.ts'
import { Watch } from '../support/e2e/watch.ts'
import { adminClient, createDatabase, createRole, type TestDatabase, type TestRole } from '../support/postgres.ts'

const one = await createDatabase()
const three = await createDatabase()
const twenty = await createDatabase()
/** Two users have pools in it. */
const shared = await createDatabase()
const second = await createRole()
const reserve = await createDatabase()
/** One user has pools in both. */
const left = await createDatabase()
const right = await createDatabase()
const traveller = await createRole()

const databases = [one, three, twenty, shared, reserve, left, right]
const secrets = Object.fromEntries([...databases, second, traveller].map(({ user, password }) => [user, password]))

/** An advisory lock in each database. While a gate holds it, all servers of that database are kept busy waiting for it. */
const LOCK = 1
const gates = await Promise.all(databases.map(({ database }) => adminClient(database)))

function entry({ host, port, database }: TestDatabase, settings: string): string {
  return `${database} = host=${host} port=${port} ${settings}`
}

describe.each([2, 4])('%i workers', { timeout: 60_000 }, (workers) => {
  test('open as many servers as each limit allows and never more, and each client gets its own answers', async () => {
    const watch = await Watch.start()
    watch.limit('pool_size 1', { database: one.database }, 1)
    watch.limit('pool_size 3', { database: three.database }, 3)
    watch.limit('pool_size 20', { database: twenty.database }, 20)
    watch.limit('max_db_connections 4', { database: shared.database }, 4)
    watch.limit('pool_size 1 and a reserve of 2', { database: reserve.database }, 3)
    watch.limit('max_user_connections 5', { user: traveller.user }, 5)
    await watch.untilNoServers()
    const pgweir = await startPgweir({
      workers,
      database: one,
      entry: 'pool_size=1',
      databases: [
        entry(three, 'pool_size=3'),
        entry(twenty, 'pool_size=20'),
        entry(shared, 'pool_size=3 max_db_connections=4'),
        entry(reserve, 'pool_size=1 reserve_pool_size=2'),
        entry(left, 'pool_size=4'),
        entry(right, 'pool_size=4'),
      ],
      users: [`${traveller.user} = max_user_connections=5`],
      settings: { reserve_pool_timeout: 0.02 },
      secrets,
    })

    const crowd = (size: number, database: TestDatabase, { user, password }: TestRole = database) =>
      new Crowd(pgweir, size, { database: database.database, user, password })
    // With fewer servers than workers, permits move between workers, so most queries need a new connection.
    const few = [crowd(2 * workers, one), crowd(2 * workers, reserve)]
    const many = [
      crowd(3 * workers, three),
      crowd(30, twenty),
      crowd(2 * workers, shared),
      crowd(2 * workers, shared, second),
      crowd(2 * workers, left, traveller),
      crowd(2 * workers, right, traveller),
    ]
    const all = [...few, ...many]
    await Promise.all(gates.map((gate) => gate.query('select pg_advisory_lock($1)', [LOCK])))
    const queueing = Promise.all(all.map((each) => each.queueBehind(LOCK)))
    await watch.untilReached()
    await Promise.all(gates.map((gate) => gate.query('select pg_advisory_unlock($1)', [LOCK])))
    await queueing
    await Promise.all([...few.map((each) => each.ask(2)), ...many.map((each) => each.ask(4))])

    expect(await watch.stop()).toEqual([])
    const askers = all.flatMap((each) => each.askers)
    expect(askers.flatMap(({ losses }) => losses)).toEqual([])
  })
})

test('four workers accept no more clients than the limits allow, also after a worker has died with its clients', {
  timeout: 60_000,
}, async () => {
  const pgweir = await startPgweir({
    workers: 4,
    database: one,
    databases: [entry(three, 'max_db_client_connections=6'), entry(left, '')],
    users: [`${traveller.user} = max_user_client_connections=5`],
    settings: { max_client_conn: 14, default_pool_size: 2 },
    secrets,
  })
  const everybody = new Room(pgweir, 'max_client_conn', 14)
  const inDatabase = new Room(pgweir, 'max_db_client_connections', 6)
  const ofUser = new Room(pgweir, 'max_user_client_connections', 5)
  const visitors = [
    ...visitorsOf([everybody], 10, one),
    ...visitorsOf([everybody, inDatabase], 10, three),
    ...visitorsOf([everybody, ofUser], 10, left, traveller),
  ]
  await Promise.all(visitors.map((visit) => visit(5)))
  for (const room of [everybody, inDatabase, ofUser]) expect(room.most).toBeLessThanOrEqual(room.size)

  // All places are free again, and there are no more than before.
  for (const [room, config] of [
    [inDatabase, { database: three.database, user: three.user }],
    [ofUser, { database: left.database, user: traveller.user }],
  ] as const)
    for (const guest of await room.fill(config)) await guest.end()
  const config = { database: one.database, user: one.user }
  const guests = await everybody.fill(config)
  const [{ pid, number } = { pid: 0, number: 0 }] = await pgweir.fleet.workers()
  const doomed = guests.filter((guest) => workerOf(guest) === number)
  const gone = Promise.all(doomed.map((guest) => new Promise((resolve) => guest.once('end', resolve))))
  process.kill(pid, 'SIGKILL')
  await gone
  // Until the primary notices that it is dead, it may still hand connections to it.
  await until('another one takes its place', async () =>
    (await pgweir.fleet.workers()).every((each) => each.pid !== pid),
  )
  expect(doomed.length).toBeGreaterThan(0)
  everybody.inside -= doomed.length
  expect(await everybody.fill(config)).toHaveLength(doomed.length)
  for (const guest of guests)
    if (!doomed.includes(guest)) expect((await guest.query('select 1 as one')).rows).toEqual([{ one: 1 }])
})

/** Counts the clients under a limit, `size`, as they see it themselves: from the end of their login until they begin to leave. */
class Room {
  readonly size: number
  inside = 0
  most = 0
  readonly #pgweir: Pgweir
  readonly #setting: string

  constructor(pgweir: Pgweir, setting: string, size: number) {
    this.#pgweir = pgweir
    this.#setting = setting
    this.size = size
  }

  enter(): void {
    this.inside++
    this.most = Math.max(this.most, this.inside)
  }

  refuses(problem: Error): boolean {
    return problem.message.includes(`(${this.#setting})`)
  }

  /** Logs in and leaves again, or is refused because of one of the limits. */
  async visit(rooms: readonly Room[], config: object): Promise<void> {
    const client = this.#pgweir.unconnected(config)
    try {
      await client.connect()
    } catch (problem) {
      expect(
        rooms.filter((room) => room.refuses(problem as Error)),
        (problem as Error).message,
      ).toHaveLength(1)
      return
    }
    for (const room of rooms) room.enter()
    expect((await client.query('select 1 as one')).rows).toEqual([{ one: 1 }])
    for (const room of rooms) room.inside--
    await client.end()
  }

  /** Connects clients until the limit is reached. */
  async fill(config: object): Promise<Client[]> {
    const guests: Client[] = []
    await until(`${this.size} clients are in`, async () => {
      const client = this.#pgweir.unconnected(config)
      try {
        await client.connect()
      } catch (problem) {
        expect(this.refuses(problem as Error), (problem as Error).message).toBe(true)
        return this.inside === this.size
      }
      this.enter()
      guests.push(client)
      return false
    })
    expect(this.most).toBeLessThanOrEqual(this.size)
    return guests
  }
}

/** Makes `count` visitors, each of which logs in and leaves a given number of times. */
function visitorsOf(
  rooms: readonly [Room, ...Room[]],
  count: number,
  database: TestDatabase,
  { user } = database as { user: string },
) {
  const [room] = rooms
  return Array.from({ length: count }, () => async (times: number) => {
    for (let left = times; left > 0; left--) await room.visit(rooms, { database: database.database, user })
  })
}
