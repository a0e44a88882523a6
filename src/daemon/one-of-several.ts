/** What a process has to coordinate with the other processes of its fleet (`Membership`), and how a single process does it alone (`alone`). */

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
  /** The number of this worker, 1 to 255, used in cancel keys and ids. 0 for a single process. */
  readonly number: number
  /** Commands that are in effect in the fleet, such as PAUSE; to be carried out before any client is served. */
  readonly standing: readonly ControlCall[]
  /** The same in all processes: see `createSaltKey`. */
  readonly saltKey: Buffer
  /** Passes a cancel request on to the worker named in its key. That worker calls `cancelRoutes.cancelHere`. */
  readonly forwardCancel: ForwardCancel
  readonly admissions: Admissions
  /** Counts a failed login from `place`. Calls `done` with how long to delay the answer to the client. */
  onLoginFailed(place: string, done: (delayMs: number) => void): void
  /** The whole fleet, for the console; null for a single process. */
  readonly fleet: Fleet | null
  /** @param minimum returns `min_pool_size` */
  openPermits(database: string, user: string, holder: ShareHolder, minimum: () => number): Permits
  /** @param keepAlive reads the current settings */
  listen(
    transport: Transport,
    keepAlive: KeepAlive,
    onAccepted: (channel: Channel) => void,
  ): Promise<readonly Listener[]>
  /** Null if no other process serves the databases. */
  readonly onSchemaChanged: TellOthersOf | null
  /** What servers have reported to other processes so far. */
  readonly welcomed: readonly Welcomed[]
  onWelcomed(welcomed: Welcomed): void
  /** Called when a server connection is open but nothing was sent on it; `begin` starts the login. */
  onServerConnected(server: Server, permits: Permits, begin: () => void): void
  onServerOpened(server: Server): void
  onServerClosed(server: Server): void
  /** Called with the number of client connections whenever it changes. */
  onLoad(connections: number): void
}

export interface AloneParts {
  readonly live: LiveSettings
  readonly clock: Clock
  readonly log: Log
  readonly permits: PermitBook
  /** Descriptors of listening sockets that another program opened for us. */
  readonly inherited: readonly number[] | undefined
}

/** The membership of a single process: it counts clients and grants permits itself, and notifies nobody. */
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
