/** The system calls of the epoll transport, through FFI. Only this file and `ring.ts` hand memory to the kernel, and they check the lengths. */

import { createRequire } from 'node:module'
import { endianness } from 'node:os'
import { getSystemErrorName } from 'node:util'
import { invariant } from '../../base/invariant.ts'
import { lastingBuffers } from '../../base/lasting.ts'
import { type PeerProcess, READ_BUFFER_BYTES } from '../channel.ts'
import { type EncodedAddress, MAX_ADDRESS_BYTES } from './addresses.ts'

type Koffi = typeof import('koffi')
/** Parameters and result are numbers. Addresses are numbers too, since those of user space are below 2 ** 47. */
export type Call = (...numbers: number[]) => number

/** What `ring.ts` needs to make system calls of its own. */
export interface RingParts {
  call(name: string, parameters: string[], result?: string): Call
  addressOf(buffer: Buffer): number
  /** Returns memory that is mapped at this address. */
  view(address: number, bytes: number): ArrayBuffer
  errno(): number
}

// Values for Linux; x64 and arm64 agree on all of them.
export const AF_UNIX = 1
export const AF_INET = 2
export const AF_INET6 = 10
const SOCK_STREAM = 1
const SOCK_DGRAM = 2
const SOCK_NONBLOCK = 0o4000
const SOCK_CLOEXEC = 0o2000000
const EPOLL_CLOEXEC = 0o2000000
const MSG_PEEK = 0x2
export const MSG_NOSIGNAL = 0x4000
const SHUT_WR = 1
const F_GETFL = 3
const F_SETFL = 4
const F_DUPFD_CLOEXEC = 1030
const O_NONBLOCK = 0o4000
const EPOLL_CTL_ADD = 1
const EPOLL_CTL_DEL = 2
const EPOLL_CTL_MOD = 3
export const EPOLLIN = 0x1
export const EPOLLOUT = 0x4
export const EPOLLERR = 0x8
export const EPOLLHUP = 0x10
export const EPOLLRDHUP = 0x2000
export const EPOLLET = 1 << 31

const SOL_SOCKET = 1
const IPPROTO_TCP = 6
const IPPROTO_IPV6 = 41

export const OPTIONS = {
  SO_REUSEADDR: [SOL_SOCKET, 2],
  SO_ERROR: [SOL_SOCKET, 4],
  SO_SNDBUF: [SOL_SOCKET, 7],
  SO_RCVBUF: [SOL_SOCKET, 8],
  SO_KEEPALIVE: [SOL_SOCKET, 9],
  SO_REUSEPORT: [SOL_SOCKET, 15],
  SO_PEERCRED: [SOL_SOCKET, 17],
  SO_ATTACH_REUSEPORT_CBPF: [SOL_SOCKET, 51],
  SO_DETACH_REUSEPORT_BPF: [SOL_SOCKET, 68],
  TCP_NODELAY: [IPPROTO_TCP, 1],
  TCP_KEEPIDLE: [IPPROTO_TCP, 4],
  TCP_KEEPINTVL: [IPPROTO_TCP, 5],
  TCP_KEEPCNT: [IPPROTO_TCP, 6],
  TCP_DEFER_ACCEPT: [IPPROTO_TCP, 9],
  TCP_USER_TIMEOUT: [IPPROTO_TCP, 18],
  IPV6_V6ONLY: [IPPROTO_IPV6, 26],
} as const

export type Option = keyof typeof OPTIONS

const SOCK_FPROG_BYTES = 16
const BPF_RETURN = 0x06
const ENOPROTOOPT = 92

// Negative, as the hot calls return them.
export const EPERM = -1
export const EINTR = -4
export const EAGAIN = -11
export const ENOMEM = -12
export const EMFILE = -24
export const ENOSPC = -28
export const EPIPE = -32
export const EPROTO = -71
export const ECONNABORTED = -103
export const ECONNRESET = -104
export const ENOBUFS = -105
export const EINPROGRESS = -115

/** Whether the connection is fine and the call failed only for now: nothing to read, no room to write, no memory at the moment, or a signal. */
export function isForNow(errno: number): boolean {
  return errno === EAGAIN || errno === EINTR || errno === ENOBUFS || errno === ENOMEM
}

/** The most events that one look brings. The others come with the next look. */
export const MAX_EVENTS = 128

/** Up to this length, bytes to send from other buffers are copied: that costs less than finding out the buffer's address. */
const COPIED_BYTES = 8 * 1024

// x64 packs `struct epoll_event`, arm64 aligns it. In words of 4 bytes.
const EVENT_WORDS = process.arch === 'x64' ? 3 : 4
const EVENT_DATA_WORD = EVENT_WORDS - 2

