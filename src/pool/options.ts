/** What a pool is made with: where its servers are, what it runs on, and whom it tells of them. */

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
  /** Run by each new server before it is used; empty for none. */
  readonly connectQuery: string
  /** Asked for each new connection; null: it is not encrypted. */
  encryption(address: Address): ServerEncryption | null
  /** The pool is kept filled even without clients. */
  fillsAlone(): boolean
}

export interface PoolOptions {
  readonly database: string
  /** What its servers are opened with besides: its clients have asked for it. */
  readonly birth: Birth
  /** Not `none`: it is the pool of one client. */
  readonly replication: Replication
  /** Those to begin with. */
  readonly settings: PoolSettings
  readonly target: PoolTarget
  readonly keepAlive: KeepAlive
  readonly tracked: Tracked
  /** Whoever grants this pool the right to open servers. */
  openPermits(user: string, holder: ShareHolder): Permits
  readonly ids: Ids
  readonly transport: Transport
  readonly clock: Clock
  readonly log: Log
  /** From 0 to 1. */
  chance(): number
  /** A server is connected under one of these permits; it logs in with `begin`. */
  onServerConnected(server: Server, permits: Permits, begin: () => void): void
  /** A server is gone, and its permit goes back after this. */
  onServerClosed(server: Server): void
  onServerOpened(server: Server): void
  /** A server has taken all that was written to it, while nobody is read. */
  onTaken(): void
}
