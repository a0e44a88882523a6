/** What a scrape reads: all that the metrics are made of, taken at one moment, with no more names of databases and users than there may be. */

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
  /** Only those that have a name of their own: settings of others cannot be added up. */
  readonly databases: readonly DatabaseSnapshot[]
  readonly workers: readonly WorkerSnapshot[]
  readonly vitals: Vitals
  readonly circumstances: Circumstances
  readonly limits: Limits
  readonly version: string
}

/** From the settings. */
export interface Limits {
  readonly maxClients: number
  /** 0 is none. */
  readonly maxUserServers: number
  /** Of one user, all databases together; 0 is none. */
  serversOf(user: string): number
  clientsOf(user: string): number
}

export type MeasuredFleet = Pick<Fleet, 'accounts' | 'pools' | 'databases' | 'workers' | 'vitals' | 'circumstances'>

/** @param names whose pools are told apart */
export async function takeSnapshot(fleet: MeasuredFleet, names: TallyNames, limits: Limits): Promise<Snapshot> {
  const [accounts, pools, databases, workers, vitals, circumstances] = await Promise.all([
    fleet.accounts(),
    fleet.pools(),
    fleet.databases(),
    fleet.workers(),
    fleet.vitals(),
    fleet.circumstances(),
  ])
  // Whoever was counted first has a name; those of gauges follow.
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

/** Those of clients. Those without a name are one, which as such has no limit. */
export function namedPools(pools: readonly PoolSnapshot[], names: TallyNames): readonly PoolSnapshot[] {
  const ofClients = pools.filter(({ database }) => database !== CONSOLE_NAME).map((pool) => names.of(pool))
  return mergePools([ofClients]).map((pool) => (isOther(pool) ? { ...pool, maxServers: 0 } : pool))
}

function isOther({ database, user }: PoolSnapshot): boolean {
  return database === OTHER && user === OTHER
}
