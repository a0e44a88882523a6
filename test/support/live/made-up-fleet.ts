/** A fake fleet with any number of pools, whose numbers the test sets. */

import type { LiveFleet } from '../../../src/metrics/live-feed.ts'
import { Counters, Durations } from '../../../src/pool/counters.ts'
import { ErrorCounts } from '../../../src/pool/error-counts.ts'
import { tallyOf } from '../../../src/pool/tallies.ts'
import { NO_ACCOUNTS } from '../../../src/workers/accounts.ts'
import type { ClientSnapshot, PoolSnapshot, ServerSnapshot, TransactionSnapshot } from '../../../src/workers/fleet.ts'
import { longestTransactions } from '../../../src/workers/gather.ts'

const HERE = { host: '127.0.0.1', port: 6432 }

export class MadeUpPool {
  readonly counters = new Counters()
  readonly durations = new Durations()
  readonly errors = new ErrorCounts()
  readonly database: string
  readonly user: string
  /** The user that its clients have logged in as. */
  clientUser: string
  waiting = 0
  /** The ages of the running transactions, in milliseconds. */
  running: readonly number[] = []

  constructor(database: string, user = 'ada') {
    this.database = database
    this.user = user
    this.clientUser = user
  }

  /** Counts `count` queries that have each taken `ms`. */
  run(count: number, ms: number): void {
    this.counters.queries += count
    this.counters.transactions += count
    for (let each = 0; each < count; each++) this.durations.query.note(ms)
  }

  get snapshot(): PoolSnapshot {
    return {
      ...{ database: this.database, user: this.user, mode: 'transaction', balance: null },
      clients: { active: 2, idle: 3, waiting: this.waiting },
      servers: { active: 2, idle: 1, used: 0, tested: 0, new: 0, being_canceled: 0 },
      ...{
        cancels: { sent: 0, waiting: 0 },
        longestWaitUs: this.waiting * 1000,
        oldestTransactionUs: 0,
        maxServers: 5,
        permits: 3,
      },
    }
  }

  get client(): ClientSnapshot {
    return {
      ...{
        id: 7,
        user: this.clientUser,
        poolUser: this.user,
        database: this.database,
        replication: 'none',
        state: 'active',
        peer: HERE,
        local: HERE,
      },
      ...{
        tls: '',
        connectedAt: 0,
        requestedAt: 0,
        waitUs: 0,
        serverId: 9,
        applicationName: '<b>app</b>',
        preparedStatements: 0,
      },
      owedBytes: 0,
    } as ClientSnapshot
  }

  get transactions(): TransactionSnapshot[] {
    return this.running.map((ms, index) => ({
      ...{ clientId: 7 + index, user: this.clientUser, poolUser: this.user, database: this.database },
      ...{ peer: HERE, applicationName: '<b>app</b>' },
      ...{ ageUs: ms * 1000, isRunning: index % 2 === 0 },
    }))
  }

  get server(): ServerSnapshot {
    return {
      ...{
        id: 9,
        user: this.user,
        database: this.database,
        replication: 'none',
        state: 'active',
        peer: HERE,
        local: HERE,
      },
      ...{ tls: '', connectedAt: 0, requestedAt: 0, isCondemned: false, clientId: 7, pid: 4711, applicationName: '' },
      ...{ preparedStatements: 0, owedBytes: 0 },
    } as ServerSnapshot
  }
}

export function madeUpFleet(pools: readonly MadeUpPool[]): LiveFleet {
  return {
    accounts: async () => ({ ...NO_ACCOUNTS, pools: pools.map(tallyOf) }),
    pools: async () => pools.map(({ snapshot }) => snapshot),
    databases: async () => [],
    workers: async () => [
      {
        ...{
          number: 1,
          pid: 99,
          state: 'serving',
          startedAt: Date.now() - 5_000,
          clients: 5,
          servers: 3,
          cpuUs: 1_000,
        },
        ...{ residentBytes: 50 * 2 ** 20, delayUs: 300, restarts: 0 },
      },
    ],
    vitals: async () => ({ connections: 5, loggingIn: 0, certificates: {} }),
    circumstances: async () => ({ isStarting: false, isEnding: false, isPaused: false, supplied: 1, cutOff: 0 }),
    state: async () => 'active',
    clients: async () => pools.map(({ client }) => client),
    transactions: async () => longestTransactions(pools.map(({ transactions }) => transactions)),
    servers: async () => pools.map(({ server }) => server),
  } as LiveFleet
}
