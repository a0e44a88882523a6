/** What a pool is constructed with: where its servers are, what it runs on, and the callbacks that it calls. */

import type { Clock } from '../base/clock.ts'
import type { Ids } from '../base/ids.ts'
import type { Log } from '../base/log.ts'
import type { Address, KeepAlive, Transport } from '../net/channel.ts'
import type { Birth } from '../server/birth.ts'
import type { ServerEncryption } from '../server/encryption.ts'
import type { ServerIdentity } from '../server/login.ts'
import type { Tracked } from '../server/profile.ts'
import type { SchemaVersion } from '../server/schema-version.ts'
import type { Server } from '../server/server.ts'
import type { Replication } from '../wire/replication.ts'
import type { Hosts } from './hosts.ts'
import type { Permits } from './permits/holder.ts'
import type { PoolSettings } from './settings.ts'
import type { ShareHolder } from './share.ts'
import type { Welcome } from './welcome.ts'

/** Where the servers of a pool are, and how they are opened. */
export interface PoolTarget {
  readonly hosts: Hosts
  readonly identity: ServerIdentity
  readonly schema: SchemaVersion
  readonly welcome: Welcome
  /** Runs on each new server before it is used; empty for none. */
  readonly connectQuery: string
  /** Called for each new connection. Null if that is not to be encrypted. */
  encryption(address: Address): ServerEncryption | null
  /** Whether `min_pool_size` applies even while the pool has no clients. */
  fillsAlone(): boolean
}

export interface PoolOptions {
  readonly database: string
  /** Settings that Postgres takes only when a connection begins, as the pool's clients have asked for them. */
  readonly birth: Birth
  /** Unless it is `none`, the pool belongs to one replication client. */
  readonly replication: Replication
  /** The initial settings; `Pool.reconfigure` changes them. */
  readonly settings: PoolSettings
  readonly target: PoolTarget
  readonly keepAlive: KeepAlive
  readonly tracked: Tracked
  /** Opens an account for the permits, under which the pool opens servers. */
  openPermits(user: string, holder: ShareHolder): Permits
  readonly ids: Ids
  readonly transport: Transport
  readonly clock: Clock
  readonly log: Log
  /** A random number from 0 to 1. */
  chance(): number
  /** A server is connected, under one of `permits`. It logs in when `begin` is called. */
  onServerConnected(server: Server, permits: Permits, begin: () => void): void
  /** A server is gone. Its permit goes back after this call. */
  onServerClosed(server: Server): void
  onServerOpened(server: Server): void
  /** All that was written to a server has been taken, while the pooler is suspended. */
  onTaken(): void
}
