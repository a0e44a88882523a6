/**
 * Hot path: a channel whose bytes another channel (the carrier) carries, sealed by OpenSSL. Each chunk costs one call to feed and one to
 * open it, or one to seal it and one to take the result; nothing is allocated. The promises of `Channel` hold here because they hold for
 * the carrier, which does the work.
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

/** `closing`: we have closed the channel, and the carrier reports when that is over. `closed`: the listener was told, or is about to be. */
type State = 'shaking hands' | 'open' | 'closing' | 'closed'

const TLS_MOVES: Readonly<Record<State, readonly State[]>> = {
  'shaking hands': ['open', 'closing', 'closed'],
  open: ['closing', 'closed'],
  closing: ['closed'],
  closed: [],
}

/** The carrier's listener once this channel has left the carrier to itself. */
const GONE: ChannelListener = { onRead() {}, onDrained() {}, onClosed() {} }

const LEFT = 'OpenSSL has not taken all that has come'

/** Shares equal texts: most connections have one of few ciphers. */
const texts = new SharedTexts()

export interface TlsChannelOptions {
  readonly library: OpenSsl
  /** From `OpenSsl.connect`. The channel frees it. */
  readonly connection: number
  readonly side: Side
  /** Both sides must agree on PostgreSQL's protocol (ALPN). */
  readonly needsProtocol: boolean
  /** The certificate that we show, in DER; null on the client's side. */
  readonly ownCertificate: Buffer | null
  /** Bytes that the peer has sent already. */
  readonly first?: Buffer | undefined
}

export class TlsChannel implements Channel, ChannelListener {
  readonly peer: Address
  readonly local: Address
  listener: ChannelListener = NOBODY
  /** In DER. On the client's side, null until the server has shown one. */
  serverCertificate: Buffer | null
  certificateName: string | null = null
  tls = ''
  readonly #carrier: Channel
  readonly #library: OpenSsl
  readonly #options: Pick<TlsChannelOptions, 'side' | 'needsProtocol'>
  #connection: number
  #state: State = 'shaking hands'
  #isPaused = false
  /** Bytes that came while the channel was paused, still sealed. */
  #held: Buffer | null = null
  #isGoingOn = false
  /** Bytes that were written before the handshake was complete. */
  #early: Buffer | null = null
  /** How many bytes OpenSSL has answered by itself, such as to a change of keys, since the peer last took all that it was owed. */
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
    // Owed bytes are counted sealed, as they are sent.
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
      // The held bytes are delivered after `resume` has returned, not within it.
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
    // The carrier was paused while it still had bytes to deliver.
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
   * Consumes all fed bytes, and sends all of OpenSSL's answers to them, before the listener is called: all connections share the memory
   * BIOs. The beginning of an incomplete record is kept by OpenSSL, for the connection.
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
    // Ask for the error before anything else calls OpenSSL.
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
    // Flush before anything that may throw.
    this.#flush()
    problem ??= this.#learn()
    if (problem !== null) {
      library.dropFed()
      this.#end(problem)
      return
    }
    // The look-ups of `#learn` may have left errors behind.
    library.clearErrors()
    this.#enter('open')
  }

  #sendEarly(early: Buffer): void {
    this.#early = null
    this.write(early, 0, early.length)
    if (this.isOpen && this.#carrier.owedBytes === 0) this.listener.onDrained()
  }

  /** Notes what is known after the handshake, or returns what is wrong with it. Throws if a certificate cannot be parsed. */
  #learn(): Error | null {
    const { side, needsProtocol } = this.#options
    const library = this.#library
    if (needsProtocol && !library.hasProtocol(this.#connection))
      return new HandshakeError(
        `the ${side.isServer ? 'client' : 'server'} started TLS directly but did not agree on the protocol postgresql (ALPN)`,
      )
    this.tls = texts.share(library.describe(this.#connection))
    if (!side.isServer) this.serverCertificate = library.peerCertificate(this.#connection)
    else if (side.verifiesPeer) this.certificateName = nameIn(library.peerCertificate(this.#connection))
    return null
  }

  #reasonNot(): Error {
    const { side } = this.#options
    const reason = this.#library.reasonOf(this.#connection)
    if (reason === 'peer did not return a certificate') return new HandshakeError('the client presented no certificate')
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
      this.#end(new Error('OpenSSL could not encrypt the data to send'))
      return
    }
    this.#flush()
  }

  /** Writes all sealed bytes to the carrier. Returns their number. */
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

  /**
   * Sends the answers that OpenSSL has made by itself. The listener does not know of them, and so nobody stops reading because of them.
   * Returns whether the peer has left too many unread.
   */
  #flushAnswers(): boolean {
    const bytes = this.#flush()
    if (bytes === 0) return false
    this.#answersBytes = this.#carrier.owedBytes === 0 ? 0 : this.#answersBytes + bytes
    return this.#answersBytes > MAX_ANSWERS_BYTES
  }

  // The end

  /** Ends the channel after an exception. All connections share the memory BIOs: bytes that this one has left there must not reach the next one. */
  #giveUp(problem: unknown): void {
    const library = this.#library
    library.dropFed()
    while (library.takeSealed() > 0);
    library.clearErrors()
    if (this.#state === 'open' || this.#state === 'shaking hands')
      this.#end(problem instanceof Error ? problem : new Error(String(problem)))
  }

  /** The peer has left, or cannot be talked to. It still gets what we owe it, and the listener is told soon. */
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
