/**
 * The OpenSSL that Node itself contains, through FFI. Only this file hands memory to it, and it checks the lengths.
 * https://docs.openssl.org/3.0/man7/ssl/
 */

import { createRequire } from 'node:module'
import { invariant } from '../../base/invariant.ts'
import { allocateLasting } from '../../base/lasting.ts'
import { READ_BUFFER_BYTES } from '../channel.ts'

type Koffi = typeof import('koffi')
/** Parameters are numbers or texts, and the result is a number. Addresses are numbers too, since those of user space are below 2 ** 47. */
type Call = (...values: (number | string)[]) => number
type CallForText = (...numbers: number[]) => string | null

/** Results of `SSL_get_error`. */
export const SSL_ERROR_WANT_READ = 2
export const SSL_ERROR_ZERO_RETURN = 6

// Commands of SSL_CTX_ctrl and SSL_ctrl. In C, macros make these calls.
const EXTRA_CHAIN_CERT = 14
const SET_MODE = 33
const SET_SESSION_CACHE_MODE = 44
const SET_HOST_NAME = 55
const SET_TICKET_KEYS = 59
const SET_GROUPS_LIST = 92
const SET_DH_AUTO = 118
const SET_MIN_VERSION = 123
const SET_MAX_VERSION = 124

const MODE_RELEASE_BUFFERS = 0x10
const OP_NO_TICKET = 1 << 14
const OP_NO_COMPRESSION = 1 << 17
const OP_CIPHER_SERVER_PREFERENCE = 1 << 22
const OP_NO_RENEGOTIATION = 1 << 30
const VERIFY_PEER = 1
const VERIFY_FAIL_IF_NO_CERTIFICATE = 2
const NO_PARTIAL_WILDCARDS = 4
const ALERT_FATAL = 2

/** A record carries at most 16 KiB, and adds some bytes to them. */
const RECORD_BYTES = 16 * 1024
const RECORD_OVERHEAD_BYTES = 512

/**
 * The most bytes that are fed at a time. Together with the beginning of a record that is held already, they open to no more than a read may
 * bring.
 */
export const MAX_FED_BYTES = READ_BUFFER_BYTES - RECORD_BYTES - RECORD_OVERHEAD_BYTES

/** The most bytes that are encrypted at a time. */
export const MAX_SEALED_BYTES = 64 * 1024

/** The name of the protocol in ALPN's format, with its length before it. */
const PROTOCOL_LIST = Buffer.from('\x0apostgresql', 'latin1')

const PAGE_BYTES = 4_096

/** Keys and rules of a context: see `contexts.ts`. */
export interface ContextSource {
  readonly key?: Buffer | undefined
  readonly cert?: Buffer | undefined
  readonly ca?: Buffer | undefined
  readonly isServer: boolean
  /** As TLS encodes versions: 0x0303 is 1.2. */
  readonly minVersion: number
  readonly maxVersion: number
  readonly ciphers: string
  readonly ciphers13: string
  readonly groups?: string | undefined
  readonly hasDh: boolean
}

let known: OpenSsl | null | undefined

/** Returns the library, or null if it cannot be called here. */
export function openSsl(): OpenSsl | null {
  if (known === undefined) {
    try {
      known = new OpenSsl(createRequire(import.meta.url)('koffi'))
    } catch {
      known = null
    }
  }
  return known
}

/**
 * Contexts and connections are addresses. They belong to the code that created them, which must free them. All connections read from one
 * memory BIO and write to another: within one call, fed bytes are consumed and sealed bytes are taken out, so that an idle connection has
 * no buffers.
 */
export class OpenSsl {
  /** Sealed bytes, to be written. */
  readonly sealed = allocateLasting(MAX_SEALED_BYTES + (MAX_SEALED_BYTES / RECORD_BYTES + 4) * RECORD_OVERHEAD_BYTES)
  /** Opened bytes, to be read. */
  readonly opened = allocateLasting(READ_BUFFER_BYTES)
  readonly #koffi: Koffi
  readonly #copied = Buffer.allocUnsafeSlow(MAX_SEALED_BYTES)
  readonly #page = Buffer.allocUnsafeSlow(PAGE_BYTES)
  readonly #protocols = Buffer.allocUnsafeSlow(PROTOCOL_LIST.length)
  readonly #sealedAddress: number
  readonly #openedAddress: number
  readonly #copiedAddress: number
  readonly #pageAddress: number
  readonly #protocolsAddress: number
  /** The memory BIOs that connections read from, and write to. */
  readonly #incoming: number
  readonly #outgoing: number
  #fedBuffer: Buffer | null = null
  #fedAddress = 0

