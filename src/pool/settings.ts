/** The settings of one pool: plain values, already chosen among those of the user, the database and the general section. */

export type PoolMode = 'session' | 'transaction' | 'statement'

/** All times are in milliseconds; 0 means "never" unless stated otherwise. */
export interface PoolSettings {
  readonly mode: PoolMode
  /** The maximum number of servers, over all workers; 0 is unlimited. Permits enforce it. */
  readonly size: number
  readonly roundRobin: boolean
  /** Runs on a server when a client in session mode gives it back; empty for none. */
  readonly resetQuery: string
  /** `resetQuery` also runs in the other modes, after each transaction or statement. */
  readonly alwaysResets: boolean
  /** null if servers are not checked. */
  readonly checkQuery: string | null
  readonly checkDelayMs: number
  readonly idleTimeoutMs: number
  /** How long the pool is remembered after its last client and its last server have gone. */
  readonly unusedTimeoutMs: number
  /** With 0, a server is used once. */
  readonly lifetimeMs: number
  readonly connectTimeoutMs: number
  readonly loginRetryMs: number
  readonly waitTimeoutMs: number
  readonly waitNotifyMs: number
  readonly queryTimeoutMs: number
  readonly idleTransactionTimeoutMs: number
  readonly transactionTimeoutMs: number
  /** The maximum per server; 0 passes prepared statements through unchanged. */
  readonly maxPreparedStatements: number
  /** Unnamed statements are kept prepared on servers and shared. */
  readonly autoPrepare: boolean
  /** How many bytes of statement text `autoPrepare` keeps prepared per server; 0 is no limit. */
  readonly autoPrepareMaxBytes: number
  readonly maxPacketBytes: number
  /**
   * In session mode, a server that must not be used again is closed once it is idle, which ends its client's connection, rather than when the
   * client leaves.
   */
  readonly closesFast: boolean
  readonly takesSimpleQueries: boolean
  /** Log each connection to a server. */
  readonly logsConnections: boolean
  /** Log the end of servers that had been opened. Failures to open one are always logged. */
  readonly logsDisconnections: boolean
}
