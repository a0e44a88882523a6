/** What a process that is one of several leaves to all of them together, and how the only one does the same by itself. */

import { createSaltKey } from '../auth/secrets.ts'
import type { Clock } from '../base/clock.ts'
import type { Log } from '../base/log.ts'
import type { Channel, KeepAlive, Listener, Transport } from '../net/channel.ts'
import { listenAll } from '../net/listen-addresses.ts'
import type { PermitBook } from '../pool/permits/book.ts'
import type { Permits } from '../pool/permits/holder.ts'
import { LocalPermits } from '../pool/permits/local-permits.ts'
import type { ShareHolder } from '../pool/share.ts'
import type { Server } from '../server/server.ts'
import { type Admissions, ClientCounts } from '../workers/admissions.ts'
import { type ForwardCancel, forwardToNobody } from '../workers/cancel-routes.ts'
import type { ControlCall } from '../workers/control.ts'
import type { Fleet } from '../workers/fleet.ts'
import type { Welcomed } from '../workers/messages.ts'
import { maxClients } from './client-limits.ts'
import { failedLoginsOf } from './failed-logins.ts'
import { whereToListen } from './listening.ts'
import type { LiveSettings } from './live-settings.ts'
import type { TellOthersOf } from './schemas.ts'

export interface Membership {
  /** From 1 to 255: names it among the others, in cancel keys and ids. 0 if it is the only one. */
  readonly number: number
  /** To be done before any client is served. */
  readonly standing: readonly ControlCall[]
  /** The same for all of them: see `createSaltKey`. */
  readonly saltKey: Buffer
  /** Takes a cancel request to the worker that its key names, which hands it to `cancelRoutes.cancelHere`. */
  readonly forwardCancel: ForwardCancel
  readonly admissions: Admissions
  /** `done` is told for how long the answer is to be held back. */
  onLoginFailed(place: string, done: (delayMs: number) => void): void
  /** All processes as one, for the console; null if this one is all. */
  readonly fleet: Fleet | null
  /** @param minimum `min_pool_size` */
  openPermits(database: string, user: string, holder: ShareHolder, minimum: () => number): Permits
  /** @param keepAlive follows the settings */
  listen(
    transport: Transport,
    keepAlive: KeepAlive,
    onAccepted: (channel: Channel) => void,
  ): Promise<readonly Listener[]>
  /** Null if no other process serves the databases. */
  readonly onSchemaChanged: TellOthersOf | null
  /** What other processes know of servers so far. */
  readonly welcomed: readonly Welcomed[]
  onWelcomed(welcomed: Welcomed): void
  /** Before Postgres knows of the server: the login follows with `begin`. */
  onServerConnected(server: Server, permits: Permits, begin: () => void): void
  onServerOpened(server: Server): void
  onServerClosed(server: Server): void
  /** How many connections of clients there are. */
  onLoad(connections: number): void
}

export interface AloneParts {
  readonly live: LiveSettings
  readonly clock: Clock
  readonly log: Log
  readonly permits: PermitBook
  /** Sockets that listen already. */
  readonly inherited: readonly number[] | undefined
}

/** It counts and grants by itself, and has nobody to tell. */
export function alone({ live, clock, log, permits, inherited }: AloneParts): Membership {
  const failedLogins = failedLoginsOf(live, clock, log)
  return {
    number: 0,
    standing: [],
    saltKey: createSaltKey(),
    forwardCancel: forwardToNobody,
    admissions: new ClientCounts((claim) => maxClients(live.now, claim)),
    onLoginFailed: (place, done) => done(failedLogins.failed(place)),
    fleet: null,
    openPermits: (database, user, holder) => new LocalPermits(permits, clock, database, user, holder),
    listen: (transport, keepAlive, onAccepted) =>
      listenAll(
        transport,
        whereToListen(live.now, keepAlive, (sentence) => log.warning(sentence), inherited),
        onAccepted,
      ),
    onSchemaChanged: null,
    welcomed: [],
    onWelcomed: () => {},
    onServerConnected: (_server, _permits, begin) => begin(),
    onServerOpened: () => {},
    onServerClosed: () => {},
    onLoad: () => {},
  }
}