  readonly #bioRead: Call
  readonly #bioWrite: Call
  readonly #bioPending: Call
  readonly #read: Call
  readonly #write: Call
  readonly #handshake: Call
  readonly #error: Call
  readonly #clearErrors: Call
  readonly #memcpy: Call
  /** Calls that run at most a few times for each connection. */
  readonly #calls: ReturnType<typeof declareCalls>

  constructor(koffi: Koffi) {
    const library = koffi.load(null)
    const call = (name: string, parameters: string[], result = 'int') => library.func(name, result, parameters) as Call
    this.#koffi = koffi
    PROTOCOL_LIST.copy(this.#protocols)
    this.#sealedAddress = this.#addressOf(this.sealed)
    this.#openedAddress = this.#addressOf(this.opened)
    this.#copiedAddress = this.#addressOf(this.#copied)
    this.#pageAddress = this.#addressOf(this.#page)
    this.#protocolsAddress = this.#addressOf(this.#protocols)

    this.#bioRead = call('BIO_read', ['uint64', 'uint64', 'int'])
    this.#bioWrite = call('BIO_write', ['uint64', 'uint64', 'int'])
    this.#bioPending = call('BIO_ctrl_pending', ['uint64'], 'uint64')
    this.#read = call('SSL_read', ['uint64', 'uint64', 'int'])
    this.#write = call('SSL_write', ['uint64', 'uint64', 'int'])
    this.#handshake = call('SSL_do_handshake', ['uint64'])
    this.#error = call('SSL_get_error', ['uint64', 'int'])
    this.#clearErrors = call('ERR_clear_error', [], 'void')
    this.#memcpy = call('memcpy', ['uint64', 'uint64', 'uint64'], 'uint64')
    this.#calls = declareCalls(call, (name, parameters) => library.func(name, 'str', parameters) as CallForText)

    this.#incoming = this.#memory()
    this.#outgoing = this.#memory()
    this.#chooseProtocol = this.#registerCallback()
  }

  // For each chunk

  /**
   * Makes bytes `start` to `end`, at most MAX_FED_BYTES, the input of `shakeHands` and `open`. All of it must be consumed before another
   * connection is fed.
   */
  feed(buffer: Buffer, start: number, end: number): void {
    const length = end - start
    invariant(start >= 0 && length >= 0 && end <= buffer.length, 'a span outside of its buffer is fed')
    if (buffer !== this.#fedBuffer) {
      this.#fedAddress = this.#addressOf(buffer)
      this.#fedBuffer = buffer
    }
    const taken = this.#bioWrite(this.#incoming, this.#fedAddress + start, length)
    invariant(taken === length, 'OpenSSL has no memory left')
  }

  /** Whether some of the fed bytes were not consumed. */
  get hasFed(): boolean {
    return this.#bioPending(this.#incoming) > 0
  }

  /** Drops fed bytes that were not consumed, so that the next connection does not read them. */
  dropFed(): void {
    while (this.#bioRead(this.#incoming, this.#copiedAddress, this.#copied.length) > 0);
  }

  /** Opens (decrypts) what was fed into `opened`, from offset `at`. Returns the number of bytes. If it is 0 or less, `errorOf` tells why. */
  open(connection: number, at: number): number {
    invariant(at >= 0 && at <= this.opened.length, 'there is no such place')
    return this.#read(connection, this.#openedAddress + at, this.opened.length - at)
  }

  /** Seals (encrypts) a span of at most MAX_SEALED_BYTES. Returns whether that worked; `takeSealed` then gives the result. */
  seal(connection: number, buffer: Buffer, start: number, end: number): boolean {
    const length = end - start
    invariant(start >= 0 && length > 0 && length <= MAX_SEALED_BYTES && end <= buffer.length, 'no span to be sealed')
    buffer.copy(this.#copied, 0, start, end)
    return this.#write(connection, this.#copiedAddress, length) === length
  }

  /** Moves bytes that are to be written into `sealed`, and returns their number. If they fill `sealed`, there are more. */
  takeSealed(): number {
    return Math.max(0, this.#bioRead(this.#outgoing, this.#sealedAddress, this.sealed.length))
  }

  /** Returns why a call has returned 0 or less. */
  errorOf(connection: number, result: number): number {
    return this.#error(connection, result)
  }

  /** Drops errors that earlier calls have left behind. Must precede any call whose error is asked for. */
  clearErrors(): void {
    this.#clearErrors()
  }

  // For each connection

  /**
   * Creates a connection: the server's side if `side.isServer`. A client announces `host` if it is a name, and verifies it if
   * `side.verifies` is `host`.
   */
  connect(context: number, side: Side): number {
    const calls = this.#calls
    const connection = calls.SSL_new(context)
    if (connection === 0) throw this.#failure('SSL_new')
    // The connection frees the BIOs that it holds, so that each needs another reference.
    calls.BIO_up_ref(this.#incoming)
    calls.BIO_up_ref(this.#outgoing)
    calls.SSL_set_bio(connection, this.#incoming, this.#outgoing)
    if (side.isServer) {
      calls.SSL_set_accept_state(connection)
      if (side.verifiesPeer) calls.SSL_set_verify(connection, VERIFY_PEER | VERIFY_FAIL_IF_NO_CERTIFICATE, 0)
      return connection
    }
    const { host, isName, verifies } = side
    calls.SSL_set_connect_state(connection)
    if (isName) calls.setHostName(connection, SET_HOST_NAME, 0, host)
    if (verifies !== 'nothing') calls.SSL_set_verify(connection, VERIFY_PEER, 0)
    if (verifies === 'host') {
      calls.SSL_set_hostflags(connection, NO_PARTIAL_WILDCARDS)
      const parameters = calls.SSL_get0_param(connection)
      const isSet = isName
        ? calls.SSL_set1_host(connection, host)
        : calls.X509_VERIFY_PARAM_set1_ip_asc(parameters, host.replace(/%.*/, ''))
      if (isSet !== 1) throw this.#freed(connection, `the host ${host} cannot be verified`)
    }
    return connection
  }

  /** Returns 1 once the handshake is complete; otherwise `errorOf` tells why. */
  shakeHands(connection: number): number {
    return this.#handshake(connection)
  }

  /** Returns what went wrong, in OpenSSL's words. */
  reasonOf(connection: number): string {
    const calls = this.#calls
    const reasons: string[] = []
    for (let code = calls.ERR_get_error(); code !== 0; code = calls.ERR_get_error()) {
      const reason = calls.ERR_reason_error_string(code)
      if (reason !== null && reason !== '') reasons.push(reason)
    }
    const [reason = 'the TLS connection is broken'] = reasons
    // OpenSSL examines certificates even if nobody asked for that, so a bad verify result explains only this error.
    if (reason !== 'certificate verify failed') return reason
    return calls.X509_verify_cert_error_string(calls.SSL_get_verify_result(connection)) ?? reason
  }

  /** Returns protocol version and cipher, such as `TLSv1.3/TLS_AES_256_GCM_SHA384`. */
  describe(connection: number): string {
    const { SSL_get_version, SSL_get_current_cipher, SSL_CIPHER_standard_name } = this.#calls
    return `${SSL_get_version(connection)}/${SSL_CIPHER_standard_name(SSL_get_current_cipher(connection))}`
  }

  /** Whether both sides have agreed on PostgreSQL's protocol (ALPN). */
  hasProtocol(connection: number): boolean {
    this.#page.fill(0, 0, 16)
    this.#calls.SSL_get0_alpn_selected(connection, this.#pageAddress, this.#pageAddress + 8)
    const length = PROTOCOL_LIST.length - 1
    if (this.#page.readUInt32LE(8) !== length) return false
    this.#memcpy(this.#pageAddress + 16, Number(this.#page.readBigUInt64LE(0)), length)
    return PROTOCOL_LIST.compare(this.#page, 16, 16 + length, 1) === 0
  }

  /** Returns the peer's certificate in DER; null if it has shown none. */
  peerCertificate(connection: number): Buffer | null {
    const { SSL_get1_peer_certificate, i2d_X509, X509_free } = this.#calls
    const certificate = SSL_get1_peer_certificate(connection)
    if (certificate === 0) return null
    try {
      const length = i2d_X509(certificate, 0)
      if (length <= 0) return null
      const bytes = Buffer.allocUnsafeSlow(length)
      // i2d_X509 advances the pointer that it is given.
      this.#page.writeBigUInt64LE(BigInt(this.#addressOf(bytes)), 0)
      return i2d_X509(certificate, this.#pageAddress) === length ? bytes : null
    } finally {
      X509_free(certificate)
    }
  }

  /** Seals the alert that ends the connection, to be written like all other output. */
  sayGoodbye(connection: number): void {
    this.#calls.SSL_shutdown(connection)
  }

  free(connection: number): void {
    this.#calls.SSL_free(connection)
  }

  // For each context

  /** Throws an error in OpenSSL's words if the context cannot be created. */
  createContext(source: ContextSource): number {
    const calls = this.#calls
    this.#clearErrors()
    const context = calls.SSL_CTX_new(calls.TLS_method())
    if (context === 0) throw this.#failure('SSL_CTX_new')
    try {
      this.#fill(context, source)
      return context
    } catch (problem) {
      this.freeContext(context)
      throw problem
    } finally {
      this.#clearErrors()
    }
  }

  freeContext(context: number): void {
    this.#calls.SSL_CTX_free(context)
  }

  /** From now on, clients that connect get a ticket that is sealed with these keys, and may come with one. */
  giveTickets(context: number, keys: Buffer): void {
    invariant(keys.length === TICKET_KEYS_BYTES, 'these are no keys for tickets')
    const { SSL_CTX_ctrl, SSL_CTX_clear_options, SSL_CTX_set_num_tickets } = this.#calls
    keys.copy(this.#page)
    const isTaken = SSL_CTX_ctrl(context, SET_TICKET_KEYS, TICKET_KEYS_BYTES, this.#pageAddress) === 1
    this.#page.fill(0, 0, TICKET_KEYS_BYTES)
    // If OpenSSL did not take our keys, it would use its own, which no other process has. Then there are no tickets.
    if (!isTaken) return
    SSL_CTX_clear_options(context, OP_NO_TICKET)
    SSL_CTX_set_num_tickets(context, 1)
  }

  #fill(context: number, source: ContextSource): void {
    const calls = this.#calls
    const check = (isFine: boolean, what: string) => {
      if (!isFine) throw this.#failure(what)
    }
    calls.SSL_CTX_ctrl(context, SET_MODE, MODE_RELEASE_BUFFERS, 0)
    calls.SSL_CTX_ctrl(context, SET_SESSION_CACHE_MODE, 0, 0)
    calls.SSL_CTX_set_options(
      context,
      OP_NO_RENEGOTIATION | OP_NO_COMPRESSION | OP_NO_TICKET | (source.isServer ? OP_CIPHER_SERVER_PREFERENCE : 0),
    )
    if (source.isServer) calls.SSL_CTX_set_num_tickets(context, 0)
    check(calls.SSL_CTX_ctrl(context, SET_MIN_VERSION, source.minVersion, 0) === 1, 'the lowest version')
    check(calls.SSL_CTX_ctrl(context, SET_MAX_VERSION, source.maxVersion, 0) === 1, 'the highest version')
    check(calls.SSL_CTX_set_ciphersuites(context, source.ciphers13) === 1, 'the ciphers of TLS 1.3')
    if (source.ciphers !== '') check(calls.SSL_CTX_set_cipher_list(context, source.ciphers) === 1, 'the ciphers')
    if (source.groups !== undefined)
      check(calls.setGroups(context, SET_GROUPS_LIST, 0, source.groups) === 1, 'the curves')
    if (source.hasDh) calls.SSL_CTX_ctrl(context, SET_DH_AUTO, 1, 0)
    if (source.isServer) calls.SSL_CTX_set_alpn_select_cb(context, this.#chooseProtocol, 0)
    else calls.SSL_CTX_set_alpn_protos(context, this.#protocolsAddress, this.#protocols.length)
    if (source.cert) this.#useCertificates(context, source.cert)
    if (source.key)
      this.#reading(source.key, (bio) => {
        const key = calls.PEM_read_bio_PrivateKey(bio, 0, 0, 0)
        check(key !== 0 && calls.SSL_CTX_use_PrivateKey(context, key) === 1, 'the key')
        calls.EVP_PKEY_free(key)
      })
    if (source.ca) this.#trust(context, source.ca, source.isServer)
  }

  /** The first certificate is ours; the others lie between it and its authority. */
  #useCertificates(context: number, pem: Buffer): void {
    const { PEM_read_bio_X509_AUX, PEM_read_bio_X509, SSL_CTX_use_certificate, SSL_CTX_ctrl, X509_free } = this.#calls
    this.#reading(pem, (bio) => {
      const own = PEM_read_bio_X509_AUX(bio, 0, 0, 0)
      if (own === 0 || SSL_CTX_use_certificate(context, own) !== 1) throw this.#failure('the certificate')
      X509_free(own)
      // The context takes ownership of each of these.
      for (let next = PEM_read_bio_X509(bio, 0, 0, 0); next !== 0; next = PEM_read_bio_X509(bio, 0, 0, 0))
        if (SSL_CTX_ctrl(context, EXTRA_CHAIN_CERT, 0, next) !== 1) throw this.#failure('the certificate')
    })
  }

  #trust(context: number, pem: Buffer, isServer: boolean): void {
    const calls = this.#calls
    const store = calls.SSL_CTX_get_cert_store(context)
    this.#reading(pem, (bio) => {
      const next = () => calls.PEM_read_bio_X509_AUX(bio, 0, 0, 0)
      for (let authority = next(); authority !== 0; authority = next()) {
        calls.X509_STORE_add_cert(store, authority)
        if (isServer) calls.SSL_CTX_add_client_CA(context, authority)
        calls.X509_free(authority)
      }
    })
  }

  #reading(pem: Buffer, work: (bio: number) => void): void {
    const bio = this.#calls.BIO_new_mem_buf(this.#addressOf(pem), pem.length)
    if (bio === 0) throw this.#failure('BIO_new_mem_buf')
    try {
      work(bio)
    } finally {
      this.#calls.BIO_free(bio)
    }
  }

  // ALPN

  readonly #chooseProtocol: number

  /** `SSL_CTX_alpn_select_cb_func`: a client that offers protocols, but not ours, is refused. */
  #registerCallback(): number {
    const { proto, register, pointer } = this.#koffi
    const type = proto('int', ['uint64', 'uint64', 'uint64', 'uint64', 'uint32', 'uint64'])
    const choose = (_: number, out: number, outLength: number, offered: number, length: number): number => {
      if (length === 0 || length > PAGE_BYTES) return ALERT_FATAL
      this.#memcpy(this.#pageAddress, Number(offered), length)
      if (!offers(this.#page.subarray(0, length))) return ALERT_FATAL
      this.#page.writeBigUInt64LE(BigInt(this.#protocolsAddress + 1), 0)
      this.#page.writeUInt8(PROTOCOL_LIST.length - 1, 8)
      this.#memcpy(Number(out), this.#pageAddress, 8)
      this.#memcpy(Number(outLength), this.#pageAddress + 8, 1)
      return 0
    }
    return Number(register(choose, pointer(type)))
  }

  #memory(): number {
    const memory = this.#calls.BIO_new(this.#calls.BIO_s_mem())
    if (memory === 0) throw new Error('OpenSSL has no memory')
    return memory
  }

  #freed(connection: number, sentence: string): Error {
    this.free(connection)
    return new Error(sentence)
  }

  #failure(what: string): Error {
    const code = this.#calls.ERR_get_error()
    this.#clearErrors()
    return new Error(`${what}: ${this.#calls.ERR_reason_error_string(code) ?? 'OpenSSL cannot use it'}`)
  }

  #addressOf(buffer: Buffer): number {
    return Number(this.#koffi.address(buffer))
  }
}

export const TICKET_KEYS_BYTES = 80

/** How a connection begins: on which side, and how the peer is verified. */
export type Side =
  | { readonly isServer: true; readonly verifiesPeer: boolean }
  | {
      readonly isServer: false
      readonly host: string
      /** Names are sent to the server, addresses are not (RFC 6066). */
      readonly isName: boolean
      readonly verifies: 'nothing' | 'certificate' | 'host'
    }

/** Whether PostgreSQL's protocol is in an ALPN list: names, each with its length before it. */
function offers(list: Buffer): boolean {
  for (let at = 0; at < list.length; at += 1 + (list[at] as number)) {
    const end = at + 1 + (list[at] as number)
    if (end <= list.length && list.subarray(at, end).equals(PROTOCOL_LIST)) return true
  }
  return false
}

function declareCalls(
  call: (name: string, parameters: string[], result?: string) => Call,
  text: (name: string, parameters: string[]) => CallForText,
) {
  const address = (name: string, ...parameters: string[]) => call(name, parameters, 'uint64')
  const nothing = (name: string, ...parameters: string[]) => call(name, parameters, 'void')
  const number = (name: string, ...parameters: string[]) => call(name, parameters)
  const control = (name: string, last: string) => call(name, ['uint64', 'int', 'int64', last], 'int64')
  const [pointer, int] = ['uint64', 'int'] as const
  return {
    BIO_new: address('BIO_new', pointer),
    BIO_s_mem: address('BIO_s_mem'),
    BIO_new_mem_buf: address('BIO_new_mem_buf', pointer, int),
    BIO_free: number('BIO_free', pointer),
    BIO_up_ref: number('BIO_up_ref', pointer),
    ERR_get_error: address('ERR_get_error'),
    ERR_reason_error_string: text('ERR_reason_error_string', [pointer]),
    EVP_PKEY_free: nothing('EVP_PKEY_free', pointer),
    PEM_read_bio_PrivateKey: address('PEM_read_bio_PrivateKey', pointer, pointer, pointer, pointer),
    PEM_read_bio_X509: address('PEM_read_bio_X509', pointer, pointer, pointer, pointer),
    PEM_read_bio_X509_AUX: address('PEM_read_bio_X509_AUX', pointer, pointer, pointer, pointer),
    SSL_CIPHER_standard_name: text('SSL_CIPHER_standard_name', [pointer]),
    SSL_CTX_add_client_CA: number('SSL_CTX_add_client_CA', pointer, pointer),
    SSL_CTX_ctrl: control('SSL_CTX_ctrl', 'uint64'),
    SSL_CTX_free: nothing('SSL_CTX_free', pointer),
    SSL_CTX_get_cert_store: address('SSL_CTX_get_cert_store', pointer),
    SSL_CTX_new: address('SSL_CTX_new', pointer),
    SSL_CTX_set_alpn_protos: number('SSL_CTX_set_alpn_protos', pointer, pointer, 'uint32'),
    SSL_CTX_set_alpn_select_cb: nothing('SSL_CTX_set_alpn_select_cb', pointer, pointer, pointer),
    SSL_CTX_set_cipher_list: number('SSL_CTX_set_cipher_list', pointer, 'str'),
    SSL_CTX_set_ciphersuites: number('SSL_CTX_set_ciphersuites', pointer, 'str'),
    SSL_CTX_set_num_tickets: number('SSL_CTX_set_num_tickets', pointer, 'uint64'),
    SSL_CTX_clear_options: address('SSL_CTX_clear_options', pointer, 'uint64'),
    SSL_CTX_set_options: address('SSL_CTX_set_options', pointer, 'uint64'),
    SSL_CTX_use_PrivateKey: number('SSL_CTX_use_PrivateKey', pointer, pointer),
    SSL_CTX_use_certificate: number('SSL_CTX_use_certificate', pointer, pointer),
    SSL_free: nothing('SSL_free', pointer),
    SSL_get0_alpn_selected: nothing('SSL_get0_alpn_selected', pointer, pointer, pointer),
    SSL_get0_param: address('SSL_get0_param', pointer),
    SSL_get1_peer_certificate: address('SSL_get1_peer_certificate', pointer),
    SSL_get_current_cipher: address('SSL_get_current_cipher', pointer),
    SSL_get_verify_result: call('SSL_get_verify_result', [pointer], 'int64'),
    SSL_get_version: text('SSL_get_version', [pointer]),
    SSL_new: address('SSL_new', pointer),
    SSL_set1_host: number('SSL_set1_host', pointer, 'str'),
    SSL_set_accept_state: nothing('SSL_set_accept_state', pointer),
    SSL_set_bio: nothing('SSL_set_bio', pointer, pointer, pointer),
    SSL_set_connect_state: nothing('SSL_set_connect_state', pointer),
    SSL_set_hostflags: nothing('SSL_set_hostflags', pointer, 'uint32'),
    SSL_set_verify: nothing('SSL_set_verify', pointer, int, pointer),
    SSL_shutdown: number('SSL_shutdown', pointer),
    TLS_method: address('TLS_method'),
    X509_STORE_add_cert: number('X509_STORE_add_cert', pointer, pointer),
    X509_VERIFY_PARAM_set1_ip_asc: number('X509_VERIFY_PARAM_set1_ip_asc', pointer, 'str'),
    X509_free: nothing('X509_free', pointer),
    X509_verify_cert_error_string: text('X509_verify_cert_error_string', ['int64']),
    i2d_X509: number('i2d_X509', pointer, pointer),
    setGroups: control('SSL_CTX_ctrl', 'str'),
    setHostName: control('SSL_ctrl', 'str'),
  }
}
