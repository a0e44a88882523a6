/**
 * Knows the addresses of hosts that are given by name: looks a name up once for all who ask, believes the answer for a while, and reports
 * where hosts are now.
 */

import type { Clock } from '../../base/clock.ts'
import { Sightings } from './sightings.ts'

/** The answer to a look-up. */
export interface Answer {
  /** At least one, in the order in which they should be tried. */
  readonly addresses: readonly string[]
  /** How long the answer holds. That may become known only later, or never (null). */
  readonly lifetimeMs: Promise<number | null> | null
}

/** Rejects if the name has no address, with a code as of `dns.lookup`, or if that cannot be found out. */
export type LookUp = (host: string) => Promise<Answer>

export interface NamesOptions {
  readonly clock: Clock
  readonly lookUp: LookUp
  /** `dns_max_ttl`: how long an answer is believed at most. */
  maxAgeMs(): number
  /** `dns_nxdomain_ttl`: the same for a failure. */
  maxFailureAgeMs(): number
  /** Called with each answer but the first: the host is at these addresses now. Servers at other addresses should be closed. */
  onMoved(host: string, addresses: ReadonlySet<string>): void
}

export interface NameSnapshot {
  readonly host: string
  /** How long the answer is still believed; 0 if the next call of `find` looks the name up again. */
  readonly ttlMs: number
  readonly addresses: readonly string[]
  /** Whether a look-up is under way. */
  readonly isAsked: boolean
}

export type Found = readonly string[] | Error

type Done = (found: Found) => void

/** `sweep` looks up a name no more often than this, however short its answers hold. */
const LEAST_REFRESH_MS = 1_000

class Name {
  readonly host: string
  readonly waiting = new Set<Done>()
  readonly sightings = new Sightings()
  addresses: readonly string[] = []
  /** Why there are no addresses, as far as that is known. */
  problem: Error | null = null
  isAsked = false
  /** The look-up under way may bring an answer from before the doubt. */
  isDoubted = false
  expiresAtMs = 0
  askedMs = 0
  /** Which address comes first in the next answer. */
  turn = 0

  constructor(host: string) {
    this.host = host
  }
}

export class Names {
  readonly #options: NamesOptions
  readonly #names = new Map<string, Name>()

  constructor(options: NamesOptions) {
    this.#options = options
  }

  /**
   * Calls `done` with the addresses of a host, another one first each time: at once if they are known, otherwise after a look-up. Returns a
   * function that takes the question back.
   */
  find(host: string, done: Done): () => void {
    const { clock } = this.#options
    const name = this.#names.get(host) ?? new Name(host)
    this.#names.set(host, name)
    if (clock.nowMs < name.expiresAtMs) {
      done(answerOf(name))
      return () => {}
    }
    name.waiting.add(done)
    this.#ask(name)
    return () => name.waiting.delete(done)
  }

  /** The known addresses may not hold any more: the next call of `find` looks them up again. */
  doubt(hosts: Iterable<string> = this.#names.keys()): void {
    for (const host of hosts) {
      const name = this.#names.get(host)
      if (!name) continue
      name.expiresAtMs = 0
      name.isDoubted = name.isAsked
    }
  }

  /**
   * Called by the janitor. Names of hosts that have servers are looked up again once their answers are not believed any more, even if
   * nobody dials: otherwise nobody would notice that a host has moved. Other names are forgotten.
   */
  sweep(inUse: () => ReadonlySet<string>): void {
    const { nowMs } = this.#options.clock
    let used: ReadonlySet<string> | null = null
    for (const name of this.#names.values()) {
      if (name.isAsked || nowMs < name.expiresAtMs || nowMs - name.askedMs < LEAST_REFRESH_MS) continue
      used ??= inUse()
      if (used.has(name.host)) this.#ask(name)
      else this.#names.delete(name.host)
    }
  }

  snapshot(): NameSnapshot[] {
    const { nowMs } = this.#options.clock
    return [...this.#names.values()].map(({ host, expiresAtMs, addresses, isAsked }) => ({
      ...{ host, addresses, isAsked },
      ttlMs: Math.max(expiresAtMs - nowMs, 0),
    }))
  }

  #ask(name: Name): void {
    if (name.isAsked) return
    name.isAsked = true
    name.askedMs = this.#options.clock.nowMs
    this.#options.lookUp(name.host).then(
      (answer) => this.#found(name, answer),
      (problem: Error) => this.#failed(name, problem),
    )
  }

  #found(name: Name, { addresses, lifetimeMs }: Answer): void {
    const { clock, maxAgeMs, onMoved } = this.#options
    name.addresses = addresses
    name.problem = null
    const moved = name.sightings.see(addresses, clock.nowMs)
    this.#answered(name, clock.nowMs + maxAgeMs())
    if (moved !== null) onMoved(name.host, moved)
    const { askedMs } = name
    lifetimeMs?.then((ms) => {
      if (ms !== null && name.askedMs === askedMs) name.expiresAtMs = Math.min(name.expiresAtMs, askedMs + ms)
    })
  }

  #failed(name: Name, problem: Error): void {
    const { clock, maxFailureAgeMs } = this.#options
    // A failure to answer does not mean that the host is gone: addresses that are known remain in use.
    if (saysThereIsNone(problem) || name.addresses.length === 0) {
      name.addresses = []
      name.problem = problem
    }
    this.#answered(name, clock.nowMs + maxFailureAgeMs())
  }

  #answered(name: Name, expiresAtMs: number): void {
    name.isAsked = false
    name.expiresAtMs = name.isDoubted ? 0 : expiresAtMs
    name.isDoubted = false
    const waiting = [...name.waiting]
    name.waiting.clear()
    for (const done of waiting) done(answerOf(name))
  }
}

function answerOf(name: Name): Found {
  const { addresses, problem } = name
  if (problem !== null) return problem
  const first = name.turn++ % addresses.length
  return [...addresses.slice(first), ...addresses.slice(0, first)]
}

/** Whether there is no such name or address. That is an answer, unlike SERVFAIL or silence. */
function saysThereIsNone(problem: NodeJS.ErrnoException): boolean {
  return problem.code === 'ENOTFOUND' || problem.code === 'ENODATA'
}
