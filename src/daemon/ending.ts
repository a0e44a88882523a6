/** Builds the parts that end the pooler of one process: its lifecycle, and the farewell to its clients. */

import type { Clock } from '../base/clock.ts'
import { PoolerError } from '../problems.ts'
import { Farewell } from './farewell.ts'
import { Lifecycle, type LifecycleParts } from './lifecycle.ts'

export interface EndingParts extends LifecycleParts {
  readonly clock: Clock
}

export interface Ending {
  readonly lifecycle: Lifecycle
  readonly farewell: Farewell
  /** Another worker takes the place of this one: see `PoolerParts.drain`. */
  drain(graceMs: number): void
}

export function openEnding(parts: EndingParts): Ending {
  const { clock, sessions, pools, conditions } = parts
  let isReplaced = false
  const farewell = new Farewell(
    sessions,
    pools,
    () => conditions.check(),
    () => lifecycle.stop(),
  )
  const lifecycle: Lifecycle = new Lifecycle({
    ...parts,
    // A console session that asked for the replacement may watch its progress until clients begin to be disconnected.
    consoles: () => (isReplaced && farewell.isWaiting(clock.nowMs) ? 0 : parts.consoles()),
  })
  return {
    lifecycle,
    farewell,
    drain(graceMs) {
      isReplaced = true
      farewell.begin(clock.nowMs + graceMs, new PoolerError('worker-ends'))
      lifecycle.shutdown('wait_for_clients', true)
    },
  }
}
