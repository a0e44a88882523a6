/** The primary with workers that the test plays: what it sends to them, and what it does with their messages. */

import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { ManualClock } from '../../../src/base/clock.ts'
import { createLog } from '../../../src/base/log.ts'
import { sumOf } from '../../../src/pool/averages.ts'
import { TallyNames } from '../../../src/pool/tallies.ts'
import { PoolerError } from '../../../src/problems.ts'
import { NO_ACCOUNTS, packAccounts } from '../../../src/workers/accounts.ts'
import type { ClientClaim } from '../../../src/workers/admissions.ts'
import type { Control, ControlCall } from '../../../src/workers/control.ts'
import type { ClientSnapshot } from '../../../src/workers/fleet.ts'
import type { Kept, Leftover, Leftovers } from '../../../src/workers/leftovers.ts'
import { type Answers, Line } from '../../../src/workers/line.ts'
import type { Beat, ToPrimary, ToWorker, Welcomed } from '../../../src/workers/messages.ts'
import { pack } from '../../../src/workers/packing.ts'
import { Primary } from '../../../src/workers/primary.ts'
import type { WorkerProcess, WorkerProcessListener } from '../../../src/workers/worker.ts'

const EVERYBODY: ClientClaim = { limit: 'max_client_conn', name: '' }
const ADDRESSES = [{ host: '127.0.0.1', port: 6432 }]

/** A worker that is played by the test. */
class Played implements WorkerProcess {
  readonly pid: number
  readonly line: Line<ToPrimary, ToWorker>
  readonly told: string[] = []
  readonly #listener: WorkerProcessListener
  #isAlive = true

  constructor(pid: number, listener: WorkerProcessListener, answers: Partial<Answers<ToWorker>>) {
    this.pid = pid
    this.#listener = listener
    const noted = (name: string) => (sent: unknown) => {
      this.told.push(sent === null ? name : `${name} ${JSON.stringify(sent)}`)
      return null
    }
    this.line = new Line<ToPrimary, ToWorker>(
      { send: (message) => this.#isAlive && this.#later(() => listener.onMessage(message)) },
      {
        start: () => ADDRESSES,
        gather: () => [],
        endPeriod: () => ({ ms: 0, totals: {} as never }),
        cancel: noted('cancel'),
        schema: noted('schema'),
        welcomed: noted('welcomed'),
        accept: noted('accept'),
        drain: noted('drain'),
        control: noted('control'),
        settings: noted('settings'),
        permitGranted: noted('permitGranted'),
        permitRecalled: noted('permitRecalled'),
        permitsKept: noted('permitsKept'),
        permitFloor: noted('permitFloor'),
        permitsPoll: noted('permitsPoll'),
        stop: () => {
          this.die('exit code 0')
          return null
        },
        ...answers,
      },
    )
  }

  #later(deliver: () => void): true {
    queueMicrotask(deliver)
    return true
  }

  send(message: unknown): boolean {
    return this.#isAlive && this.#later(() => this.line.receive(message))
  }

  /** The worker opens a server. */
  connects(id: number, pool: number, connection: Kept): void {
    this.#later(() => this.#listener.onConnected({ id, pool }, connection))
  }

  kill(signal: string): void {
    this.told.push(signal)
    this.die(signal)
  }

