/** A program: clients connect, ask once and leave, many times over. Its order is its argument, and it reports its progress to its parent. */

import type { Place } from './pgbench.ts'
import { inParallel, WireClient } from './wire-client.ts'

export interface ChurnOrder {
  readonly place: Place
  readonly total: number
  readonly atATime: number
}

export interface ChurnProgress {
  readonly done: number
}

/** How many times it reports its progress. */
const STEPS = 100

async function run({ place, total, atATime }: ChurnOrder): Promise<void> {
  let done = 0
  await inParallel(total, atATime, async (index) => {
    const client = await WireClient.login(place)
    await client.query('select 1')
    if (index % 10 === 9) client.hangUp()
    else await client.leave()
    done++
    if (done % Math.ceil(total / STEPS) === 0) process.send?.({ done } satisfies ChurnProgress)
  })
}

const [, , order] = process.argv
if (order === undefined) throw new Error('this program is started by the benchmark')
await run(JSON.parse(order) as ChurnOrder)
process.disconnect?.()
