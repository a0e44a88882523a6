/** What is set on TCP sockets of the epoll transport. */

import type { KeepAlive } from '../channel.ts'
import type { Option, SystemCalls } from './syscalls.ts'

/** A listening socket hands them down to those that it accepts. Must come before `listen` and `connect`: buffers set the window that is offered. */
export function setTcpOptions(calls: SystemCalls, descriptor: number, keepAlive: KeepAlive): void {
  const { isOn, idleMs, intervalMs = 0, probes = 0, userTimeoutMs = 0, bufferBytes = 0 } = keepAlive
  set('TCP_NODELAY', 1)
  calls.setOption(descriptor, 'SO_KEEPALIVE', isOn ? 1 : 0)
  if (isOn) {
    set('TCP_KEEPIDLE', Math.ceil(idleMs / 1_000))
    set('TCP_KEEPINTVL', Math.ceil(intervalMs / 1_000))
    set('TCP_KEEPCNT', probes)
  }
  set('TCP_USER_TIMEOUT', userTimeoutMs)
  set('SO_SNDBUF', bufferBytes)
  set('SO_RCVBUF', bufferBytes)

  function set(option: Option, value: number): void {
    if (value > 0) calls.setOption(descriptor, option, value)
  }
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
    one.bufferBytes === other.bufferBytes
  )
}
