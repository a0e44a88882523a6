/** Chooses the transport that carries the connections: the fastest that this machine can run, or the one that was asked for. */

import type { Transport } from './channel.ts'
import { createEpollTransport } from './epoll/epoll-transport.ts'
import { loadSystemCalls } from './epoll/syscalls.ts'
import { createNodeTransport } from './node-transport.ts'

export const TRANSPORTS = ['auto', 'epoll', 'node'] as const

export type TransportName = (typeof TRANSPORTS)[number]

export interface Choice {
  readonly transport: Transport
  /** The reason, for the log. */
  readonly because: string
}

/** Whether the system calls can be made here. They also tell which process is at the other end of a unix socket. */
export function canRunEpoll(): boolean {
  try {
    loadSystemCalls()
    return true
  } catch {
    return false
  }
}

export interface Wanted {
  readonly transport: TransportName
  readonly io_uring: 'auto' | 'off'
}

/** Throws if the transport that was asked for cannot run here. */
export function chooseTransport(
  { transport: wanted, io_uring }: Wanted,
  onAcceptFailed: (problem: Error) => void,
): Choice {
  if (wanted === 'node') return { transport: createNodeTransport({ onAcceptFailed }), because: 'as configured' }
  try {
    const transport = createEpollTransport({ onAcceptFailed, usesIoUring: io_uring === 'auto' })
    const { withoutIoUring } = transport
    const because = wanted === 'epoll' ? 'as configured' : 'the fastest'
    return {
      transport,
      because: `${because}, ${withoutIoUring === null ? 'with io_uring' : `without io_uring: ${withoutIoUring}`}`,
    }
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    if (wanted === 'epoll') throw new Error(`transport = epoll cannot be used: ${reason}`, { cause })
    return { transport: createNodeTransport({ onAcceptFailed }), because: `epoll cannot be used: ${reason}` }
  }
}
