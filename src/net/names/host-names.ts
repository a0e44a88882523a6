/** Which host an address belongs to, for rules that name hosts. What was found out is good for a while. */

import type { Clock } from '../../base/clock.ts'
import { FewAtOnce } from '../../base/few-at-once.ts'
import { parseIp } from '../../base/ip.ts'
import { Lru } from '../../base/lru.ts'
import type { NameService } from './look-up.ts'

export interface HostNamesOptions {
  readonly clock: Clock
  readonly service: Pick<NameService, 'lookUp' | 'namesOf'>
  /** `dns_max_ttl`: how long an answer is believed. */
  maxAgeMs(): number
  /** `dns_nxdomain_ttl`: the same for a name that there is not. */
  maxFailureAgeMs(): number
  /** A name could not be asked about. What does not exist is no failure. */
  onFailed(question: string, reason: string): void
}

/** Whoever has asked must be able to hear the answer. */
const LEAST_AGE_MS = 1_000

/** Whoever was not answered will ask again soon. */
const UNANSWERED_AGE_MS = 2_000

const MAX_NAMES = 1_000
const MAX_ADDRESSES = 10_000
/** Of one address: each of them is asked about, and strangers choose how many there are. */
const MAX_NAMES_OF_ADDRESS = 4

/** Each takes one of Node's few threads, which servers' names and keys need, too. */
const MAX_FORWARD = 2
const MAX_REVERSE = 50

interface Known {
  readonly found: ReadonlySet<string>
  readonly untilMs: number
  /** Nobody has ever answered: there may be more. */
  readonly isUnanswered: boolean
}

export class HostNames {
  readonly #options: HostNamesOptions
  readonly #addresses = new Lru<string, Known>(MAX_NAMES)
  readonly #names = new Lru<string, Known>(MAX_ADDRESSES)
  /** Nobody asks a second time meanwhile. */
  readonly #asked = new Map<string, Promise<void>>()
  readonly #forward = new FewAtOnce(MAX_FORWARD)
  readonly #reverse = new FewAtOnce(MAX_REVERSE)

  constructor(options: HostNamesOptions) {
    this.#options = options
  }

  /**
   * Whether the address is one of the host's, or of some host in a domain (`.example.com`); null if that has to be asked first, and `unanswered`
   * if nobody has an answer. The owner of a network can
   * give its addresses any names: only a name that has the address, too, counts.
   */
  isAt(name: string, address: string): boolean | null | 'unanswered' {
    const ip = canonical(address)
    if (ip === null) return false
    if (!name.startsWith('.')) return this.#hasAddress(name, ip)
    const names = this.#known(this.#names, ip)
    if (names === null) return null
    let verdict: false | 'unanswered' = names.isUnanswered && 'unanswered'
    for (const each of names.found) {
      const isThere = each.endsWith(name) && this.#hasAddress(each, ip)
      if (isThere === null || isThere === true) return isThere
      if (isThere === 'unanswered') verdict = isThere
    }
    return verdict
  }

  #hasAddress(name: string, ip: string): boolean | null | 'unanswered' {
    const addresses = this.#known(this.#addresses, name)
    if (addresses === null) return null
    return addresses.found.has(ip) || (addresses.isUnanswered && 'unanswered')
  }

  /** Resolves once `isAt` has an answer, which may be that nobody could tell. */
  async ask(name: string, address: string): Promise<void> {
    if (!name.startsWith('.')) return this.#askAddresses(name)
    const ip = canonical(address)
    if (ip === null) return
    await this.#askNames(ip, address)
    for (const each of this.#known(this.#names, ip)?.found ?? [])
      if (each.endsWith(name)) await this.#askAddresses(each)
  }

  #askAddresses(name: string): Promise<void> {
    return this.#askOnce(this.#addresses, this.#forward, name, async () => {
      const { addresses } = await this.#options.service.lookUp(name)
      return addresses.flatMap((address) => canonical(address) ?? [])
    })
  }

  #askNames(ip: string, address: string): Promise<void> {
    return this.#askOnce(this.#names, this.#reverse, ip, async () => {
      const names = await this.#options.service.namesOf(address)
      return names.slice(0, MAX_NAMES_OF_ADDRESS).map((name) => name.toLowerCase().replace(/\.$/, ''))
    })
  }

  #askOnce(cache: Lru<string, Known>, few: FewAtOnce, key: string, work: () => Promise<readonly string[]>) {
    if (this.#known(cache, key) !== null) return Promise.resolve()
    const asked = this.#asked.get(key)
    if (asked) return asked
    const { maxAgeMs, maxFailureAgeMs, onFailed } = this.#options
    const answered = few
      .do(work)
      .then(
        (found) => this.#learn(cache, key, { found: new Set(found), isUnanswered: false }, maxAgeMs()),
        (problem: NodeJS.ErrnoException) => {
          if (MISSING.includes(problem.code ?? '')) {
            this.#learn(cache, key, { found: new Set(), isUnanswered: false }, maxFailureAgeMs())
            return
          }
          onFailed(key, problem.code ?? problem.message)
          // As long as nobody answers, the last answer goes on.
          this.#learn(cache, key, cache.get(key) ?? { found: new Set(), isUnanswered: true }, UNANSWERED_AGE_MS)
        },
      )
      .finally(() => this.#asked.delete(key))
    this.#asked.set(key, answered)
    return answered
  }

  #learn(
    cache: Lru<string, Known>,
    key: string,
    { found, isUnanswered }: Pick<Known, 'found' | 'isUnanswered'>,
    lifetimeMs: number,
  ): void {
    const untilMs = this.#options.clock.nowMs + Math.max(lifetimeMs, LEAST_AGE_MS)
    cache.set(key, { found, isUnanswered, untilMs })
  }

  #known(cache: Lru<string, Known>, key: string): Known | null {
    const known = cache.get(key)
    return known && this.#options.clock.nowMs < known.untilMs ? known : null
  }
}

/** There is no such name, or it has no address. */
const MISSING = ['ENOTFOUND', 'ENODATA']

/** One spelling for each address. */
function canonical(address: string): string | null {
  return parseIp(address)?.join('.') ?? null
}
