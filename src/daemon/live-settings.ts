/** The current settings, and values derived from them once per change instead of at every use. */

import type { ClientSettings } from '../client/host.ts'
import type { KeepAlive } from '../net/channel.ts'
import type { Settings } from '../settings/load.ts'

export class LiveSettings {
  #now: Settings
  #client: ClientSettings

  constructor(settings: Settings) {
    this.#now = settings
    this.#client = clientSettings(settings)
  }

  get now(): Settings {
    return this.#now
  }

  set now(settings: Settings) {
    this.#now = settings
    this.#client = clientSettings(settings)
  }

  get client(): ClientSettings {
    return this.#client
  }

  /** Its properties read the current settings, so that every new connection gets the current values. */
  readonly keepAlive: KeepAlive = keepAliveOf(this)
}

function keepAliveOf(live: LiveSettings): KeepAlive {
  return {
    get isOn() {
      return live.now.general.tcp_keepalive
    },
    get idleMs() {
      return live.now.general.tcp_keepidle
    },
    get intervalMs() {
      return live.now.general.tcp_keepintvl
    },
    get probes() {
      return live.now.general.tcp_keepcnt
    },
    get userTimeoutMs() {
      return live.now.general.tcp_user_timeout
    },
    get bufferBytes() {
      return live.now.general.tcp_socket_buffer
    },
    get deferMs() {
      return live.now.general.tcp_defer_accept
    },
  }
}

function clientSettings({ general, users }: Settings): ClientSettings {
  return {
    loginTimeoutMs: general.client_login_timeout,
    idleTimeoutMs: (user) => users.get(user)?.client_idle_timeout ?? general.client_idle_timeout,
    shortestIdleTimeoutMs: shortestIdleTimeoutMs({ general, users }),
    ignoredStartupParameters: new Set(general.ignore_startup_parameters),
    addsHostToApplicationName: general.application_name_add_host,
    loginNotice: general.login_notify_message,
    logsConnections: general.log_connections,
    logsDisconnections: general.log_disconnections,
    logsErrors: general.log_pooler_errors,
    slowQueryMs: general.log_min_duration || Infinity,
    slowQueryRate: general.log_sample_rate,
    showsQueryValues: general.log_query_values,
  }
}

function shortestIdleTimeoutMs({ general, users }: Pick<Settings, 'general' | 'users'>): number {
  let shortest = general.client_idle_timeout || Infinity
  // Not Math.min(...values): there may be more users than a call can take arguments.
  for (const { client_idle_timeout: own } of users.values()) if (own) shortest = Math.min(shortest, own)
  return shortest
}
