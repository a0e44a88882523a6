/** Decides what to do with an accepted connection: begins a session, and first gives up another one if too many have not logged in yet. */

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

/** How many clients may be logging in at a time, even if `max_client_conn` is small. */
const MIN_LOGGING_IN = 2_000

/** How long to wait before the warning is logged again. */
const TELL_MS = 60_000

export function arrivals(parts: ArrivalsParts): (channel: Channel) => void {
  const { clock, log, sessions, figures, maxClients, begin, onLoad } = parts
  let toldMs = -Infinity
  return (channel) => {
    figures.connections++
    // Connections that never log in must not fill the memory, nor keep other clients out. So beyond the limit, each new connection replaces
    // the one that has kept us waiting longest; if none has been waiting for long, the new one is closed.
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
    log.warning(
      `${sessions.loggingIn} connections have not logged in, so each new connection causes one to be closed`,
      {
        hint: 'SHOW SOCKETS shows where they come from, and pgweir_connections_refused_total counts those that are closed. If most of them send nothing, look for an attack, or for a health check that does not close its connections. If most of them wait for PostgreSQL, see the log lines about servers.',
      },
    )
  }
}
