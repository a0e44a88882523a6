/** What is set on every TCP socket of the epoll transport. */

import type { KeepAlive } from '../channel.ts'
import type { SystemCalls } from './syscalls.ts'

/** A listening socket hands them down to those that it accepts. */
export function setTcpOptions(calls: SystemCalls, descriptor: number, keepAlive: KeepAlive): void {
  calls.setOption(descriptor, 'TCP_NODELAY', 1)
  if (keepAlive.isOn) setKeepAlive(calls, descriptor, keepAlive)
}

export function setKeepAlive(calls: SystemCalls, descriptor: number, { isOn, idleMs }: KeepAlive): void {
  calls.setOption(descriptor, 'SO_KEEPALIVE', isOn ? 1 : 0)
  if (isOn && idleMs > 0) calls.setOption(descriptor, 'TCP_KEEPIDLE', Math.ceil(idleMs / 1_000))
}
