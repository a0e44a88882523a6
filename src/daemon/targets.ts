/** Where the servers of a pool are, and how they are opened, by the settings of its database. */

import type { Address } from '../net/channel.ts'
import { dialledAddress, isPath } from '../net/unix-sockets.ts'
import { Hosts } from '../pool/hosts.ts'
import type { PoolTarget } from '../pool/options.ts'
import { Welcome } from '../pool/welcome.ts'
import { PoolerError } from '../problems.ts'
import type { Birth } from '../server/birth.ts'
import type { ServerEncryption } from '../server/encryption.ts'
import type { DatabaseSettings } from '../settings/databases.ts'
import type { Settings } from '../settings/load.ts'
import type { SslMode } from '../settings/tls.ts'
import type { Replication } from '../wire/replication.ts'
import type { Database } from './database.ts'
import type { Schemas } from './schemas.ts'
import type { Users } from './users.ts'
import type { Welcomes } from './welcomes.ts'

export interface TargetParts {
  settings(): Settings
  readonly users: Pick<Users, 'serverSecret' | 'scramKeys'>
  readonly welcomes: Pick<Welcomes, 'of'>
  /** How to encrypt a server connection; null for no TLS. `mode` is the database's own sslmode, or null to use `server_tls_sslmode`. */
  encryption(mode: SslMode | null, isDirect: boolean): ServerEncryption | null
}

export class Targets {
  readonly #parts: TargetParts
  readonly #schemas: Pick<Schemas, 'at'>

  constructor(parts: TargetParts, schemas: Pick<Schemas, 'at'>) {
    this.#parts = parts
    this.#schemas = schemas
  }

  /** The target of a new pool, or of one whose database has other settings now. With several hosts, the next target begins with the next host. */
  next(database: Database, user: string, birth: Birth, replication: Replication): PoolTarget {
    const { users, welcomes, settings } = this.#parts
    const { port, dbname, password, connect_query } = database.settings
    const parameters = serverParameters(database.settings)
    const addresses = this.#addressesOf(database.settings)
    const hosts = addresses.map(({ host }) => host).join()
    // Replication always begins with the first host: what it follows, such as a replication slot, exists on one host only.
    const turn = replication === 'none' ? database.turn++ : 0
    // Clients that logged in before their database got a forced user still have servers of their own user.
    const forcedPassword = () => (database.forcedUser === user ? database.settings.password : null)
    const how = [database.name, hosts, port, dbname, user, password, connect_query, [...parameters], [...birth]]
    return {
      hosts: new Hosts(addresses, database.settings.load_balance_hosts, turn),
      identity: {
        user,
        database: dbname,
        parameters,
        secret: () => {
          if (this.isAnybodys(database, user)) throw new PoolerError('any-without-forced-user')
          return users.serverSecret(database.name, user, forcedPassword())
        },
        scramKeys: () => users.scramKeys(database.name, user),
      },
      schema: this.#schemas.at(this.placeOf(database.settings)),
      welcome: replication === 'none' ? welcomes.of(how) : new Welcome(),
      // A physical replication connection accepts no SQL.
      connectQuery: replication === 'physical' ? '' : (connect_query ?? ''),
      encryption: ({ host }) => (isPath(host) ? null : this.#encryption(database.settings)),
      // Fill pools of a forced user before clients arrive, but not in databases of the entry `*`: unauthenticated clients choose their names.
      fillsAlone: () => database.forcedUser === user && settings().databases.has(database.name),
    }
  }

  /** Names where the servers of a database are, for `Schemas`. */
  placeOf(settings: DatabaseSettings): string {
    const hosts = this.#addressesOf(settings).map(({ host }) => host)
    return `${hosts.join()}\0${settings.port}\0${settings.dbname}`
  }

  /** See `Database.fingerprint`. */
  fingerprintOf(settings: DatabaseSettings): string {
    const isLocal = this.#addressesOf(settings).every(({ host }) => isPath(host))
    return isLocal ? '' : (this.#encryption(settings)?.fingerprint ?? '')
  }

  /**
   * With auth_type = any, clients name a user without proving anything. A pool of such a user must not log in to servers with a secret that
   * we hold for that user.
   */
  isAnybodys({ forcedUser }: Database, user: string): boolean {
    return this.#parts.settings().general.auth_type === 'any' && forcedUser !== user
  }

  /** As in PgBouncer, a database without a host is reached through a unix socket in unix_socket_dir. */
  #addressesOf({ host, port }: DatabaseSettings): Address[] {
    const hosts = (host || this.#parts.settings().general.unix_socket_dir).split(',')
    return hosts.map((each) => dialledAddress({ host: each.trim(), port }))
  }

  #encryption({ sslmode, sslnegotiation }: DatabaseSettings): ServerEncryption | null {
    return this.#parts.encryption(sslmode, sslnegotiation === 'direct')
  }
}

function serverParameters(settings: DatabaseSettings): ReadonlyMap<string, string> {
  const parameters = new Map<string, string>()
  for (const name of ['client_encoding', 'datestyle', 'timezone', 'application_name'] as const) {
    const value = settings[name]
    if (value !== null) parameters.set(name, value)
  }
  return parameters
}
