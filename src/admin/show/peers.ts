/** SHOW PEERS and SHOW PEER_POOLS: the other poolers, and the cancel requests on their way to them. */

import type { PeerSnapshot } from '../../workers/fleet.ts'
import { type ShownColumn, type TopicOptions, topic } from './topic.ts'

const rows: TopicOptions<PeerSnapshot>['rows'] = async ({ fleet }) =>
  [...(await fleet.peers())].sort((one, other) => one.id - other.id)

const peerId: ShownColumn<PeerSnapshot> = ['peer_id', 'int4', 'its own peer_id', ({ id }) => id]

export const peers = topic<PeerSnapshot>({
  help: 'The other poolers of `[peers]`; none while `peer_id` is 0.',
  rows,
  columns: [
    peerId,
    ['host', 'text', 'where it is', ({ host }) => host],
    ['port', 'int4', 'its port', ({ port }) => port],
    [
      'pool_size',
      'int4',
      'cancel requests on their way to it at one time from each worker; 0 is no limit',
      ({ poolSize }) => poolSize,
    ],
  ],
})

export const peerPools = topic<PeerSnapshot>({
  help: 'Cancel requests on their way to the other poolers of `[peers]`.',
  rows,
  columns: [
    peerId,
    ['cl_active_cancel_req', 'int4', 'requests that were sent to it', ({ cancels }) => cancels.sent],
    [
      'cl_waiting_cancel_req',
      'int4',
      'requests that were not sent yet',
      ({ cancels }) => cancels.waiting + cancels.dialing,
    ],
    ['sv_active_cancel', 'int4', 'connections that carry a request', ({ cancels }) => cancels.sent],
    ['sv_login', 'int4', 'connections that are being opened', ({ cancels }) => cancels.dialing],
  ],
})
