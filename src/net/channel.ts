/** The contract between whoever speaks Postgres' protocol and the transport that carries it; the relay knows only this. */

import type { Socket } from 'node:net'

export interface Address {
  /** A host name, an IPv4 or IPv6 address, or the path of a unix socket; `@` begins an abstract one. */
  readonly host: string
  readonly port: number
  /** Who is at the other end of a unix socket that was accepted; not given where the system cannot be asked. */
  readonly process?: PeerProcess
}

/** As the kernel knows it from when it connected: https://man7.org/linux/man-pages/man7/unix.7.html (SO_PEERCRED) */
export interface PeerProcess {
  readonly pid: number
  readonly uid: number
  readonly gid: number
}

/** What happens on a channel is told to its listener, synchronously, one call at a time. */
export interface ChannelListener {
  /**
   * Bytes `start` to `end` of `buffer` have arrived. They are valid only until this returns: the buffer is shared by all channels, so
   * forward them at once or copy what must wait.
   */
  onRead(buffer: Buffer, start: number, end: number): void
  /** All that was owed to the peer has been taken by the kernel. */
  onDrained(): void
  /**
   * The channel is gone: told once, and never from within `write`, `close` or `destroy`. After `close` and `destroy`, and when the peer
   * said goodbye, `problem` is null; otherwise it says what broke. A reset may look like a goodbye where the system tells no difference.
   */
  onClosed(problem: Error | null): void
}

export interface Channel {
  readonly peer: Address
  readonly local: Address
  /** `TLSv1.3/TLS_AES_256_GCM_SHA384`; empty where nothing is encrypted. */
  readonly tls: string
  /** The name (CN) in the certificate that the peer has shown, and that was found to be good; null without one. */
  readonly certificateName: string | null
  /** In DER, what the server's side has shown, be that ours or the peer's; null where nothing is encrypted. */
  readonly serverCertificate: Buffer | null
  /** Bytes that were written and that the kernel has not taken yet. While it is not 0, whoever feeds this channel should stop. */
  readonly owedBytes: number
  /** False from the first sign of the end, which may be before `onClosed`. */
  readonly isOpen: boolean
  /** Who is told; changed when a connection passes from one stage to the next. Until it is set, bytes that arrive are a failed invariant. */
  listener: ChannelListener
  /**
   * Writes bytes `start` to `end` and returns how many the kernel is known to have taken; `owedBytes` grows by the others, of which the
   * channel keeps its own copy. A closed channel takes all and forgets.
   */
  write(buffer: Buffer, start: number, end: number): number
  /**
   * Stops reading, so that the peer is slowed down once the kernel's buffers are full. That the peer has left is then noticed on
   * `resume`, by a write that fails, or by a reset while something is owed.
   */
  pause(): void
  resume(): void
  /**
   * Delivers what is owed and then closes. What the peer still sends is read and dropped, at most for `LINGER_MS`, because closing
   * with unread bytes would make the kernel take back our last message. The listener hears nothing but `onClosed`, once all that is over.
   */
  close(): void
  /** Closes at once; what is owed is lost. */
  destroy(): void
  /**
   * Gives its socket away, as node has it, to whoever carries on by other means. The channel is over then, and tells nothing more. Null
   * where there is no socket to give, or bytes are owed; the channel goes on then.
   */
  takeSocket(): Socket | null
}

/** How long a closing channel waits for its peer to take the last bytes and to close its side. */
export const LINGER_MS = 2_000

/** How much one read may bring; the size of the buffer that all channels share. */
export const READ_BUFFER_BYTES = 64 * 1024

export interface ListenOptions {
  readonly host: string
  readonly port: number
  readonly backlog: number
  readonly keepAlive: KeepAlive
  /**
   * Inherited from another process, and listening already, at that address or, if there is no host, wherever it says itself: it is taken as
   * it is, and belongs to the listener from now on. All processes that have it accept from one queue.
   */
  readonly descriptor?: number
  /** SO_REUSEPORT: other processes of the same user may listen at this address too, and the kernel shares out the connections. */
  readonly sharesPort?: boolean
}

/**
 * How TCP connections are watched over and buffered: read for each connection anew, since it may change, by whoever dials and by whoever
 * listens. What is not given, or 0, is left to the system; the portable transport can set only the first two.
 */
export interface KeepAlive {
  readonly isOn: boolean
  /** Silence before the first probe. */
  readonly idleMs: number
  /** Between two probes. */
  readonly intervalMs?: number
  /** Unanswered probes after which the peer is given up. */
  readonly probes?: number
  /** How long what was sent may stay unacknowledged before the peer is given up. */
  readonly userTimeoutMs?: number
  /** The kernel's buffers for each direction. */
  readonly bufferBytes?: number
  /** By whoever listens: a connection is accepted only once its first bytes have come, or after this time. */
  readonly deferMs?: number
}

export interface Listener {
  /** Where it listens: the port is the real one where 0 was asked for. */
  readonly address: Address
  /** Stops accepting for good; channels that were accepted live on. */
  close(): void
  /**
   * The same, but nobody is lost, as far as the transport can do that: whoever has connected already comes in, and where the port is shared,
   * who is about to goes to another. `finished` is called when it accepts no more, which may be at once.
   */
  finish(finished: () => void): void
  /**
   * Stops accepting for now: who connects waits in the kernel, or is taken by another process that shares the descriptor. Returns false
   * where the transport cannot do that, and goes on.
   */
  pause(): boolean
  resume(): void
}

/** For a transport that can do no better than to close. */
export function finishAtOnce(close: () => void): Listener['finish'] {
  return (finished) => {
    close()
    finished()
  }
}

export interface DialOptions {
  readonly address: Address
  /** The addresses of a host that is a name, in the order in which they are to be tried; without them the system is asked. */
  readonly hosts?: readonly string[]
  readonly keepAlive: KeepAlive
}

/** What a dial ends with: exactly one of the two is called, once, and never before `dial` has returned. */
export interface DialListener {
  onConnected(channel: Channel): void
  onFailed(problem: Error): void
}

export interface Dial {
  /** Gives up; neither method of the listener is called any more. */
  abandon(): void
}

/** One way of carrying bytes: `node` on node:net, `epoll` on Linux, `memory` in tests. */
export interface Transport {
  readonly name: string
  /** Resolves once connections are accepted; rejects with the system's error (EADDRINUSE, EACCES, …). */
  listen(options: ListenOptions, onAccepted: (channel: Channel) => void): Promise<Listener>
  dial(options: DialOptions, listener: DialListener): Dial
}
