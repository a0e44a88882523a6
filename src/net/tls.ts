/**
 * TLS on an existing connection, on either side, by Node's own sockets: they carry the connection from here on, whatever carried it before.
 * Where OpenSSL can be called directly, it is: see `openssl/`.
 * https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-SSL
 */

import { constants } from 'node:crypto'
import type { Socket } from 'node:net'
import { connect, createSecureContext, type SecureContext, type SecureContextOptions, TLSSocket } from 'node:tls'
import { countHandshake, HandshakeError } from './handshakes.ts'
import { createNativeContext, type NativeContext } from './openssl/contexts.ts'
import { openSsl } from './openssl/library.ts'

export { TICKET_KEYS_BYTES } from './openssl/library.ts'

/** The certificate that each socket on the server's side has shown. */
const shown = new WeakMap<Socket, Buffer>()

/** Sockets whose handshake is not complete. */
const shaking = new WeakSet<Socket>()

/** What the two sides of each socket have agreed on. Remembered, because a socket that has been destroyed cannot be asked any more. */
const agreed = new WeakMap<Socket, string>()

/** Keys, certificates and rules. */
export interface TlsContext {
  readonly node: SecureContext
  /** For the OpenSSL that is called directly. Created when it is first asked for; null if it cannot be created. */
  readonly native: NativeContext | null
  /** The period of the keys that `giveTickets` received last; null if peers get no tickets. */
  readonly ticketPeriod: number | null
  /** From now on, peers get tickets with which they may resume their TLS session. `keys` has TICKET_KEYS_BYTES bytes. */
  giveTickets(period: number, keys: Buffer): void
}

/** Throws an error in OpenSSL's words if the options cannot be used. */
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
    // Node takes ticket keys only when it creates a context.
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
      // Node could create a context from the same options, and so carries these connections.
      return null
    }
  }
}

/** Node uses shorter ticket keys than OpenSSL does. */
const NODE_TICKET_KEYS_BYTES = 48

/** How we offer TLS to clients. */
export interface ServerSide {
  readonly context: TlsContext
  /** The certificate that clients are shown, in DER. */
  readonly certificate: Buffer
  /** A client must show a certificate that the context's authorities have signed. */
  readonly verifiesPeer: boolean
}

/** How TLS begins. */
export interface Opening {
  /** TLS begins with the first byte of the connection, without an SSLRequest. Then both sides must agree on PostgreSQL's protocol (ALPN). */
  readonly isDirect: boolean
  /** Bytes of the peer's first message that have been read already. */
  readonly first?: Buffer
}

/** How we ask servers for TLS. */
export interface ClientSide {
  readonly context: TlsContext
  /**
   * `nothing`; `certificate`: the context's authorities must have signed the server's certificate; `host`: the certificate must also be the
   * host's.
   */
  readonly verifies: 'nothing' | 'certificate' | 'host'
}

/** The name of PostgreSQL's protocol in ALPN: https://www.iana.org/assignments/tls-extensiontype-values */
const PROTOCOL = 'postgresql'

/**
 * Returns protocol version and cipher, such as `TLSv1.3/TLS_AES_256_GCM_SHA384`, once they are settled; empty before, and on a socket
 * without TLS.
 */
export function tlsOf(socket: Socket): string {
  return agreed.get(socket) ?? ''
}

/** The most bytes that may be owed of answers that OpenSSL makes by itself. Such an answer has some twenty bytes. */
export const MAX_ANSWERS_BYTES = 64 * 1024

export const DEAF = 'the peer makes TLS send answers but does not read them'

/**
 * Whether the peer has left far too many answers unread that OpenSSL makes by itself, such as to changes of keys. The listener does not
 * know of these answers, and so nobody stops reading because of them. It is enough to check when data has arrived: OpenSSL tolerates no
 * more than 32 changes without any.
 */
export function isDeaf(socket: TLSSocket): boolean {
  const { _handle: handle } = socket as unknown as { readonly _handle?: { readonly writeQueueSize?: number } | null }
  // The queue also holds the other owed bytes, sealed. Sealing makes them longer, but never twice as long.
  return (handle?.writeQueueSize ?? 0) > 2 * socket.writableLength + MAX_ANSWERS_BYTES
}

/** Returns the certificate of the connection's server side in DER; null if there is none. */
export function serverCertificateOf(socket: Socket): Buffer | null {
  if (!(socket instanceof TLSSocket)) return null
  return shown.get(socket) ?? socket.getPeerCertificate()?.raw ?? null
}

/** Returns the name in the peer's certificate. A peer whose certificate is not good does not get this far: see `secureAsServer`. */
export function certificateNameOf(socket: Socket): string | null {
  if (!(socket instanceof TLSSocket)) return null
  const name: unknown = socket.getPeerCertificate()?.subject?.CN
  return typeof name === 'string' ? name : null
}

/** The peer begins with TLS. Its bytes are read once it is known to be who it must be; otherwise the socket is destroyed with the reason. */
export function secureAsServer(
  socket: Socket,
  { context, certificate, verifiesPeer }: ServerSide,
  { isDirect, first }: Opening,
): TLSSocket {
  // Node reads these bytes before it reads from the connection.
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

/** We begin with TLS. Bytes written meanwhile are sent once the peer is known to be who it must be. `host` is an address or a name. */
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

/** Called when the listeners that verify the peer have been added. */
function begin(
  socket: TLSSocket,
  ...[side, event]: [side: 'client' | 'server', event: 'secure' | 'secureConnect']
): void {
  shaking.add(socket)
  countHandshake(socket, side, event)
  socket.once(event, () => {
    if (socket.destroyed) return
    shaking.delete(socket)
    agreed.set(socket, `${socket.getProtocol()}/${socket.getCipher().standardName}`)
  })
}

export function isShakingHands(socket: Socket): boolean {
  return shaking.has(socket)
}

/** Returns the problem in OpenSSL's own words: Node puts numbers and places in the source code around them. */
export function problemOf(socket: Socket, problem: Error): Error {
  if ((problem as NodeJS.ErrnoException).errno !== undefined) return problem
  const { library, reason } = problem as { readonly library?: string; readonly reason?: string }
  const words = library !== undefined && reason !== undefined ? reason : problem.message
  if (shaking.has(socket)) return new HandshakeError(words, { cause: problem })
  return words === problem.message ? problem : new Error(words, { cause: problem })
}

/** A peer that begins with TLS may mean to speak another protocol: https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-SSL */
function protocolProblem(socket: TLSSocket, peer: 'client' | 'server'): Error | null {
  if (socket.alpnProtocol === PROTOCOL) return null
  return new Error(`the ${peer} started TLS directly but did not agree on the protocol ${PROTOCOL} (ALPN)`)
}

/** Whether `host` is a name, and not an address. */
export function isName(host: string): boolean {
  return /[a-z]/i.test(host) && !host.includes(':')
}

/**
 * Returns what is wrong with the client's certificate. Node reports that only to its own servers, so it is read from the socket's handle.
 * Where it cannot be read, no client is trusted.
 */
function peerProblem(socket: TLSSocket): Error | null {
  const { _handle: handle } = socket as unknown as { _handle?: { verifyError?(): Error | null } | null }
  if (handle?.verifyError === undefined) return new Error('the certificate of the client cannot be verified')
  // Without a certificate, there is nothing that could be wrong with it.
  const hasShown = socket.getPeerCertificate()?.raw !== undefined
  return hasShown ? (handle.verifyError() ?? null) : new Error('the client presented no certificate')
}
