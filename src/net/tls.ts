/**
 * TLS on a connection that is there already, on either side, by node's own sockets: whatever carried the connection before, they carry it
 * from here. Where OpenSSL can be called directly, it is: see `openssl/`.
 * https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-SSL
 */

import { constants } from 'node:crypto'
import type { Socket } from 'node:net'
import { connect, createSecureContext, type SecureContext, type SecureContextOptions, TLSSocket } from 'node:tls'
import { countHandshake, HandshakeError } from './handshakes.ts'
import { createNativeContext, type NativeContext } from './openssl/contexts.ts'
import { openSsl } from './openssl/library.ts'

export { TICKET_KEYS_BYTES } from './openssl/library.ts'

/** What each socket has shown itself, where it is the server's side. */
const shown = new WeakMap<Socket, Buffer>()

/** Those that have not shaken hands yet. */
const shaking = new WeakSet<Socket>()

/** Keys, certificates and rules. */
export interface TlsContext {
  readonly node: SecureContext
  /** For the OpenSSL that is called directly; made when it is first asked for, and null where that cannot be. */
  readonly native: NativeContext | null
  /** Of the keys that `giveTickets` was told last; null if peers are given no tickets. */
  readonly ticketPeriod: number | null
  /** Peers from now on get tickets by which they may resume what they had, with TICKET_KEYS_BYTES of keys. */
  giveTickets(period: number, keys: Buffer): void
}

/** Throws with OpenSSL's words where they cannot be used. */
export function createTlsContext(options: SecureContextOptions, isServer: boolean): TlsContext {
  return new Context(options, isServer)
}

class Context implements TlsContext {
  ticketPeriod: number | null = null
  readonly #options: SecureContextOptions
  readonly #isServer: boolean
  #ticketKeys: Buffer | null = null
  #node: SecureContext | null
  #native: NativeContext | null | undefined

  constructor(options: SecureContextOptions, isServer: boolean) {
    this.#options = options
    this.#isServer = isServer
    this.#node = this.#createNode()
  }

  get node(): SecureContext {
    this.#node ??= this.#createNode()
    return this.#node
  }

