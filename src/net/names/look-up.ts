/**
 * Looks up the addresses of hosts: asks the system, which reads /etc/hosts and whatever else nsswitch.conf says, as for every other
 * program, or asks name servers directly.
 */

import dns from 'node:dns'
import { Resolver } from 'node:dns/promises'
import { statSync } from 'node:fs'
import type { Answer, LookUp } from './names.ts'

/** Answers questions about names. */
export interface NameService {
  readonly lookUp: LookUp
  /** Resolves to the serial number of the zone's SOA record, which changes with anything in the zone. Rejects if there is no such record. */
  serialOf(zone: string): Promise<number>
  /** Drops the questions under way, which must not hold up the end of the process. */
  stop?(): void
  /** Resolves to the names of the host that has an address. The owner of the address chooses them. */
  namesOf(address: string): Promise<readonly string[]>
}

/** How long a name server may take to say how long its answer holds. Nobody waits for that. */
const LIFETIME_TIMEOUT_MS = 2_000

/**
 * Asks the system, which does not say how long its answer holds. If a name server gives the same answer, the lifetime of that one counts; a
 * name in /etc/hosts has no lifetime.
 */
export function systemNameService(resolvConf = RESOLV_CONF): NameService {
  const create = () => new Resolver({ timeout: LIFETIME_TIMEOUT_MS, tries: 1 })
  let resolver = create()
  let changedMs = changeOf(resolvConf)
  /** A resolver reads the file only once, while the system reads it again when it has changed. */
  function current(): Resolver {
    const nowChangedMs = changeOf(resolvConf)
    if (nowChangedMs === changedMs) return resolver
    changedMs = nowChangedMs
    resolver = create()
    return resolver
  }
  return {
    serialOf: async (zone) => serialOf(current(), zone),
    stop: () => resolver.cancel(),
    namesOf: async (address) => namesOf(current(), address),
    async lookUp(host) {
      const addresses = await systemAddresses(host)
      // Public name servers must not be asked for names without a dot.
      const isPublic = host.includes('.')
      return { addresses, lifetimeMs: isPublic ? lifetimeOf(current(), host, addresses) : null }
    },
  }
}

const RESOLV_CONF = '/etc/resolv.conf'

/** Returns when the file has changed last; 0 if there is none, or it may not be looked at. */
function changeOf(file: string): number {
  try {
    return statSync(file).mtimeMs
  } catch {
    return 0
  }
}

async function serialOf(resolver: Resolver, zone: string): Promise<number> {
  const { serial } = await resolver.resolveSoa(zone)
  return serial
}

/** Takes no thread, and includes /etc/hosts. A zone (%eth0) is not part of an address there. */
function namesOf(resolver: Resolver, address: string): Promise<string[]> {
  return resolver.reverse(address.replace(/%.*$/, ''))
}

function systemAddresses(host: string): Promise<string[]> {
  return new Promise((resolve, reject) => {
    dns.lookup(host, { all: true }, (problem, found) => {
      if (problem) reject(problem)
      else if (found.length === 0) reject(new Error(`${host} has no address`))
      else resolve([...new Set(found.map(({ address }) => address))])
    })
  })
}

async function lifetimeOf(resolver: Resolver, host: string, addresses: readonly string[]): Promise<number | null> {
  const records = await recordsOf(resolver, host).catch(() => [])
  const known = new Set(records.map(({ address }) => address))
  if (!addresses.every((address) => known.has(address))) return null
  return leastMs(records)
}

interface Record {
  readonly address: string
  readonly ttl: number
}

/** Resolves to records of both kinds, A and AAAA. Rejects only if there are none of either kind. */
async function recordsOf(resolver: Resolver, host: string): Promise<Record[]> {
  const answers = await Promise.allSettled([
    resolver.resolve4(host, { ttl: true }),
    resolver.resolve6(host, { ttl: true }),
  ])
  const records = answers.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []))
  if (records.length > 0) return records
  const problems = answers.map((answer) => (answer as PromiseRejectedResult).reason as NodeJS.ErrnoException)
  throw problems.reduce<NodeJS.ErrnoException | null>(graver, null) as Error
}

/** Prefers a failure to answer over the answer that there is no such name. */
function graver(known: NodeJS.ErrnoException | null, next: NodeJS.ErrnoException): NodeJS.ErrnoException {
  return known === null || known.code === 'ENODATA' || known.code === 'ENOTFOUND' ? next : known
}

function leastMs(records: readonly Record[]): number {
  return Math.min(...records.map(({ ttl }) => ttl)) * 1_000
}

/** Name servers to ask instead of the system's. */
export interface NameServers {
  readonly servers: readonly string[]
  /** Domains that are appended to a name, in turn, until the name exists. */
  readonly search: readonly string[]
  /** A name with at least this many dots is first asked for as it is. */
  readonly ndots: number
  readonly timeoutMs: number
  readonly attempts: number
}

/** Asks name servers directly. Names in `hosts` are taken from there first, as the system does. */
export function ownNameService(
  { servers, search, ndots, timeoutMs, attempts }: NameServers,
  hosts: () => ReadonlyMap<string, readonly string[]>,
): NameService {
  const resolver = new Resolver({ timeout: timeoutMs, tries: attempts })
  resolver.setServers(servers)
  async function lookUp(host: string): Promise<Answer> {
    const known = hosts().get(host.toLowerCase())
    if (known !== undefined) return { addresses: known, lifetimeMs: null }
    let problem: NodeJS.ErrnoException | null = null
    for (const candidate of candidates(host, search, ndots)) {
      try {
        const records = await recordsOf(resolver, candidate)
        return {
          addresses: [...new Set(records.map(({ address }) => address))],
          lifetimeMs: Promise.resolve(leastMs(records)),
        }
      } catch (cause) {
        problem = graver(problem, cause as NodeJS.ErrnoException)
      }
    }
    throw problem ?? new Error(`${host} has no address`)
  }
  return {
    lookUp,
    serialOf: (zone) => serialOf(resolver, zone),
    stop: () => resolver.cancel(),
    namesOf: (address) => namesOf(resolver, address),
  }
}

/** Returns the names to ask for, in the order of resolv.conf(5). */
export function candidates(host: string, search: readonly string[], ndots: number): string[] {
  if (host.endsWith('.')) return [host]
  const longer = search.map((domain) => `${host}.${domain}`)
  const dots = host.split('.').length - 1
  return dots >= ndots ? [host, ...longer] : [...longer, host]
}
