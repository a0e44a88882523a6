/** The transport of the flow tests: addresses are names in a table, and connections are pairs of channels in memory. */

import {
  type Address,
  type Dial,
  type DialListener,
  type DialOptions,
  finishAtOnce,
  type Listener,
  type ListenOptions,
  type Transport,
} from './channel.ts'
import { createPair, type MemoryChannel, type PairOptions } from './memory-channel.ts'
import type { Cut } from './memory-pipe.ts'

export { createPair, MemoryChannel, type PairOptions } from './memory-channel.ts'
export type { Cut } from './memory-pipe.ts'

export interface MemoryTransport extends Transport {
  listen(options: ListenOptions, onAccepted: (channel: MemoryChannel) => void): Promise<Listener>
  /** From now on nobody answers at this address, not even to refuse: dials hang until they are abandoned. */
  silence(address: Address): void
}

const FIRST_LISTENER_PORT = 20_001
const FIRST_DIALER_PORT = 50_001

/** The options apply to every connection. A seed is changed for each connection, so that not all are cut alike. */
export function createMemoryTransport(options: Pick<PairOptions, 'cut' | 'windowBytes'> = {}): MemoryTransport {
  const accepting = new Map<string, (channel: MemoryChannel) => void>()
  const silent = new Set<string>()
  let listenerPort = FIRST_LISTENER_PORT
  let dialerPort = FIRST_DIALER_PORT

  async function listen(where: ListenOptions, onAccepted: (channel: MemoryChannel) => void): Promise<Listener> {
    const address = { host: where.host, port: where.port || listenerPort++ }
    const name = nameOf(address)
    if (accepting.has(name)) throw systemError('listen', 'EADDRINUSE', address)
    accepting.set(name, onAccepted)
    const close = () => accepting.delete(name)
    return { address, close, finish: finishAtOnce(close), pause: () => false, resume() {} }
  }

  function dial({ address: asked, hosts: [host] = [] }: DialOptions, listener: DialListener): Dial {
    const address = host === undefined ? asked : { host, port: asked.port }
    let isAbandoned = false
    queueMicrotask(() => {
      if (isAbandoned || silent.has(nameOf(address))) return
      const onAccepted = acceptingAt(address)
      if (!onAccepted) return listener.onFailed(systemError('connect', 'ECONNREFUSED', address))
      const first = { host: '127.0.0.1', port: dialerPort++ }
      const [dialed, accepted] = createPair({ ...options, cut: cutOf(options.cut, dialerPort), first, second: address })
      onAccepted(accepted)
      listener.onConnected(dialed)
    })
    return {
      abandon() {
        isAbandoned = true
      },
    }
  }

  function acceptingAt({ host, port }: Address) {
    const hosts = [host, host.includes(':') ? '::' : '0.0.0.0']
    for (const candidate of hosts) {
      const onAccepted = accepting.get(nameOf({ host: candidate, port }))
      if (onAccepted) return onAccepted
    }
    return null
  }

  return { name: 'memory', listen, dial, silence: (address) => silent.add(nameOf(address)) }
}

function nameOf({ host, port }: Address): string {
  return `${host}:${port}`
}

function cutOf(cut: Cut = 'glued', connection: number): Cut {
  return typeof cut === 'object' ? { ...cut, seed: cut.seed + connection } : cut
}

function systemError(syscall: string, code: string, { host, port }: Address): Error {
  return Object.assign(new Error(`${syscall} ${code} ${host}:${port}`), { code, syscall, address: host, port })
}
