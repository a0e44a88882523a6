/**
 * Everything that was ever counted, by database and user and for the processes themselves. It is plain data that is added up, and no number ever
 * goes down.
 */

import { addLengths, Histogram, type Lengths, lengthsOf } from '../base/histogram.ts'
import { addErrors, type ErrorTotals } from '../pool/error-counts.ts'
import { Tallies, type Tally, type TallyNames } from '../pool/tallies.ts'
import { type Packed, packNow, unpackNow } from './packing.ts'

export const PROCESS_COUNTS = [
  'connections',
  'connectionsRefused',
  'cancelRequests',
  'cancelsSent',
  'clientHandshakes',
  'clientHandshakesFailed',
  'serverHandshakes',
  'serverHandshakesFailed',
  'workersLost',
] as const

export type ProcessCount = (typeof PROCESS_COUNTS)[number]

/** Counts that belong to no pool. */
export interface ProcessTally {
  readonly counts: Readonly<Record<ProcessCount, number>>
  /** How late the event loop was, sampled by each sweep of the janitor. */
  readonly loopDelay: Lengths
  /** Errors sent to clients that had not reached a pool. */
  readonly errors: ErrorTotals
}

export interface Accounts {
  /** Without the console. */
  readonly pools: readonly Tally[]
  readonly process: ProcessTally
}

/** Accounts on their way to another process. */
export interface PackedAccounts {
  readonly pools: Packed<Tally>
  readonly process: ProcessTally
}

export const NO_ACCOUNTS: Accounts = {
  pools: [],
  process: {
    counts: Object.fromEntries(PROCESS_COUNTS.map((name) => [name, 0])) as Record<ProcessCount, number>,
    loopDelay: lengthsOf(new Histogram()),
    errors: {},
  },
}

export function packAccounts({ pools, process }: Accounts): PackedAccounts {
  return { pools: packNow(pools), process }
}

export function unpackAccounts({ pools, process }: PackedAccounts): Accounts {
  return { pools: unpackNow(pools), process }
}

/** Sums up the accounts of several processes, including those that are gone. */
export class AllAccounts {
  readonly #tallies: Tallies
  #past: ProcessTally = NO_ACCOUNTS.process

  /** @param names decides which names are counted separately */
  constructor(names: TallyNames) {
    this.#tallies = new Tallies(names)
  }

  /** Keeps the accounts of a process that is gone. */
  add({ pools, process }: Accounts): void {
    this.#tallies.add(pools)
    this.#past = addProcess(this.#past, process)
  }

  /** Counts an event of the fleet, which no worker counts. */
  note(name: ProcessCount): void {
    const { counts } = this.#past
    this.#past = { ...this.#past, counts: { ...counts, [name]: counts[name] + 1 } }
  }

  /** Returns the kept accounts together with `now`. */
  with(now: readonly Accounts[]): Accounts {
    return {
      pools: this.#tallies.with(now.flatMap(({ pools }) => pools)),
      process: now.reduce((sum, { process }) => addProcess(sum, process), this.#past),
    }
  }
}

function addProcess(one: ProcessTally, other: ProcessTally): ProcessTally {
  const counts = { ...one.counts }
  for (const name of PROCESS_COUNTS) counts[name] += other.counts[name]
  return {
    counts,
    loopDelay: addLengths(one.loopDelay, other.loopDelay),
    errors: addErrors(one.errors, other.errors),
  }
}
