/** Where a cancel request goes that has come here: to a client of this process, to another worker, to a peer, or nowhere. */

import type { CancelKeys } from '../client/cancel-keys.ts'
import { isSecret, type KeyOwner, peerIn, timeToLiveIn, withTimeToLive, workerIn } from '../wire/cancel-key.ts'

export type CancelRoute =
  | { readonly to: 'nobody' }
  | { readonly to: 'worker'; readonly worker: number }
  /** With the secret as the peer is to get it. */
  | { readonly to: 'peer'; readonly peerId: number; readonly secret: Buffer }

/**
 * Decides by what the key says of its owner.
 *
 * @param isPeer whether there is another pooler of this number
 */
export function routeOf(pid: number, secret: Buffer, own: KeyOwner, isPeer: (peerId: number) => boolean): CancelRoute {
  if (!isSecret(secret)) return NOBODY
  const peerId = peerIn(pid)
  const worker = workerIn(pid)
  const isElsewhere = own.worker > 0 && worker > 0 && worker !== own.worker
  // With another peer_id since the last reload, older keys of other workers still name the old one.
  const isOfOthers = own.peerId > 0 && peerId !== own.peerId && (isPeer(peerId) || !isElsewhere)
  if (isOfOthers) {
    const timeToLive = timeToLiveIn(secret)
    return timeToLive === 0 ? NOBODY : { to: 'peer', peerId, secret: withTimeToLive(secret, timeToLive - 1) }
  }
  return isElsewhere ? { to: 'worker', worker } : NOBODY
}

const NOBODY: CancelRoute = { to: 'nobody' }

/** Takes a cancel request to a worker, or to a peer. `over` is called once it can hit nothing any more, however it went. */
export type ForwardCancel = (to: number, pid: number, secret: Buffer, over: () => void) => void

export interface CancelRoutesOptions {
  readonly keys: Pick<CancelKeys<Cancelable>, 'find'>
  readonly forwardToWorker: ForwardCancel
  readonly forwardToPeer: ForwardCancel
  /** Whom keys of this process name. */
  owner(): KeyOwner
  isPeer(peerId: number): boolean
}

interface Cancelable {
  cancel(over: () => void): void
}

export class CancelRoutes {
  readonly #options: CancelRoutesOptions

  constructor(options: CancelRoutesOptions) {
    this.#options = options
  }

  /** A client has sent it, or a peer. */
  cancel(pid: number, secret: Buffer, over: () => void): void {
    const { keys, owner, isPeer, forwardToWorker, forwardToPeer } = this.#options
    // Before anything is forwarded: what a key here says of its owner may be out of date.
    const holder = keys.find(pid, secret)
    if (holder !== null) {
      holder.cancel(over)
      return
    }
    const route = routeOf(pid, secret, owner(), isPeer)
    if (route.to === 'worker') forwardToWorker(route.worker, pid, secret, over)
    else if (route.to === 'peer') forwardToPeer(route.peerId, pid, route.secret, over)
    else over()
  }

  /** Another worker has passed it on: it is for a client of this process, or for nobody. */
  cancelHere(pid: number, secret: Buffer, over: () => void): void {
    const holder = this.#options.keys.find(pid, secret)
    if (holder === null) over()
    else holder.cancel(over)
  }
}

/** Where there is nobody to take it to. */
export const forwardToNobody: ForwardCancel = (_to, _pid, _secret, over) => over()
