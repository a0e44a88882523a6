/** PgBouncer's `listen_addr`: turns the setting's text into listeners, of which all are open or none. */

import { lookup } from 'node:dns/promises'
import { existsSync } from 'node:fs'
import { isIP } from 'node:net'
import { dirname } from 'node:path'
import { isMainThread } from 'node:worker_threads'
import type { Address, Channel, KeepAlive, Listener, ListenOptions, Transport } from './channel.ts'
import { openListeningDescriptor } from './epoll/epoll-transport.ts'
import {
  describeListening,
  isAbstract,
  isPath,
  makeWay,
  type SocketAccess,
  setAccess,
  socketPath,
} from './unix-sockets.ts'

const ANY_IPV4 = '0.0.0.0'
const ANY_IPV6 = '::'

/** `*` stands for all addresses of both families; an empty text means no TCP. */
export function parseListenAddresses(listenAddr: string): string[] {
  const names = listenAddr
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '')
  return [...new Set(names.flatMap((name) => (name === '*' ? [ANY_IPV4, ANY_IPV6] : [name])))]
}

export interface ListenAllOptions {
  readonly addresses: readonly string[]
  /** With 0, the system chooses a port for the first address, and the others use the same port. */
  readonly port: number
  readonly backlog: number
  readonly keepAlive: KeepAlive
  readonly sharesPort?: boolean
  /** Descriptors of sockets that listen already, wherever that is. They replace all other addresses. */
  readonly inherited?: readonly number[]
  /** A unix socket in addition to the addresses. */
  readonly unixSocket?: UnixSocketOptions | null
}

export interface UnixSocketOptions extends SocketAccess {
  /** A folder, or the beginning of an abstract name. */
  readonly directory: string
  /** Called if the socket cannot be opened. Without it, that is an error. */
  onFailed?(problem: Error): void
}

/**
 * Listens on all addresses; a name stands for all addresses that it resolves to. If one of them fails, those already open are closed and
 * its error is thrown.
 */
export function listenAll(
  transport: Pick<Transport, 'listen'>,
  options: ListenAllOptions,
  onAccepted: (channel: Channel) => void,
): Promise<Listener[]> {
  return openAll(options, (where) => transport.listen(where, onAccepted))
}

/** A socket that listens but accepts nothing, for other processes to accept from. */
export interface ListeningDescriptor {
  readonly address: Address
  /** To be passed to child processes as one of their `stdio`; there it is the `descriptor` of `ListenOptions`. */
  readonly descriptor: number
  /**
   * Sets the current options on the socket, so that sockets accepted from now on inherit them: a process that begins to accept later does
   * not know what was set before.
   */
  keepUp(): void
  close(): void
}

/** Like `listenAll`, but only opens the sockets. Throws where the epoll transport cannot run, because node:net does not give descriptors away. */
export function openListeningDescriptors(options: ListenAllOptions): Promise<ListeningDescriptor[]> {
  return openAll(options, async (where) => openListeningDescriptor(where))
}

async function openAll<Opened extends { readonly address: Address; close(): void }>(
  { addresses, port, unixSocket = null, inherited = [], ...others }: ListenAllOptions,
  open: (options: ListenOptions) => Promise<Opened>,
): Promise<Opened[]> {
  const all: Opened[] = []
  try {
    if (inherited.length > 0) {
      for (const descriptor of inherited) all.push(await open({ ...others, host: '', port, descriptor }))
      return all
    }
    for (const host of await resolveAll(addresses)) {
      const sharedPort = all[0]?.address.port ?? port
      try {
        all.push(await open({ ...others, host, port: sharedPort }))
      } catch (problem) {
        const isListeningToAnyIpv4 = all.some((opened) => opened.address.host === ANY_IPV4)
        if (!(host === ANY_IPV6 && isListeningToAnyIpv4 && saysNoIpv6(problem)))
          throw aboutListenAddr(`cannot listen on ${describeListening({ host, port: sharedPort })}`, problem)
      }
    }
    if (unixSocket !== null) all.push(...(await openUnixSocket(unixSocket, all[0]?.address.port ?? port, others, open)))
  } catch (problem) {
    for (const opened of all) opened.close()
    throw problem
  }
  return all
}

async function openUnixSocket<Opened extends { close(): void }>(
  { directory, onFailed, ...access }: UnixSocketOptions,
  port: number,
  others: Pick<ListenOptions, 'backlog' | 'keepAlive'>,
  open: (options: ListenOptions) => Promise<Opened>,
): Promise<Opened[]> {
  const host = socketPath(directory, port)
  let opened: Opened | null = null
  try {
    await makeWay(host)
    opened = await forNobodyElse(() => open({ ...others, host, port }))
    setAccess(host, access)
    return [opened]
  } catch (problem) {
    opened?.close()
    if (onFailed === undefined) throw aboutUnixSocket(host, problem)
    onFailed(problem as Error)
    return []
  }
}

/**
 * Runs `open` with a umask under which a new socket file is for its owner alone: others may connect only once `setAccess` has run. The
 * umask covers what `open` does before it returns its promise, and all transports create the file by then. Threads other than the main one
 * cannot set it.
 */
function forNobodyElse<T>(open: () => Promise<T>): Promise<T> {
  if (!isMainThread) return open()
  const before = process.umask(OWNER_ONLY)
  try {
    return open()
  } finally {
    process.umask(before)
  }
}

const OWNER_ONLY = 0o177

/** Resolves names to all of their addresses: with a listener on only one address of `localhost`, half of the clients would find nobody. */
async function resolveAll(names: readonly string[]): Promise<Set<string>> {
  const addresses = new Set<string>()
  for (const name of names) {
    const isAddress = isIP(name) !== 0 || isPath(name)
    const found = isAddress ? [{ address: name }] : await addressesOf(name)
    for (const { address } of found) addresses.add(address)
  }
  return addresses
}

async function addressesOf(name: string): Promise<readonly { readonly address: string }[]> {
  try {
    return await lookup(name, { all: true })
  } catch (problem) {
    throw aboutListenAddr(`${name} cannot be looked up`, problem)
  }
}

/** Names the setting, which the system's own words do not. The code stays, because callers recognize the error by it. */
function aboutListenAddr(what: string, problem: unknown): Error {
  const { message, code } = problem as NodeJS.ErrnoException
  const setting = OF_THE_PORT.includes(code ?? '') ? 'listen_port' : 'listen_addr'
  return Object.assign(new Error(`${setting}: ${what}: ${message}`, { cause: problem }), { code })
}

/** Errors for which another port is the remedy: it is in use, or reserved for root. */
const OF_THE_PORT = ['EADDRINUSE', 'EACCES']

/** Names the setting, except where another process listens at the path: that error is already worded as PgBouncer words it. */
function aboutUnixSocket(path: string, problem: unknown): Error {
  const { message, code } = problem as NodeJS.ErrnoException
  if (code === 'EADDRINUSE') return problem as Error
  // libuv complains of missing permission where a folder does not exist.
  const isMissing = !isAbstract(path) && !existsSync(dirname(path))
  const what = isMissing ? `there is no folder ${dirname(path)}` : `cannot listen on ${path}: ${message}`
  return Object.assign(new Error(`unix_socket_dir: ${what}`, { cause: problem }), { code })
}

/** Whether the problem is that this host has no IPv6: the kernel does not support it, or no interface has an address. */
function saysNoIpv6(problem: unknown): boolean {
  const { code } = problem as NodeJS.ErrnoException
  return code === 'EAFNOSUPPORT' || code === 'EADDRNOTAVAIL'
}