  die(how: string): void {
    if (!this.#isAlive) return
    this.#isAlive = false
    this.#later(() => this.#listener.onExit(how))
  }
}

const NO_LEFTOVERS: Pick<Leftovers, 'clear'> = { clear: (_leftover, over) => over() }

interface Options {
  readonly leftovers?: Pick<Leftovers, 'clear'>
  readonly workers?: number
  readonly maxClients?: number
  readonly answers?: Partial<Answers<ToWorker>>
  readonly standing?: readonly ControlCall[]
  readonly control?: Partial<Control>
  /** The numbers of permits under each limit. */
  readonly sizes?: { max: number }
  /** Called when a process is created; may throw. */
  readonly onSpawn?: () => void
}

function fleet({
  workers = 2,
  maxClients = 10,
  answers = {},
  leftovers = NO_LEFTOVERS,
  standing = [],
  control = {},
  sizes = { max: 1 },
  onSpawn,
}: Options = {}) {
  const clock = new ManualClock()
  const lines: string[] = []
  const log = createLog({
    format: 'text',
    level: 'info',
    wallMs: () => 0,
    write: (_line, _level, bare) => lines.push(bare),
  })
  const played: Played[] = []
  const told: string[] = []
  const primary = new Primary({
    failedLogins: { failed: () => 0 },
    clock,
    log,
    workers,
    tallyNames: new TallyNames(10),
    work: () => 'the settings',
    maxClients: () => maxClients,
    control: control as Control,
    standing,
    onServing: () => void told.push('one serves'),
    onWorkerGone: (number) => void told.push(`${number} is gone`),
    sizesOf: () => sizes,
    later: () => {},
    leftovers,
    silenceMs: () => 5_000,
    databaseIdleMs: (database) => (database === 'app' ? Infinity : 60_000),
    spawn(listener) {
      onSpawn?.()
      const worker = new Played(1_000 + played.length, listener, answers)
      played.push(worker)
      return worker
    },
  })
  return { primary, played, told, clock, lines, worker: (index: number) => played[index] as Played }
}

/** Waits until everything that was sent has been delivered and answered. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await Promise.resolve()
}

describe('starting', () => {
  test('ends when all workers serve, and returns their addresses', async () => {
    const { primary } = fleet()
    expect(await primary.start()).toEqual(ADDRESSES)
    expect(primary.addresses).toEqual(ADDRESSES)
    expect((await primary.workers()).map(({ number, state }) => [number, state])).toEqual([
      [1, 'serving'],
      [2, 'serving'],
    ])
  })

  test('reports each worker that begins to serve, replacements included, and each that is gone', async () => {
    const { primary, told, clock, worker } = fleet()
    await primary.start()
    expect(told).toEqual(['one serves', 'one serves'])
    worker(0).die('SIGKILL')
    await settled()
    clock.advance(100)
    primary.sweep()
    await settled()
    expect(told).toEqual(['one serves', 'one serves', '1 is gone', 'one serves'])
  })

  test('fails with the error of the first worker that cannot start', async () => {
    const { primary } = fleet({ answers: { start: () => Promise.reject(new Error('the port is taken')) } })
    await expect(primary.start()).rejects.toThrow('the port is taken')
    await primary.stop()
  })

  test('gives each worker the standing orders, and the commands and settings that come while it starts', async () => {
    const orders: unknown[] = []
    const pause: ControlCall = { name: 'pause', args: [null] }
    const { primary, played, clock, worker } = fleet({
      standing: [pause],
      answers: {
        start({ standing }) {
          orders.push(...standing)
          return ADDRESSES
        },
      },
    })
    await primary.start()
    worker(0).die('SIGKILL')
    await settled()
    clock.advance(100)
    primary.sweep()
    // The worker exists, but has not answered its start order yet.
    await Promise.all([primary.everywhere({ name: 'resume', args: [null] }), primary.apply('others')])
    expect(orders).toEqual([pause, pause, pause])
    for (const each of played.slice(1))
      expect(each.told.filter((said) => !said.startsWith('accept'))).toEqual([
        'control {"name":"resume","args":[null]}',
        'settings "others"',
      ])
  })

  test('fails if a worker ends before it serves', async () => {
    const { primary, worker } = fleet({ answers: { start: () => new Promise(() => {}) } })
    const started = expect(primary.start()).rejects.toThrow('ended before it was ready')
    worker(0).die('exit code 1')
    await started
    await primary.stop()
  })
})

describe('limits on clients', () => {
  test('apply to all workers together', async () => {
    const { primary, worker } = fleet({ maxClients: 2 })
    await primary.start()
    const claims = [worker(0), worker(1), worker(0)].map(({ line }) => line.ask('claim', [EVERYBODY]))
    expect(await Promise.all(claims)).toEqual([null, null, EVERYBODY])
    worker(1).line.tell('release', [EVERYBODY])
    expect(await worker(0).line.ask('claim', [EVERYBODY])).toBe(null)
  })

  test('no longer count the clients of a worker that has died', async () => {
    const { primary, worker } = fleet({ maxClients: 1 })
    await primary.start()
    expect(await worker(0).line.ask('claim', [EVERYBODY])).toBe(null)
    worker(0).die('SIGKILL')
    await settled()
    expect(await worker(1).line.ask('claim', [EVERYBODY])).toBe(null)
  })

  test('also count clients that no limit can refuse', async () => {
    const { primary, worker } = fleet({ maxClients: 1 })
    await primary.start()
    worker(0).line.tell('count', [EVERYBODY])
    expect(await worker(1).line.ask('claim', [EVERYBODY])).toEqual(EVERYBODY)
  })
})

describe('permits', () => {
  const FIGURES = { wanted: 1, waiting: 1, fillsMinimum: false, waitedMs: 0, idleMs: null }

  async function ask(worker: Played): Promise<void> {
    worker.line.tell('permitsOpen', { pool: 1, database: 'app', user: 'ada', keepsServers: false })
    worker.line.tell('permitsAsk', { pool: 1, figures: FIGURES })
    await settled()
  }

  test('go to one worker, and to the next when they come back', async () => {
    const { primary, worker } = fleet()
    await primary.start()
    await ask(worker(0))
    await ask(worker(1))
    expect(worker(0).told[0]).toBe('permitGranted {"pool":1,"usesReserve":false}')
    expect(worker(0).told[1]).toMatch(/^permitRecalled/)
    expect(worker(1).told).toEqual([])
    worker(0).line.tell('permitBack', { pool: 1, figures: { ...FIGURES, wanted: 0, waiting: 0, waitedMs: null } })
    await settled()
    expect(worker(1).told).toEqual(['permitGranted {"pool":1,"usesReserve":false}'])
  })

  test('are granted when a limit has been raised', async () => {
    const sizes = { max: 1 }
    const { primary, worker } = fleet({ sizes })
    await primary.start()
    await ask(worker(0))
    await ask(worker(1))
    sizes.max = 2
    primary.resize()
    await settled()
    expect(worker(1).told).toEqual(['permitGranted {"pool":1,"usesReserve":false}'])
  })

  test('of a dead worker are granted to others only once its backends have ended', async () => {
    const cleared: { readonly leftover: Leftover; over(): void }[] = []
    const { primary, worker } = fleet({
      leftovers: { clear: (leftover, over) => void cleared.push({ leftover, over }) },
    })
    await primary.start()
    await ask(worker(0))
    const connection = { letGo: () => {}, finish: () => {} }
    const backend = { id: 257, address: { host: 'db', port: 5432 }, pid: 99, secret: 'abcdef01', tls: null }
    worker(0).connects(257, 1, connection)
    worker(0).line.tell('serverOpened', backend)
    await ask(worker(1))
    worker(0).die('SIGKILL')
    await settled()
    expect(cleared.map(({ leftover }) => leftover)).toEqual([{ pool: 1, connection, key: backend }])
    expect(worker(1).told).toEqual([])
    cleared[0]?.over()
    await settled()
    expect(worker(1).told).toEqual(['permitGranted {"pool":1,"usesReserve":false}'])
  })
})

describe('a worker that', () => {
  test('crashes is replaced, after a delay that doubles with each crash', async () => {
    const { primary, played, clock, worker } = fleet({ workers: 1 })
    await primary.start()
    for (const delayMs of [100, 200, 400]) {
      const before = played.length
      worker(before - 1).die('SIGSEGV')
      await settled()
      clock.advance(delayMs - 1)
      primary.sweep()
      expect(played).toHaveLength(before)
      clock.advance(1)
      primary.sweep()
      await settled()
      expect(played).toHaveLength(before + 1)
    }
    expect(await primary.workers()).toMatchObject([{ state: 'serving', restarts: 3 }])
  })

  test('is silent for too long is killed and replaced', async () => {
    const { primary, played, clock, worker, lines } = fleet()
    await primary.start()
    for (let second = 0; second < 7; second++) {
      clock.advance(1_000)
      worker(1).line.tell('beat', { clients: 0, servers: 0, cpuUs: 0, residentBytes: 0, delayUs: 0 })
      await settled()
      primary.sweep()
    }
    await settled()
    expect(worker(0).told).toContain('SIGKILL')
    expect(worker(1).told).not.toContain('SIGKILL')
    expect(lines.join()).toContain('worker 1 (pid 1000) has not responded for 6000 ms and is killed')
    clock.advance(1_000)
    primary.sweep()
    await settled()
    expect(played).toHaveLength(3)
  })

  test('ends by itself though nobody has told it to is replaced', async () => {
    const { primary, played, clock, worker, lines } = fleet()
    await primary.start()
    worker(0).die('exit code 0')
    await settled()
    expect(lines.at(-1)).toContain('(exit code 0); its clients lost their connections; a new worker starts in 100 ms')
    clock.advance(100)
    primary.sweep()
    await settled()
    expect(played).toHaveLength(3)
  })

  test('replaces a crashed one and cannot start counts as one more crash, and had no clients', async () => {
    let starts = 0
    const { primary, played, clock, worker, lines } = fleet({
      workers: 1,
      answers: { start: () => (++starts === 2 ? Promise.reject(new Error('no memory')) : ADDRESSES) },
    })
    await primary.start()
    worker(0).die('SIGSEGV')
    await settled()
    clock.advance(100)
    primary.sweep()
    await settled()
    expect(lines.join()).toContain('a worker could not be started: no memory')
    expect(lines.join()).toContain('ended before it was ready (SIGKILL); a new worker starts in 200 ms')
    clock.advance(199)
    primary.sweep()
    await settled()
    expect(played).toHaveLength(2)
    clock.advance(1)
    primary.sweep()
    await settled()
    expect(await primary.workers()).toMatchObject([{ state: 'serving', restarts: 2 }])
  })

  test('is slow to start is killed only after half a minute', async () => {
    const { primary, clock, worker } = fleet({ workers: 1, answers: { start: () => new Promise(() => {}) } })
    const started = expect(primary.start()).rejects.toThrow('ended before it was ready')
    for (let second = 0; second < 30; second++) {
      clock.advance(1_000)
      primary.sweep()
    }
    expect(worker(0).told).not.toContain('SIGKILL')
    clock.advance(1_000)
    primary.sweep()
    expect(worker(0).told).toContain('SIGKILL')
    await settled()
    await started
    await primary.stop()
  })

  test('was not heard only because the primary was stalled is not killed', async () => {
    const { primary, clock, worker } = fleet()
    await primary.start()
    clock.advance(60_000)
    primary.sweep()
    expect(worker(0).told).not.toContain('SIGKILL')
  })

  test('ends while all are asked does not keep the answers of the others from arriving', async () => {
    const client = { id: 7 } as ClientSnapshot
    let asked = 0
    const { primary, worker } = fleet({
      answers: { gather: () => (++asked === 1 ? new Promise(() => {}) : pack([client])) },
    })
    await primary.start()
    const clients = primary.clients()
    await settled()
    worker(0).die('SIGKILL')
    expect(await clients).toEqual([client])
  })
})

describe('new clients', () => {
  test('go to the worker with the fewest clients, and in turn if all have equally many', async () => {
    const { primary, worker } = fleet({ workers: 3 })
    await primary.start()
    const takers = Array.from({ length: 6 }, () => primary.nextInTurn()?.number)
    expect(takers).toEqual([1, 2, 3, 1, 2, 3])
    // Worker 2 is the first to report one of the connections handed to it.
    worker(1).line.tell('accepted', 1)
    await settled()
    expect(primary.nextInTurn()?.number).toBe(1)
    worker(1).line.tell('load', 0)
    await settled()
    expect(primary.nextInTurn()?.number).toBe(2)
  })

  test('on their way to a worker count until its second beat without them, which means they were lost', async () => {
    const { primary, worker } = fleet()
    await primary.start()
    const take = (count: number) => Array.from({ length: count }, () => primary.nextInTurn()?.number)
    const beat = async () => {
      worker(0).line.tell('beat', { clients: 0, servers: 0, cpuUs: 0, residentBytes: 0, delayUs: 0 })
      await settled()
    }
    expect(take(4)).toEqual([1, 2, 1, 2])
    await beat()
    expect(take(4)).toEqual([1, 2, 1, 2])
    // Worker 1 has not reported its first two connections, so they were lost on their way.
    await beat()
    expect(take(4)).toEqual([1, 1, 2, 1])
  })

  const YES = 'accept {"accepts":true,"heard":0}'
  const NO = 'accept {"accepts":false,"heard":0}'

  test('are refused by a worker with more than its share until the others have caught up', async () => {
    const { primary, worker } = fleet()
    await primary.start()
    for (const load of [1, 2]) worker(0).line.tell('load', load)
    await settled()
    expect(worker(0).told).toEqual([NO])
    worker(1).line.tell('load', 1)
    await settled()
    expect(worker(0).told).toEqual([NO, YES])
  })

  test('are reported by their worker, which learns whether it may accept more', async () => {
    const { primary, worker } = fleet()
    await primary.start()
    worker(0).line.tell('accepted', 1)
    await settled()
    expect(worker(0).told).toEqual(['accept {"accepts":true,"heard":1}'])
    worker(0).line.tell('accepted', 2)
    await settled()
    expect(worker(0).told.slice(1)).toEqual([NO, 'accept {"accepts":false,"heard":1}'])
  })

  test('do not go to a worker that seems to hang until it is heard from again', async () => {
    const { primary, worker, clock } = fleet()
    await primary.start()
    worker(0).line.tell('load', 5)
    await settled()
    expect(worker(0).told).toEqual([NO])
    for (let beats = 0; beats < 3; beats++) {
      clock.advance(900)
      worker(0).line.tell('beat', { clients: 0, servers: 0, cpuUs: 0, residentBytes: 0, delayUs: 0 })
      await settled()
      primary.sweep()
    }
    await settled()
    expect(worker(0).told).toEqual([NO, YES])
    expect([primary.nextInTurn()?.number, primary.nextInTurn()?.number]).toEqual([1, 1])
    worker(1).line.tell('load', 1)
    await settled()
    expect(worker(0).told).toEqual([NO, YES, NO])
  })
})

test('a cancel request goes to the worker that its key names', async () => {
  const { primary, worker } = fleet()
  await primary.start()
  expect(await worker(0).line.ask('cancel', { worker: 2, pid: 5, secret: 'abcd' })).toBe(null)
  expect(worker(1).told).toEqual(['cancel {"worker":2,"pid":5,"secret":"abcd"}'])
  expect(await worker(0).line.ask('cancel', { worker: 9, pid: 5, secret: 'abcd' })).toBe(null)
})

test('a change of tables is reported to all other workers', async () => {
  const { primary, worker } = fleet({ workers: 3 })
  await primary.start()
  worker(1).line.tell('schema', 'db:5432/app')
  await settled()
  expect([0, 1, 2].map((index) => worker(index).told)).toEqual([['schema "db:5432/app"'], [], ['schema "db:5432/app"']])
})

test('what servers report is sent to all other workers and to those that start later', async () => {
  const known: unknown[] = []
  const { primary, clock, worker } = fleet({
    answers: {
      start({ welcomed }) {
        known.push(...welcomed)
        return ADDRESSES
      },
    },
  })
  await primary.start()
  const welcomed: Welcomed = { how: 'so', values: new Map([['TimeZone', 'Asia/Tokyo']]) }
  worker(0).line.tell('welcomed', welcomed)
  await settled()
  expect(worker(0).told.filter((said) => said.startsWith('welcomed'))).toEqual([])
  expect(worker(1).told).toContainEqual(expect.stringContaining('welcomed {"how":"so"'))
  worker(1).die('SIGKILL')
  await settled()
  clock.advance(100)
  primary.sweep()
  await settled()
  expect(known).toEqual([welcomed])
})

test('counters continue where a worker that has ended left them', async () => {
  const totals = (queries: number) => ({ ...sumOf([]), queries })
  const { primary, worker } = fleet({
    answers: { gather: (topic) => (topic === 'stats' ? [stats(7)] : []) },
  })
  const stats = (queries: number) => ({
    database: 'app',
    totals: totals(queries),
    recent: { ms: 1_000, totals: totals(queries) },
  })
  await primary.start()
  const queries = async () => (await primary.stats()).map((each) => each.totals.queries)
  expect(await queries()).toEqual([14])
  worker(0).line.tell('totals', new Map([['app', totals(9)]]))
  await settled()
  worker(0).die('exit code 0')
  await settled()
  expect(await queries()).toEqual([16])
})

test('a worker’s counts count exactly once while it dies during a query of all workers and while it stops', async () => {
  const one = { ...sumOf([]), queries: 7 }
  const stats = [{ database: 'app', totals: one, recent: { ms: 1_000, totals: one } }]
  let answer = () => {}
  const isAnswered = new Promise<void>((resolve) => {
    answer = resolve
  })
  let asked = 0
  const { primary, worker } = fleet({
    answers: {
      gather: async (topic) => {
        if (topic !== 'stats') return []
        if (++asked === 2) await isAnswered
        return stats
      },
      // The worker does not end at once.
      stop: () => null,
    },
  })
  await primary.start()
  const queries = async () => (await primary.stats()).map((each) => each.totals.queries)
  const before = queries()
  await settled()
  worker(0).die('SIGKILL')
  await settled()
  answer()
  expect(await before).toEqual([14])
  expect(await queries()).toEqual([14])
  primary.stop()
  expect(await queries()).toEqual([14])
  worker(1).die('exit code 0')
  await settled()
  expect(await queries()).toEqual([14])
})

test('the fleet is not suspended while it has no worker', async () => {
  const { primary, worker } = fleet({ workers: 1, answers: { gather: () => 'suspended' } })
  await primary.start()
  expect(await primary.state()).toBe('suspended')
  worker(0).die('SIGKILL')
  await settled()
  expect(await primary.state()).toBe('active')
})

test('the counts of ended workers for a database are forgotten when the database is removed', async () => {
  const { primary, worker } = fleet()
  await primary.start()
  const totals = { ...sumOf([]), queries: 7 }
  worker(0).line.tell('totals', new Map(['app', 'shop', 'pgbouncer'].map((name) => [name, totals])))
  await settled()
  worker(0).die('exit code 0')
  await settled()
  primary.keepStats((database) => database === 'shop', new Set())
  expect((await primary.stats()).map(({ database }) => database)).toEqual(['shop', 'pgbouncer'])
})

test('the counts of ended workers are forgotten with the line of a database, even if * serves the name from then on', async () => {
  const { primary, worker } = fleet()
  await primary.start()
  const totals = { ...sumOf([]), queries: 7 }
  worker(0).line.tell('totals', new Map(['app', 'shop'].map((name) => [name, totals])))
  await settled()
  worker(0).die('exit code 0')
  await settled()
  primary.keepStats(() => true, new Set(['app']))
  expect((await primary.stats()).map(({ database }) => database)).toEqual(['shop'])
})

test('the counts of ended workers for a database of the entry * are forgotten once no worker has known it for long', async () => {
  const { primary, clock, worker } = fleet()
  await primary.start()
  const totals = { ...sumOf([]), queries: 7 }
  const names = ['app', 'strange', 'used', 'pgbouncer']
  worker(0).line.tell('totals', new Map(names.map((name) => [name, totals])))
  worker(1).line.tell('totals', new Map([['used', totals]]))
  await settled()
  worker(0).die('SIGKILL')
  await settled()
  const shown = async () => new Set((await primary.stats()).map(({ database }) => database))
  clock.advance(59_000)
  primary.sweep()
  expect(await shown()).toEqual(new Set(names))
  clock.advance(10_000)
  primary.sweep()
  // A database that another worker knows is kept until that worker forgets it.
  worker(1).line.tell('totals', new Map())
  await settled()
  expect(await shown()).toEqual(new Set(['app', 'used', 'pgbouncer']))
  clock.advance(60_000)
  primary.sweep()
  expect(await shown()).toEqual(new Set(['app', 'pgbouncer']))
})

test('a worker that ends after a database was removed does not bring back its counts', async () => {
  const { primary, worker } = fleet()
  await primary.start()
  const totals = { ...sumOf([]), queries: 7 }
  worker(0).line.tell('totals', new Map(['app', 'shop', 'pgbouncer'].map((name) => [name, totals])))
  await settled()
  primary.keepStats((database) => database === 'shop', new Set())
  worker(0).die('SIGKILL')
  await settled()
  expect((await primary.stats()).map(({ database }) => database)).toEqual(['shop', 'pgbouncer'])
})

test('a period of averages also ends in draining workers, and their counts are included', async () => {
  const span = { ms: 60_000, totals: { ...sumOf([]), queries: 5 } }
  const { primary } = fleet({ answers: { endPeriod: () => span } })
  await primary.start()
  primary.restart(3_600_000)
  await settled()
  expect((await primary.workers()).map(({ state }) => state)).toContain('draining')
  expect(await primary.endPeriod()).toEqual({ ms: 60_000, totals: { ...sumOf([]), queries: 15 } })
})

test('a hanging worker does not keep the fleet from reporting that it is ready', async () => {
  vi.useFakeTimers()
  onTestFinished(() => {
    vi.useRealTimers()
  })
  const serves = { isStarting: false, isEnding: false, isPaused: false, supplied: 1, cutOff: 0 }
  const hangs = new Promise<never>(() => {})
  let asked = 0
  const { primary } = fleet({ answers: { gather: () => (++asked === 1 ? hangs : serves) } })
  await primary.start()
  const circumstances = primary.circumstances()
  await vi.advanceTimersByTimeAsync(1_000)
  expect(await circumstances).toEqual(serves)
  expect(vi.getTimerCount()).toBe(0)
  expect(await primary.circumstances()).toEqual({ ...serves, supplied: 2 })
  expect(vi.getTimerCount()).toBe(0)
})

test('a hanging worker does not keep the fleet from reporting that it is not ready', async () => {
  vi.useFakeTimers()
  onTestFinished(() => {
    vi.useRealTimers()
  })
  const isPaused = { isStarting: false, isEnding: false, isPaused: true, supplied: 1, cutOff: 0 }
  let asked = 0
  const { primary } = fleet({ answers: { gather: () => (++asked === 1 ? new Promise<never>(() => {}) : isPaused) } })
  await primary.start()
  const circumstances = primary.circumstances()
  await vi.advanceTimersByTimeAsync(999)
  expect(await circumstances).toEqual(isPaused)
})

test('a worker that answers late is waited for, because it may be the only one with servers', async () => {
  vi.useFakeTimers()
  onTestFinished(() => {
    vi.useRealTimers()
  })
  const serves = { isStarting: false, isEnding: false, isPaused: false, supplied: 1, cutOff: 0 }
  const isCutOff = { ...serves, supplied: 0, cutOff: 1 }
  let asked = 0
  const { primary } = fleet({
    answers: {
      gather: () =>
        ++asked === 1 ? new Promise((resolve) => setTimeout(() => resolve(serves), 500)) : Promise.resolve(isCutOff),
    },
  })
  await primary.start()
  const circumstances = primary.circumstances()
  await vi.advanceTimersByTimeAsync(1_000)
  expect(await circumstances).toEqual({ ...serves, cutOff: 1 })
  expect(vi.getTimerCount()).toBe(0)
})

describe('a hanging worker', () => {
  const client = { id: 7 } as ClientSnapshot
  const BEAT: Beat = { clients: 1, servers: 0, cpuUs: 0, residentBytes: 0, delayUs: 0 }

  /** The first of two workers does not answer, and has been silent for `seconds`. */
  async function hanging() {
    const asked: number[] = []
    const made = fleet({
      answers: {
        gather() {
          asked.push(asked.length)
          return asked.length % 2 === 1 ? new Promise(() => {}) : pack([client])
        },
      },
    })
    await made.primary.start()
    const pass = async (seconds: number) => {
      for (let second = 0; second < seconds; second++) {
        made.clock.advance(1_000)
        made.worker(1).line.tell('beat', BEAT)
        await settled()
        made.primary.sweep()
      }
    }
    return { ...made, asked, pass }
  }

