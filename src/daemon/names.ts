/** Sets up how this process resolves host names: which name servers it asks, and how long it caches the answers. */

import { readFileSync } from 'node:fs'
import type { Clock } from '../base/clock.ts'
import type { Log } from '../base/log.ts'
import { HostNames } from '../net/names/host-names.ts'
import { type NameServers, type NameService, ownNameService, systemNameService } from '../net/names/look-up.ts'
import { Names } from '../net/names/names.ts'
import { parseHosts, parseResolvConf } from '../net/names/resolv-conf.ts'
import { Zones } from '../net/names/zones.ts'
import type { Settings } from '../settings/load.ts'
import { error, type Problem } from '../settings/problem.ts'

export interface OpenNamesOptions {
  readonly settings: () => Settings
  readonly clock: Clock
  readonly log: Log
  /** Replaces the name service that the settings choose. */
  readonly service: NameService | undefined
  /** See `Names`. */
  onMoved(host: string, addresses: ReadonlySet<string>): void
}

/** Throws if resolv_conf cannot be used. */
export function openNames({ settings, clock, log, service, onMoved }: OpenNamesOptions) {
  const asked = service ?? serviceOf(settings().general.resolv_conf)
  const { lookUp, serialOf } = asked
  const ages = {
    maxAgeMs: () => settings().general.dns_max_ttl,
    maxFailureAgeMs: () => settings().general.dns_nxdomain_ttl,
  }
  const names = new Names({
    ...{ clock, lookUp: told(lookUp, log), onMoved },
    ...ages,
  })
  const periodMs = () => settings().general.dns_zone_check_period
  const hostNames = new HostNames({
    ...{ clock, service: asked },
    ...ages,
    onFailed: (question, reason) => log.warning(`the host ${question} could not be looked up: ${reason}`),
  })
  const stop = () => asked.stop?.()
  return { names, hostNames, zones: new Zones({ clock, names, serialOf, periodMs }), stop }
}

/** Adds debug lines to `lookUp`. A failed lookup needs no warning here; the failure to reach a server because of it is logged elsewhere. */
function told(lookUp: NameService['lookUp'], log: Log): NameService['lookUp'] {
  return async (host) => {
    try {
      const answer = await lookUp(host)
      log.debug(`the host ${host} has the addresses ${answer.addresses.join(', ')}`)
      return answer
    } catch (problem) {
      log.debug(`the host ${host} could not be looked up: ${(problem as Error).message}`)
      throw problem
    }
  }
}

const HOSTS_FILE = '/etc/hosts'

function serviceOf(resolvConf: string): NameService {
  if (resolvConf === '') return systemNameService()
  return ownNameService(nameServersIn(resolvConf), () => parseHosts(readIfThere(HOSTS_FILE)))
}

function nameServersIn(resolvConf: string): NameServers {
  try {
    const found = parseResolvConf(readFileSync(resolvConf, 'utf8'))
    if (found.servers.length > 0) return found
  } catch (cause) {
    throw new Error(`resolv_conf cannot be used: ${(cause as Error).message}`, { cause })
  }
  throw new Error(`resolv_conf cannot be used: ${resolvConf} names no nameserver`)
}

/** For programs that only check the settings. */
export function resolvConfProblems({ general, origins }: Pick<Settings, 'general' | 'origins'>): Problem[] {
  try {
    if (general.resolv_conf !== '') nameServersIn(general.resolv_conf)
    return []
  } catch (cause) {
    return [error(origins.resolv_conf, (cause as Error).message)]
  }
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return ''
    throw cause
  }
}
