/** Chooses the system user that a throw-away PostgreSQL runs as, since PostgreSQL refuses to run as root. */

import { readFileSync } from 'node:fs'

export interface Owner {
  readonly name: string
  readonly ids: { readonly uid: number; readonly gid: number }
}

/**
 * `nobody` comes first: it is there on nearly every machine, so that none has to be created and left behind. `postgres` comes last, because
 * a superuser of the throw-away server could read the files of a real one that runs as the same system user.
 */
const CANDIDATES = ['nobody', 'daemon', 'postgres']

/** The user to run PostgreSQL as, or null when it can simply run as ourselves. */
export function chooseOwner(): Owner | null {
  if (process.getuid?.() !== 0) return null
  const owner = findOwner(readFileSync('/etc/passwd', 'utf8'))
  if (owner) return owner
  throw new Error(
    `PostgreSQL does not run as root, and there is no user ${CANDIDATES.join(', ')} to run it as. Run this as an ordinary user.`,
  )
}

/** Reads the lines of /etc/passwd: `name:password:uid:gid:…` */
export function findOwner(passwd: string): Owner | null {
  const users = new Map(passwd.split('\n').map((line) => [line.split(':')[0], line.split(':')]))
  for (const name of CANDIDATES) {
    const [, , uid, gid] = users.get(name) ?? []
    // Some systems give nobody the number -2, which not every call takes.
    if (Number(uid) > 0 && Number(gid) > 0) return { name, ids: { uid: Number(uid), gid: Number(gid) } }
  }
  return null
}
