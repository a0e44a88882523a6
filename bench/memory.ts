/** Scenarios that measure a pooler's memory. */

import { fork } from 'node:child_process'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { ChurnOrder, ChurnProgress } from './churn.ts'
import { cpuTimeOf, fileLimitOf, residentKibOf } from './process-figures.ts'
import type { Effort, Figures, Scenario } from './scenario.ts'
import { type Point, slope } from './statistics.ts'
import type { Target } from './targets.ts'
import { inParallel, WireClient } from './wire-client.ts'

const AT_A_TIME = 32

const SHARED = {
  needsPgbench: false,
  login: 'trust',
  encryption: 'none',
  targets: ['baseline', 'pgweir', 'pgbouncer'],
  settings: {},
  startsFresh: true,
  isExtra: false,
  isGuarded: false,
  warmUp: () => Promise.resolve(),
} as const satisfies Partial<Scenario>

export function pidOf(target: Target): number {
  if (target.pid === null) throw new Error(`${target.name} is no process of ours`)
  return target.pid
}

/** Resident memory at the start: after the process has served a few clients and rested. */
async function residentAtStart(target: Target, effort: Effort): Promise<number> {
  await inParallel(100, AT_A_TIME, async () => {
    const client = await WireClient.login(target.place)
    await client.query('select 1')
    await client.leave()
  })
  return residentAtRest(target, effort)
}

/** Measured after a rest, because garbage is collected some time after work has ended. */
async function residentAtRest(target: Target, effort: Effort): Promise<number> {
  await delay(restMs(effort))
  return residentKibOf(pidOf(target))
}

function restMs({ isQuick }: Effort): number {
  return isQuick ? 1_000 : 10_000
}

/** Descriptors for everything else that a process has open. */
const OTHER_FILES = 100

/** Connects `count` clients, which ask for nothing yet. */
export async function connectMany(target: Target, count: number): Promise<WireClient[]> {
  for (const pid of [process.pid, pidOf(target)]) requireFiles(pid, count)
  const clients: WireClient[] = []
  await inParallel(count, AT_A_TIME, async () => {
    clients.push(await WireClient.login(target.place))
  })
  return clients
}

function requireFiles(pid: number, clients: number): void {
  const limit = fileLimitOf(pid)
  if (limit < clients + OTHER_FILES)
    throw new Error(`${limit} open files are too few for ${clients} clients: raise ulimit -n`)
}

export function manyClients({ isQuick }: Effort): number {
  return isQuick ? 2_000 : 10_000
}

/** Thousands of clients that do nothing. */
export const IDLE: Scenario = {
  ...SHARED,
  name: 'idle',
  about: '10,000 idle clients (2,000 with --quick)',
  columns: [
    { title: 'clients', figure: 'clients', digits: 0 },
    { title: 'RSS MiB before', figure: 'beforeMib', digits: 1 },
    { title: 'KiB each, logged in', figure: 'loggedInKib', digits: 2 },
    { title: 'KiB each, after a query', figure: 'queriedKib', digits: 2 },
    { title: 'KiB left each, when gone', figure: 'leftKib', digits: 2 },
    { title: 'CPU ms/s at rest', figure: 'cpuMsPerSecond', digits: 2 },
  ],
  goals: [
    {
      sentence: 'KiB resident for each idle client',
      figure: 'queriedKib',
      bound: 'at most',
      limits: { epoll: 4, node: 12 },
    },
  ],
  notes: () => [
    'Resident memory over that at the start, divided by the clients; the system keeps their sockets elsewhere. Taken after a rest of 10 s (1 s with --quick).',
  ],
  repeats: ({ isQuick }) => (isQuick ? 1 : 3),

  async measure(target, { effort }): Promise<Figures> {
    const before = await residentAtStart(target, effort)
    const count = manyClients(effort)
    const clients = await connectMany(target, count)
    const loggedIn = await residentAtRest(target, effort)
    await inParallel(count, AT_A_TIME, async (index) => clients[index]?.query('select 1'))
    const queried = await residentAtRest(target, effort)
    const cpuBefore = cpuTimeOf(pidOf(target))
    await delay(restMs(effort))
    const cpuAfter = cpuTimeOf(pidOf(target))
    await Promise.all(clients.map((client) => client.leave()))
    const left = await residentAtRest(target, effort)
    const cpuMs = cpuAfter.userMs - cpuBefore.userMs + cpuAfter.systemMs - cpuBefore.systemMs
    return {
      clients: count,
      beforeMib: before / 1024,
      loggedInKib: (loggedIn - before) / count,
      queriedKib: (queried - before) / count,
      leftKib: (left - before) / count,
      cpuMsPerSecond: cpuMs / (restMs(effort) / 1000),
    }
  },
}

