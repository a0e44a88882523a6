/**
 * Sockets in the file system, and Linux' abstract ones (`@name`, which are no files), as PostgreSQL names them.
 * https://www.postgresql.org/docs/current/runtime-config-connection.html#GUC-UNIX-SOCKET-DIRECTORIES
 */

import { chmodSync, chownSync, existsSync, readFileSync, readlinkSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import type { Address } from './channel.ts'

export function isPath(host: string): boolean {
  return host.startsWith('/') || isAbstract(host)
}

/** Of the folder, or the beginning of an abstract name, that a setting names. */
export function socketPath(directory: string, port: number): string {
  return `${directory}/.s.PGSQL.${port}`
}

/** The other way round; 0 where the path is of another kind. */
export function portInPath(path: string): number {
  return Number(/\.s\.PGSQL\.(\d{1,5})$/.exec(path)?.[1] ?? 0)
}

/** Whether there is such a socket, as far as that is to be seen: Linux lists the abstract ones. */
export function isThere(path: string): boolean {
  if (!isAbstract(path)) return existsSync(path)
  try {
    return readFileSync('/proc/net/unix', 'utf8')
      .split('\n')
      .some((line) => line.endsWith(` ${path}`))
  } catch {
    return false
  }
}

/** Where an open unix socket listens, as Linux lists it; null if that is not found out. */
export function pathOfDescriptor(descriptor: number): string | null {
  try {
    const [, inode] = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/self/fd/${descriptor}`)) ?? []
    for (const line of readFileSync('/proc/net/unix', 'utf8').split('\n')) {
      const [, , , , , , itsInode, path] = line.trim().split(/\s+/)
      if (inode !== undefined && itsInode === inode && path !== undefined) return path
    }
  } catch {
    // Another system, or no rights to look.
  }
  return null
}

/** Where a database's server is dialled: the folder of its socket stands for the socket. */
export function dialledAddress({ host, port }: Address): Address {
  return isPath(host) ? { host: socketPath(host, port), port } : { host, port }
}

/** As node wants it. */
export function nodePath(path: string): string {
  return isAbstract(path) ? `\0${path.slice(1)}` : path
}

/** For people: `10.0.0.1:5432`, `[::1]:5432`, `unix(4711):6432` with the process at the other end where that is known. */
export function describeAddress({ host, port, process }: Address): string {
  if (!isPath(host)) return withPort(host, port)
  return process === undefined ? `unix:${port}` : `unix(${process.pid}):${port}`
}

/** The same for the end that listens. */
export function describeListening({ host, port }: Address): string {
  return isPath(host) ? `unix:${host}` : withPort(host, port)
}

/** An IPv6 address in brackets, or nobody could tell where its port begins: whoever reads PgBouncer's log looks for them. */
export function withPort(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

/** For the console's columns of addresses. */
export function describeHost({ host }: Address): string {
  return isPath(host) ? 'unix' : host
}

/** Linux' own, with the zero byte that ends a path, which an abstract name has none of. */
const MAX_PATH_BYTES = 108

/** Throws the system's error. */
export function refuseIfTooLong(path: string): void {
  if (Buffer.byteLength(path) < MAX_PATH_BYTES + (isAbstract(path) ? 1 : 0)) return
  throw Object.assign(new Error(`the path ${path} is longer than a socket's may be`), { code: 'ENAMETOOLONG' })
}

/** Removes the file that somebody left behind who did not end well. Throws if somebody listens. */
export async function makeWay(path: string): Promise<void> {
  refuseIfTooLong(path)
  if (isAbstract(path)) return
  const answer = await new Promise<string>((resolve) => {
    const socket = connect({ path })
    socket.once('connect', () => {
      socket.destroy()
      resolve('connected')
    })
    socket.once('error', (problem: NodeJS.ErrnoException) => resolve(problem.code ?? ''))
  })
  if (answer === 'ECONNREFUSED') rmSync(path, { force: true })
  // A queue that is full is somebody's, too.
  else if (answer === 'connected' || answer === 'EAGAIN')
    throw Object.assign(new Error(`unix socket is in use, cannot continue: ${path}`), { code: 'EADDRINUSE' })
}

/** Of a socket that is not listened to any more. */
export function removeSocketFile(host: string): void {
  if (host.startsWith('/')) rmSync(host, { force: true })
}

/** Who may connect. An empty group leaves the process's own. */
export function setAccess(path: string, { mode, group, owner = null }: SocketAccess): void {
  if (isAbstract(path)) return
  const { uid = process.getuid?.() ?? -1, gid = process.getgid?.() ?? -1 } = owner ?? {}
  if (group !== '' || owner !== null) chownSync(path, uid, group === '' ? gid : groupId(group))
  chmodSync(path, mode)
}

export interface SocketAccess {
  readonly mode: number
  /** A name or a number. */
  readonly group: string
  /** Whose it is to be; our own if not given. */
  readonly owner?: { readonly uid: number; readonly gid: number } | null
}

/** The system's file of groups is all that is looked at: nobody else is asked. */
export function groupId(group: string, file = '/etc/group'): number {
  if (/^\d{1,9}$/.test(group)) return Number(group)
  for (const line of readFileSync(file, 'utf8').split('\n')) {
    const [name, , id] = line.split(':')
    if (name === group && id !== undefined) return Number(id)
  }
  throw new Error(`there is no group ${group} in ${file}`)
}

export function isAbstract(host: string): boolean {
  return host.startsWith('@')
}
