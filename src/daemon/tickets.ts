/**
 * TLS session tickets. With a ticket, a client can resume its TLS session at any process of the fleet, and the handshake needs no signature
 * on our side. PostgreSQL issues no tickets, so only drivers whose TLS library resumes sessions by itself make use of them.
 */

import { createHash, hkdfSync } from 'node:crypto'
import type { ClientEncryption } from '../client/context.ts'
import { TICKET_KEYS_BYTES } from '../net/tls.ts'

/** How long ticket keys are used. Afterwards all tickets are void; somebody who obtains the keys can read the sessions of this period only. */
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
   * Makes `encryption` issue tickets with the keys of the current period. If clients must present a certificate, issues none, because the
   * certificate has to be verified on every connection. The keys depend on our certificate, so a change of it voids older tickets.
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
