/** Counters of the process that belong to no pool: plain number fields, collected when statistics are read. */

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
  /** See `TlsSetup`. */
  expiries(): Vitals['certificates']
}

export class ProcessFigures {
  connections = 0
  connectionsRefused = 0
  cancelRequests = 0
  /** Errors sent to clients that had no pool yet. */
  readonly errors = new ErrorCounts()
  readonly #parts: FigureParts

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
    const { sessions, expiries } = this.#parts
    return { connections: sessions.count, loggingIn: sessions.loggingIn, certificates: expiries() }
  }
}