  test('is waited for by a query of all workers until it is known to hang', async () => {
    const { primary, pass } = await hanging()
    let clients: readonly ClientSnapshot[] | null = null
    primary.clients().then((answer) => {
      clients = answer
    })
    await pass(3)
    expect(clients).toBe(null)
    await pass(1)
    await settled()
    expect(clients).toEqual([client])
  })

  test('gets no further queries, so that they do not pile up, and is shown as silent', async () => {
    const { primary, asked, pass, worker } = await hanging()
    await pass(4)
    primary.clients()
    await settled()
    expect(asked).toHaveLength(1)
    expect((await primary.workers()).map(({ state }) => state)).toEqual(['silent', 'serving'])
    worker(0).line.tell('beat', BEAT)
    await settled()
    expect((await primary.workers()).map(({ state }) => state)).toEqual(['serving', 'serving'])
  })

  test('does not keep a period of averages from ending elsewhere, and ends its own period once it goes on', async () => {
    const span = { ms: 60_000, totals: { ...sumOf([]), queries: 5 } }
    let ended = 0
    const { primary, clock, worker } = fleet({
      answers: { endPeriod: () => (++ended === 1 ? new Promise(() => {}) : span) },
    })
    await primary.start()
    const period = primary.endPeriod()
    for (let second = 0; second < 4; second++) {
      clock.advance(1_000)
      worker(1).line.tell('beat', BEAT)
      await settled()
      primary.sweep()
    }
    expect(await period).toEqual(span)
    primary.endPeriod()
    await settled()
    expect(ended).toBe(4)
  })
})

