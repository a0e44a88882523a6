/** A program: asks `select 1` over and over, and reports to its parent how long the slowest answer took. Its order is its argument. */

import { setTimeout as delay } from 'node:timers/promises'
import type { Place } from './pgbench.ts'
import { WireClient } from './wire-client.ts'

export interface ProberOrder {
  readonly place: Place
  /** The number of connections that ask. With several workers they are spread over all of them. */
  readonly lanes: number
}

/** Messages from the parent: the period to report about begins, or ends. */
export type ProberWord = 'begin' | 'end'

export type ProberAnswer = 'ready' | { readonly longestMs: number }

const REST_MS = 1

interface Lane {
  readonly client: WireClient
  /** Null while it rests. */
  askedMs: number | null
}

async function run({ place, lanes: count }: ProberOrder): Promise<void> {
  let beganMs = Infinity
  let longestMs = 0
  const note = ({ askedMs }: Lane) => {
    if (askedMs !== null) longestMs = Math.max(longestMs, performance.now() - Math.max(askedMs, beganMs))
  }
  const lanes: Lane[] = []
  for (let lane = 0; lane < count; lane++) lanes.push({ client: await WireClient.login(place), askedMs: null })
  process.on('message', (word: ProberWord) => {
    if (word === 'begin') {
      beganMs = performance.now()
      longestMs = 0
      return
    }
    // Requests that are still waiting count as well.
    lanes.forEach(note)
    process.send?.({ longestMs } satisfies ProberAnswer)
  })
  process.send?.('ready' satisfies ProberAnswer)
  await Promise.all(
    lanes.map(async (lane) => {
      while (process.connected) {
        lane.askedMs = performance.now()
        await lane.client.query('select 1')
        note(lane)
        lane.askedMs = null
        await delay(REST_MS)
      }
    }),
  )
}

const [, , order] = process.argv
if (order === undefined) throw new Error('this program is started by the benchmark')
await run(JSON.parse(order) as ProberOrder)
process.exit()
