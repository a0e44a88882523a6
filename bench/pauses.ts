/** A scenario that measures how long clients have to wait while an operator lists thousands of clients. */

import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { connectMany, manyClients } from './memory.ts'
import type { Place } from './pgbench.ts'
import type { ProberAnswer, ProberOrder, ProberWord } from './prober.ts'
import type { Effort, Figures, Scenario } from './scenario.ts'
import { median } from './statistics.ts'
import { WireClient } from './wire-client.ts'

/** For how long after a command has begun the slowest answer is looked for; longer if the command takes longer. */
const WINDOW_MS = 50

const LANES_PER_WORKER = 4

export const CONSOLE: Scenario = {
  name: 'console',
  about:
    "how long another client's select 1 takes at most while an operator looks at 10,000 clients (2,000 with --quick)",
  needsPgbench: false,
  login: 'trust',
  encryption: 'none',
  targets: ['baseline', 'pgweir', 'pgbouncer'],
  settings: {},
  startsFresh: false,
  isExtra: false,
  isGuarded: false,
  columns: [
    { title: 'clients', figure: 'clients', digits: 0 },
    { title: 'ms, nobody looks', figure: 'restTypicalMs', digits: 2 },
    { title: 'at worst', figure: 'restMs', digits: 2 },
    { title: 'SHOW POOLS', figure: 'poolsTypicalMs', digits: 2 },
    { title: 'at worst', figure: 'poolsMs', digits: 2 },
    { title: 'SHOW CLIENTS', figure: 'clientsTypicalMs', digits: 2 },
    { title: 'at worst', figure: 'clientsMs', digits: 2 },
  ],
  goals: [
    {
      sentence: 'ms that a client waits at worst while SHOW POOLS runs',
      figure: 'poolsMs',
      bound: 'at most',
      limits: { epoll: 10, node: 10 },
    },
  ],
  notes: ({ effort }) => [
    `Each is the longest of ${looks(effort)} looks, and their median before it; both with the round trip itself.`,
  ],
  repeats: ({ repeats }) => repeats,
  warmUp: () => Promise.resolve(),

  async measure(target, { effort, workers }): Promise<Figures> {
    const clients = await connectMany(target, manyClients(effort))
    const operator = await WireClient.login({ ...target.place, database: 'pgbouncer' })
    const prober = await startProber(target.place, workers === 1 ? 1 : workers * LANES_PER_WORKER)
    try {
      const worst = async (sql: string | null) => {
        const longest: number[] = []
        for (let look = 0; look < looks(effort); look++)
          longest.push(await longestDuring(prober, async () => (sql === null ? undefined : operator.query(sql))))
        return { typical: median(longest), longest: Math.max(...longest) }
      }
      // A warm-up: the first commands run cold code.
      await worst('show pools')
      const [rest, pools, all] = [await worst(null), await worst('show pools'), await worst('show clients')]
      return {
        clients: clients.length,
        restTypicalMs: rest.typical,
        restMs: rest.longest,
        poolsTypicalMs: pools.typical,
        poolsMs: pools.longest,
        clientsTypicalMs: all.typical,
        clientsMs: all.longest,
      }
    } finally {
      prober.disconnect()
      await once(prober, 'exit')
      await Promise.all([...clients, operator].map((client) => client.leave()))
    }
  },
}

function looks({ isQuick }: Effort): number {
  return isQuick ? 5 : 20
}

const PROBER_PROGRAM = fileURLToPath(new URL('prober.js', import.meta.url))

async function startProber(place: Place, lanes: number): Promise<ChildProcess> {
  const prober = fork(PROBER_PROGRAM, [JSON.stringify({ place, lanes } satisfies ProberOrder)])
  await answerOf(prober)
  return prober
}

async function longestDuring(prober: ChildProcess, work: () => Promise<unknown>): Promise<number> {
  prober.send('begin' satisfies ProberWord)
  await Promise.all([work(), delay(WINDOW_MS)])
  prober.send('end' satisfies ProberWord)
  const answer = await answerOf(prober)
  return answer === 'ready' ? Number.NaN : answer.longestMs
}

async function answerOf(prober: ChildProcess): Promise<ProberAnswer> {
  const enough = new AbortController()
  const { signal } = enough
  const ended = once(prober, 'exit', { signal }).then(() => {
    throw new Error('the program that asks in the meantime has ended')
  })
  const answered = once(prober, 'message', { signal })
  try {
    const [answer] = (await Promise.race([answered, ended])) as [ProberAnswer]
    return answer
  } finally {
    // The promise that has lost the race now rejects, which is expected.
    for (const waited of [ended, answered]) waited.catch(() => {})
    enough.abort()
  }
}
