/** SHOW SERVERS. */

import type { ServerSnapshot } from '../../workers/fleet.ts'
import { socketColumns } from './sockets.ts'
import { topic } from './topic.ts'

export const SERVER_COLUMNS = socketColumns<ServerSnapshot>({
  type: 'S',
  waitUs: () => 0,
  isCondemned: ({ isCondemned }) => isCondemned,
  link: ({ clientId }) => clientId,
  linked: '`ptr` of the client that the server serves',
  pid: ({ pid }) => pid,
})

export const servers = topic<ServerSnapshot>({
  help: 'Connections to PostgreSQL. `active` servers serve a client. `idle` servers are free. `used` servers are free but must be checked before their next use. `tested` servers are being checked or reset. `new` servers are being opened. `being_canceled` servers wait for a cancel request that may still reach them, and are otherwise free.',
  rows: ({ fleet }) => fleet.servers(),
  columns: SERVER_COLUMNS,
})
