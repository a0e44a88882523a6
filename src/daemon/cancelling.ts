/** Builds the parts that handle cancel requests: routing requests from clients to the session that owns the key, and sending them to servers. */

import type { Clock } from '../base/clock.ts'
import type { Log } from '../base/log.ts'
import { CancelKeys } from '../client/cancel-keys.ts'
import type { Host } from '../client/host.ts'
import type { Transport } from '../net/channel.ts'
import { CancelSender } from '../server/cancel.ts'
import { CancelRoutes, type ForwardCancel } from '../workers/cancel-routes.ts'
import { PeerCancels } from '../workers/peer-cancels.ts'
import type { LiveSettings } from './live-settings.ts'
import { peersOf } from './peers.ts'

export interface CancellingParts {
  readonly transport: Transport
  readonly clock: Clock
  readonly log: Log
  readonly live: LiveSettings
  /** The number of this process: see `Membership.number`. */
  readonly number: number
  readonly forwardToWorker: ForwardCancel
}

export interface Cancelling {
  readonly cancelKeys: CancelKeys<Host>
  readonly cancelRoutes: CancelRoutes
  readonly peerCancels: PeerCancels
  readonly cancels: CancelSender
}

export function openCancelling({ transport, clock, log, live, number, forwardToWorker }: CancellingParts): Cancelling {
  const sending = {
    transport,
    clock,
    log,
    keepAlive: live.keepAlive,
    timeoutMs: () => live.now.general.cancel_wait_timeout,
  }
  const peers = () => peersOf(live.now)
  const peerCancels = new PeerCancels({ ...sending, peers })
  const owner = () => ({ peerId: live.now.general.peer_id, worker: number })
  const cancelKeys = new CancelKeys<Host>(owner)
  const cancelRoutes = new CancelRoutes({
    ...{ keys: cancelKeys, owner, forwardToWorker },
    isPeer: (peerId) => peers().has(peerId),
    forwardToPeer: (...request) => peerCancels.send(...request),
  })
  return { cancelKeys, cancelRoutes, peerCancels, cancels: new CancelSender(sending) }
}
