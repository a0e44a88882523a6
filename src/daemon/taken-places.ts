/** Finds addresses and the pid file that another process already uses, for example a PgBouncer that runs with the same ini file. */

import { isInUse } from '../net/in-use.ts'
import { parseListenAddresses } from '../net/listen-addresses.ts'
import { describeListening, socketPath } from '../net/unix-sockets.ts'
import type { Settings } from '../settings/load.ts'
import type { SettingKey } from '../settings/schema.ts'
import { refuseIfTaken } from './pid-file.ts'

export interface Taken {
  readonly key: SettingKey
  readonly sentence: string
}

export async function takenPlaces({ general }: Pick<Settings, 'general'>): Promise<Taken[]> {
  const { listen_addr, listen_port: port, unix_socket_dir: directory, so_reuseport, pidfile } = general
  const taken: Taken[] = []
  if (port !== 0 && !so_reuseport)
    for (const host of parseListenAddresses(listen_addr)) await note('listen_port', { host, port })
  if (port !== 0 && directory !== '') await note('unix_socket_dir', { host: socketPath(directory, port), port })
  try {
    if (pidfile !== '') refuseIfTaken(pidfile)
  } catch (problem) {
    taken.push({ key: 'pidfile', sentence: (problem as Error).message })
  }
  return taken

  async function note(key: SettingKey, address: { readonly host: string; readonly port: number }): Promise<void> {
    if (await isInUse(address)) taken.push({ key, sentence: `${describeListening(address)} is in use` })
  }
}
