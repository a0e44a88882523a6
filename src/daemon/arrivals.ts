/** What becomes of a connection that has been accepted: a session, unless too many others have not said yet who they are. */

import type { Sessions } from '../client/sessions.ts'
import type { Channel } from '../net/channel.ts'
import type { ProcessFigures } from './process-figures.ts'

export interface ArrivalsParts {
  readonly sessions: Pick<Sessions, 'count' | 'loggingIn'>
  readonly figures: Pick<ProcessFigures, 'connections' | 'connectionsRefused'>
  maxClients(): number
  /** Begins a session, which counts itself among the others. */
  begin(channel: Channel): void
  onLoad(connections: number): void
}

/** How many clients may be logging in at the same time, at least. */
const MIN_LOGGING_IN = 2_000

export function arrivals({ sessions, figures, maxClients, begin, onLoad }: ArrivalsParts): (channel: Channel) => void {
  return (channel) => {
    figures.connections++
    // Strangers must not be able to fill the memory with connections that never say who they are.
    if (sessions.loggingIn >= Math.max(MIN_LOGGING_IN, 2 * maxClients())) {
      figures.connectionsRefused++
      channel.destroy()
    } else begin(channel)
    onLoad(sessions.count)
  }
}
