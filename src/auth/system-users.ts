/** The users of this machine, as `/etc/passwd` lists them; no other source is asked. */

import { readFileSync } from 'node:fs'

/** Returns null if there is no such user. */
export function systemUserName(uid: number, file = '/etc/passwd'): string | null {
  for (const line of readFileSync(file, 'utf8').split('\n')) {
    const [name, , id] = line.split(':')
    if (name !== undefined && id === String(uid)) return name
  }
  return null
}

export interface SystemUser {
  readonly name: string
  readonly uid: number
  readonly gid: number
}

/** Returns null if there is no user of this name. */
export function systemUser(wanted: string, file = '/etc/passwd'): SystemUser | null {
  for (const line of readFileSync(file, 'utf8').split('\n')) {
    const [name, , uid, gid] = line.split(':')
    if (name === wanted && uid && gid) return { name, uid: Number(uid), gid: Number(gid) }
  }
  return null
}
