/** SHOW CLIENTS. */

import type { ClientSnapshot, NewcomerSnapshot } from '../../workers/fleet.ts'
import { socketColumns } from './sockets.ts'
import { topic } from './topic.ts'

export const CLIENT_COLUMNS = socketColumns<ClientSnapshot | NewcomerSnapshot>({
  type: 'C',
  waitUs: ({ waitUs }) => waitUs,
  isCondemned: () => false,
  link: ({ serverId }) => serverId,
  linked: '`ptr` of the server that the client holds',
  pid: ({ peer }) => peer.process?.pid ?? 0,
})

export const clients = topic<ClientSnapshot>({
  help: 'Clients that have logged in. `active` clients hold a server, `waiting` clients are queued for one, and `idle` clients are neither.',
  rows: ({ fleet }) => fleet.clients(),
  columns: CLIENT_COLUMNS,
})
