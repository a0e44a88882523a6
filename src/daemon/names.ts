/** How this process finds hosts that are known by name: whom it asks, and for how long it believes the answers. */

import { readFileSync } from 'node:fs'
import type { Clock } from '../base/clock.ts'
import type { Log } from '../base/log.ts'
import { HostNames } from '../net/names/host-names.ts'
import { type NameService, ownNameService, systemNameService } from '../net/names/look-up.ts'
import { Names } from '../net/names/names.ts'
import { parseHosts, parseResolvConf } from '../net/names/resolv-conf.ts'
import { Zones } from '../net/names/zones.ts'
import type { Settings } from '../settings/load.ts'

export interface OpenNamesOptions {
  readonly settings: () => Settings
  readonly clock: Clock
  readonly log: Log
  /** Instead of the one that the settings name. */
  readonly service: NameService | undefined
  /** See `Names`. */
  onMoved(host: string, addresses: ReadonlySet<string>): void
}

/** Throws where resolv_conf cannot be used. */
export function openNames({ settings, clock, log, service, onMoved }: OpenNamesOptions) {
  const asked = service ?? serviceOf(settings().general.resolv_conf)
  const { lookUp, serialOf } = asked
  const ages = {
    maxAgeMs: () => settings().general.dns_max_ttl,
    maxFailureAgeMs: () => settings().general.dns_nxdomain_ttl,
  }
  const names = new Names({
    ...{ clock, lookUp, onMoved },
    ...ages,
  })
  const periodMs = () => settings().general.dns_zone_check_period
  const hostNames = new HostNames({
    ...{ clock, service: asked },
    ...ages,
    onFailed: (question, reason) => log.warning(`the host ${question} could not be looked up: ${reason}`),
  })
  return { names, hostNames, zones: new Zones({ clock, names, serialOf, periodMs }) }
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
