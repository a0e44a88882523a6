/**
 * Tickets with which clients resume a session of TLS, at whichever process of the fleet they come to: its server's part then takes no
 * signature. PostgreSQL gives none, so that only drivers whose TLS does so by itself ask for it.
 */

import { createHash, hkdfSync } from 'node:crypto'
import type { ClientEncryption } from '../client/context.ts'
import { TICKET_KEYS_BYTES } from '../net/tls.ts'

/** After this there are other keys, and all tickets are worth nothing. Who gets hold of them can read no more than that. */
export const PERIOD_MS = 60 * 60 * 1_000

export class Tickets {
  readonly #secret: Buffer
  readonly #wallMs: () => number

  /** @param secret the same in all processes of a fleet */
  constructor(secret: Buffer, wallMs: () => number) {
    this.#secret = secret
    this.#wallMs = wallMs
  }

  /**
   * Has tickets given, with the keys of the hour. Whoever must show a certificate gets none: it is to be looked at each time. A ticket
   * that was given with another certificate is none of ours.
   */
  renew(encryption: ClientEncryption | null): ClientEncryption | null {
    if (encryption === null || encryption.verifiesPeer) return encryption
    const period = Math.floor(this.#wallMs() / PERIOD_MS)
    const { context, certificate } = encryption
    if (context.ticketPeriod !== period) context.giveTickets(period, this.#keysFor(certificate, period))
    return encryption
  }

  #keysFor(certificate: Buffer, period: number): Buffer {
    const salt = createHash('sha256').update(certificate).digest()
    return Buffer.from(hkdfSync('sha256', this.#secret, salt, `tickets of TLS, ${period}`, TICKET_KEYS_BYTES))
  }
}
