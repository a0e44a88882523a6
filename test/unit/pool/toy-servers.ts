/** Servers without connections, in the lists of a pool, that record what is done to them. */

import { Link } from '../../../src/base/list.ts'
import { ServerLists } from '../../../src/pool/server-lists.ts'
import type { Server } from '../../../src/server/server.ts'
import type { ServerState } from '../../../src/server/states.ts'

export interface ToyServer {
  readonly state: ServerState
  /** The host in its configured address. */
  readonly host?: string
  /** The host that it is connected to. */
  readonly at?: string
  /** Whether it streams replication. */
  readonly streams?: boolean
  readonly startedMs?: number
  readonly usedMs?: number
}

/** @param heard receives a line for each call, which begins with the server's place in `toys` */
export function toyServers(toys: readonly ToyServer[], heard: string[]): { lists: ServerLists; servers: Server[] } {
  const lists = new ServerLists()
  const servers = toys.map((toy, place) => toyServer(toy, place, lists, heard))
  for (const server of servers) lists.add(server)
  return { lists, servers }
}

function toyServer(toy: ToyServer, place: number, lists: ServerLists, heard: string[]): Server {
  const { state, host = 'db', at = '10.0.0.1', streams = false, startedMs = 0, usedMs = 0 } = toy
  const server = {
    ...{ link: new Link<Server>(), state, startedMs, usedMs },
    ...{ address: { host, port: 5432 }, peer: { host: at, port: 5432 } },
    ledger: { copy: streams ? 'both' : 'none' },
    condemn: (reason: string) => heard.push(`${place} condemned: ${reason}`),
    close: (reason: string, notice?: Error) => {
      heard.push(`${place} closed: ${reason}${notice ? `; ${notice.message}` : ''}`)
      lists.move(server as unknown as Server, state, 'closing', false)
    },
  }
  return server as unknown as Server
}