test('an error of a worker keeps its SQLSTATE', async () => {
  const { primary } = fleet({
    answers: {
      gather: async () => {
        throw new PoolerError('console-access')
      },
    },
  })
  await primary.start()
  await expect(primary.pools()).rejects.toMatchObject({ sqlstate: '42501' })
})

test('workers are replaced one by one, each once its successor serves', async () => {
  const { primary, played, worker, lines } = fleet()
  await primary.start()
  primary.restart(2_000)
  await settled()
  expect(played).toHaveLength(3)
  expect((await primary.workers()).map(({ number, state }) => [number, state])).toEqual(
    expect.arrayContaining([
      [1, 'draining'],
      [2, 'serving'],
      [3, 'serving'],
    ]),
  )
  expect(worker(0).told).toContain('drain {"graceMs":2000}')
  worker(0).die('exit code 0')
  await settled()
  expect(played).toHaveLength(4)
  worker(1).die('exit code 0')
  await primary.restarting
  expect((await primary.workers()).map(({ state }) => state)).toEqual(['serving', 'serving'])
  expect(lines.at(-1)).toBe('all workers have been replaced')
})

test('workers that have been replaced are not kept', async () => {
  const { primary, played } = fleet({ workers: 1 })
  await primary.start()
  const gone: WeakRef<Played>[] = []
  for (let turn = 0; turn < 3; turn++) {
    primary.restart(2_000)
    await settled()
    const [former] = played.splice(0, 1) as [Played]
    former.die('exit code 0')
    gone.push(new WeakRef(former))
    await primary.restarting
  }
  // A WeakRef keeps its object until the present task is over.
  await new Promise((resolve) => setImmediate(resolve))
  setFlagsFromString('--expose-gc')
  runInNewContext('gc')()
  // The stack may still refer to the last one.
  expect(gone.slice(0, 2).map((each) => each.deref()?.pid)).toEqual([undefined, undefined])
  expect((await primary.workers()).map(({ state }) => state)).toEqual(['serving'])
})

