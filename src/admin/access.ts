/** Who may use the console, and with which rights. */

import type { GeneralSettings } from '../settings/schema.ts'

/** `stats` may only look; `admin` may also change things. */
export type Access = 'admin' | 'stats'

/** Returns null for users who may not use the console. */
export function consoleAccess(
  general: Pick<GeneralSettings, 'auth_type' | 'admin_users' | 'stats_users'>,
  user: string,
): Access | null {
  if (general.auth_type === 'any' || general.admin_users.includes(user)) return 'admin'
  return general.stats_users.includes(user) ? 'stats' : null
}

export function mayRun(has: Access, needs: Access): boolean {
  return has === 'admin' || needs === 'stats'
}