// Byte offsets in `#page`, the one piece of memory for all small structures that calls take or fill.
const EVENT_AT = 0
const LENGTH_AT = 16
const VALUE_AT = 20
const ADDRESS_AT = 32
const PAGE_BYTES = 4_096

/** Returns an error with the system's name for it and the call that failed, like Node's own errors. */
export function systemError(syscall: string, errno: number, about = ''): NodeJS.ErrnoException {
  const code = getSystemErrorName(errno)
  return Object.assign(new Error(`${syscall} ${code}${about && ` ${about}`}`), { code, errno, syscall })
}

/** Throws if these calls cannot be made on this machine; the message says why. */
export function loadSystemCalls(): SystemCalls {
  const { platform, arch } = process
  if (platform !== 'linux') throw new Error(`epoll needs Linux, but this is ${platform}`)
  if (arch !== 'x64' && arch !== 'arm64') throw new Error(`only x64 and arm64 are supported, but this is ${arch}`)
  invariant(endianness() === 'LE', 'x64 and arm64 are little-endian')
  let koffi: Koffi
  try {
    koffi = createRequire(import.meta.url)('koffi')
  } catch (problem) {
    const [reason] = (problem as Error).message.split('\n')
    throw new Error(`the optional package koffi cannot be loaded (${reason})`, { cause: problem })
  }
  return new SystemCalls(koffi)
}

/**
 * Calls that run for each chunk or event, and others that say so, return a negative errno on failure; the rest throw. Nothing here blocks
 * except `wait`, because all sockets are made non-blocking.
 */
export class SystemCalls {
  /** All sockets read into this buffer: each hands over its bytes before the next one reads. */
  readonly readBuffer = Buffer.allocUnsafeSlow(READ_BUFFER_BYTES)
  readonly #koffi: Koffi
  readonly #errno: () => number
  readonly #call: (name: string, parameters: string[], result?: string) => Call
  readonly #copied = Buffer.allocUnsafeSlow(COPIED_BYTES)
  readonly #page = Buffer.allocUnsafeSlow(PAGE_BYTES)
  readonly #events = Buffer.allocUnsafeSlow(MAX_EVENTS * 4 * 4)
  readonly #eventWords: Int32Array
  readonly #pageWords: Int32Array
  readonly #readAddress: number
  readonly #copiedAddress: number
  readonly #pageAddress: number
  readonly #eventsAddress: number
  readonly #loop: number
  /** The addresses of `lastingBuffers`, by index, as far as they have been looked up. */
  readonly #lastingAddresses: number[] = []

  readonly #recv: Call
  readonly #send: Call
  readonly #epollWait: Call
  readonly #epollCtl: Call
  readonly #close: Call
  readonly #accept4: Call
  readonly #socket: Call
  readonly #bind: Call
  readonly #listen: Call
  readonly #connect: Call
  readonly #shutdown: Call
  readonly #getsockopt: Call
  readonly #setsockopt: Call
  readonly #getsockname: Call
  readonly #getpeername: Call
  readonly #epollCreate: Call
  readonly #socketpair: Call
  readonly #fcntl: Call
  readonly #uvUpdateTime: Call
  readonly #uvBackendTimeout: Call
  readonly #uvBackendFd: Call

