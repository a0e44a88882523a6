/**
 * Unix sockets of node:net. Older versions of libuv pad an abstract name with zeros, which then belong to the name, so that no other
 * program finds it; and they truncate a path that is too long. Where the system calls can be made, abstract names are as they should be.
 */

import { connect, type OnReadOpts, Socket } from 'node:net'
import type { ListenOptions } from './channel.ts'
import { encodeAddress, familyOf } from './epoll/addresses.ts'
import { openListeningSocket } from './epoll/epoll-listener.ts'
import { loadSystemCalls, type SystemCalls, systemError } from './epoll/syscalls.ts'
import { isAbstract, nodePath, refuseIfTooLong } from './unix-sockets.ts'

/** undefined until they are first asked for. */
let calls: SystemCalls | null | undefined

/** Returns the system calls, or null if they cannot be made. */
export function systemCalls(): SystemCalls | null {
  if (calls === undefined) {
    try {
      calls = loadSystemCalls()
    } catch {
      calls = null
    }
  }
  return calls
}

export interface PathSocketOptions {
  readonly allowHalfOpen?: boolean
  readonly onread?: OnReadOpts
}

/** Like `connect` of node:net: the socket reports later how it went. */
export function connectPath(path: string, options: PathSocketOptions = {}): Socket {
  try {
    refuseIfTooLong(path)
    const calls = isAbstract(path) ? systemCalls() : null
    return calls === null ? connect({ path: nodePath(path), ...options }) : connectBy(calls, path, options)
  } catch (problem) {
    return new Socket().destroy(problem as Error)
  }
}

/**
 * For client libraries of PostgreSQL that call `connect` on a stream that they are given, and would take an abstract name for a host name.
 * Returns a stream that is connecting already and ignores that call.
 */
export function connectingStream(path: string): Socket {
  const socket = connectPath(path)
  socket.connect = () => socket
  return socket
}

function connectBy(calls: SystemCalls, path: string, options: PathSocketOptions): Socket {
  const address = encodeAddress({ host: path, port: 0 })
  const descriptor = calls.socket(familyOf(address))
  // On one machine, a socket is connected at once or not at all.
  const result = calls.connect(descriptor, address)
  if (result !== 0) {
    calls.close(descriptor)
    throw systemError('connect', result, path)
  }
  const socket = new Socket({ fd: descriptor, readable: true, writable: true, ...options })
  process.nextTick(() => {
    if (!socket.destroyed) socket.emit('connect')
  })
  return socket
}

/** Returns what a server of node:net should listen on. Throws the system's error if that is not possible. */
export function listeningPath(options: ListenOptions): { readonly path: string } | { readonly fd: number } {
  const { host } = options
  refuseIfTooLong(host)
  const calls = isAbstract(host) ? systemCalls() : null
  return calls === null ? { path: nodePath(host) } : { fd: openListeningSocket(calls, options) }
}