test('a worker that cannot be started for lack of memory is started again later', async () => {
  let spawns = 0
  const { primary, played, clock, worker, lines } = fleet({
    workers: 1,
    onSpawn() {
      if (++spawns === 2) throw new Error('spawn ENOMEM')
    },
  })
  await primary.start()
  worker(0).die('SIGSEGV')
  await settled()
  clock.advance(100)
  primary.sweep()
  await settled()
  expect(lines.at(-1)).toContain('a worker could not be started: spawn ENOMEM')
  clock.advance(199)
  primary.sweep()
  await settled()
  expect([spawns, played.length]).toEqual([2, 1])
  clock.advance(1)
  primary.sweep()
  await settled()
  expect(played).toHaveLength(2)
  expect((await primary.workers()).map(({ state }) => state)).toEqual(['serving'])
})

/** The answer of a worker to `start`, which comes when `served` is called. */
function slowStart() {
  let served = () => {}
  const starting = new Promise<typeof ADDRESSES>((resolve) => {
    served = () => resolve(ADDRESSES)
  })
  return { starting, served }
}

test('a worker that is still starting is waited for during a replacement, and then replaced too', async () => {
  const { starting, served } = slowStart()
  let starts = 0
  const { primary, played, clock, worker } = fleet({
    workers: 1,
    answers: { start: () => (++starts === 2 ? starting : ADDRESSES) },
  })
  await primary.start()
  worker(0).die('SIGSEGV')
  await settled()
  clock.advance(100)
  primary.sweep()
  primary.restart(0)
  await settled()
  expect(played).toHaveLength(2)
  served()
  await settled()
  expect(played).toHaveLength(3)
  worker(1).die('exit code 0')
  await primary.restarting
  expect((await primary.workers()).map(({ state }) => state)).toEqual(['serving'])
})

