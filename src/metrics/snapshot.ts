/** Collects the data for a scrape at one moment. Pools beyond `metrics_max_pools` are combined, to limit the number of series. */

import { OTHER, sumTallies, type TallyNames } from '../pool/tallies.ts'
import { VERSION } from '../version.ts'
import type { Accounts } from '../workers/accounts.ts'
import {
  CONSOLE_NAME,
  type DatabaseSnapshot,
  type Fleet,
  type PoolSnapshot,
  type WorkerSnapshot,
} from '../workers/fleet.ts'
import { mergePools } from '../workers/gather.ts'
import type { Circumstances } from '../workers/health.ts'
import type { Vitals } from '../workers/vitals.ts'

export interface Snapshot {
  readonly accounts: Accounts
  readonly pools: readonly PoolSnapshot[]
  /** Only databases with series of their own. Those counted as `other` are left out, because their settings cannot be added up. */
  readonly databases: readonly DatabaseSnapshot[]
  readonly workers: readonly WorkerSnapshot[]
  readonly vitals: Vitals
  readonly circumstances: Circumstances
  readonly limits: Limits
  readonly version: string
}

/** Limits from the settings. */
export interface Limits {
  readonly maxClients: number
  /** 0 means no limit. */
  readonly maxUserServers: number
  /** The limit on servers of one user in all databases together; 0 means no limit. */
  serversOf(user: string): number
  clientsOf(user: string): number
}

export type MeasuredFleet = Pick<Fleet, 'accounts' | 'pools' | 'databases' | 'workers' | 'vitals' | 'circumstances'>

/** @param names decides which pools have series of their own */
export async function takeSnapshot(fleet: MeasuredFleet, names: TallyNames, limits: Limits): Promise<Snapshot> {
  const [accounts, pools, databases, workers, vitals, circumstances] = await Promise.all([
    fleet.accounts(),
    fleet.pools(),
    fleet.databases(),
    fleet.workers(),
    fleet.vitals(),
    fleet.circumstances(),
  ])
  // Counters first: only what has a tally gets a name. See `Pools` for pools without one.
  const tallies = sumTallies(accounts.pools.map((tally) => names.of(tally)))
  const named = namedPools(pools, names)
  const known = new Set([...tallies, ...named].map(({ database }) => database))
  return {
    accounts: { ...accounts, pools: tallies },
    pools: named,
    databases: databases.filter(({ name }) => known.has(name) && name !== OTHER),
    ...{ workers, vitals, circumstances, limits, version: VERSION },
  }
}

/** The pools of clients, without the console. Pools without a name of their own are merged into one, which has no limit to show. */
export function namedPools(pools: readonly PoolSnapshot[], names: TallyNames): readonly PoolSnapshot[] {
  const ofClients = pools.filter(({ database }) => database !== CONSOLE_NAME).map((pool) => names.ifKnown(pool))
  return mergePools([ofClients]).map((pool) => (isOther(pool) ? { ...pool, maxServers: 0 } : pool))
}

function isOther({ database, user }: PoolSnapshot): boolean {
  return database === OTHER && user === OTHER
}
