/** Chooses the system user that a throw-away PostgreSQL runs as, since PostgreSQL refuses to run as root. */

import { readFileSync } from 'node:fs'

export interface Owner {
  readonly name: string
  readonly ids: { readonly uid: number; readonly gid: number }
}

/**
 * `nobody` comes first: it exists on nearly every machine, so that no user has to be created and left behind. `postgres` comes last,
 * because a superuser of the throw-away server could read the files of a real server that runs as the same system user.
 */
const CANDIDATES = ['nobody', 'daemon', 'postgres']

/** Returns the user to run PostgreSQL as, or null if it can run as our own user. */
export function chooseOwner(): Owner | null {
  if (process.getuid?.() !== 0) return null
  const owner = findOwner(readFileSync('/etc/passwd', 'utf8'))
  if (owner) return owner
  throw new Error(
    `PostgreSQL does not run as root, and there is no user ${CANDIDATES.join(', ')} to run it as. Run this as an ordinary user.`,
  )
}

/** Finds the user in the text of /etc/passwd, with its lines `name:password:uid:gid:…`. Returns null if there is none. */
export function findOwner(passwd: string): Owner | null {
  const users = new Map(passwd.split('\n').map((line) => [line.split(':')[0], line.split(':')]))
  for (const name of CANDIDATES) {
    const [, , uid, gid] = users.get(name) ?? []
    // Some systems give `nobody` the id -2, which not every call accepts.
    if (Number(uid) > 0 && Number(gid) > 0) return { name, ids: { uid: Number(uid), gid: Number(gid) } }
  }
  return null
}