test('once shutdown has begun no worker is replaced, not even one whose successor is starting', async () => {
  const { starting, served } = slowStart()
  let starts = 0
  const { primary, worker, lines } = fleet({
    workers: 1,
    answers: { start: () => (++starts === 2 ? starting : ADDRESSES) },
  })
  await primary.start()
  primary.restart(0)
  await settled()
  primary.beginEnd()
  await primary.everywhere({ name: 'shutdown', args: ['wait_for_clients'] })
  served()
  await settled()
  expect(worker(0).told.filter((each) => each.startsWith('drain'))).toEqual([])
  await primary.restarting
  expect(lines).not.toContain('all workers have been replaced')
})

test('once shutdown has begun no crashed worker is replaced, even if that was due, or if shutdown began during the start', async () => {
  const { starting, served } = slowStart()
  const { primary, played, clock } = fleet({ answers: { start: () => starting } })
  const started = primary.start()
  await settled()
  primary.beginEnd()
  served()
  await started
  for (const each of played) each.die('SIGSEGV')
  await primary.ended()
  clock.advance(60_000)
  primary.sweep()
  await settled()
  expect(played).toHaveLength(2)
  const later = fleet()
  await later.primary.start()
  later.worker(0).die('SIGSEGV')
  await settled()
  later.primary.beginEnd()
  later.clock.advance(60_000)
  later.primary.sweep()
  await settled()
  expect(later.played).toHaveLength(2)
})

