/** The interface between the code that speaks PostgreSQL's protocol and the transports that carry its bytes. The relay knows nothing else of them. */

import type { Socket } from 'node:net'

export interface Address {
  /** A host name, an IPv4 or IPv6 address, or the path of a unix socket. A path that begins with `@` is an abstract socket. */
  readonly host: string
  readonly port: number
  /** The process at the other end of an accepted unix socket. Absent where the system cannot report it. */
  readonly process?: PeerProcess
}

/** The peer's credentials, as the kernel recorded them when the peer connected: https://man7.org/linux/man-pages/man7/unix.7.html (SO_PEERCRED) */
export interface PeerProcess {
  readonly pid: number
  readonly uid: number
  readonly gid: number
}

/** Receives the events of a channel, synchronously and one call at a time. */
export interface ChannelListener {
  /**
   * Bytes `start` to `end` of `buffer` have arrived. They are valid only until this method returns, because all channels share the buffer:
   * forward them at once, or copy what has to wait.
   */
  onRead(buffer: Buffer, start: number, end: number): void
  /** The kernel has taken all owed bytes: `owedBytes` is 0 again. */
  onDrained(): void
  /**
   * The channel is closed. Called once, and never from within `write`, `close` or `destroy`. `problem` is null after `close` or `destroy`,
   * and when the peer closed the connection in good order; otherwise it says what broke. Where the system does not tell a reset from an
   * orderly close, `problem` may be null after a reset too.
   */
  onClosed(problem: Error | null): void
}

export interface Channel {
  readonly peer: Address
  readonly local: Address
  /** Protocol version and cipher, such as `TLSv1.3/TLS_AES_256_GCM_SHA384`; empty without TLS. */
  readonly tls: string
  /** The name (CN) in the peer's certificate, once that certificate was verified; null if the peer has shown none. */
  readonly certificateName: string | null
  /** The certificate of the connection's server side, ours or the peer's, in DER; null without TLS. */
  readonly serverCertificate: Buffer | null
  /** Bytes that were written but that the kernel has not taken yet. While this is not 0, the code that feeds this channel should stop. */
  readonly owedBytes: number
  /** False from the first sign of the end, which may come before `onClosed`. */
  readonly isOpen: boolean
  /**
   * Receives the channel's events. It is replaced when the connection passes from one stage to the next. Until it is first set, arriving
   * bytes fail an invariant.
   */
  listener: ChannelListener
  /**
   * Writes bytes `start` to `end` and returns how many of them the channel does not owe. The channel copies the rest and adds its length to
   * `owedBytes`. A transport that sends for many channels at once may hold a few KiB back until the current event is over, and count them
   * as owed only if the kernel does not take them then. A closed channel discards all bytes and returns their number.
   */
  write(buffer: Buffer, start: number, end: number): number
  /**
   * Stops reading, so that the peer is slowed down once the kernel's buffers are full. While paused, the channel notices that the peer has
   * left only on `resume`, when a write fails, or by a reset while bytes are owed.
   */
  pause(): void
  resume(): void
  /**
   * Delivers the owed bytes and then closes. Until the peer has closed too, but for at most `LINGER_MS`, it reads and drops what the peer
   * still sends: if the socket were closed with unread bytes, the kernel would take back our last message. The listener is called only once
   * more, with `onClosed`, when all that is over.
   */
  close(): void
  /** Closes at once. Owed bytes are lost. */
  destroy(): void
  /**
   * Hands over the connection as a socket of node:net, for code that continues without this channel. The channel is finished then and never
   * calls its listener again. Returns null if there is no socket to hand over or bytes are owed; the channel then continues as before.
   */
  takeSocket(): Socket | null
}

/** How long a closing channel waits for its peer to take the last bytes and to close its own side. */
export const LINGER_MS = 2_000

/** The most bytes that one read can bring: the size of the buffer that all channels share. */
export const READ_BUFFER_BYTES = 64 * 1024

export interface ListenOptions {
  readonly host: string
  readonly port: number
  readonly backlog: number
  readonly keepAlive: KeepAlive
  /**
   * A socket inherited from another process, which listens already: at `host` and `port` or, if `host` is empty, wherever the socket itself
   * says. The listener leaves its address as it is, and owns it from now on. All processes that hold the socket accept from one queue.
   */
  readonly descriptor?: number
  /** SO_REUSEPORT: other processes of the same user may listen at this address too, and the kernel distributes the connections among them. */
  readonly sharesPort?: boolean
}

/**
 * How TCP connections are kept alive and buffered. Dials and listeners read the object again for each connection, since its values may
 * change. A value that is absent or 0 is left to the system. The portable transport (`node`) can set only the first two.
 */
export interface KeepAlive {
  readonly isOn: boolean
  /** How long a connection is silent before the first probe. */
  readonly idleMs: number
  /** Time between two probes. */
  readonly intervalMs?: number
  /** The number of unanswered probes after which the connection is given up. */
  readonly probes?: number
  /** How long sent bytes may stay unacknowledged before the connection is given up. */
  readonly userTimeoutMs?: number
  /** Size of the kernel's buffer for each direction. */
  readonly bufferBytes?: number
  /** For listeners: a connection is accepted only once its first bytes have arrived, or after this time. */
  readonly deferMs?: number
}

export interface Listener {
  /** Where it listens, with the real port if port 0 was asked for. */
  readonly address: Address
  /** Stops accepting for good. Channels that were accepted stay open. */
  close(): void
  /**
   * Like `close`, but as far as the transport can, without losing a connection: connections that are already established are still
   * accepted, and where the port is shared, clients that are about to connect reach another listener. Calls `finished` when it accepts no
   * more, which may be at once.
   */
  finish(finished: () => void): void
  /**
   * Stops accepting for now. New connections wait in the kernel, or another process that shares the descriptor accepts them. Returns false,
   * and continues to accept, where the transport cannot pause.
   */
  pause(): boolean
  resume(): void
}

/** Returns a `finish` for transports that can only close. */
export function finishAtOnce(close: () => void): Listener['finish'] {
  return (finished) => {
    close()
    finished()
  }
}

export interface DialOptions {
  readonly address: Address
  /** The addresses to try, in this order, if the host is a name. Without them, the system resolves the name. */
  readonly hosts?: readonly string[]
  readonly keepAlive: KeepAlive
}

/** Receives the result of a dial: exactly one of the two methods is called, once, and never before `dial` has returned. */
export interface DialListener {
  onConnected(channel: Channel): void
  onFailed(problem: Error): void
}

export interface Dial {
  /** Gives up: neither method of the listener is called any more. */
  abandon(): void
}

/** One way of carrying bytes: `node` uses node:net, `epoll` uses Linux system calls, and `memory` serves tests. */
export interface Transport {
  readonly name: string
  /** Resolves once connections are accepted; rejects with the system's error (EADDRINUSE, EACCES, …). */
  listen(options: ListenOptions, onAccepted: (channel: Channel) => void): Promise<Listener>
  dial(options: DialOptions, listener: DialListener): Dial
}
