/** The permits of one pool in a worker: requested from the primary, which grants and recalls them. */

import type { Clock } from '../base/clock.ts'
import type { Permits } from '../pool/permits/holder.ts'
import type { ShareHolder } from '../pool/share.ts'
import type { Line } from './line.ts'
import type { PoolFigures, ToPrimary, ToWorker } from './messages.ts'

export interface AskedPermitsOptions {
  /** Its number on the line to the primary. */
  readonly pool: number
  readonly line: Pick<Line<ToPrimary, ToWorker>, 'tell' | 'ask'>
  readonly clock: Clock
  readonly holder: ShareHolder
  /** `min_pool_size`, for all workers together. */
  minimum(): number
  onClosed(): void
}

/** How often a pool repeats its request for servers that no client waits for. */
const MINIMUM_RETRY_MS = 1_000

const TOO_MANY_CONNECTIONS = '53300'

export class AskedPermits implements Permits {
  floor = 0
  /** Its number on the line to the primary. */
  readonly pool: number
  readonly #options: AskedPermitsOptions
  readonly #holder: ShareHolder
  readonly #clock: Clock
  #held = 0
  /** How many more permits the primary knows to be wanted. */
  #asked = 0
  #askedForMinimumMs = -Infinity
  /** Turns that have to end: each takes the next server that comes free. */
  #recalls: { readonly because: string; readonly sparedSinceMs: number }[] = []
  /** Servers that are being closed because of a recall. */
  #yielding = 0

  constructor(options: AskedPermitsOptions) {
    this.#options = options
    this.pool = options.pool
    this.#holder = options.holder
    this.#clock = options.clock
  }

  ask(): void {
    const missing = this.#holder.wanted - this.#held
    if (missing > this.#asked || this.#asksForMinimum()) this.tellFigures()
  }

  #asksForMinimum(): boolean {
    if (this.#held >= this.#options.minimum() || !this.#holder.fillsMinimum) return false
    if (this.#clock.nowMs - this.#askedForMinimumMs < MINIMUM_RETRY_MS) return false
    this.#askedForMinimumMs = this.#clock.nowMs
    return true
  }

  mustYield(): string | null {
    const [recall] = this.#recalls
    if (recall === undefined || this.#holder.waitingSinceMs < recall.sparedSinceMs) return null
    this.#recalls.shift()
    this.#yielding++
    return recall.because
  }

  giveBack(): void {
    this.#held--
    // Any permit that goes back counts as one that was recalled, so it never has to give up more than it holds.
    if (this.#yielding > 0) this.#yielding--
    else this.#recalls.shift()
    const { line, pool } = this.#options
    line.tell('permitBack', { pool, figures: this.#figures() })
  }

  /** If Postgres has no room for another server, the servers of other workers are shared. Any other error concerns the other workers as well. */
  refused(sqlstate: string, decided: (isSharedOut: boolean) => void): void {
    if (sqlstate !== TOO_MANY_CONNECTIONS) {
      decided(false)
      return
    }
    const { line, pool } = this.#options
    line.ask('permitsRefused', pool).then(decided, () => decided(false))
  }

  /** The primary has the new settings too, and acts on them. */
  resized(): void {}

  close(): void {
    const { line, pool, onClosed } = this.#options
    line.tell('permitsClose', pool)
    onClosed()
  }

  // Messages from the primary

  onGranted(usesReserve: boolean): void {
    this.#held++
    this.#asked = Math.max(0, this.#asked - 1)
    this.#holder.onGranted(usesReserve)
  }

  onRecalled(because: string, sparedMs: number | null, isTurn: boolean): void {
    const hasIdle = this.#holder.idleSinceMs !== Infinity
    if (!isTurn && !hasIdle) {
      // The idle server has been leased meanwhile, for an unknown time. Another worker may have one.
      const { line, pool } = this.#options
      line.tell('permitMissed', pool)
      return
    }
    // Everything that it holds is on its way back already: the messages have crossed.
    if (this.#recalls.length + this.#yielding >= this.#held) return
    const sparedSinceMs = sparedMs === null ? -Infinity : this.#clock.nowMs - sparedMs
    if (!hasIdle) this.#recalls.push({ because, sparedSinceMs })
    else {
      this.#yielding++
      this.#holder.onRecalled(because, sparedSinceMs)
    }
  }

  /** Its turn goes on: no client waits elsewhere any more. */
  onKept(): void {
    this.#recalls = []
  }

  tellFigures(): void {
    const { line, pool } = this.#options
    line.tell('permitsAsk', { pool, figures: this.#figures() })
  }

  #figures(): PoolFigures {
    const { nowMs } = this.#clock
    const { wanted, waitingClients, fillsMinimum, waitingSinceMs, idleSinceMs } = this.#holder
    this.#asked = Math.max(0, wanted - this.#held)
    return {
      wanted,
      waiting: waitingClients,
      fillsMinimum,
      waitedMs: waitingSinceMs === Infinity ? null : nowMs - waitingSinceMs,
      idleMs: idleSinceMs === Infinity ? null : nowMs - idleSinceMs,
    }
  }
}
