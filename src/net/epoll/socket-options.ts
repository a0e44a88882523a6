/** What is set on every TCP socket of the epoll transport. */

import type { KeepAlive } from '../channel.ts'
import type { SystemCalls } from './syscalls.ts'

/** A listening socket hands them down to those that it accepts. */
export function setTcpOptions(calls: SystemCalls, descriptor: number, keepAlive: KeepAlive): void {
  calls.setOption(descriptor, 'TCP_NODELAY', 1)
  if (!keepAlive.isOn) return
  calls.setOption(descriptor, 'SO_KEEPALIVE', 1)
  if (keepAlive.idleMs > 0) calls.setOption(descriptor, 'TCP_KEEPIDLE', Math.ceil(keepAlive.idleMs / 1_000))
}
