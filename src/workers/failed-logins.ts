/**
 * Decides how long the answers to failed logins are held back: the more logins from one place have failed, the longer. Clients that guess
 * passwords get few tries; clients with the right password never wait.
 */

import type { Clock } from '../base/clock.ts'
import { parseIp } from '../base/ip.ts'
import { Lru } from '../base/lru.ts'
import type { Address } from '../net/channel.ts'
import { isPath } from '../net/unix-sockets.ts'

export interface FailedLoginsOptions {
  readonly clock: Clock
  /** `auth_failure_delay`: the delay of the first answer that is held back; 0 holds back none. */
  delayMs(): number
  /** Answers to this place are held back from now on. */
  onSlowed(place: string): void
}

/** How many failures are not delayed: people mistype, and drivers try a second time without TLS. */
const FREE = 3

/** How many times the delay doubles, once with each further failure. */
const MAX_DOUBLINGS = 6

/** After this time, one failure is forgotten. */
const FORGET_MS = 10_000

/** How many places are remembered. Those whose last failure is oldest are forgotten first. */
const MAX_PLACES = 10_000

interface Mark {
  /** How many failures are not forgotten yet. */
  readonly level: number
  readonly atMs: number
}

export class FailedLogins {
  readonly #options: FailedLoginsOptions
  readonly #marks = new Lru<string, Mark>(MAX_PLACES)

  constructor(options: FailedLoginsOptions) {
    this.#options = options
  }

  /** Counts a failed login. Returns for how many milliseconds its answer is held back. */
  failed(place: string): number {
    const { clock, delayMs, onSlowed } = this.#options
    const first = delayMs()
    if (first === 0) return 0
    const before = this.#levelOf(place)
    const level = Math.min(before + 1, FREE + 1 + MAX_DOUBLINGS)
    this.#marks.set(place, { level, atMs: clock.nowMs })
    if (level <= FREE) return 0
    if (before <= FREE) onSlowed(place)
    return first * 2 ** (Math.ceil(level) - FREE - 1)
  }

  #levelOf(place: string): number {
    const mark = this.#marks.get(place)
    if (mark === undefined) return 0
    return Math.max(0, mark.level - (this.#options.clock.nowMs - mark.atMs) / FORGET_MS)
  }
}

/** Returns what failures are counted for: an IPv4 address, a /64 network of IPv6 (which is what a household has), or a user of this machine. */
export function placeOf({ host, process }: Address): string {
  if (isPath(host)) return process === undefined ? 'unix sockets' : `user ${process.uid} of this machine`
  const ip = parseIp(host)
  if (ip === null) return host
  if (ip.length === 4) return ip.join('.')
  const groups = Array.from({ length: 4 }, (_, at) => (ip[2 * at] as number) * 256 + (ip[2 * at + 1] as number))
  return `${groups.map((group) => group.toString(16)).join(':')}::/64`
}
