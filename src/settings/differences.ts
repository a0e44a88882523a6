/** What a file of PgBouncer will have otherwise in pgweir although nothing is wrong with it: for `pgweir check`, before the move. Pure. */

import type { Settings } from './load.ts'
import type { SettingKey } from './schema.ts'

interface Difference {
  /** Whose default it is that PgBouncer has not; given in the file, it is meant. */
  readonly key: SettingKey
  /** Where it makes no difference there is nothing to say. */
  concerns?(settings: Settings): boolean
  readonly sentence: string
}

const DIFFERENCES: readonly Difference[] = [
  {
    key: 'listen_addr',
    sentence:
      'listen_addr is not set: PgBouncer then accepts clients on its unix socket only, pgweir on 127.0.0.1, too; with nothing behind the = it is as in PgBouncer',
  },
  {
    key: 'pool_idle_timeout',
    sentence: 'pool_idle_timeout is 60 s where PgBouncer has 0: pools that nobody uses are forgotten, and found again',
  },
  {
    key: 'tcp_defer_accept',
    sentence:
      'tcp_defer_accept is 0 where PgBouncer has 1: a client that says nothing at first is seen at once, and client_login_timeout counts',
  },
  {
    key: 'auth_query_lifetime',
    concerns: ({ general, databases, fallback }) =>
      general.auth_user !== '' ||
      [...databases.values(), fallback].some((database) => database != null && database.auth_user !== null),
    sentence: 'answers of auth_query are good for 10 s; auth_query_lifetime = 0 asks for each login, as PgBouncer does',
  },
  {
    key: 'auth_failure_delay',
    concerns: ({ general }) => !['any', 'trust'].includes(general.auth_type),
    sentence:
      'logins that fail again and again from one address are answered later and later; auth_failure_delay = 0 is as in PgBouncer',
  },
  {
    key: 'log_rate_limit',
    sentence:
      'no more than 100 warnings and errors of one kind are logged in a second, and how many more there were; log_rate_limit = 0 is as in PgBouncer',
  },
]

export const DIFFERENT_DEFAULTS: readonly SettingKey[] = DIFFERENCES.map(({ key }) => key)

export function differencesOf(settings: Settings): string[] {
  return DIFFERENCES.filter(
    ({ key, concerns }) => settings.origins[key].from === 'default' && (concerns?.(settings) ?? true),
  ).map(({ sentence }) => sentence)
}
