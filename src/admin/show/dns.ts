/** SHOW DNS_HOSTS and SHOW DNS_ZONES. */

import type { NameSnapshot } from '../../net/names/names.ts'
import type { ZoneSnapshot } from '../../net/names/zones.ts'
import { inOrder, topic } from './topic.ts'

export const dnsHosts = topic<NameSnapshot>({
  help: 'Hosts that are known by name, and where they are. One that has no server any more is forgotten when its time is over.',
  rows: async ({ fleet }) => inOrder(await fleet.names(), ({ host }) => host),
  columns: [
    ['hostname', 'text', 'name, as the settings have it', ({ host }) => host],
    [
      'ttl',
      'int8',
      'seconds for which its addresses are believed; 0 where they are to be asked for anew',
      ({ ttlMs }) => Math.ceil(ttlMs / 1000),
    ],
    ['addrs', 'text', 'its addresses, with commas between', ({ addresses }) => addresses.join(',')],
  ],
})

export const dnsZones = topic<ZoneSnapshot>({
  help: 'Zones of these hosts, if dns_zone_check_period is set.',
  rows: async ({ fleet }) => inOrder(await fleet.zones(), ({ zone }) => zone),
  columns: [
    ['zonename', 'text', 'what follows the first dot of a name', ({ zone }) => zone],
    ['serial', 'int8', 'serial number when it was looked at last; 0 where there is none', ({ serial }) => serial],
    ['count', 'int4', 'hosts of it that are known', ({ hosts }) => hosts],
  ],
})
