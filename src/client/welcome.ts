/** What a client is told once it is logged in; for that, its settings are tried on a server where their outcome is not known yet. */

import { Link } from '../base/list.ts'
import { Lru } from '../base/lru.ts'
import type { Waiter } from '../pool/lease.ts'
import type { Pool } from '../pool/pool.ts'
import { Profile } from '../server/profile.ts'
import type { Server } from '../server/server.ts'
import { AUTHENTICATION_OK, encodeBackendKeyData, encodeParameterStatus, READY_IDLE } from '../wire/backend.ts'
import type { CancelKey } from '../wire/cancel-key.ts'
import { encodeNotice, type Notice } from '../wire/notices.ts'

/** What a client is told at the end of its login: `reception`, the cancel key, a word of the operator's if there is one, ReadyForQuery. */
export function encodeWelcome(reception: Buffer, key: CancelKey, loginNotice = ''): Buffer {
  const notice =
    loginNotice === '' ? [] : [encodeNotice({ severity: 'NOTICE', sqlstate: '00000', message: loginNotice })]
  return Buffer.concat([reception, encodeBackendKeyData(key.pid, key.secret), ...notice, READY_IDLE])
}

/** AuthenticationOk, and what a server would report. */
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

/** The latest, since most clients are told the same. */
const receptions = new Lru<Profile, Reception>(100)

/** For a client with this profile. */
export function receptionOf(pool: Pool, profile: Profile): Buffer {
  const { welcome } = pool
  const known = receptions.get(profile)
  if (known !== undefined && known.welcome === welcome) return known.bytes
  const bytes = encodeReception(reportedParameters(pool, profile))
  receptions.set(profile, { welcome, bytes })
  return bytes
}

/**
 * Whether the server is a standby was so when one was last opened; PostgreSQL can be promoted since, which closes no connection. With
 * target_session_attrs libpq believes what it is told, so that nobody would get in who could find out better. Where it is not told, it asks:
 * https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNECT-TARGET-SESSION-ATTRS
 */
const MAY_HAVE_CHANGED = 'in_hot_standby'

/** What a server with this profile reports. */
function reportedParameters(pool: Pool, profile: Profile): ReadonlyMap<string, string> {
  const reported = new Map(pool.welcome)
  // That of a single client has been opened for it right now.
  if (!pool.isOfOneClient) reported.delete(MAY_HAVE_CHANGED)
  pool.options.tracked.names.forEach((name, place) => {
    const value = profile.values[place]
    if (value !== null && value !== undefined) reported.set(name, value)
  })
  return reported
}

/** Postgres takes such an application_name as it is; many clients have one of their own, and none should need a server to log in. */
const PLAIN_NAME = /^[\x20-\x7e]{0,63}$/

export interface FittingListener {
  onFitted(profile: Profile): void
  /** Postgres rejects a setting, or there is no server. */
  onUnfit(notice: Notice): void
}

/**
 * Finds out what a client's settings become in Postgres. Usually that is known from clients before it; else one lease is taken to
 * try them, so that the client learns of a bad value at login, and of a good one in Postgres' own spelling.
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

  /** null where a server has to say what becomes of the settings. */
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

  /** The client is gone. */
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
