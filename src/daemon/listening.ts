/** Derives from the settings where and how to listen for clients. */

import type { KeepAlive } from '../net/channel.ts'
import { type ListenAllOptions, parseListenAddresses, type UnixSocketOptions } from '../net/listen-addresses.ts'
import { EPOLL_SETTINGS } from '../settings/differences.ts'
import type { Settings } from '../settings/load.ts'
import type { GeneralSettings } from '../settings/schema.ts'
import { futureOwner } from './privileges.ts'

/**
 * @param tell receives warnings. If the unix socket comes only from the default of unix_socket_dir and cannot be opened, that is a warning;
 * otherwise it is an error
 */
export function whereToListen(
  { general, origins }: Pick<Settings, 'general' | 'origins'>,
  keepAlive: KeepAlive,
  tell: (sentence: string) => void,
  inherited: readonly number[] = [],
): ListenAllOptions {
  if (inherited.length > 0)
    tell('listen_addr and unix_socket_dir are ignored, because the service manager has opened the sockets')
  return {
    inherited,
    unixSocket: unixSocketOf(general, origins.unix_socket_dir.from === 'default' ? tell : null),
    addresses: parseListenAddresses(general.listen_addr),
    port: general.listen_port,
    backlog: general.listen_backlog,
    keepAlive,
    sharesPort: general.so_reuseport,
  }
}

function unixSocketOf(general: GeneralSettings, tell: ((sentence: string) => void) | null): UnixSocketOptions | null {
  const owner = futureOwner(general)
  const { unix_socket_dir: directory, unix_socket_mode: mode, unix_socket_group: group } = general
  if (directory === '') return null
  if (tell === null) return { directory, mode, group, owner }
  const onFailed = ({ message }: Error) => tell(`there is no unix socket in ${directory} (unix_socket_dir): ${message}`)
  return { directory, mode, group, owner, onFailed }
}

/** Returns a sentence about settings in use that the transport `node` cannot honor; null if there are none. */
export function unmetWishes(general: GeneralSettings, transport: string): string | null {
  if (transport !== 'node') return null
  const wishes = EPOLL_SETTINGS.filter((key) => general[key] > 0)
  return wishes.length === 0
    ? null
    : `${wishes.join(', ')}: no effect on the transport node; the system's defaults apply`
}
