import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { LiveFeed, type LiveView } from '../../../src/metrics/live-feed.ts'
import { TallyNames } from '../../../src/pool/tallies.ts'
import { MadeUpPool, madeUpFleet } from '../../support/live/made-up-fleet.ts'

beforeEach(() => {
  vi.useFakeTimers({ now: 1_000_000 })
})

afterEach(() => {
  vi.useRealTimers()
})

function open(pools: MadeUpPool[], maxNames = 100) {
  const views: LiveView[] = []
  const problems: unknown[] = []
  const names = new TallyNames(maxNames)
  const feed = new LiveFeed({ fleet: madeUpFleet(pools), names, onTrouble: (problem) => problems.push(problem) })
  return { feed, views, problems, stop: feed.watch((view) => views.push(view)) }
}

test('rates and percentiles cover the last second, and nothing before the first view counts', async () => {
  const pool = new MadeUpPool('app')
  pool.run(1_000, 40)
  const { views, stop } = open([pool])
  await vi.advanceTimersByTimeAsync(0)
  expect(views).toHaveLength(1)
  expect(views[0]?.pools[0]).toMatchObject({
    database: 'app',
    queries: 0,
    query: null,
    servers: { active: 2, idle: 1, other: 0 },
  })

  pool.run(99, 1)
  pool.run(1, 400)
  pool.errors.note('postgresql', '42601')
  pool.waiting = 2
  await vi.advanceTimersByTimeAsync(1_000)
  const [row] = views[1]?.pools ?? []
  expect(row).toMatchObject({ queries: 100, transactions: 100, errors: 1, oldestWaitMs: 2, clients: { waiting: 2 } })
  expect(row?.query?.[0]).toBeLessThanOrEqual(1)
  expect(row?.query?.[2]).toBeLessThanOrEqual(1)
  expect(views[1]?.all).toMatchObject({ queries: 100, errors: 1 })
  expect(views[1]?.errors).toEqual({ 'postgresql 42601': 1 })

  await vi.advanceTimersByTimeAsync(1_000)
  expect(views[2]?.pools[0]).toMatchObject({ queries: 0, query: null })
  stop()
})

test('the fleet is asked only while somebody watches, once for all watchers', async () => {
  const pool = new MadeUpPool('app')
  const { feed, views, stop } = open([pool])
  const others: LiveView[] = []
  await vi.advanceTimersByTimeAsync(10)
  const stopOther = feed.watch((view) => others.push(view))
  await vi.advanceTimersByTimeAsync(1_000)
  expect(others).toEqual([views[1]])
  stop()
  stop()
  await vi.advanceTimersByTimeAsync(1_000)
  expect(others).toHaveLength(2)
  stopOther()
  await vi.advanceTimersByTimeAsync(5_000)
  expect([views.length, others.length]).toEqual([2, 2])
  expect(vi.getTimerCount()).toBe(0)
})

test('if a watcher leaves while the fleet answers, its answer is not compared with a later watcher’s', async () => {
  const pool = new MadeUpPool('app')
  const fleet = madeUpFleet([pool])
  let answer = () => {}
  const slow = async () => {
    await new Promise<void>((resolve) => {
      answer = resolve
    })
    return fleet.pools()
  }
  const views: LiveView[] = []
  const feed = new LiveFeed({ fleet: { ...fleet, pools: slow }, names: new TallyNames(10), onTrouble: () => {} })
  feed.watch(() => {})()
  answer()
  await vi.advanceTimersByTimeAsync(3_600_000)
  pool.run(1_000, 100)
  const stop = feed.watch((view) => views.push(view))
  answer()
  await vi.advanceTimersByTimeAsync(0)
  expect(views[0]?.pools[0]).toMatchObject({ queries: 0, query: null })
  stop()
})

test('pools beyond the limit of names are shown as one', async () => {
  const pools = [new MadeUpPool('one'), new MadeUpPool('two'), new MadeUpPool('three')]
  const { views, stop } = open(pools, 1)
  await vi.advanceTimersByTimeAsync(0)
  for (const pool of pools) pool.run(10, 1)
  await vi.advanceTimersByTimeAsync(1_000)
  expect(views[1]?.pools.map(({ database, queries }) => [database, queries])).toEqual([
    ['one', 10],
    ['other', 20],
  ])
  stop()
})

test('after an error the fleet is asked again', async () => {
  const fleet = madeUpFleet([new MadeUpPool('app')])
  const views: LiveView[] = []
  const problems: unknown[] = []
  let isBroken = true
  const feed = new LiveFeed({
    fleet: { ...fleet, pools: () => (isBroken ? Promise.reject(new Error('no')) : fleet.pools()) },
    names: new TallyNames(10),
    onTrouble: (problem) => problems.push(problem),
  })
  const stop = feed.watch((view) => views.push(view))
  await vi.advanceTimersByTimeAsync(0)
  expect(problems).toEqual([new Error('no')])
  isBroken = false
  await vi.advanceTimersByTimeAsync(1_000)
  expect(views).toHaveLength(1)
  stop()
})

test('the ten longest transactions of all pools are listed, with their client and state', async () => {
  const [one, other] = [new MadeUpPool('one'), new MadeUpPool('other')]
  one.running = [500, 90_000]
  other.running = Array.from({ length: 12 }, (_, index) => 1_000 + index)
  const { views, stop } = open([one, other])
  await vi.advanceTimersByTimeAsync(0)
  const told = views[0]?.transactions ?? []
  expect(told.map(({ database, ms }) => `${database} ${ms}`)).toEqual([
    'one 90000',
    ...[1_011, 1_010, 1_009, 1_008, 1_007, 1_006, 1_005, 1_004, 1_003].map((ms) => `other ${ms}`),
  ])
  expect(told[0]).toEqual({
    ...{ client: 8, database: 'one', user: 'ada', clientUser: 'ada', address: '127.0.0.1:6432' },
    ...{ applicationName: '<b>app</b>', ms: 90_000, state: 'idle in transaction' },
  })
  expect(told[1]).toMatchObject({ state: 'idle in transaction' })
  expect(told[2]).toMatchObject({ state: 'running a query' })
  stop()
})

test('a transaction is listed under the pool that it runs in, whatever user its client has logged in as', async () => {
  const [app, rest] = [new MadeUpPool('app', 'owner'), new MadeUpPool('late', 'owner')]
  app.clientUser = 'ada'
  app.running = [2_000]
  rest.running = [1_000]
  const { views, stop } = open([app, rest], 1)
  await vi.advanceTimersByTimeAsync(0)
  const pools = views[0]?.pools.map(({ database, user }) => ({ database, user }))
  expect(views[0]?.transactions.map(({ database, user }) => ({ database, user }))).toEqual(pools)
  expect(views[0]?.transactions).toMatchObject([
    { database: 'app', user: 'owner', clientUser: 'ada' },
    { database: 'other', user: 'other', clientUser: 'owner' },
  ])
  stop()
})
