/** Where hosts are that are known by name: asks once for all who want to know, believes the answer for a while, and tells what has moved. */

import type { Clock } from '../../base/clock.ts'
import { Sightings } from './sightings.ts'

/** What somebody who was asked for a name has found. */
export interface Answer {
  /** At least one; in the order in which they should be tried. */
  readonly addresses: readonly string[]
  /** How long it holds: it may be known only later, or not at all (null). */
  readonly lifetimeMs: Promise<number | null> | null
}

/** Rejects if the name has no address, with a code as of `dns.lookup`, or if it cannot be found out. */
export type LookUp = (host: string) => Promise<Answer>

export interface NamesOptions {
  readonly clock: Clock
  readonly lookUp: LookUp
  /** `dns_max_ttl`: how long an answer is believed at most. */
  maxAgeMs(): number
  /** `dns_nxdomain_ttl`: the same for a failure. */
  maxFailureAgeMs(): number
  /** A host is at these addresses, and not at all that it was at before. Servers elsewhere are to go. */
  onMoved(host: string, addresses: ReadonlySet<string>): void
}

export interface NameSnapshot {
  readonly host: string
  /** How long it is believed still; 0 where the next who asks has it asked anew. */
  readonly ttlMs: number
  readonly addresses: readonly string[]
  /** It is being asked for. */
  readonly isAsked: boolean
}

export type Found = readonly string[] | Error

type Done = (found: Found) => void

/** Answers of less than this are asked for no more often than this without anybody who dials. */
const LEAST_REFRESH_MS = 1_000

class Name {
  readonly host: string
  readonly waiting = new Set<Done>()
  readonly sightings = new Sightings()
  addresses: readonly string[] = []
  /** Why there are none, as far as is known. */
  problem: Error | null = null
  isAsked = false
  /** The answer that is under way may be one of before. */
  isDoubted = false
  expiresAtMs = 0
  askedMs = 0
  /** Which address is the first for the next who asks. */
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
   * The addresses of a host, another one first each time. Told at once where they are known. Returns what takes the question back.
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

  /** What is known may not hold any more: whoever asks next has it asked anew. */
  doubt(hosts: Iterable<string> = this.#names.keys()): void {
    for (const host of hosts) {
      const name = this.#names.get(host)
      if (!name) continue
      name.expiresAtMs = 0
      name.isDoubted = name.isAsked
    }
  }

  /**
   * Called by the janitor: names of hosts that have servers are asked for again once they are not believed any more, even if nobody dials,
   * since how else should it be noticed that one has moved? Others are forgotten.
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
    // Whoever cannot answer does not say that the host is gone: those who know better go on.
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

/** That is an answer, too, unlike SERVFAIL or silence. */
function saysThereIsNone(problem: NodeJS.ErrnoException): boolean {
  return problem.code === 'ENOTFOUND' || problem.code === 'ENODATA'
}
