/** SHOW PEERS and SHOW PEER_POOLS: the other poolers, and the cancel requests on their way to them. */

import type { PeerSnapshot } from '../../workers/fleet.ts'
import { type ShownColumn, type TopicOptions, topic } from './topic.ts'

const rows: TopicOptions<PeerSnapshot>['rows'] = async ({ fleet }) =>
  [...(await fleet.peers())].sort((one, other) => one.id - other.id)

const peerId: ShownColumn<PeerSnapshot> = ['peer_id', 'int4', 'peer_id of the pooler', ({ id }) => id]

export const peers = topic<PeerSnapshot>({
  help: 'The other poolers in `[peers]`; none if `peer_id` is 0.',
  rows,
  columns: [
    peerId,
    ['host', 'text', 'host of the pooler', ({ host }) => host],
    ['port', 'int4', 'port of the pooler', ({ port }) => port],
    [
      'pool_size',
      'int4',
      'maximum number of cancel requests that each worker sends to the pooler at the same time; 0 is no limit',
      ({ poolSize }) => poolSize,
    ],
  ],
})

export const peerPools = topic<PeerSnapshot>({
  help: 'Cancel requests on their way to the other poolers in `[peers]`.',
  rows,
  columns: [
    peerId,
    ['cl_active_cancel_req', 'int4', 'cancel requests that were sent', ({ cancels }) => cancels.sent],
    [
      'cl_waiting_cancel_req',
      'int4',
      'cancel requests that are not sent yet',
      ({ cancels }) => cancels.waiting + cancels.dialing,
    ],
    ['sv_active_cancel', 'int4', 'connections that carry a cancel request', ({ cancels }) => cancels.sent],
    ['sv_login', 'int4', 'connections that are being opened', ({ cancels }) => cancels.dialing],
  ],
})
