/** SHOW POOLS. */

import type { PoolSnapshot } from '../../workers/fleet.ts'
import { inOrder, microsecondsBeyond, topic, wholeSeconds } from './topic.ts'

export const pools = topic<PoolSnapshot>({
  help: 'The number of clients and servers in each state, for each pair of database and user.',
  rows: async ({ fleet }) => inOrder(await fleet.pools(), ({ database, user }) => `${database}\0${user}`),
  columns: [
    ['database', 'text', 'database, by the name that clients use', ({ database }) => database],
    ['user', 'text', 'user that the servers log in as', ({ user }) => user],
    ['cl_active', 'int4', 'clients that hold a server or are idle', ({ clients }) => clients.active + clients.idle],
    ['cl_waiting', 'int4', 'clients that are queued for a server', ({ clients }) => clients.waiting],
    ['cl_active_cancel_req', 'int4', 'cancel requests that were sent to a server', ({ cancels }) => cancels.sent],
    ['cl_waiting_cancel_req', 'int4', 'cancel requests that are not sent yet', ({ cancels }) => cancels.waiting],
    ['sv_active', 'int4', 'servers that serve a client', ({ servers }) => servers.active],
    ['sv_active_cancel', 'int4', 'connections that carry a cancel request', ({ cancels }) => cancels.sent],
    [
      'sv_being_canceled',
      'int4',
      'servers that wait for a cancel request that may still reach them, and are otherwise free',
      ({ servers }) => servers.being_canceled,
    ],
    ['sv_idle', 'int4', 'servers that are free', ({ servers }) => servers.idle],
    [
      'sv_used',
      'int4',
      'servers that are free but must be checked before their next use',
      ({ servers }) => servers.used,
    ],
    ['sv_tested', 'int4', 'servers that are being checked or reset', ({ servers }) => servers.tested],
    ['sv_login', 'int4', 'servers that are being opened', ({ servers }) => servers.new],
    [
      'maxwait',
      'int4',
      'how long the client at the head of the queue has waited, in seconds',
      ({ longestWaitUs }) => wholeSeconds(longestWaitUs),
    ],
    ['maxwait_us', 'int4', 'microseconds to add to maxwait', ({ longestWaitUs }) => microsecondsBeyond(longestWaitUs)],
    ['pool_mode', 'text', 'when a server returns to the pool', ({ mode }) => mode],
    ['load_balance_hosts', 'text', 'how several hosts are used; null if there is only one', ({ balance }) => balance],
  ],
})
