/** What becomes of a connection that has been accepted: a session, unless too many others have not said yet who they are. */

import type { Clock } from '../base/clock.ts'
import type { Log } from '../base/log.ts'
import type { Sessions } from '../client/sessions.ts'
import type { Channel } from '../net/channel.ts'
import type { ProcessFigures } from './process-figures.ts'

export interface ArrivalsParts {
  readonly clock: Pick<Clock, 'nowMs'>
  readonly log: Pick<Log, 'warning'>
  readonly sessions: Pick<Sessions, 'count' | 'loggingIn' | 'slowest'>
  readonly figures: Pick<ProcessFigures, 'connections' | 'connectionsRefused'>
  maxClients(): number
  /** Begins a session, which counts itself among the others. */
  begin(channel: Channel): void
  onLoad(connections: number): void
}

/** How many clients may be logging in at the same time, at least. */
const MIN_LOGGING_IN = 2_000

/** After this it is told again that there are too many. */
const TELL_MS = 60_000

export function arrivals(parts: ArrivalsParts): (channel: Channel) => void {
  const { clock, log, sessions, figures, maxClients, begin, onLoad } = parts
  let toldMs = -Infinity
  return (channel) => {
    figures.connections++
    // Strangers must not be able to fill the memory with connections that never say who they are, nor to keep others out by them.
    if (sessions.loggingIn < Math.max(MIN_LOGGING_IN, 2 * maxClients())) begin(channel)
    else {
      if (clock.nowMs - toldMs >= TELL_MS) tell()
      figures.connectionsRefused++
      const slowest = sessions.slowest(clock.nowMs)
      if (slowest === null) channel.destroy()
      else {
        slowest.giveUp('too many are logging in')
        begin(channel)
      }
    }
    onLoad(sessions.count)
  }

  function tell(): void {
    toldMs = clock.nowMs
    log.warning(`${sessions.loggingIn} connections have not logged in: for each that comes another one is closed`, {
      hint: 'SHOW SOCKETS tells where they come from, and pgweir_connections_refused_total how many are closed. Many that say nothing are an attack, or a health check that does not close its connections; many that wait for PostgreSQL are told of in the lines about servers.',
    })
  }
}