test('the workers have ended when the last one has', async () => {
  const { primary, worker } = fleet()
  await primary.start()
  primary.beginEnd()
  let isOver = false
  const ended = primary.ended().then(() => {
    isOver = true
  })
  worker(0).die('exit code 0')
  await settled()
  expect(isOver).toBe(false)
  worker(1).die('exit code 0')
  await ended
})

test('a second replacement is refused while one runs, and possible afterwards', async () => {
  const { primary, played, worker } = fleet({ workers: 1 })
  await primary.restarting
  await primary.start()
  primary.restart(0)
  await settled()
  expect(() => primary.restart(0)).toThrow(PoolerError)
  worker(0).die('exit code 0')
  await primary.restarting
  primary.restart(0)
  await settled()
  expect(played).toHaveLength(3)
})

test('a command from the console of a worker is carried out by the primary', async () => {
  const killed: number[] = []
  const { primary, worker } = fleet({
    control: {
      async killClient(id) {
        killed.push(id)
        return true
      },
    },
  })
  await primary.start()
  expect(await worker(1).line.ask('control', { name: 'killClient', args: [17] })).toBe(true)
  expect(killed).toEqual([17])
})

test('once shutdown has begun a replacement is refused', async () => {
  const { primary } = fleet()
  await primary.start()
  primary.beginEnd()
  expect(() => primary.restart(0)).toThrow('pooler is shutting down')
})

test('a worker stays if its successor cannot start', async () => {
  let starts = 0
  const { primary, played, clock, worker } = fleet({
    workers: 1,
    answers: { start: () => (++starts === 1 ? ADDRESSES : Promise.reject(new Error('no memory'))) },
  })
  await primary.start()
  primary.restart(0)
  await primary.restarting
  await settled()
  clock.advance(60_000)
  primary.sweep()
  await settled()
  expect(played).toHaveLength(2)
  expect((await primary.workers()).map(({ number, state }) => [number, state])).toEqual([[1, 'serving']])
  worker(0).die('SIGSEGV')
  await settled()
  clock.advance(100)
  primary.sweep()
  await settled()
  expect(played, 'it still has its seat, and is replaced').toHaveLength(3)
})

test('a worker that crashes while its successor starts is not told to drain, and the others are replaced all the same', async () => {
  const { starting, served } = slowStart()
  let starts = 0
  const { primary, played, worker, lines } = fleet({
    answers: { start: () => (++starts === 3 ? starting : ADDRESSES) },
  })
  await primary.start()
  primary.restart(0)
  await settled()
  worker(0).die('SIGSEGV')
  await settled()
  served()
  await settled()
  expect(played).toHaveLength(4)
  worker(1).die('exit code 0')
  await primary.restarting
  expect(lines.at(-1)).toBe('all workers have been replaced')
})

test('no further worker is replaced once shutdown has begun', async () => {
  const { primary, played, worker } = fleet()
  await primary.start()
  primary.restart(0)
  await settled()
  primary.beginEnd()
  worker(0).die('exit code 0')
  await primary.restarting
  expect(played).toHaveLength(3)
})

test('a worker that crashes while others are still starting is replaced', async () => {
  const { starting, served } = slowStart()
  let starts = 0
  const { primary, played, clock, worker } = fleet({
    answers: { start: () => (++starts === 2 ? starting : ADDRESSES) },
  })
  const started = primary.start()
  await settled()
  worker(0).die('SIGSEGV')
  await settled()
  served()
  await started
  clock.advance(100)
  primary.sweep()
  await settled()
  expect(played).toHaveLength(3)
})

