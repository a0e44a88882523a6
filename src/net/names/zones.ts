/**
 * Watches the serial numbers of DNS zones. A serial number changes with anything in its zone: the names in the zone are then looked up
 * again at once.
 */

import type { Clock } from '../../base/clock.ts'
import type { NameService } from './look-up.ts'
import type { Names } from './names.ts'

export interface ZonesOptions {
  readonly clock: Clock
  readonly names: Names
  serialOf: NameService['serialOf']
  /** `dns_zone_check_period`; 0 means never. */
  periodMs(): number
}

export interface ZoneSnapshot {
  readonly zone: string
  /** 0 if it is not known. */
  readonly serial: number
  /** How many known hosts are in the zone. */
  readonly hosts: number
}

export class Zones {
  readonly #options: ZonesOptions
  readonly #serials = new Map<string, number>()
  #checkedMs: number

  constructor(options: ZonesOptions) {
    this.#options = options
    this.#checkedMs = options.clock.nowMs
  }

  /** Called by the janitor. */
  sweep(): void {
    const { clock, periodMs } = this.#options
    const period = periodMs()
    if (period === 0 || clock.nowMs - this.#checkedMs < period) return
    this.#checkedMs = clock.nowMs
    const hosts = this.#hosts()
    for (const zone of this.#serials.keys()) if (!hosts.has(zone)) this.#serials.delete(zone)
    for (const zone of hosts.keys()) this.#check(zone)
  }

  /** Empty if zones are not watched. */
  snapshot(): ZoneSnapshot[] {
    if (this.#options.periodMs() === 0) return []
    return [...this.#hosts()].map(([zone, hosts]) => ({
      ...{ zone, serial: this.#serials.get(zone) ?? 0 },
      hosts: hosts.length,
    }))
  }

  #check(zone: string): void {
    const { names, serialOf } = this.#options
    serialOf(zone).then(
      (serial) => {
        const before = this.#serials.get(zone)
        this.#serials.set(zone, serial)
        if (before !== undefined && before !== serial) names.doubt(this.#hosts().get(zone))
      },
      // No zone begins at this name: its hosts are looked up again when their answers expire.
      () => {},
    )
  }

  /** Hosts by zone. The zone of a host is what follows the first dot of its name. */
  #hosts(): Map<string, string[]> {
    const hosts = new Map<string, string[]>()
    for (const { host } of this.#options.names.snapshot()) {
      const dot = host.indexOf('.')
      if (dot === -1 || dot === host.length - 1) continue
      const zone = host.slice(dot + 1)
      hosts.set(zone, [...(hosts.get(zone) ?? []), host])
    }
    return hosts
  }
}
