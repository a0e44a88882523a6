/** What a scrape reads: all that the metrics are made of, taken at one moment, with no more names of databases and users than there may be. */

import { OTHER, type Tally, type TallyNames } from '../pool/tallies.ts'
import {
  CONSOLE_NAME,
  type DatabaseSnapshot,
  type Fleet,
  type PoolSnapshot,
  type WorkerSnapshot,
} from '../workers/fleet.ts'
import { mergePools } from '../workers/gather.ts'

export interface Snapshot {
  readonly tallies: readonly Tally[]
  readonly pools: readonly PoolSnapshot[]
  /** Only those that have a name of their own: settings of others cannot be added up. */
  readonly databases: readonly DatabaseSnapshot[]
  readonly workers: readonly WorkerSnapshot[]
}

export type MeasuredFleet = Pick<Fleet, 'tallies' | 'pools' | 'databases' | 'workers'>

/** @param names whose pools are told apart */
export async function takeSnapshot(fleet: MeasuredFleet, names: TallyNames): Promise<Snapshot> {
  const [tallies, pools, databases, workers] = await Promise.all([
    fleet.tallies(),
    fleet.pools(),
    fleet.databases(),
    fleet.workers(),
  ])
  // Whoever was counted first has a name; those of gauges follow.
  const named = tallies.map((tally) => names.of(tally))
  const ofClients = pools.filter(({ database }) => database !== CONSOLE_NAME).map((pool) => names.of(pool))
  const known = new Set([...named, ...ofClients].map(({ database }) => database))
  return {
    tallies: named,
    pools: mergePools([ofClients]),
    databases: databases.filter(({ name }) => known.has(name) && name !== OTHER),
    workers,
  }
}
