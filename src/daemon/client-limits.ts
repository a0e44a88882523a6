/** Reads the limits on clients from the settings. */

import { databaseFor, type Settings } from '../settings/load.ts'
import type { ClientClaim } from '../workers/admissions.ts'

/** How many clients are allowed under a limit; Infinity for no limit. */
export function maxClients(settings: Settings, { limit, name }: ClientClaim): number {
  const { general, users } = settings
  switch (limit) {
    case 'max_client_conn':
      return general.max_client_conn
    case 'max_db_client_connections':
      return (databaseFor(settings, name)?.max_db_client_connections ?? general.max_db_client_connections) || Infinity
    case 'max_user_client_connections':
      return (users.get(name)?.max_user_client_connections ?? general.max_user_client_connections) || Infinity
  }
}

/** Converts a limit for display: 0 for no limit, as in the settings. */
export function zeroForNone(max: number): number {
  return max === Infinity ? 0 : max
}
