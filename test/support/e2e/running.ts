/** A pooler under test, in this process or in several separate ones. */

import type { HttpAddress } from '../../../src/metrics/http-server.ts'
import type { Address } from '../../../src/net/channel.ts'
import type { Fleet } from '../../../src/workers/fleet.ts'

export interface Running {
  readonly addresses: readonly Address[]
  /** The addresses that it serves HTTP on. */
  readonly httpAddresses: readonly HttpAddress[]
  /** Reports everything that is known of it. */
  readonly fleet: Fleet
  /** The lines that it has logged. */
  readonly log: readonly string[]
  stop(): Promise<void>
  readonly stopped: Promise<void>
  /** Checks all deadlines, if the test moves the clock. */
  sweep(): void
  /** Fails if, without clients, anything but idle servers is held. */
  expectIdle(): Promise<void>
  /** Fails if anything is held after the end. */
  expectGone(): void
}
