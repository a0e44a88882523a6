/** How this process finds hosts that are known by name: whom it asks, and for how long it believes the answers. */

import { readFileSync } from 'node:fs'
import type { Clock } from '../base/clock.ts'
import { type NameService, ownNameService, systemNameService } from '../net/names/look-up.ts'
import { Names } from '../net/names/names.ts'
import { parseHosts, parseResolvConf } from '../net/names/resolv-conf.ts'
import { Zones } from '../net/names/zones.ts'
import type { Settings } from '../settings/load.ts'

export interface OpenNamesOptions {
  readonly settings: () => Settings
  readonly clock: Clock
  /** Instead of the one that the settings name. */
  readonly service: NameService | undefined
  /** See `Names`. */
  onMoved(host: string, addresses: ReadonlySet<string>): void
}

/** Throws where resolv_conf cannot be used. */
export function openNames({ settings, clock, service, onMoved }: OpenNamesOptions) {
  const { lookUp, serialOf } = service ?? serviceOf(settings().general.resolv_conf)
  const names = new Names({
    ...{ clock, lookUp, onMoved },
    maxAgeMs: () => settings().general.dns_max_ttl,
    maxFailureAgeMs: () => settings().general.dns_nxdomain_ttl,
  })
  const periodMs = () => settings().general.dns_zone_check_period
  return { names, zones: new Zones({ clock, names, serialOf, periodMs }) }
}

const HOSTS_FILE = '/etc/hosts'

function serviceOf(resolvConf: string): NameService {
  if (resolvConf === '') return systemNameService()
  const servers = parseResolvConf(readFileSync(resolvConf, 'utf8'))
  if (servers.servers.length === 0) throw new Error(`resolv_conf: ${resolvConf} names no nameserver`)
  return ownNameService(servers, () => parseHosts(readIfThere(HOSTS_FILE)))
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return ''
    throw cause
  }
}
