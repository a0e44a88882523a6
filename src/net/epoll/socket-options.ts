/** What is set on TCP sockets of the epoll transport. */

import type { KeepAlive } from '../channel.ts'
import { AF_INET, type Option, type SystemCalls } from './syscalls.ts'

/** What Linux takes at most, of seconds and of probes. Whoever says more means "as good as never". */
const MAX_KEEPALIVE_S = 32_767
const MAX_PROBES = 127

/**
 * A listening socket hands them down to those that it accepts. Must come before `listen` and `connect`: buffers set the window that is offered.
 *
 * @param usual what it is to have where that is left to the system; null for a new socket, which has it. Buffers cannot be given back to the system.
 */
export function setTcpOptions(
  calls: SystemCalls,
  descriptor: number,
  keepAlive: KeepAlive,
  usual: UsualOptions | null = null,
): void {
  const { isOn, idleMs, intervalMs = 0, probes = 0, userTimeoutMs = 0, bufferBytes = 0 } = keepAlive
  set('TCP_NODELAY', 1)
  calls.setOption(descriptor, 'SO_KEEPALIVE', isOn ? 1 : 0)
  if (isOn) {
    set('TCP_KEEPIDLE', Math.min(Math.ceil(idleMs / 1_000), MAX_KEEPALIVE_S))
    set('TCP_KEEPINTVL', Math.min(Math.ceil(intervalMs / 1_000), MAX_KEEPALIVE_S))
    set('TCP_KEEPCNT', Math.min(probes, MAX_PROBES))
  }
  set('TCP_USER_TIMEOUT', userTimeoutMs)
  set('SO_SNDBUF', bufferBytes)
  set('SO_RCVBUF', bufferBytes)

  function set(option: Option, value: number): void {
    if (value > 0) calls.setOption(descriptor, option, value)
    else if (usual?.[option] !== undefined) calls.setOption(descriptor, option, usual[option])
  }
}

/** What the system gives to a socket of which nobody says anything. */
export type UsualOptions = { readonly [Name in Option]?: number }

const LEFT_TO_THE_SYSTEM = ['TCP_KEEPIDLE', 'TCP_KEEPINTVL', 'TCP_KEEPCNT', 'TCP_USER_TIMEOUT'] as const

export function usualOptions(calls: SystemCalls): UsualOptions {
  const descriptor = calls.socket(AF_INET)
  try {
    return Object.fromEntries(LEFT_TO_THE_SYSTEM.map((option) => [option, calls.getOption(descriptor, option)]))
  } finally {
    calls.close(descriptor)
  }
}

/**
 * What those that it accepts are to have, and when it accepts them. `before` is what has been set there so far, null at first: the kernel
 * takes another time to defer from then on, and 0 for none.
 */
export function setListenerOptions(
  calls: SystemCalls,
  descriptor: number,
  keepAlive: KeepAlive,
  before: KeepAlive | null,
  usual: UsualOptions | null = null,
): void {
  setTcpOptions(calls, descriptor, keepAlive, usual)
  const { deferMs = 0 } = keepAlive
  if (deferMs !== (before?.deferMs ?? 0)) calls.setOption(descriptor, 'TCP_DEFER_ACCEPT', Math.ceil(deferMs / 1_000))
}

/** As they are now: the options may be read from settings that change. */
export function snapshotOf(keepAlive: KeepAlive): KeepAlive {
  return { ...keepAlive }
}

export function isSame(one: KeepAlive, other: KeepAlive): boolean {
  return (
    one.isOn === other.isOn &&
    one.idleMs === other.idleMs &&
    one.intervalMs === other.intervalMs &&
    one.probes === other.probes &&
    one.userTimeoutMs === other.userTimeoutMs &&
    one.bufferBytes === other.bufferBytes &&
    one.deferMs === other.deferMs
  )
}
