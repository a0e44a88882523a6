/** Which system user the pooler runs as. Started as root, it does what needs root's rights and then becomes the user in the setting `user`. */

import { type SystemUser, systemUser } from '../auth/system-users.ts'
import type { Settings } from '../settings/load.ts'
import { error, type Problem } from '../settings/problem.ts'
import type { GeneralSettings } from '../settings/schema.ts'

type Wish = Pick<GeneralSettings, 'user' | 'allow_root'>

export const ROOT = 0

/** Returns a sentence why the pooler must not start as root; null if it may start. */
export function whyNotAsRoot({ user, allow_root }: Wish, uid: number | undefined): string | null {
  if (allow_root || uid !== ROOT || (user !== '' && systemUser(user)?.uid !== ROOT)) return null
  return 'pgweir should not run as root: set user (-u) to another user, or start pgweir as one; if there is no other user, as in some containers, set allow_root = 1 (PGWEIR_ALLOW_ROOT=1)'
}

/**
 * The user that should own files which we create while still root; null if they belong to the right user anyway. Throws if there is no such
 * user.
 */
export function futureOwner({ user }: Pick<Wish, 'user'>): SystemUser | null {
  return user === '' || process.getuid?.() !== ROOT ? null : found(user)
}

/** Runs `work` with that user's rights, as root, which we are again afterwards. */
export function withRightsOf<Result>({ name, uid, gid }: SystemUser, work: () => Result): Result {
  const [ownGroups, ownGroup] = [process.getgroups?.() ?? [], process.getegid?.() ?? ROOT]
  initGroups(name, gid)
  process.setegid?.(gid)
  process.seteuid?.(uid)
  try {
    return work()
  } finally {
    process.seteuid?.(ROOT)
    process.setegid?.(ownGroup)
    process.setgroups?.(ownGroups)
  }
}

/** Becomes the user in the setting `user`, irrevocably. Throws if that is not possible. */
export function becomeUser({ user }: Pick<Wish, 'user'>, uid = process.getuid?.()): void {
  if (user === '' || uid === undefined) return
  const { name, uid: wanted, gid } = found(user)
  if (uid === wanted) return
  if (uid !== ROOT) throw new Error(`cannot run as user = ${user}: only root can switch to another user`)
  initGroups(name, gid)
  process.setgid?.(gid)
  process.setuid?.(wanted)
}

function initGroups(name: string, gid: number): void {
  // Missing from the types of Node 20.
  ;(process as unknown as { initgroups(user: string, extraGroup: number): void }).initgroups(name, gid)
}

/** For programs that only check the settings. */
export function userProblems({ general, origins }: Pick<Settings, 'general' | 'origins'>): Problem[] {
  const { user } = general
  return user === '' || systemUser(user) !== null ? [] : [error(origins.user, absent(user))]
}

function absent(name: string): string {
  return `there is no user ${name} in /etc/passwd`
}

function found(name: string): SystemUser {
  const user = systemUser(name)
  if (user === null) throw new Error(absent(name))
  return user
}
