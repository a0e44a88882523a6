/** SHOW DNS_HOSTS and SHOW DNS_ZONES. */

import type { NameSnapshot } from '../../net/names/names.ts'
import type { ZoneSnapshot } from '../../net/names/zones.ts'
import { inOrder, topic } from './topic.ts'

export const dnsHosts = topic<NameSnapshot>({
  help: 'Host names that have been looked up, with their addresses. A host without servers is removed once its addresses expire.',
  rows: async ({ fleet }) => inOrder(await fleet.names(), ({ host }) => host),
  columns: [
    ['hostname', 'text', 'name, as written in the settings', ({ host }) => host],
    [
      'ttl',
      'int8',
      'seconds for which the addresses remain valid; 0 if the next use looks them up again',
      ({ ttlMs }) => Math.ceil(ttlMs / 1000),
    ],
    ['addrs', 'text', 'addresses, separated by commas', ({ addresses }) => addresses.join(',')],
  ],
})

export const dnsZones = topic<ZoneSnapshot>({
  help: 'DNS zones of the hosts in SHOW DNS_HOSTS, if dns_zone_check_period is set.',
  rows: async ({ fleet }) => inOrder(await fleet.zones(), ({ zone }) => zone),
  columns: [
    ['zonename', 'text', 'part of the host name after the first dot', ({ zone }) => zone],
    ['serial', 'int8', 'serial number at the last check; 0 if it is not known', ({ serial }) => serial],
    ['count', 'int4', 'number of known hosts in the zone', ({ hosts }) => hosts],
  ],
})
