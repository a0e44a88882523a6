/**
 * Sockets of node:net that have a path. Older versions of libuv fill an abstract name up with zeros, which are a part of it then, so that nobody
 * else finds it; and they cut a path that is too long. Where the system's own calls can be made, abstract names are as they should be.
 */

import { connect, type OnReadOpts, Socket } from 'node:net'
import type { ListenOptions } from './channel.ts'
import { encodeAddress, familyOf } from './epoll/addresses.ts'
import { openListeningSocket } from './epoll/epoll-listener.ts'
import { loadSystemCalls, type SystemCalls, systemError } from './epoll/syscalls.ts'
import { isAbstract, nodePath, refuseIfTooLong } from './unix-sockets.ts'

/** undefined: not asked for yet. */
let calls: SystemCalls | null | undefined

/** null where they cannot be made. */
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

/** As `connect` of node:net: the socket tells later how it went. */
export function connectPath(path: string, options: PathSocketOptions = {}): Socket {
  try {
    refuseIfTooLong(path)
    const calls = isAbstract(path) ? systemCalls() : null
    return calls === null ? connect({ path: nodePath(path), ...options }) : connectBy(calls, path, options)
  } catch (problem) {
    return new Socket().destroy(problem as Error)
  }
}

/** For clients of PostgreSQL that have a stream connected, and could not say where: to them an abstract name would be that of a host. */
export function connectingStream(path: string): Socket {
  const socket = connectPath(path)
  socket.connect = () => socket
  return socket
}

function connectBy(calls: SystemCalls, path: string, options: PathSocketOptions): Socket {
  const address = encodeAddress({ host: path, port: 0 })
  const descriptor = calls.socket(familyOf(address))
  // Sockets of one machine are connected at once, or not.
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

/** What a server of node:net is to listen to. Throws the system's error where that cannot be. */
export function listeningPath(options: ListenOptions): { readonly path: string } | { readonly fd: number } {
  const { host } = options
  refuseIfTooLong(host)
  const calls = isAbstract(host) ? systemCalls() : null
  return calls === null ? { path: nodePath(host) } : { fd: openListeningSocket(calls, options) }
}