const SAMPLE_MS = 20

/** Returns the peak of a process's resident memory while `work` runs, in KiB. */
async function peakDuring(pid: number, work: Promise<unknown>): Promise<number> {
  let peak = residentKibOf(pid)
  const timer = setInterval(() => {
    peak = Math.max(peak, residentKibOf(pid))
  }, SAMPLE_MS)
  try {
    await work
  } finally {
    clearInterval(timer)
  }
  return peak
}

/** Returns by how many MiB a process grows at most while `work` runs. */
export async function growthDuring(pid: number, work: Promise<unknown>): Promise<number> {
  const before = residentKibOf(pid)
  return ((await peakDuring(pid, work)) - before) / 1024
}

const ROW_MIB = 1

/** The share of the result during which the slow client rests for a moment after each chunk. */
const SLOW_SHARE = 1 / 4

/** A client asks for a gigabyte, does not read it, then reads it slowly, and then at full speed. */
export const SLOW_READER: Scenario = {
  ...SHARED,
  name: 'slow-reader',
  about: 'a client stops reading a result of 1 GiB (256 MiB with --quick), reads a quarter slowly, and then the rest',
  columns: [
    { title: 'MiB', figure: 'mib', digits: 0 },
    { title: 'RSS MiB before', figure: 'beforeMib', digits: 1 },
    { title: 'growth MiB, stopped', figure: 'stoppedMib', digits: 1 },
    { title: 'slow', figure: 'slowMib', digits: 1 },
    { title: 'reading', figure: 'readingMib', digits: 1 },
    { title: 'MiB/s', figure: 'mibPerSecond', digits: 0 },
    { title: 'CPU ms/MiB', figure: 'cpuMsPerMib', digits: 2 },
  ],
  goals: [
    {
      sentence: 'MiB of growth while a client reads slowly or not at all',
      figure: 'growthMib',
      bound: 'at most',
      limits: { epoll: 8, node: 16 },
    },
  ],
  notes: () => [`Rows of ${ROW_MIB} MiB. The growth is the highest of samples every ${SAMPLE_MS} ms.`],
  repeats: ({ isQuick }) => (isQuick ? 1 : 3),

  async measure(target, { effort }): Promise<Figures> {
    const mib = effort.isQuick ? 256 : 1_024
    const bytes = mib * 1024 * 1024
    const pid = pidOf(target)
    const before = await residentAtStart(target, effort)
    const client = await WireClient.login(target.place)
    const cpuBefore = cpuTimeOf(pid)
    const answered = client.query(`select repeat('x', ${ROW_MIB * 1024 * 1024}) from generate_series(1, ${mib})`)
    // A failure is reported below, where `answered` is awaited.
    answered.catch(() => {})
    await client.nextChunk()
    client.pause()
    const stoppedPeak = await peakDuring(pid, delay(effort.isQuick ? 2_000 : 10_000))
    const slowPeak = await peakDuring(pid, readSlowly(client, bytes * SLOW_SHARE))
    const resumedMs = performance.now()
    const receivedSlowly = client.receivedBytes
    client.resume()
    const readingPeak = await peakDuring(pid, answered)
    const seconds = (performance.now() - resumedMs) / 1000
    const cpuAfter = cpuTimeOf(pid)
    if (client.receivedBytes < bytes) throw new Error(`only ${client.receivedBytes} bytes came`)
    await client.leave()
    const cpuMs = cpuAfter.userMs - cpuBefore.userMs + cpuAfter.systemMs - cpuBefore.systemMs
    return {
      mib,
      beforeMib: before / 1024,
      stoppedMib: (stoppedPeak - before) / 1024,
      slowMib: (slowPeak - before) / 1024,
      readingMib: (readingPeak - before) / 1024,
      growthMib: (Math.max(stoppedPeak, slowPeak) - before) / 1024,
      mibPerSecond: (client.receivedBytes - receivedSlowly) / (1024 * 1024) / seconds,
      cpuMsPerMib: cpuMs / mib,
    }
  },
}

