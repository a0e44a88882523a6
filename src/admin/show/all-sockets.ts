/** SHOW SOCKETS and SHOW ACTIVE_SOCKETS: clients and servers in one table, with the number of bytes still to be written to each. */

import { withoutControls } from '../../base/control-characters.ts'
import type { ClientSnapshot, NewcomerSnapshot, ServerSnapshot } from '../../workers/fleet.ts'
import type { ConsoleContext } from '../answer.ts'
import { CLIENT_COLUMNS } from './clients.ts'
import { SERVER_COLUMNS } from './servers.ts'
import { type ShownColumn, topic } from './topic.ts'

type Row = { readonly client: ClientSnapshot | NewcomerSnapshot } | { readonly server: ServerSnapshot }

/** PgBouncer's names of its lists. As there, an idle client is on the list of active clients. */
const CLIENT_STATES = { active: 'cl_active', idle: 'cl_active', waiting: 'cl_waiting', login: 'cl_login' } as const
const SERVER_STATES = {
  active: 'sv_active',
  idle: 'sv_idle',
  used: 'sv_used',
  tested: 'sv_tested',
  new: 'sv_login',
  being_canceled: 'sv_being_canceled',
} as const

function stateOf(row: Row): string {
  return 'client' in row ? CLIENT_STATES[row.client.state] : SERVER_STATES[row.server.state]
}

const COMMON: readonly ShownColumn<Row>[] = CLIENT_COLUMNS.map(([name, type, meaning, ofClient], index) => {
  const ofServer = (SERVER_COLUMNS[index] as (typeof SERVER_COLUMNS)[number])[3]
  if (name === 'state') return [name, type, "its state, by the name of PgBouncer's list", stateOf]
  const told =
    name === 'link' ? '`ptr` of the server that a client holds, or of the client that a server serves' : meaning
  return [name, type, told, (row) => ('client' in row ? ofClient(row.client) : ofServer(row.server))]
})

/** A column about PgBouncer's buffer of each socket. Here all sockets are read into one shared buffer, which keeps nothing between reads. */
function nothing(name: string): ShownColumn<Row> {
  return [name, 'int4', 'always 0', () => 0]
}

const COLUMNS: readonly ShownColumn<Row>[] = [
  ...COMMON,
  ...['recv_pos', 'pkt_pos', 'pkt_remain', 'send_pos', 'send_remain', 'pkt_avail'].map(nothing),
  [
    'send_avail',
    'int4',
    'bytes that pgweir has written and that the kernel has not taken yet',
    (row) => ('client' in row ? row.client.owedBytes : row.server.owedBytes),
  ],
]

async function rowsOf({ fleet }: ConsoleContext): Promise<Row[]> {
  const [clients, newcomers, servers] = await Promise.all([fleet.clients(), fleet.newcomers(), fleet.servers()])
  return [
    ...clients.map((client) => ({ client })),
    ...newcomers.map((client) => ({ client: claimed(client) })),
    ...servers.map((server) => ({ server })),
  ]
}

/**
 * A client that is still logging in. `(nouser)` and `(nodb)` are PgBouncer's words, which tools know. Control characters are removed from what
 * the client claims, because psql would print them to a terminal unchanged.
 */
function claimed(client: NewcomerSnapshot): NewcomerSnapshot {
  return {
    ...client,
    user: withoutControls(client.user) || '(nouser)',
    database: '(nodb)',
    applicationName: withoutControls(client.applicationName),
  }
}

export const sockets = topic<Row>({
  help: 'The rows of SHOW CLIENTS and SHOW SERVERS in one table, together with clients that are logging in and the number of bytes still to be written.',
  rows: rowsOf,
  columns: COLUMNS,
})

export const activeSockets = topic<Row>({
  help: 'The rows of SHOW SOCKETS for clients that hold a server, and for their servers.',
  rows: async (context) =>
    (await rowsOf(context)).filter((row) => ('client' in row ? row.client : row.server).state === 'active'),
  columns: COLUMNS,
})
