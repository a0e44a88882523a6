/** Who may come to the console, and what for. */

import type { GeneralSettings } from '../settings/schema.ts'

/** `stats` looks; `admin` also changes. */
export type Access = 'admin' | 'stats'

/** null for users who have no business there. */
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
