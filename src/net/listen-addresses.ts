/** PgBouncer's `listen_addr`: from the setting's text to listeners that are all open, or none. */

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

/** `*` stands for every address of both families; nothing at all means no TCP. */
export function parseListenAddresses(listenAddr: string): string[] {
  const names = listenAddr
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '')
  return [...new Set(names.flatMap((name) => (name === '*' ? [ANY_IPV4, ANY_IPV6] : [name])))]
}

export interface ListenAllOptions {
  readonly addresses: readonly string[]
  /** With 0 the system chooses a port for the first address, and the others share it. */
  readonly port: number
  readonly backlog: number
  readonly keepAlive: KeepAlive
  readonly sharesPort?: boolean
  /** Descriptors of sockets that listen already, wherever that is: they take the place of all others. */
  readonly inherited?: readonly number[]
  /** A unix socket besides. */
  readonly unixSocket?: UnixSocketOptions | null
}

export interface UnixSocketOptions extends SocketAccess {
  /** A folder, or the beginning of an abstract name. */
  readonly directory: string
  /** What is done where it cannot be had; an error otherwise. */
  onFailed?(problem: Error): void
}

/**
 * Listens on all the addresses; a name stands for all that it resolves to. When one of them fails, those already open are closed
 * and its error is thrown.
 */
export function listenAll(
  transport: Pick<Transport, 'listen'>,
  options: ListenAllOptions,
  onAccepted: (channel: Channel) => void,
): Promise<Listener[]> {
  return openAll(options, (where) => transport.listen(where, onAccepted))
}

/** A socket that listens and accepts nothing, for other processes to accept from. */
export interface ListeningDescriptor {
  readonly address: Address
  /** To be handed to child processes, as one of their `stdio`; there it is the `descriptor` of `ListenOptions`. */
  readonly descriptor: number
  /** Has sockets that are accepted from now on inherit what holds: whoever begins to accept later does not know what held before. */
  keepUp(): void
  close(): void
}

/** As `listenAll`, but only opens. Throws where the epoll transport cannot run, for node:net gives no descriptors away. */
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
          throw aboutListenAddr(`${describeListening({ host, port: sharedPort })} cannot be listened on`, problem)
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
 * What `open` makes before it returns its promise, as all transports make the file of a socket, is for its owner alone: others may connect
 * once access was set. In a thread that is not the main one there is no way to say so.
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

/** A listener for `localhost` that had only one of its addresses would be deaf to half of the clients. */
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

/** Names the setting, since the system's own words do not. The code stays, by which callers tell what it is. */
function aboutListenAddr(what: string, problem: unknown): Error {
  const { message, code } = problem as NodeJS.ErrnoException
  return Object.assign(new Error(`listen_addr: ${what}: ${message}`, { cause: problem }), { code })
}

/** That somebody else listens there is said in words of PgBouncer's already. */
function aboutUnixSocket(path: string, problem: unknown): Error {
  const { message, code } = problem as NodeJS.ErrnoException
  if (code === 'EADDRINUSE') return problem as Error
  // libuv speaks of rights where a folder is missing.
  const isMissing = !isAbstract(path) && !existsSync(dirname(path))
  const what = isMissing ? `there is no folder ${dirname(path)}` : `${path} cannot be listened on: ${message}`
  return Object.assign(new Error(`unix_socket_dir: ${what}`, { cause: problem }), { code })
}

/** What a host without IPv6 answers: the kernel has none, or no interface has an address. */
function saysNoIpv6(problem: unknown): boolean {
  const { code } = problem as NodeJS.ErrnoException
  return code === 'EAFNOSUPPORT' || code === 'EADDRNOTAVAIL'
}
