/** Reads the peers from the settings: other poolers that cancel requests may be passed on to. */

import type { Settings } from '../settings/load.ts'
import type { Peer } from '../workers/peer-cancels.ts'

/** The peers by id, without this pooler itself; empty if peering is off (`peer_id` = 0). */
export function peersOf({ general, peers }: Settings): ReadonlyMap<number, Peer> {
  const others = [...peers.values()].filter(({ id }) => general.peer_id > 0 && id !== general.peer_id)
  return new Map(
    others.map(({ id, host, port, pool_size }) => [
      id,
      { id, host, port, poolSize: pool_size ?? general.default_pool_size },
    ]),
  )
}
