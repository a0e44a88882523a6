/** What is set on TCP sockets of the epoll transport. */

import type { KeepAlive } from '../channel.ts'
import type { Option, SystemCalls } from './syscalls.ts'

/** What Linux takes at most, of seconds and of probes. Whoever says more means "as good as never". */
const MAX_KEEPALIVE_S = 32_767
const MAX_PROBES = 127

/** A listening socket hands them down to those that it accepts. Must come before `listen` and `connect`: buffers set the window that is offered. */
export function setTcpOptions(calls: SystemCalls, descriptor: number, keepAlive: KeepAlive): void {
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
): void {
  setTcpOptions(calls, descriptor, keepAlive)
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