describe('the log says of a worker that ends', () => {
  const NEVER = () => new Promise<typeof ADDRESSES>(() => {})

  /** One worker whose successor never begins to serve. */
  async function replacing() {
    let starts = 0
    const made = fleet({
      workers: 1,
      answers: { start: () => (++starts === 1 ? ADDRESSES : NEVER()), gather: () => packAccounts(NO_ACCOUNTS) },
    })
    await made.primary.start()
    made.primary.restart(2_000)
    await settled()
    return made
  }

  test('that the old worker goes on, if it was a successor that had no clients yet', async () => {
    const { primary, worker, lines } = await replacing()
    worker(1).die('SIGKILL')
    await primary.restarting
    expect(lines.slice(1)).toEqual([
      'worker 2 (pid 1001) ended before it was ready (SIGKILL); worker 1 (pid 1000) stays in service',
      'workers could not be replaced: worker 2 (pid 1001) ended before it was ready',
    ])
    expect(await primary.workers()).toMatchObject([{ number: 1, state: 'serving', restarts: 0 }])
    expect((await primary.accounts()).process.counts.workersLost).toBe(0)
  })

  test('that its clients are lost, if it crashes while its successor starts', async () => {
    const { primary, played, clock, worker, lines } = await replacing()
    worker(0).die('SIGSEGV')
    await settled()
    expect(lines.slice(1)).toEqual(['worker 1 (pid 1000) ended (SIGSEGV); its clients lost their connections'])
    expect((await primary.accounts()).process.counts.workersLost).toBe(1)
    worker(1).die('exit code 1')
    await primary.restarting
    expect(lines[2]).toBe('worker 2 (pid 1001) ended before it was ready (exit code 1); a new worker starts in 100 ms')
    clock.advance(100)
    primary.sweep()
    await settled()
    expect(played).toHaveLength(3)
  })

  for (const [when, end] of [
    ['while it drains', (primary: Primary) => primary.restart(2_000)],
    ['while all of them end', (primary: Primary) => primary.beginEnd()],
  ] as const)
    test(`that its clients are lost if it crashes ${when}, and nothing if it exits normally`, async () => {
      const { primary, worker, lines } = fleet()
      await primary.start()
      end(primary)
      await settled()
      worker(0).die('SIGSEGV')
      await settled()
      worker(1).die('exit code 0')
      await settled()
      expect(lines.filter((line) => line.includes('ended'))).toEqual([
        'worker 1 (pid 1000) ended (SIGSEGV); its clients lost their connections',
      ])
    })

  test('nothing about a replacement, if the fleet fails to start because of it', async () => {
    const { primary, worker, lines } = fleet({ workers: 1, answers: { start: NEVER } })
    const started = expect(primary.start()).rejects.toThrow('ended before it was ready')
    worker(0).die('exit code 1')
    await started
    expect(lines).toEqual(['worker 1 (pid 1000) ended before it was ready (exit code 1)'])
  })
})

test('once shutdown has begun workers that served are draining', async () => {
  const { primary } = fleet()
  await primary.start()
  primary.beginEnd()
  expect((await primary.workers()).map(({ state }) => state)).toEqual(['draining', 'draining'])
})

test('stop() tells all workers to stop and waits until they have ended', async () => {
  const { primary } = fleet()
  await primary.start()
  await primary.stop()
  expect(await primary.workers()).toEqual([])
})

test('after stop() no worker is started: none for one that has crashed before, and none by a replacement', async () => {
  const { primary, played, clock, worker } = fleet()
  await primary.start()
  worker(0).die('SIGSEGV')
  await settled()
  await primary.stop()
  clock.advance(60_000)
  primary.sweep()
  await settled()
  expect(() => primary.restart(0)).toThrow('pooler is shutting down')
  expect(played).toHaveLength(2)
})

test('workers that do not end when they are told to stop are killed after five seconds, which is nothing to report', async () => {
  vi.useFakeTimers()
  onTestFinished(() => {
    vi.useRealTimers()
  })
  const { starting, served } = slowStart()
  let starts = 0
  const { primary, worker, lines } = fleet({
    answers: { start: () => (++starts === 2 ? starting : ADDRESSES), stop: () => null },
  })
  const started = primary.start()
  await settled()
  const stopped = primary.stop()
  // Too late to count as serving.
  served()
  await started
  await vi.advanceTimersByTimeAsync(4_999)
  expect(worker(0).told).not.toContain('SIGKILL')
  await vi.advanceTimersByTimeAsync(1)
  await stopped
  expect([worker(0).told, worker(1).told].map((told) => told.includes('SIGKILL'))).toEqual([true, true])
  expect(lines.filter((line) => line.includes('ended'))).toEqual([])
})

test('stop() leaves no timer behind', async () => {
  vi.useFakeTimers()
  onTestFinished(() => {
    vi.useRealTimers()
  })
  const { primary, worker } = fleet()
  await primary.start()
  await primary.stop()
  expect(worker(0).told).not.toContain('SIGKILL')
  expect(vi.getTimerCount()).toBe(0)
})

test('once shutdown has begun, connections that still arrive go to the worker with most clients', async () => {
  const { primary, worker } = fleet()
  await primary.start()
  worker(0).line.tell('load', 5)
  await settled()
  expect(primary.nextInTurn()?.number).toBe(2)
  primary.beginEnd()
  expect(primary.nextInTurn()?.number).toBe(1)
})
