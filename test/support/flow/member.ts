/** The other processes of a pooler that is one of several, as played by the test. */

import type { Clock } from '../../../src/base/clock.ts'
import type { Membership } from '../../../src/daemon/one-of-several.ts'
import type { PermitBook } from '../../../src/pool/permits/book.ts'
import { LocalPermits } from '../../../src/pool/permits/local-permits.ts'
import { type Admissions, ClientCounts } from '../../../src/workers/admissions.ts'
import type { Fleet } from '../../../src/workers/fleet.ts'

/** What the pooler announces to the others, and its claims for room among clients. */
export class Others {
  /** With `holdsClaims`: the claims so far, in order. Call one to answer it. */
  readonly claims: (() => void)[] = []
  /** Whether claims wait in `claims` instead of being answered at once. */
  holdsClaims = false
  readonly counts = new ClientCounts(() => Infinity)
  readonly #told: (() => void)[] = []

  get unanswered(): number {
    return this.#told.length
  }

  /** Confirms the oldest announcement: all the others know of it now. */
  answer(): void {
    const known = this.#told.shift()
    if (!known) throw new Error('the others were told nothing')
    known()
  }

  /** @param permits returns the pooler's permits, once it has started */
  membership(clock: Clock, permits: () => PermitBook): Membership {
    return {
      number: 1,
      standing: [],
      welcomed: [],
      saltKey: Buffer.alloc(32),
      admissions: this.#admissions(),
      fleet: NO_CONSOLE,
      onLoginFailed: (_place, done) => done(0),
      forwardCancel: (_worker, _pid, _secret, over) => over(),
      openPermits: (database, user, holder) => new LocalPermits(permits(), clock, database, user, holder),
      listen: async (transport, keepAlive, onAccepted) => [
        await transport.listen({ host: '127.0.0.1', port: 0, backlog: 1, keepAlive }, onAccepted),
      ],
      onSchemaChanged: (_place, known) => void this.#told.push(known),
      onWelcomed: () => {},
      onServerConnected: (_server, _permits, begin) => begin(),
      onServerOpened: () => {},
      onServerClosed: () => {},
      onLoad: () => {},
    }
  }

  #admissions(): Admissions {
    const { counts } = this
    return {
      claim: (claims, done) => {
        if (this.holdsClaims) this.claims.push(() => counts.claim(claims, done))
        else counts.claim(claims, done)
      },
      look: (claims, done) => {
        if (this.holdsClaims) this.claims.push(() => counts.look(claims, done))
        else counts.look(claims, done)
      },
      release: (claims) => counts.release(claims),
      used: (limit, name) => counts.used(limit, name),
      names: (limit) => counts.names(limit),
    }
  }
}

const NO_CONSOLE = {} as Fleet
