/** Tells which host an address belongs to, for rules that name hosts. Answers are remembered for a while. */

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
  /** `dns_nxdomain_ttl`: the same for a name that does not exist. */
  maxFailureAgeMs(): number
  /** Called if a name could not be looked up. That a name does not exist is not a failure. */
  onFailed(question: string, reason: string): void
}

/** How long an answer is kept at least: the caller of `ask` must be able to read it by `isAt`. */
const LEAST_AGE_MS = 1_000

/** How long it is remembered that nobody answered. Then the question may be asked again. */
const UNANSWERED_AGE_MS = 2_000

const MAX_NAMES = 1_000
const MAX_ADDRESSES = 10_000
/** The most names of one address. Each of them is looked up, and strangers choose how many there are. */
const MAX_NAMES_OF_ADDRESS = 4

/** Each takes one of Node's few threads, which the look-up of servers' names and the derivation of keys need, too. */
const MAX_FORWARD = 2
const MAX_REVERSE = 50

interface Known {
  readonly found: ReadonlySet<string>
  readonly untilMs: number
  /** Nobody has ever answered, so that there may be more. */
  readonly isUnanswered: boolean
}

export class HostNames {
  readonly #options: HostNamesOptions
  readonly #addresses = new Lru<string, Known>(MAX_NAMES)
  readonly #names = new Lru<string, Known>(MAX_ADDRESSES)
  /** Questions under way, so that none is asked twice at the same time. */
  readonly #asked = new Map<string, Promise<void>>()
  readonly #forward = new FewAtOnce(MAX_FORWARD)
  readonly #reverse = new FewAtOnce(MAX_REVERSE)

  constructor(options: HostNamesOptions) {
    this.#options = options
  }

  /**
   * Whether the address belongs to the host, or to some host in a domain (`.example.com`). Returns null if that has to be asked first by
   * `ask`, and `unanswered` if nobody has an answer. The owner of a network can give its addresses any names: a name counts only if it has
   * the address, too.
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

  /** Resolves once `isAt` has an answer, which may be `unanswered`. */
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
          // As long as nobody answers, the last answer remains in use.
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

/** Error codes that mean that the name does not exist, or has no address. */
const MISSING = ['ENOTFOUND', 'ENODATA']

/** Returns the same spelling for all spellings of an address; null if the text is no address. */
function canonical(address: string): string | null {
  return parseIp(address)?.join('.') ?? null
}
