/**
 * Hot path: a channel whose bytes another channel carries, sealed by OpenSSL. Per chunk one call to feed and one to open, or one to seal and
 * one to take what came of it; nothing is allocated. What the transport promises it promises here as well, since it does the work.
 */

import { X509Certificate } from 'node:crypto'
import { eventBegins, eventEnds, eventGoesOn } from '../../base/after-event.ts'
import { invariant } from '../../base/invariant.ts'
import { SharedTexts } from '../../base/shared-texts.ts'
import type { Address, Channel, ChannelListener } from '../channel.ts'
import { ENDED_EARLY, HandshakeError, handshakes } from '../handshakes.ts'
import { NOBODY } from '../nobody.ts'
import { DEAF, MAX_ANSWERS_BYTES } from '../tls.ts'
import {
  MAX_FED_BYTES,
  MAX_SEALED_BYTES,
  type OpenSsl,
  type Side,
  SSL_ERROR_WANT_READ,
  SSL_ERROR_ZERO_RETURN,
} from './library.ts'

/** `closing`: we are leaving, and the carrier tells when that is over. `closed`: the listener was told, or is about to be. */
type State = 'shaking hands' | 'open' | 'closing' | 'closed'

const TLS_MOVES: Readonly<Record<State, readonly State[]>> = {
  'shaking hands': ['open', 'closing', 'closed'],
  open: ['closing', 'closed'],
  closing: ['closed'],
  closed: [],
}

/** Whoever leaves the carrier to itself. */
const GONE: ChannelListener = { onRead() {}, onDrained() {}, onClosed() {} }

const LEFT = 'OpenSSL has not taken all that has come'

/** Most connections have one of few ciphers. */
const texts = new SharedTexts()

export interface TlsChannelOptions {
  readonly library: OpenSsl
  /** Of `OpenSsl.connect`; it is freed here. */
  readonly connection: number
  readonly side: Side
  /** Both must have agreed on Postgres' protocol. */
  readonly needsProtocol: boolean
  /** What we show, in DER; null on the client's side. */
  readonly ownCertificate: Buffer | null
  /** What the peer has sent already. */
  readonly first?: Buffer | undefined
}

export class TlsChannel implements Channel, ChannelListener {
  readonly peer: Address
  readonly local: Address
  listener: ChannelListener = NOBODY
  /** In DER; of the client's side once it has shown one. */
  serverCertificate: Buffer | null
  certificateName: string | null = null
  tls = ''
  readonly #carrier: Channel
  readonly #library: OpenSsl
  readonly #options: Pick<TlsChannelOptions, 'side' | 'needsProtocol'>
  #connection: number
  #state: State = 'shaking hands'
  #isPaused = false
  /** What came while it was paused, sealed as it was. */
  #held: Buffer | null = null
  #isGoingOn = false
  /** What was written before hands were shaken. */
  #early: Buffer | null = null
  /** What OpenSSL has answered by itself, as to a change of keys, since the peer has last taken all that it was owed. */
  #answersBytes = 0

  constructor(carrier: Channel, options: TlsChannelOptions) {
    const { library, connection, side, ownCertificate, first } = options
    this.peer = carrier.peer
    this.local = carrier.local
    this.serverCertificate = ownCertificate
    this.#carrier = carrier
    this.#library = library
    this.#options = { side, needsProtocol: options.needsProtocol }
    this.#connection = connection
    carrier.listener = this
    carrier.resume()
    if (first !== undefined) this.#take(first, 0, first.length)
    else if (!side.isServer) this.#shakeHands()
  }

