/** What one pool is told of the settings: plain values, already chosen from user, database and general ones. */

export type PoolMode = 'session' | 'transaction' | 'statement'

/** All times in milliseconds, 0 meaning "never" unless said otherwise. */
export interface PoolSettings {
  readonly mode: PoolMode
  /** How many servers it may have, all workers together; 0 is unlimited. Its permits see to that. */
  readonly size: number
  readonly roundRobin: boolean
  /** Run when a server is given back that a session has held; empty for none. */
  readonly resetQuery: string
  /** It is also run after a transaction, or a statement. */
  readonly alwaysResets: boolean
  /** null for no checks. */
  readonly checkQuery: string | null
  readonly checkDelayMs: number
  readonly idleTimeoutMs: number
  /** How long the pool is remembered after its last client and its last server have gone. */
  readonly unusedTimeoutMs: number
  /** 0: a server is used once. */
  readonly lifetimeMs: number
  readonly connectTimeoutMs: number
  readonly loginRetryMs: number
  readonly waitTimeoutMs: number
  readonly waitNotifyMs: number
  readonly queryTimeoutMs: number
  readonly idleTransactionTimeoutMs: number
  readonly transactionTimeoutMs: number
  /** Per server; 0: prepared statements pass through as they are. */
  readonly maxPreparedStatements: number
  /** Unnamed statements are kept on servers as shared ones. */
  readonly autoPrepare: boolean
  /** Text that is kept prepared per server then; 0 is no limit. */
  readonly autoPrepareMaxBytes: number
  readonly maxPacketBytes: number
  /** Those that are not to be used again do not wait for their session to end. */
  readonly closesFast: boolean
  readonly takesSimpleQueries: boolean
  /** Of servers. */
  readonly logsConnections: boolean
  /** Of servers that could be opened. */
  readonly logsDisconnections: boolean
}
