/** Where and how the settings say that clients are listened for. */

import type { KeepAlive } from '../net/channel.ts'
import { type ListenAllOptions, parseListenAddresses } from '../net/listen-addresses.ts'
import type { GeneralSettings } from '../settings/schema.ts'

export function whereToListen(general: GeneralSettings, keepAlive: KeepAlive): ListenAllOptions {
  return {
    addresses: parseListenAddresses(general.listen_addr),
    port: general.listen_port,
    backlog: general.listen_backlog,
    keepAlive,
    sharesPort: general.so_reuseport,
    deferMs: general.tcp_defer_accept,
  }
}

/** What the portable transport cannot do although it was asked to, as a sentence; null if there is nothing. */
export function unmetWishes(general: GeneralSettings, transport: string): string | null {
  if (transport !== 'node') return null
  const wishes = SYSTEM_SETTINGS.filter((key) => general[key] > 0)
  return wishes.length === 0
    ? null
    : `${wishes.join(', ')}: not possible on the transport node; the system's default is used`
}

const SYSTEM_SETTINGS = [
  'tcp_defer_accept',
  'tcp_keepcnt',
  'tcp_keepintvl',
  'tcp_user_timeout',
  'tcp_socket_buffer',
] as const satisfies readonly (keyof GeneralSettings)[]