  constructor(koffi: Koffi) {
    const library = koffi.load(null)
    // koffi takes plain numbers fastest, so addresses are numbers too.
    const call = (name: string, parameters: string[], result = 'int') => library.func(name, result, parameters) as Call
    this.#koffi = koffi
    this.#call = call
    this.#errno = koffi.errno as () => number
    this.#eventWords = new Int32Array(this.#events.buffer)
    this.#pageWords = new Int32Array(this.#page.buffer)
    this.#readAddress = this.#addressOf(this.readBuffer)
    this.#copiedAddress = this.#addressOf(this.#copied)
    this.#pageAddress = this.#addressOf(this.#page)
    this.#eventsAddress = this.#addressOf(this.#events)

    this.#recv = call('recv', ['int', 'uint64', 'uint64', 'int'])
    this.#send = call('send', ['int', 'uint64', 'uint64', 'int'])
    this.#epollWait = call('epoll_wait', ['int', 'uint64', 'int', 'int'])
    this.#epollCtl = call('epoll_ctl', ['int', 'int', 'int', 'uint64'])
    this.#close = call('close', ['int'])
    this.#accept4 = call('accept4', ['int', 'uint64', 'uint64', 'int'])
    this.#socket = call('socket', ['int', 'int', 'int'])
    this.#bind = call('bind', ['int', 'uint64', 'uint32'])
    this.#listen = call('listen', ['int', 'int'])
    this.#connect = call('connect', ['int', 'uint64', 'uint32'])
    this.#shutdown = call('shutdown', ['int', 'int'])
    this.#getsockopt = call('getsockopt', ['int', 'int', 'int', 'uint64', 'uint64'])
    this.#setsockopt = call('setsockopt', ['int', 'int', 'int', 'uint64', 'uint32'])
    this.#getsockname = call('getsockname', ['int', 'uint64', 'uint64'])
    this.#getpeername = call('getpeername', ['int', 'uint64', 'uint64'])
    this.#epollCreate = call('epoll_create1', ['int'])
    this.#socketpair = call('socketpair', ['int', 'int', 'int', 'uint64'])
    this.#fcntl = call('fcntl', ['int', 'int', 'int'])
    this.#uvUpdateTime = call('uv_update_time', ['uint64'], 'void')
    this.#uvBackendTimeout = call('uv_backend_timeout', ['uint64'])
    this.#uvBackendFd = call('uv_backend_fd', ['uint64'])

    // Not uv_default_loop: a worker thread has a loop of its own.
    const loopOf = call('napi_get_uv_event_loop', ['uint64', 'uint64'])
    const status = loopOf(Number(koffi.node.env), this.#pageAddress)
    this.#loop = Number(this.#page.readBigUInt64LE(0))
    if (status !== 0 || this.#loop === 0) throw new Error(`the event loop was not found (status ${status})`)
  }

  // For each chunk or event

  /** Reads into `readBuffer`. Returns the number of bytes, 0 at the end, or a negative errno. */
  recv(descriptor: number): number {
    const bytes = this.#recv(descriptor, this.#readAddress, READ_BUFFER_BYTES, 0)
    return bytes >= 0 ? bytes : -this.#errno()
  }

  /** Whether the peer has closed its side and all that it sent was read. */
  isAtEnd(descriptor: number): boolean {
    return this.#recv(descriptor, this.#pageAddress + VALUE_AT, 1, MSG_PEEK) === 0
  }

  send(descriptor: number, buffer: Buffer, start: number, end: number): number {
    const length = end - start
    invariant(start >= 0 && length >= 0 && end <= buffer.length, 'a span outside of its buffer is sent')
    let address = buffer === this.readBuffer ? this.#readAddress : this.#lastingAddressOf(buffer)
    if (address !== 0) address += start
    else if (length <= COPIED_BYTES) {
      buffer.copy(this.#copied, 0, start, end)
      address = this.#copiedAddress
    } else address = this.#addressOf(buffer) + start
    const bytes = this.#send(descriptor, address, length, MSG_NOSIGNAL)
    return bytes >= 0 ? bytes : -this.#errno()
  }

  /**
   * Waits for events, for at most `timeoutMs` milliseconds; -1 means without limit. Returns how many there are, to be read by index from 0,
   * or a negative errno.
   */
  wait(epoll: number, timeoutMs: number, limit: number): number {
    invariant(limit > 0 && limit <= MAX_EVENTS, 'more events are asked for than there is room for')
    const events = this.#epollWait(epoll, this.#eventsAddress, limit, timeoutMs)
    return events >= 0 ? events : -this.#errno()
  }

  eventsAt(index: number): number {
    return this.#eventWords[index * EVENT_WORDS] as number
  }

  eventDescriptorAt(index: number): number {
    return this.#eventWords[index * EVENT_WORDS + EVENT_DATA_WORD] as number
  }

  eventGenerationAt(index: number): number {
    return this.#eventWords[index * EVENT_WORDS + EVENT_DATA_WORD + 1] as number
  }

  /** How long libuv would wait now: 0 if it has something to do at once, -1 if it has no timer. */
  loopTimeoutMs(): number {
    this.#uvUpdateTime(this.#loop)
    return this.#uvBackendTimeout(this.#loop)
  }

  /** For `ring.ts`. */
  get forRing(): RingParts {
    return {
      call: this.#call,
      addressOf: (buffer) => this.#addressOf(buffer),
      view: (address, bytes) => this.#koffi.view(BigInt(address), bytes),
      errno: this.#errno,
    }
  }

  // Epoll

  createEpoll(): number {
    return this.#checked('epoll_create1', this.#epollCreate(EPOLL_CLOEXEC))
  }

  /** The descriptor that becomes readable when libuv has something to do. */
  loopDescriptor(): number {
    const descriptor = this.#uvBackendFd(this.#loop)
    if (descriptor < 0) throw new Error('the event loop has no descriptor')
    return descriptor
  }

  /** Watches a descriptor. Its events carry the descriptor and the generation, a 32-bit number. */
  watch(epoll: number, descriptor: number, events: number, generation: number): void {
    this.#control(epoll, EPOLL_CTL_ADD, descriptor, events, generation)
  }

  rewatch(epoll: number, descriptor: number, events: number, generation: number): void {
    this.#control(epoll, EPOLL_CTL_MOD, descriptor, events, generation)
  }

  unwatch(epoll: number, descriptor: number): void {
    this.#control(epoll, EPOLL_CTL_DEL, descriptor, 0, 0)
  }

  #control(epoll: number, operation: number, descriptor: number, events: number, generation: number): void {
    const at = EVENT_AT / 4
    this.#pageWords[at] = events
    this.#pageWords[at + EVENT_DATA_WORD] = descriptor
    this.#pageWords[at + EVENT_DATA_WORD + 1] = generation
    this.#checked('epoll_ctl', this.#epollCtl(epoll, operation, descriptor, this.#pageAddress + EVENT_AT))
  }

  // Sockets

  socket(family: number): number {
    return this.#checked('socket', this.#socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0))
  }

  /** Opens a socket for whole messages to or from programs on this machine. */
  datagramSocket(): number {
    return this.#checked('socket', this.#socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0))
  }

  /** Returns two sockets that are connected to each other. */
  socketPair(): [number, number] {
    const type = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC
    this.#checked('socketpair', this.#socketpair(AF_UNIX, type, 0, this.#pageAddress + VALUE_AT))
    return [this.#page.readInt32LE(VALUE_AT), this.#page.readInt32LE(VALUE_AT + 4)]
  }

  /** Makes a descriptor that another program has opened non-blocking. */
  neverBlock(descriptor: number): void {
    const flags = this.#checked('fcntl', this.#fcntl(descriptor, F_GETFL, 0))
    this.#checked('fcntl', this.#fcntl(descriptor, F_SETFL, flags | O_NONBLOCK))
  }

  /** Returns another descriptor for the same socket. */
  duplicate(descriptor: number): number {
    return this.#checked('fcntl', this.#fcntl(descriptor, F_DUPFD_CLOEXEC, 0))
  }

  close(descriptor: number): void {
    // Linux has closed the descriptor, whatever the call returns.
    this.#close(descriptor)
  }

  bind(descriptor: number, address: EncodedAddress, about: string): void {
    const length = this.#putAddress(address)
    this.#checked('bind', this.#bind(descriptor, this.#pageAddress + ADDRESS_AT, length), about)
  }

  listen(descriptor: number, backlog: number, about: string): void {
    this.#checked('listen', this.#listen(descriptor, backlog), about)
  }

  /** Returns 0, or a negative errno, which may be EINPROGRESS. */
  connect(descriptor: number, address: EncodedAddress): number {
    const length = this.#putAddress(address)
    return this.#connect(descriptor, this.#pageAddress + ADDRESS_AT, length) === 0 ? 0 : -this.#errno()
  }

  /** Returns the new descriptor, or a negative errno. `takeAddress` then returns the peer's address. */
  accept(descriptor: number): number {
    this.#page.writeUInt32LE(MAX_ADDRESS_BYTES, LENGTH_AT)
    const flags = SOCK_NONBLOCK | SOCK_CLOEXEC
    const accepted = this.#accept4(descriptor, this.#pageAddress + ADDRESS_AT, this.#pageAddress + LENGTH_AT, flags)
    return accepted >= 0 ? accepted : -this.#errno()
  }

  /** Tells the peer that nothing more will be written. This fails if the peer has gone, which is noticed in other ways. */
  shutdown(descriptor: number): void {
    this.#shutdown(descriptor, SHUT_WR)
  }

  /** Takes the pending error off the socket and returns it as a negative errno; 0 if there is none. */
  takeError(descriptor: number): number {
    return -this.getOption(descriptor, 'SO_ERROR')
  }

  getOption(descriptor: number, option: Option): number {
    const [level, name] = OPTIONS[option]
    this.#page.writeUInt32LE(4, LENGTH_AT)
    const value = this.#pageAddress + VALUE_AT
    this.#checked('getsockopt', this.#getsockopt(descriptor, level, name, value, this.#pageAddress + LENGTH_AT), option)
    return this.#page.readInt32LE(VALUE_AT)
  }

  setOption(descriptor: number, option: Option, value: number): void {
    const [level, name] = OPTIONS[option]
    this.#page.writeInt32LE(value, VALUE_AT)
    this.#checked('setsockopt', this.#setsockopt(descriptor, level, name, this.#pageAddress + VALUE_AT, 4), option)
  }

  /**
   * Gives all new connections to one of the sockets that share this socket's port by SO_REUSEPORT. `place` is its index, counted from the
   * socket that has listened longest. If there is no such socket, the kernel distributes the connections as before.
   */
  leavePortTo(descriptor: number, place: number): void {
    const [level, name] = OPTIONS.SO_ATTACH_REUSEPORT_CBPF
    const programAt = ADDRESS_AT + SOCK_FPROG_BYTES
    // `struct sock_fprog`, and a BPF program of one instruction: return `place`.
    this.#page.fill(0, ADDRESS_AT, programAt + 8)
    this.#page.writeUInt16LE(1, ADDRESS_AT)
    this.#page.writeBigUInt64LE(BigInt(this.#pageAddress + programAt), ADDRESS_AT + 8)
    this.#page.writeUInt16LE(BPF_RETURN, programAt)
    this.#page.writeUInt32LE(place, programAt + 4)
    const result = this.#setsockopt(descriptor, level, name, this.#pageAddress + ADDRESS_AT, SOCK_FPROG_BYTES)
    this.#checked('setsockopt', result, 'SO_ATTACH_REUSEPORT_CBPF')
  }

  /** Has the kernel distribute new connections again. Returns false if it cannot take back `leavePortTo`: Linux before 5.3. */
  sharePortAgain(descriptor: number): boolean {
    const [level, name] = OPTIONS.SO_DETACH_REUSEPORT_BPF
    if (this.#setsockopt(descriptor, level, name, this.#pageAddress + VALUE_AT, 4) === 0) return true
    return this.#errno() !== ENOPROTOOPT
  }

  /** Returns the process at the other end of a unix socket, from `struct ucred`. */
  peerProcess(descriptor: number): PeerProcess {
    this.#page.writeUInt32LE(12, LENGTH_AT)
    const [level, name] = OPTIONS.SO_PEERCRED
    const length = this.#pageAddress + LENGTH_AT
    const result = this.#getsockopt(descriptor, level, name, this.#pageAddress + ADDRESS_AT, length)
    this.#checked('getsockopt', result, 'SO_PEERCRED')
    const [pid, uid, gid] = [0, 4, 8].map((at) => this.#page.readUInt32LE(ADDRESS_AT + at)) as [number, number, number]
    return { pid, uid, gid }
  }

  /** `takeAddress` then returns the socket's own address. */
  getOwnName(descriptor: number): void {
    this.#page.writeUInt32LE(MAX_ADDRESS_BYTES, LENGTH_AT)
    const length = this.#pageAddress + LENGTH_AT
    this.#checked('getsockname', this.#getsockname(descriptor, this.#pageAddress + ADDRESS_AT, length))
  }

  /** Returns 0 or a negative errno. After 0, `takeAddress` returns the peer's address. */
  getPeerName(descriptor: number): number {
    this.#page.writeUInt32LE(MAX_ADDRESS_BYTES, LENGTH_AT)
    const length = this.#pageAddress + LENGTH_AT
    return this.#getpeername(descriptor, this.#pageAddress + ADDRESS_AT, length) === 0 ? 0 : -this.#errno()
  }

  /** Returns the address that the last call wrote. It is valid until the next call. */
  takeAddress(): EncodedAddress {
    const length = Math.min(this.#page.readUInt32LE(LENGTH_AT), MAX_ADDRESS_BYTES)
    return this.#page.subarray(ADDRESS_AT, ADDRESS_AT + length)
  }

  #putAddress(address: EncodedAddress): number {
    invariant(address.length <= MAX_ADDRESS_BYTES, 'an address is longer than those of the system')
    address.copy(this.#page, ADDRESS_AT)
    return address.length
  }

  /** Returns 0 if `buffer` is not one of `lastingBuffers`. */
  #lastingAddressOf(buffer: Buffer): number {
    for (let place = 0; place < lastingBuffers.length; place++) {
      if (lastingBuffers[place] !== buffer) continue
      let address = this.#lastingAddresses[place]
      if (address === undefined) {
        address = this.#addressOf(buffer)
        this.#lastingAddresses[place] = address
      }
      return address
    }
    return 0
  }

  #addressOf(buffer: Buffer): number {
    return Number(this.#koffi.address(buffer))
  }

  #checked(syscall: string, result: number, about?: string): number {
    if (result < 0) throw systemError(syscall, -this.#errno(), about)
    return result
  }
}
