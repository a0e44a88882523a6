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
    ['user', 'text', 'user it is logged in as', ({ user }) => user],
    ['database', 'text', 'database, as clients name it', ({ database }) => database],
    ['replication', 'text', 'none, logical or physical', ({ replication }) => replication],
    ['state', 'text', 'what it is doing', ({ state }) => state],
    ['addr', 'text', 'address of the other end; `unix` for a unix socket', ({ peer }) => describeHost(peer)],
    ['port', 'int4', 'port of the other end', ({ peer }) => peer.port],
    ['local_addr', 'text', 'address of this end', ({ local }) => describeHost(local)],
    ['local_port', 'int4', 'port of this end', ({ local }) => local.port],
    ['connect_time', 'text', 'when it was connected', ({ connectedAt }) => moment(connectedAt)],
    ['request_time', 'text', 'when its last request began', ({ requestedAt }) => moment(requestedAt)],
    ['wait', 'int4', 'seconds that it has been queued', (row) => wholeSeconds(side.waitUs(row))],
    ['wait_us', 'int4', 'microseconds beyond these', (row) => microsecondsBeyond(side.waitUs(row))],
    ['close_needed', 'int4', '1 if it will not be used again', (row) => (side.isCondemned(row) ? 1 : 0)],
    ['ptr', 'text', 'its name in the log', ({ id }) => pointer(id)],
    ['link', 'text', side.linked, (row) => pointer(side.link(row))],
    ['remote_pid', 'int4', 'process at the other end, where it is known', (row) => side.pid(row)],
    ['tls', 'text', 'version and cipher; empty where nothing is encrypted', ({ tls }) => tls],
    ['application_name', 'text', 'what the application calls itself', ({ applicationName }) => applicationName],
    ['prepared_statements', 'int4', 'prepared statements that it has', ({ preparedStatements }) => preparedStatements],
    ['id', 'int4', 'number that it keeps', ({ id }) => id],
  ]
}