  get native(): NativeContext | null {
    if (this.#native === undefined) this.#native = this.#createNative()
    return this.#native
  }

  giveTickets(period: number, keys: Buffer): void {
    this.ticketPeriod = period
    this.#ticketKeys = keys
    // Node takes keys only when it makes a context.
    this.#node = null
    if (this.#native) openSsl()?.giveTickets(this.#native.address, keys)
  }

  #createNode(): SecureContext {
    if (this.#ticketKeys === null)
      return createSecureContext({ ...this.#options, secureOptions: constants.SSL_OP_NO_TICKET })
    return createSecureContext({ ...this.#options, ticketKeys: this.#ticketKeys.subarray(0, NODE_TICKET_KEYS_BYTES) })
  }

  #createNative(): NativeContext | null {
    const library = openSsl()
    if (library === null) return null
    try {
      const native = createNativeContext(library, this.#options, this.#isServer)
      if (this.#ticketKeys !== null) library.giveTickets(native.address, this.#ticketKeys)
      return native
    } catch {
      // Node could make one of the same, and is there for it.
      return null
    }
  }
}

/** Node uses shorter ones than OpenSSL would. */
const NODE_TICKET_KEYS_BYTES = 48

/** What clients are offered. */
export interface ServerSide {
  readonly context: TlsContext
  /** What they are shown, in DER. */
  readonly certificate: Buffer
  /** A client must show a certificate that the context's authorities have signed. */
  readonly verifiesPeer: boolean
}

/** How TLS begins. */
export interface Opening {
  /** With the very first byte of the connection, without an SSLRequest: then both must have agreed on Postgres' protocol (ALPN). */
  readonly isDirect: boolean
  /** What the peer has sent of its first message and was read already. */
  readonly first?: Buffer
}

/** What servers are asked for. */
export interface ClientSide {
  readonly context: TlsContext
  /** `nothing`, that its certificate was signed by the context's authorities, or besides that it is `host`'s. */
  readonly verifies: 'nothing' | 'certificate' | 'host'
}

/** The name that PostgreSQL has for its protocol: https://www.iana.org/assignments/tls-extensiontype-values */
const PROTOCOL = 'postgresql'

/** `TLSv1.3/TLS_AES_256_GCM_SHA384` once that is settled; empty before, and on a socket without TLS. */
export function tlsOf(socket: Socket): string {
  if (!(socket instanceof TLSSocket)) return ''
  // Node names a protocol from the beginning, and has no cipher then.
  if (socket.getPeerFinished() === undefined) return ''
  return `${socket.getProtocol()}/${socket.getCipher().standardName}`
}

/** Of what OpenSSL answers by itself, how much is owed at the most: such an answer has some twenty bytes. */
export const MAX_ANSWERS_BYTES = 64 * 1024

export const DEAF = 'the peer has TLS answer it and does not read the answers'

/**
 * Whether OpenSSL has answered far too much by itself, as to changes of keys, that the peer has not read. Nobody above knows of these answers, and so nobody
 * stops reading for them. It is enough to ask when something has come: OpenSSL bears no more than 32 changes without.
 */
export function isDeaf(socket: TLSSocket): boolean {
  const { _handle: handle } = socket as unknown as { readonly _handle?: { readonly writeQueueSize?: number } | null }
  // What is owed besides is sealed, and grows by that, though never so much.
  return (handle?.writeQueueSize ?? 0) > 2 * socket.writableLength + MAX_ANSWERS_BYTES
}

/** In DER. */
export function serverCertificateOf(socket: Socket): Buffer | null {
  if (!(socket instanceof TLSSocket)) return null
  return shown.get(socket) ?? socket.getPeerCertificate()?.raw ?? null
}

/** Whoever shows one that is not good does not come so far: see `secureAsServer`. */
export function certificateNameOf(socket: Socket): string | null {
  if (!(socket instanceof TLSSocket)) return null
  const name: unknown = socket.getPeerCertificate()?.subject?.CN
  return typeof name === 'string' ? name : null
}

/** The peer begins. What it sends is read once it is known to be who it must be; otherwise the socket ends with the reason. */
export function secureAsServer(
  socket: Socket,
  { context, certificate, verifiesPeer }: ServerSide,
  { isDirect, first }: Opening,
): TLSSocket {
  // node reads what lies there before it reads from the connection.
  socket.pause()
  if (first !== undefined && first.length > 0) socket.unshift(first)
  const secured = new TLSSocket(socket, {
    isServer: true,
    secureContext: context.node,
    requestCert: verifiesPeer,
    rejectUnauthorized: false,
    ALPNProtocols: [PROTOCOL],
  })
  shown.set(secured, certificate)
  if (verifiesPeer || isDirect)
    secured.prependOnceListener('secure', () => {
      const problem =
        (isDirect ? protocolProblem(secured, 'client') : null) ?? (verifiesPeer ? peerProblem(secured) : null)
      if (problem !== null) secured.destroy(problem)
    })
  begin(secured, 'client', 'secure')
  return secured
}

/** We begin. What is written meanwhile goes out once the peer is known to be who it must be. `host` is an address or a name. */
export function secureAsClient(
  socket: Socket,
  { context, verifies }: ClientSide,
  host: string,
  { isDirect }: Opening,
): TLSSocket {
  const secured = connect({
    socket,
    secureContext: context.node,
    rejectUnauthorized: verifies !== 'nothing',
    // Names only: an address is no server name (RFC 6066).
    ...(isName(host) ? { servername: host } : {}),
    host,
    ...(verifies === 'host' ? {} : { checkServerIdentity: () => undefined }),
    ALPNProtocols: [PROTOCOL],
  })
  if (isDirect)
    secured.prependOnceListener('secureConnect', () => {
      const problem = protocolProblem(secured, 'server')
      if (problem !== null) secured.destroy(problem)
    })
  begin(secured, 'server', 'secureConnect')
  return secured
}

/** When all has been said about who the peer must be. */
function begin(
  socket: TLSSocket,
  ...[side, event]: [side: 'client' | 'server', event: 'secure' | 'secureConnect']
): void {
  shaking.add(socket)
  countHandshake(socket, side, event)
  socket.once(event, () => {
    if (!socket.destroyed) shaking.delete(socket)
  })
}

export function isShakingHands(socket: Socket): boolean {
  return shaking.has(socket)
}

/** In OpenSSL's own words: node's have numbers, and places in its source, around them. */
export function problemOf(socket: Socket, problem: Error): Error {
  if ((problem as NodeJS.ErrnoException).errno !== undefined) return problem
  const { library, reason } = problem as { readonly library?: string; readonly reason?: string }
  const words = library !== undefined && reason !== undefined ? reason : problem.message
  if (shaking.has(socket)) return new HandshakeError(words, { cause: problem })
  return words === problem.message ? problem : new Error(words, { cause: problem })
}

/** Who speaks TLS at once may speak it to somebody else: https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-SSL */
function protocolProblem(socket: TLSSocket, peer: 'client' | 'server'): Error | null {
  if (socket.alpnProtocol === PROTOCOL) return null
  return new Error(`the ${peer} began with TLS and did not agree on the protocol ${PROTOCOL} (ALPN)`)
}

/** An address is none. */
export function isName(host: string): boolean {
  return /[a-z]/i.test(host) && !host.includes(':')
}

/** node tells it to servers of its own only. Where it cannot be had, nobody is trusted. */
function peerProblem(socket: TLSSocket): Error | null {
  const { _handle: handle } = socket as unknown as { _handle?: { verifyError?(): Error | null } | null }
  if (handle?.verifyError === undefined) return new Error('the certificate of the client cannot be verified')
  // Without one there is nothing that could be wrong with it.
  const hasShown = socket.getPeerCertificate()?.raw !== undefined
  return hasShown ? (handle.verifyError() ?? null) : new Error('the client has shown no certificate')
}
