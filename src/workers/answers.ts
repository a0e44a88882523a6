/** What the primary does about each message from a worker. */

import type { Lru } from '../base/lru.ts'
import type { PackedAccounts } from './accounts.ts'
import type { ClientClaim, ClientCounts } from './admissions.ts'
import { callOn } from './control.ts'
import type { FailedLogins } from './failed-logins.ts'
import type { GatheredFleet } from './gathered-fleet.ts'
import type { Answers } from './line.ts'
import type { CancelKeyBytes, ToPrimary, Welcomed } from './messages.ts'
import type { PermitDesk } from './permit-desk.ts'
import type { Spreading } from './spreading.ts'
import { FROM_THE_START } from './states.ts'
import type { Worker } from './worker.ts'
import type { Workers } from './workers.ts'

export interface AnswersParts {
  readonly workers: Workers
  /** The clients of all workers together. */
  readonly clients: ClientCounts
  readonly permits: PermitDesk
  readonly spreading: Spreading
  readonly failedLogins: Pick<FailedLogins, 'failed'>
  /** What servers have reported, by the way in which they were opened. New workers receive it. */
  readonly welcomed: Lru<string, Welcomed>
  /** All workers as one, for the console of each. */
  readonly fleet: Pick<GatheredFleet, 'gather' | 'workers' | 'control'>
  noteAccounts(worker: Worker, accounts: PackedAccounts): void
}

/** @param worker returns the worker that the messages come from; a function, because a worker is constructed with its answers */
export function answersTo(worker: () => Worker, parts: AnswersParts): Answers<ToPrimary> {
  const { workers, clients, permits, spreading, failedLogins, welcomed, fleet, noteAccounts } = parts
  return {
    // How it fares
    beat: (beat) => {
      worker().beat = beat
      spreading.beaten(worker())
      return null
    },
    totals: (totals) => {
      worker().totals = totals
      return null
    },
    accounts: (accounts) => {
      noteAccounts(worker(), accounts)
      return null
    },

    // Its clients
    claim: (claims) => claim(clients, worker(), claims),
    look: (claims) => clients.firstFull(claims),
    count: (claims) => {
      worker().claims.count(claims)
      clients.count(claims)
      return null
    },
    release: (claims) => {
      worker().claims.release(claims)
      clients.release(claims)
      return null
    },
    loginFailed: (place) => failedLogins.failed(place),
    load: (load) => {
      worker().load = load
      spreading.settle()
      return null
    },
    accepted: (load) => {
      spreading.accepted(worker(), load)
      return null
    },
    cancel: (key) => cancel(workers, key),

    // Its permits
    permitsOpen: ({ pool, database, user, keepsServers }) => {
      permits.opened(worker(), pool, database, user, keepsServers)
      return null
    },
    permitsAsk: ({ pool, figures }) => {
      permits.asked(worker(), pool, figures)
      return null
    },
    permitBack: ({ pool, figures }) => {
      permits.gaveBack(worker(), pool, figures)
      return null
    },
    permitMissed: (pool) => {
      permits.missed(worker(), pool)
      return null
    },
    permitsRefused: (pool) => permits.refused(worker(), pool),
    permitsClose: (pool) => {
      permits.closed(worker(), pool)
      return null
    },

    // Its servers
    serverOpened: (backend) => {
      const server = worker().servers.get(backend.id)
      if (server !== undefined) server.key = backend
      return null
    },
    serverClosed: (id) => {
      worker().servers.get(id)?.connection?.letGo()
      worker().servers.delete(id)
      return null
    },
    welcomed: (news) => {
      welcomed.set(news.how, news)
      for (const other of workers) if (other !== worker()) other.line.tell('welcomed', news)
      return null
    },
    schema: async (database) => {
      const sender = worker()
      await workers.ask(FROM_THE_START, (other) =>
        other === sender ? Promise.resolve(null) : other.line.ask('schema', database),
      )
      return null
    },

    // Its console
    gather: (topic) => fleet.gather(topic),
    workers: () => fleet.workers(),
    control: (call) => callOn(fleet.control, call),
  }
}

/** Clients that were let in are also counted for the worker, so that they can be released if it dies. */
function claim(clients: ClientCounts, worker: Worker, claims: readonly ClientClaim[]): ClientClaim | null {
  const full = clients.tryClaim(claims)
  if (full === null) worker.claims.count(claims)
  return full
}

/** The key may be made up: the answer does not reveal whether there is such a worker. */
async function cancel(workers: Workers, key: CancelKeyBytes): Promise<null> {
  return workers.numbered(key.worker)?.line.ask('cancel', key) ?? null
}
