/** What a client is sent once it has logged in. For that, its settings are tried on a server if it is not known what becomes of them. */

import { Link } from '../base/list.ts'
import { Lru } from '../base/lru.ts'
import type { Waiter } from '../pool/lease.ts'
import type { Pool } from '../pool/pool.ts'
import { Profile } from '../server/profile.ts'
import type { Server } from '../server/server.ts'
import { AUTHENTICATION_OK, encodeBackendKeyData, encodeParameterStatus, READY_IDLE } from '../wire/backend.ts'
import type { CancelKey } from '../wire/cancel-key.ts'
import { encodeNotice, type Notice } from '../wire/notices.ts'

/** Returns what a client is sent at the end of its login: `reception`, the cancel key, `loginNotice` unless it is empty, ReadyForQuery. */
export function encodeWelcome(reception: Buffer, key: CancelKey, loginNotice = ''): Buffer {
  const notice =
    loginNotice === '' ? [] : [encodeNotice({ severity: 'NOTICE', sqlstate: '00000', message: loginNotice })]
  return Buffer.concat([reception, encodeBackendKeyData(key.pid, key.secret), ...notice, READY_IDLE])
}

/** Returns AuthenticationOk, and a ParameterStatus for each reported parameter. */
export function encodeReception(reported: ReadonlyMap<string, string>): Buffer {
  const messages = [AUTHENTICATION_OK]
  const encoding = reported.get('client_encoding') ?? 'UTF8'
  for (const [name, value] of reported) {
    const message = encodeParameterStatus(name, value, encoding)
    if (message !== null) messages.push(message)
  }
  return Buffer.concat(messages)
}

interface Reception {
  readonly welcome: ReadonlyMap<string, string> | null
  readonly bytes: Buffer
}

/** The latest ones, since most clients are sent the same. */
const receptions = new Lru<Profile, Reception>(100)

/** Returns the reception of a client with this profile. */
export function receptionOf(pool: Pool, profile: Profile): Buffer {
  const { welcome } = pool
  const known = receptions.get(profile)
  if (known !== undefined && known.welcome === welcome) return known.bytes
  const bytes = encodeReception(reportedParameters(pool, profile))
  receptions.set(profile, { welcome, bytes })
  return bytes
}

/**
 * Not reported to clients: the known value is that of the last server that was opened, and PostgreSQL may have been promoted since, which
 * closes no connection. With target_session_attrs libpq believes what is reported, and would leave before it could find out better. If
 * nothing is reported, it asks:
 * https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNECT-TARGET-SESSION-ATTRS
 */
const MAY_HAVE_CHANGED = 'in_hot_standby'

/** Returns what a server with this profile reports. */
function reportedParameters(pool: Pool, profile: Profile): ReadonlyMap<string, string> {
  const reported = new Map(pool.welcome)
  // The server of a single client has only just been opened for it.
  if (!pool.isOfOneClient) reported.delete(MAY_HAVE_CHANGED)
  pool.options.tracked.names.forEach((name, place) => {
    const value = profile.values[place]
    if (value !== null && value !== undefined) reported.set(name, value)
  })
  return reported
}

/** Postgres takes an application_name like this as it is. Many clients have one of their own, and none should need a server to log in. */
const PLAIN_NAME = /^[\x20-\x7e]{0,63}$/

export interface FittingListener {
  onFitted(profile: Profile): void
  /** Postgres has rejected a setting, or there is no server. */
  onUnfit(notice: Notice): void
}

/**
 * Finds out what Postgres makes of a client's settings. Usually that is known from earlier clients. If not, one lease is taken to try the
 * settings, so that the client learns at login of a bad value, and gets a good one in Postgres' own spelling.
 */
export class Fitting implements Waiter {
  readonly link = new Link<Waiter>()
  waitingSinceMs = 0
  wasNotified = false
  promised: Server | null = null
  wantedProfile: Profile = Profile.of([])
  readonly pool: Pool
  readonly #wishes: ReadonlyMap<string, string>
  readonly #listener: FittingListener

  constructor(pool: Pool, wishes: ReadonlyMap<string, string>, listener: FittingListener) {
    this.pool = pool
    this.#wishes = wishes
    this.#listener = listener
  }

  start(): void {
    const profile = this.#knownProfile()
    if (profile !== null) {
      this.#listener.onFitted(profile)
      return
    }
    const server = this.pool.lease(this)
    if (server !== null) this.onGranted(server)
  }

  /** Returns the client's profile; null if a server has to be asked what becomes of the settings. */
  #knownProfile(): Profile | null {
    const { defaultProfile } = this.pool
    if (defaultProfile === null) return null
    const { profile, isKnown } = this.#fit(defaultProfile)
    if (isKnown) return profile
    this.wantedProfile = profile
    return null
  }

  onGranted(server: Server): void {
    const { profile } = server
    const wasTried = this.wantedProfile.values.length > 0
    this.pool.release(server)
    if (wasTried) this.#listener.onFitted(profile)
    else this.start()
  }

  onRefused(notice: Notice): void {
    this.#listener.onUnfit(notice)
  }

  /** The client has left. */
  abandon(): void {
    this.pool.withdraw(this)
  }

  onStillWaiting(): void {}

  onWelcomeKnown(): void {
    const profile = this.#knownProfile()
    if (profile === null) return
    this.pool.withdraw(this)
    this.#listener.onFitted(profile)
  }

  onReplies(): void {}

  onServerDrained(): void {}

  onServerGone(notice: Notice): void {
    this.#listener.onUnfit(notice)
  }

  onSweep(): void {}

  #fit(defaults: Profile): { profile: Profile; isKnown: boolean } {
    const { tracked } = this.pool.options
    const values = [...defaults.values]
    const extras = new Map<string, string>()
    let isKnown = true
    for (const [wishedName, wished] of this.#wishes) {
      const place = tracked.place(wishedName)
      const isReported = place >= 0 && values[place] !== null
      const name = isReported ? (tracked.names[place] as string) : wishedName
      const isDefault = isReported && defaults.values[place] === wished
      const isUnchanged = isDefault || (name === 'application_name' && PLAIN_NAME.test(wished))
      const canonical = isUnchanged ? wished : this.pool.canonical(name, wished)
      if (canonical === undefined) isKnown = false
      if (isReported) values[place] = canonical ?? wished
      else extras.set(name, canonical ?? wished)
    }
    return { profile: Profile.of(values, extras), isKnown }
  }
}
