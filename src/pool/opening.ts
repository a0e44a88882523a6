/** How the servers of one pool are opened: where, as which user, and under which permits. When the pool's target changes, it gets a new `Opening`. */

import type { Clock } from '../base/clock.ts'
import type { Ids } from '../base/ids.ts'
import type { Log } from '../base/log.ts'
import type { Address, KeepAlive, Transport } from '../net/channel.ts'
import type { ServerEncryption } from '../server/encryption.ts'
import type { ServerIdentity } from '../server/login.ts'
import type { Tracked } from '../server/profile.ts'
import type { SchemaVersion } from '../server/schema-version.ts'
import type { Server, ServerContext, ServerOwner } from '../server/server.ts'
import type { StatementRegistry } from '../server/statement-registry.ts'
import type { PoolOptions, PoolTarget } from './options.ts'
import { PoolWelcome } from './pool-welcome.ts'
import type { PoolSettings } from './settings.ts'
import { Share, type SharingPool } from './share.ts'

/** The pool. */
export interface OpeningPool extends ServerOwner, SharingPool {
  readonly options: PoolOptions
  readonly settings: PoolSettings
  readonly statements: StatementRegistry
  /** True while its servers are not read. */
  readonly isSuspended: boolean
}

/** The context of a pool's servers. Each server keeps the one that it was opened with. */
export class Opening implements ServerContext {
  readonly owner: OpeningPool
  readonly target: PoolTarget
  readonly share: Share
  readonly welcome: PoolWelcome
  readonly ids: Ids
  readonly transport: Transport
  readonly clock: Clock
  readonly log: Log
  readonly database: string
  readonly keepAlive: KeepAlive
  readonly tracked: Tracked
  readonly identity: ServerIdentity
  readonly schema: SchemaVersion
  readonly connectQuery: string
  readonly registry: StatementRegistry

  /** @param formerWelcome the values that clients received after login before the target changed */
  constructor(
    pool: OpeningPool,
    target: PoolTarget,
    share = openShare(pool, target),
    formerWelcome: ReadonlyMap<string, string> | null = null,
  ) {
    const { ids, transport, clock, log, database, keepAlive, tracked, birth } = pool.options
    const { identity } = target
    this.owner = pool
    this.target = target
    this.welcome = new PoolWelcome(target.welcome, formerWelcome, tracked.names)
    this.share = share
    this.ids = ids
    this.transport = transport
    this.clock = clock
    this.log = log
    this.database = database
    this.keepAlive = keepAlive
    this.tracked = tracked
    this.identity = { ...identity, parameters: new Map([...identity.parameters, ...birth]) }
    this.schema = target.schema
    this.connectQuery = target.connectQuery
    this.registry = pool.statements
  }

  /** Returns what a server was opened with. */
  static of(server: Server): Opening {
    return server.context as Opening
  }

  /**
   * Returns the opening for another target. If that has another user, the new opening gets permits of its own, and the share of this one ends
   * with its last server.
   */
  changedTo(target: PoolTarget): Opening {
    const { owner, share, welcome } = this
    if (target.identity.user === this.identity.user) return new Opening(owner, target, share, welcome.values)
    share.retire()
    return new Opening(owner, target, openShare(owner, target), welcome.values)
  }

  nextAddress(): Address {
    return this.target.hosts.next(this.clock.nowMs)
  }

  encryption(address: Address): ServerEncryption | null {
    return this.target.encryption(address)
  }

  maxPacketBytes(): number {
    return this.owner.settings.maxPacketBytes
  }

  logsConnections(): boolean {
    return this.owner.settings.logsConnections
  }

  logsDisconnections(): boolean {
    return this.owner.settings.logsDisconnections
  }

  isSuspended(): boolean {
    return this.owner.isSuspended
  }

  onTaken(): void {
    this.owner.options.onTaken()
  }
}

function openShare(pool: OpeningPool, { identity }: PoolTarget): Share {
  return new Share(pool, (holder) => pool.options.openPermits(identity.user, holder))
}
