/** The columns of SHOW CLIENTS and SHOW SERVERS, in PgBouncer's order. */

import type { Address } from '../../net/channel.ts'
import { describeHost } from '../../net/unix-sockets.ts'
import type { Replication } from '../../wire/replication.ts'
import { microsecondsBeyond, moment, pointer, type ShownColumn, wholeSeconds } from './topic.ts'

export interface Socket {
  readonly id: number
  readonly user: string
  readonly database: string
  readonly replication: Replication
  readonly state: string
  readonly peer: Address
  readonly local: Address
  readonly tls: string
  readonly connectedAt: number
  readonly requestedAt: number
  readonly applicationName: string
  readonly preparedStatements: number
}

/** What differs between clients and servers. */
export interface Side<Row> {
  readonly type: 'C' | 'S'
  waitUs(row: Row): number
  isCondemned(row: Row): boolean
  /** The id of the other side. */
  link(row: Row): number | null
  pid(row: Row): number
  /** The description of the column `link`. */
  readonly linked: string
}

export function socketColumns<Row extends Socket>(side: Side<Row>): ShownColumn<Row>[] {
  return [
    ['type', 'text', 'C for a client, S for a server', () => side.type],
    ['user', 'text', 'user of the login', ({ user }) => user],
    ['database', 'text', 'database, by the name that clients use', ({ database }) => database],
    ['replication', 'text', '`none`, `logical` or `physical`', ({ replication }) => replication],
    ['state', 'text', 'state of the connection', ({ state }) => state],
    ['addr', 'text', 'address of the other end; `unix` for a unix socket', ({ peer }) => describeHost(peer)],
    ['port', 'int4', 'port of the other end', ({ peer }) => peer.port],
    ['local_addr', 'text', 'address of this end', ({ local }) => describeHost(local)],
    ['local_port', 'int4', 'port of this end', ({ local }) => local.port],
    ['connect_time', 'text', 'when the connection was made', ({ connectedAt }) => moment(connectedAt)],
    ['request_time', 'text', 'when the last request began', ({ requestedAt }) => moment(requestedAt)],
    [
      'wait',
      'int4',
      'how long a client has been queued for a server, in seconds; 0 for servers',
      (row) => wholeSeconds(side.waitUs(row)),
    ],
    ['wait_us', 'int4', 'microseconds to add to wait', (row) => microsecondsBeyond(side.waitUs(row))],
    ['close_needed', 'int4', '1 if the server will not be used again', (row) => (side.isCondemned(row) ? 1 : 0)],
    ['ptr', 'text', 'name of the connection in the log', ({ id }) => pointer(id)],
    ['link', 'text', side.linked, (row) => pointer(side.link(row))],
    ['remote_pid', 'int4', 'process ID at the other end, if known', (row) => side.pid(row)],
    ['tls', 'text', 'TLS version and cipher; empty if the connection is not encrypted', ({ tls }) => tls],
    ['application_name', 'text', 'application_name of the connection', ({ applicationName }) => applicationName],
    ['prepared_statements', 'int4', 'number of prepared statements', ({ preparedStatements }) => preparedStatements],
    ['id', 'int4', 'number of the connection, which does not change', ({ id }) => id],
  ]
}