/** The client is paused before and after. */
async function readSlowly(client: WireClient, untilBytes: number): Promise<void> {
  while (client.receivedBytes < untilBytes) {
    client.resume()
    await client.nextChunk()
    client.pause()
    await delay(1)
  }
}

/** Clients connect, ask once, and leave. They run in a process of their own, so that their memory does not add to ours. */
export const CHURN: Scenario = {
  ...SHARED,
  name: 'churn',
  isExtra: true,
  about: '200,000 clients come, ask once and go (5,000 with --quick), 32 at a time; every tenth goes without a word',
  columns: [
    { title: 'per second', figure: 'perSecond', digits: 0 },
    { title: 'CPU µs each', figure: 'cpuUs', digits: 0 },
    { title: 'RSS MiB before', figure: 'beforeMib', digits: 1 },
    { title: 'at 10 %', figure: 'at10Mib', digits: 1 },
    { title: 'at 25 %', figure: 'at25Mib', digits: 1 },
    { title: 'at 50 %', figure: 'at50Mib', digits: 1 },
    { title: 'at 75 %', figure: 'at75Mib', digits: 1 },
    { title: 'at 100 %', figure: 'at100Mib', digits: 1 },
    { title: 'at rest', figure: 'atRestMib', digits: 1 },
    { title: 'growth MiB, last half', figure: 'growthMib', digits: 2 },
  ],
  goals: [
    {
      sentence: 'MiB of growth over the last 100,000 of 200,000 clients',
      figure: 'growthMib',
      bound: 'at most',
      limits: { epoll: 1, node: 1 },
    },
  ],
  notes: () => ['The growth of the last half is that of a straight line through its 50 samples.'],
  repeats: () => 1,

  async measure(target, { effort }): Promise<Figures> {
    const total = effort.isQuick ? 5_000 : 200_000
    const pid = pidOf(target)
    const beforeKib = await residentAtStart(target, effort)
    const cpuBefore = cpuTimeOf(pid)
    const startedMs = performance.now()
    const samples: Point[] = []
    await churn({ place: target.place, total, atATime: AT_A_TIME }, (done) => {
      samples.push({ x: done, y: residentKibOf(pid) })
    })
    const seconds = (performance.now() - startedMs) / 1000
    const cpuAfter = cpuTimeOf(pid)
    const atRestKib = await residentAtRest(target, effort)
    const cpuMs = cpuAfter.userMs - cpuBefore.userMs + cpuAfter.systemMs - cpuBefore.systemMs
    const at = (share: number) => (samples.find(({ x }) => x >= share * total)?.y ?? Number.NaN) / 1024
    return {
      perSecond: total / seconds,
      cpuUs: (cpuMs * 1000) / total,
      beforeMib: beforeKib / 1024,
      at10Mib: at(0.1),
      at25Mib: at(0.25),
      at50Mib: at(0.5),
      at75Mib: at(0.75),
      at100Mib: at(1),
      atRestMib: atRestKib / 1024,
      growthMib: (slope(samples.filter(({ x }) => x > total / 2)) * (total / 2)) / 1024,
    }
  },
}

const CHURN_PROGRAM = fileURLToPath(new URL('churn.js', import.meta.url))

function churn(order: ChurnOrder, onProgress: (done: number) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = fork(CHURN_PROGRAM, [JSON.stringify(order)])
    child.on('message', (progress) => onProgress((progress as ChurnProgress).done))
    child.once('error', reject)
    child.once('exit', (code, signal) => {
      if (code === 0) resolve()
      else reject(new Error(`the clients that come and go ended with ${signal ?? code}`))
    })
  })
}
