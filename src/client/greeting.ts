/** The first packets of a client: encryption requests, a cancel request, or the startup packet. Works on bytes; knows no socket. */

import { PoolerError } from '../problems.ts'
import { type FirstPacket, parseFirstPacket, startupPacketLength } from '../wire/startup.ts'

const NOTHING = Buffer.alloc(0)

/** The type byte of the first record of TLS. No packet of Postgres begins with it: the packet would be far too long. */
const TLS_HANDSHAKE = 0x16

export class Greeting {
  #packet = NOTHING
  #have = 0
  #need = 4
  #answered = new Set<FirstPacket['kind']>()

  /** Whether the client has sent nothing yet, and the byte at `start` begins TLS: a client with `sslnegotiation=direct`. */
  beginsWithTls(buffer: Buffer, start: number): boolean {
    return this.#have === 0 && this.#answered.size === 0 && buffer[start] === TLS_HANDSHAKE
  }

  /** The client has begun TLS without asking for it. */
  tlsBegan(): void {
    this.#answered.add('ssl-request')
  }

  /**
   * Takes bytes up to the end of one packet, and returns the packet when it is complete.
   * Throws a PoolerError if the bytes are not what a Postgres client sends.
   */
  read(buffer: Buffer, start: number, end: number): { packet: FirstPacket | null; stoppedAt: number } {
    const inOne = this.#readInOne(buffer, start, end)
    if (inOne !== null) return inOne
    let at = start
    while (at < end) {
      const take = Math.min(this.#need - this.#have, end - at)
      this.#append(buffer, at, at + take)
      at += take
      if (this.#have < this.#need) break
      if (this.#need === 4) {
        this.#need = startupPacketLength(this.#packet, 0)
        continue
      }
      const packet = parseFirstPacket(this.#packet.subarray(0, this.#have))
      this.#packet = NOTHING
      this.#have = 0
      this.#need = 4
      this.#check(packet, at < end)
      return { packet, stoppedAt: at }
    }
    return { packet: null, stoppedAt: at }
  }

  /** The common case: a whole packet is there, and nothing has to be put together. */
  #readInOne(buffer: Buffer, start: number, end: number): { packet: FirstPacket; stoppedAt: number } | null {
    if (this.#have > 0 || end - start < 4) return null
    const stoppedAt = start + startupPacketLength(buffer, start)
    if (stoppedAt > end) return null
    const packet = parseFirstPacket(buffer.subarray(start, stoppedAt))
    this.#check(packet, stoppedAt < end)
    return { packet, stoppedAt }
  }

  #check(packet: FirstPacket, isFollowed: boolean): void {
    if (packet.kind !== 'ssl-request' && packet.kind !== 'gss-request') return
    // Bytes that are glued to the request were sent in the clear, by somebody who could not know our answer yet.
    if (isFollowed)
      throw new PoolerError(packet.kind === 'ssl-request' ? 'bytes-after-ssl-request' : 'bytes-after-gss-request')
    if (this.#answered.has(packet.kind)) throw new PoolerError('repeated-encryption-request')
    this.#answered.add(packet.kind)
  }

  #append(buffer: Buffer, start: number, end: number): void {
    const total = this.#have + end - start
    if (this.#packet.length < total) {
      const grown = Buffer.allocUnsafeSlow(Math.max(this.#need, total))
      this.#packet.copy(grown, 0, 0, this.#have)
      this.#packet = grown
    }
    buffer.copy(this.#packet, this.#have, start, end)
    this.#have = total
  }
}
