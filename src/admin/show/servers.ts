/** SHOW SERVERS. */

import type { ServerSnapshot } from '../../workers/fleet.ts'
import { socketColumns } from './sockets.ts'
import { topic } from './topic.ts'

export const SERVER_COLUMNS = socketColumns<ServerSnapshot>({
  type: 'S',
  waitUs: () => 0,
  isCondemned: ({ isCondemned }) => isCondemned,
  link: ({ clientId }) => clientId,
  linked: '`ptr` of the client that it serves',
  pid: ({ pid }) => pid,
})

export const servers = topic<ServerSnapshot>({
  help: 'Connections to PostgreSQL. `active` serves a client, `idle` is free, `used` is free and must be checked first, `tested` is being checked or reset, `new` is being opened, `being_canceled` is free but for a cancel request that may still reach it.',
  rows: ({ fleet }) => fleet.servers(),
  columns: SERVER_COLUMNS,
})
