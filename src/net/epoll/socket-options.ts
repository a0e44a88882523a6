/** The options that the epoll transport sets on TCP sockets. */

import type { KeepAlive } from '../channel.ts'
import { AF_INET, type Option, type SystemCalls } from './syscalls.ts'

/** The most seconds and probes that Linux accepts. A larger setting means "as good as never". */
const MAX_KEEPALIVE_S = 32_767
const MAX_PROBES = 127

/**
 * Sets the options of a TCP socket; sockets accepted from a listening socket inherit them. Call it before `listen` and `connect`, because
 * the buffer sizes set the window that is offered.
 *
 * @param usual the values for options that are left to the system; null for a new socket, which has them. Buffer sizes cannot be given back
 * to the system.
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

/** The system's defaults for a new socket. */
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
 * Sets the options that accepted sockets inherit, and when connections are accepted. `before` is what has been set so far, null at first.
 * The kernel takes a changed `deferMs` for connections from then on; 0 turns it off.
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

/** Copies the options as they are now: they may be read from settings that change. */
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
