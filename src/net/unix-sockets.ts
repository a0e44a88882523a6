/**
 * Unix sockets as PostgreSQL names them: in the file system, and Linux's abstract ones (`@name`), which are not files.
 * https://www.postgresql.org/docs/current/runtime-config-connection.html#GUC-UNIX-SOCKET-DIRECTORIES
 */

import { chmodSync, chownSync, existsSync, readFileSync, readlinkSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import type { Address } from './channel.ts'

export function isPath(host: string): boolean {
  return host.startsWith('/') || isAbstract(host)
}

/** Returns the socket's path, from the folder or the beginning of an abstract name that a setting contains. */
export function socketPath(directory: string, port: number): string {
  return `${directory}/.s.PGSQL.${port}`
}

/** The reverse of `socketPath`: returns the port, or 0 if the path is of another kind. */
export function portInPath(path: string): number {
  return Number(/\.s\.PGSQL\.(\d{1,5})$/.exec(path)?.[1] ?? 0)
}

/** Whether such a socket exists, as far as that can be seen: Linux lists the abstract ones. */
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

/** Returns where an open unix socket listens, as Linux lists it; null if that cannot be found out. */
export function pathOfDescriptor(descriptor: number): string | null {
  try {
    const [, inode] = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/self/fd/${descriptor}`)) ?? []
    for (const line of readFileSync('/proc/net/unix', 'utf8').split('\n')) {
      const [, , , , , , itsInode, path] = line.trim().split(/\s+/)
      if (inode !== undefined && itsInode === inode && path !== undefined) return path
    }
  } catch {
    // Another system, or no permission to look.
  }
  return null
}

/** Returns where a database's server is dialed: a folder stands for the socket in it. */
export function dialledAddress({ host, port }: Address): Address {
  return isPath(host) ? { host: socketPath(host, port), port } : { host, port }
}

/** Returns the path as Node expects it. */
export function nodePath(path: string): string {
  return isAbstract(path) ? `\0${path.slice(1)}` : path
}

/** For people: `10.0.0.1:5432`, `[::1]:5432`, `unix(4711):6432` with the pid of the process at the other end where that is known. */
export function describeAddress({ host, port, process }: Address): string {
  if (!isPath(host)) return withPort(host, port)
  return process === undefined ? `unix:${port}` : `unix(${process.pid}):${port}`
}

/** The same for the end that listens. */
export function describeListening({ host, port }: Address): string {
  return isPath(host) ? `unix:${host}` : withPort(host, port)
}

/** Puts an IPv6 address in brackets: otherwise it would be unclear where its port begins, and programs that read PgBouncer's log look for them. */
export function withPort(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

/** For the console's address columns. */
export function describeHost({ host }: Address): string {
  return isPath(host) ? 'unix' : host
}

/** Linux's limit, which includes the zero byte that ends a path. An abstract name has no such byte. */
const MAX_PATH_BYTES = 108

/** Throws the system's error if the path is too long. */
export function refuseIfTooLong(path: string): void {
  if (Buffer.byteLength(path) < MAX_PATH_BYTES + (isAbstract(path) ? 1 : 0)) return
  throw Object.assign(new Error(`the path ${path} is too long for a unix socket`), { code: 'ENAMETOOLONG' })
}

/** Removes a socket file that was left behind by a process which did not end well. Throws if a process listens there. */
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
  // A full queue belongs to a process that listens, too.
  else if (answer === 'connected' || answer === 'EAGAIN')
    throw Object.assign(new Error(`unix socket is in use, cannot continue: ${path}`), { code: 'EADDRINUSE' })
}

/** Removes the file of a socket on which nobody listens any more. */
export function removeSocketFile(host: string): void {
  if (host.startsWith('/')) rmSync(host, { force: true })
}

/** Sets who may connect. An empty group leaves the process's own. */
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
  /** The owner to be set; our own user if not given. */
  readonly owner?: { readonly uid: number; readonly gid: number } | null
}

/** Returns the id of a group, by name or number. Only the system's file of groups is read: no directory service is asked. */
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
