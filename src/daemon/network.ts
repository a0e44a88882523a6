/** Builds what connections are made with: the transport, and the resolution of the host names that it dials. */

import type { Transport } from '../net/channel.ts'
import { chooseTransport } from '../net/choose-transport.ts'
import { dialsByName } from '../net/names/by-name.ts'
import { type OpenNamesOptions, openNames } from './names.ts'

export interface NetworkParts extends OpenNamesOptions {
  /** Replaces the transport that the settings choose. Unless `service` is given as well, it is dialed by name, unresolved. */
  readonly transport: Transport | undefined
}

/** `because` is for the log: why it is this transport. Throws if resolv_conf cannot be used. */
export function openNetwork({ transport: given, ...naming }: NetworkParts) {
  const { settings, log, service } = naming
  const { transport: carrier, because } = given
    ? { transport: given, because: 'given by the program' }
    : chooseTransport(settings().general, (problem) =>
        log.warning(`connections cannot be accepted at the moment: ${problem.message}`),
      )
  const opened = openNames(naming)
  const transport = given && !service ? carrier : dialsByName(carrier, opened.names)
  return { ...opened, transport, because }
}
