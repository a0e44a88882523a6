/** What is counted of a process and of no pool in it: plain number fields, put together when somebody asks. */

import { X509Certificate } from 'node:crypto'
import { lengthsOf } from '../base/histogram.ts'
import type { Sessions } from '../client/sessions.ts'
import { handshakes } from '../net/handshakes.ts'
import { ErrorCounts } from '../pool/error-counts.ts'
import type { CancelSender } from '../server/cancel.ts'
import type { ProcessTally } from '../workers/accounts.ts'
import type { Pulse } from '../workers/pulse.ts'
import type { Vitals } from '../workers/vitals.ts'

export interface FigureParts {
  readonly sessions: Sessions
  readonly cancels: CancelSender
  readonly pulse: Pulse
  /** What clients are shown, in DER; null for nothing. */
  certificate(): Buffer | null
}

export class ProcessFigures {
  connections = 0
  connectionsRefused = 0
  cancelRequests = 0
  /** Told to clients that have come to no pool. */
  readonly errors = new ErrorCounts()
  readonly #parts: FigureParts
  /** Reading a certificate takes longer than all the rest. */
  #expiry: { readonly of: Buffer; readonly at: number } | null = null

  constructor(parts: FigureParts) {
    this.#parts = parts
  }

  tally(): ProcessTally {
    const { cancels, pulse } = this.#parts
    const { connections, connectionsRefused, cancelRequests } = this
    return {
      counts: {
        ...{ connections, connectionsRefused, cancelRequests, cancelsSent: cancels.sent, workersLost: 0 },
        ...handshakes,
      },
      loopDelay: lengthsOf(pulse.delays),
      errors: this.errors.totals(),
    }
  }

  vitals(): Vitals {
    const { sessions } = this.#parts
    return {
      connections: sessions.count,
      loggingIn: sessions.loggingIn,
      certificateExpiresAt: this.#certificateExpiresAt(),
    }
  }

  #certificateExpiresAt(): number | null {
    const certificate = this.#parts.certificate()
    if (certificate === null) return null
    if (this.#expiry?.of !== certificate)
      this.#expiry = { of: certificate, at: Date.parse(new X509Certificate(certificate).validTo) }
    return this.#expiry.at
  }
}
