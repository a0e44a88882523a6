/** Decides where a cancel request goes: to a client of this process, to another worker, to a peer, or nowhere. */

import type { CancelKeys } from '../client/cancel-keys.ts'
import { isSecret, type KeyOwner, peerIn, timeToLiveIn, withTimeToLive, workerIn } from '../wire/cancel-key.ts'

export type CancelRoute =
  | { readonly to: 'nobody' }
  | { readonly to: 'worker'; readonly worker: number }
  /** `secret` is the one that the peer receives, with one less hop to live. */
  | { readonly to: 'peer'; readonly peerId: number; readonly secret: Buffer }

/**
 * Decides by the owner that the key names.
 *
 * @param isPeer whether there is another pooler with this id
 */
export function routeOf(pid: number, secret: Buffer, own: KeyOwner, isPeer: (peerId: number) => boolean): CancelRoute {
  if (!isSecret(secret)) return NOBODY
  const peerId = peerIn(pid)
  const worker = workerIn(pid)
  const isElsewhere = own.worker > 0 && worker > 0 && worker !== own.worker
  // If a reload has changed our peer_id, older keys of other workers still name the former one. They go to the worker, unless a peer has that id now.
  const isOfOthers = own.peerId > 0 && peerId !== own.peerId && (isPeer(peerId) || !isElsewhere)
  if (isOfOthers) {
    const timeToLive = timeToLiveIn(secret)
    return timeToLive === 0 ? NOBODY : { to: 'peer', peerId, secret: withTimeToLive(secret, timeToLive - 1) }
  }
  return isElsewhere ? { to: 'worker', worker } : NOBODY
}

const NOBODY: CancelRoute = { to: 'nobody' }

/** Passes a cancel request on to a worker or a peer. Calls `over` once it can no longer hit any query, whatever became of it. */
export type ForwardCancel = (to: number, pid: number, secret: Buffer, over: () => void) => void

export interface CancelRoutesOptions {
  readonly keys: Pick<CancelKeys<Cancelable>, 'find'>
  readonly forwardToWorker: ForwardCancel
  readonly forwardToPeer: ForwardCancel
  /** The owner that keys of this process name. */
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

  /** Handles a cancel request from a client or a peer. */
  cancel(pid: number, secret: Buffer, over: () => void): void {
    const { keys, owner, isPeer, forwardToWorker, forwardToPeer } = this.#options
    // Looked up before anything is forwarded, since the owner that a key of this process names may be outdated.
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

  /** Handles a cancel request that another worker has passed on: it is for a client of this process, or for nobody. */
  cancelHere(pid: number, secret: Buffer, over: () => void): void {
    const holder = this.#options.keys.find(pid, secret)
    if (holder === null) over()
    else holder.cancel(over)
  }
}

/** For a process that has nobody to forward to. */
export const forwardToNobody: ForwardCancel = (_to, _pid, _secret, over) => over()