  get isOpen(): boolean {
    return (this.#state === 'open' || this.#state === 'shaking hands') && this.#carrier.isOpen
  }

  get owedBytes(): number {
    return this.#carrier.owedBytes + (this.#early?.length ?? 0)
  }

  takeSocket(): null {
    return null
  }

  write(buffer: Buffer, start: number, end: number): number {
    const length = end - start
    if (!this.isOpen) return length
    if (this.#state === 'shaking hands' || this.#early !== null) {
      const early = buffer.subarray(start, end)
      this.#early = this.#early === null ? Buffer.from(early) : Buffer.concat([this.#early, early])
      return 0
    }
    const owedBefore = this.#carrier.owedBytes
    try {
      for (let at = start; at < end; at += MAX_SEALED_BYTES)
        this.#seal(buffer, at, Math.min(end, at + MAX_SEALED_BYTES))
    } catch (problem) {
      this.#giveUp(problem)
    }
    // What is owed is counted as it is sent.
    return Math.max(0, length - (this.#carrier.owedBytes - owedBefore))
  }

  pause(): void {
    this.#isPaused = true
    this.#carrier.pause()
  }

  resume(): void {
    if (!this.#isPaused) return
    this.#isPaused = false
    if (this.#held === null) this.#carrier.resume()
    else if (!this.#isGoingOn) {
      // Not within the call that resumes.
      this.#isGoingOn = true
      setImmediate(this.#goOn)
    }
  }

  close(): void {
    if (this.#state !== 'open' && this.#state !== 'shaking hands') return
    if (this.#state === 'open' && this.#carrier.isOpen) {
      this.#library.sayGoodbye(this.#connection)
      this.#flush()
    }
    this.#enter('closing')
    this.#carrier.close()
  }

  destroy(): void {
    if (this.#state === 'closed') return
    if (this.#state !== 'closing') this.#enter('closing')
    this.#carrier.destroy()
  }

  // The carrier

  onRead(buffer: Buffer, start: number, end: number): void {
    // The carrier was paused in the midst of what it had.
    if (this.#held !== null) this.#held = Buffer.concat([this.#held, buffer.subarray(start, end)])
    else this.#take(buffer, start, end)
  }

  onDrained(): void {
    this.#answersBytes = 0
    if (this.#state === 'open') this.listener.onDrained()
  }

  onClosed(problem: Error | null): void {
    const before = this.#state
    if (before === 'closed') return
    this.#enter('closed')
    const early = before === 'shaking hands' ? new HandshakeError(ENDED_EARLY) : null
    this.listener.onClosed(before === 'closing' ? null : (problem ?? early))
  }

  // Opening

  readonly #goOn = (): void => {
    this.#isGoingOn = false
    const held = this.#held
    if (held === null || this.#isPaused) return
    this.#held = null
    eventBegins()
    try {
      this.#take(held, 0, held.length)
    } finally {
      eventEnds()
    }
    if (this.#held === null && !this.#isPaused) this.#carrier.resume()
  }

  #take(buffer: Buffer, start: number, end: number): void {
    try {
      this.#takeAll(buffer, start, end)
    } catch (problem) {
      this.#giveUp(problem)
    }
  }

  #takeAll(buffer: Buffer, start: number, end: number): void {
    for (let at = start; at < end; ) {
      if (at > start) eventGoesOn()
      if (this.#state !== 'open' && this.#state !== 'shaking hands') return
      if (this.#isPaused) {
        this.#held = Buffer.from(buffer.subarray(at, end))
        return
      }
      const next = Math.min(end, at + MAX_FED_BYTES)
      this.#library.clearErrors()
      this.#library.feed(buffer, at, next)
      at = next
      if (this.#state === 'shaking hands') this.#shakeHands()
      if (this.#state === 'open') this.#open()
      if (this.#state === 'open' && this.#early !== null) this.#sendEarly(this.#early)
    }
  }

  /**
   * All that was fed is taken here before anybody is told, and all that OpenSSL has to say of it is sent: the memory is everybody's. What is
   * left of a record OpenSSL keeps for the connection.
   */
  #open(): void {
    const library = this.#library
    let opened = 0
    let result = 0
    do {
      result = library.open(this.#connection, opened)
      if (result <= 0) break
      opened += result
    } while (library.hasFed)
    // It is asked before anybody else has OpenSSL do something.
    const error = result > 0 ? SSL_ERROR_WANT_READ : library.errorOf(this.#connection, result)
    const isLeft = result <= 0 && error === SSL_ERROR_WANT_READ && library.hasFed
    const isDeaf = this.#flushAnswers()
    if (error === SSL_ERROR_WANT_READ && !isLeft && !isDeaf) {
      if (opened > 0) this.listener.onRead(library.opened, 0, opened)
      return
    }
    const reason = isLeft
      ? LEFT
      : isDeaf
        ? DEAF
        : error === SSL_ERROR_ZERO_RETURN
          ? null
          : library.reasonOf(this.#connection)
    library.dropFed()
    if (opened > 0) this.listener.onRead(library.opened, 0, opened)
    if (this.#state === 'open') this.#end(reason === null ? null : new Error(reason))
  }

  #shakeHands(): void {
    const library = this.#library
    const result = library.shakeHands(this.#connection)
    const error = result === 1 ? 0 : library.errorOf(this.#connection, result)
    let problem: Error | null = null
    if (error === SSL_ERROR_WANT_READ) {
      if (!library.hasFed) {
        this.#flush()
        return
      }
      problem = new Error(LEFT)
    } else if (error !== 0) problem = this.#reasonNot()
    // Before anything that may throw.
    this.#flush()
    problem ??= this.#learn()
    if (problem !== null) {
      library.dropFed()
      this.#end(problem)
      return
    }
    // What was looked up may have left some behind.
    library.clearErrors()
    this.#enter('open')
  }

  #sendEarly(early: Buffer): void {
    this.#early = null
    this.write(early, 0, early.length)
    if (this.isOpen && this.#carrier.owedBytes === 0) this.listener.onDrained()
  }

  /** What is known once hands were shaken; or what is wrong with it. Throws where a certificate cannot be understood. */
  #learn(): Error | null {
    const { side, needsProtocol } = this.#options
    const library = this.#library
    if (needsProtocol && !library.hasProtocol(this.#connection))
      return new HandshakeError(
        `the ${side.isServer ? 'client' : 'server'} began with TLS and did not agree on the protocol postgresql (ALPN)`,
      )
    this.tls = texts.share(library.describe(this.#connection))
    if (!side.isServer) this.serverCertificate = library.peerCertificate(this.#connection)
    else if (side.verifiesPeer) this.certificateName = nameIn(library.peerCertificate(this.#connection))
    return null
  }

  #reasonNot(): Error {
    const { side } = this.#options
    const reason = this.#library.reasonOf(this.#connection)
    if (reason === 'peer did not return a certificate') return new HandshakeError('the client has shown no certificate')
    if (!side.isServer && /(hostname|IP address) mismatch/i.test(reason))
      return new HandshakeError(`the certificate of the server does not match the host ${side.host}`)
    return new HandshakeError(reason)
  }

  // Sealing

  #seal(buffer: Buffer, start: number, end: number): void {
    if (start === end || !this.isOpen) return
    if (!this.#library.seal(this.#connection, buffer, start, end)) {
      this.#library.clearErrors()
      this.#flush()
      this.#end(new Error('OpenSSL cannot encrypt what is to be sent'))
      return
    }
    this.#flush()
  }

  /** Returns how many bytes. */
  #flush(): number {
    const { sealed } = this.#library
    let all = 0
    let bytes = 0
    do {
      bytes = this.#library.takeSealed()
      if (bytes > 0) this.#carrier.write(sealed, 0, bytes)
      all += bytes
    } while (bytes === sealed.length)
    return all
  }

  /** Nobody above knows of these answers, and so nobody stops reading for them. Returns whether they are too many. */
  #flushAnswers(): boolean {
    const bytes = this.#flush()
    if (bytes === 0) return false
    this.#answersBytes = this.#carrier.owedBytes === 0 ? 0 : this.#answersBytes + bytes
    return this.#answersBytes > MAX_ANSWERS_BYTES
  }

  // The end

  /** The memory is everybody's: what has come up here must not reach the next one. */
  #giveUp(problem: unknown): void {
    const library = this.#library
    library.dropFed()
    while (library.takeSealed() > 0);
    library.clearErrors()
    if (this.#state === 'open' || this.#state === 'shaking hands')
      this.#end(problem instanceof Error ? problem : new Error(String(problem)))
  }

  /** The peer has left, or cannot be talked to: it gets what we owe it, and the listener is told soon. */
  #end(problem: Error | null): void {
    this.#enter('closed')
    this.#carrier.listener = GONE
    this.#carrier.close()
    queueMicrotask(() => this.listener.onClosed(problem))
  }

  #count(isGood: boolean): void {
    const peer = this.#options.side.isServer ? 'client' : 'server'
    if (isGood) handshakes[`${peer}Handshakes`]++
    else handshakes[`${peer}HandshakesFailed`]++
  }

  #enter(next: State): void {
    invariant(TLS_MOVES[this.#state].includes(next), `TLS cannot go from ${this.#state} to ${next}`)
    const hadConnection = this.#state === 'open' || this.#state === 'shaking hands'
    if (this.#state === 'shaking hands') this.#count(next === 'open')
    this.#state = next
    if (!hadConnection || next === 'open') return
    this.#early = null
    this.#held = null
    this.#library.free(this.#connection)
    this.#connection = 0
  }
}

function nameIn(certificate: Buffer | null): string | null {
  if (certificate === null) return null
  const { subject } = new X509Certificate(certificate).toLegacyObject()
  const name: unknown = (subject as { CN?: unknown } | undefined)?.CN
  return typeof name === 'string' ? name : null
}
