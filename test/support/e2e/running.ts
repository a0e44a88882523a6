/** A pooler under test, whether it is this process or several of their own. */

import type { HttpAddress } from '../../../src/metrics/http-server.ts'
import type { Address } from '../../../src/net/channel.ts'
import type { Fleet } from '../../../src/workers/fleet.ts'

export interface Running {
  readonly addresses: readonly Address[]
  /** Where it answers HTTP. */
  readonly httpAddresses: readonly HttpAddress[]
  /** All that is known of it. */
  readonly fleet: Fleet
  /** What it has logged. */
  readonly log: readonly string[]
  stop(): Promise<void>
  readonly stopped: Promise<void>
  /** Looks at all deadlines, where the clock is moved by hand. */
  sweep(): void
  /** Fails if anything but idle servers is held when there are no clients. */
  expectIdle(): Promise<void>
  /** Fails if anything is held after the end. */
  expectGone(): void
}
