/** The place where a throw-away PostgreSQL is set up: a private directory, and values that the steps of a start share. */

import { chown, mkdtemp, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { chooseOwner, type Owner } from './owner.ts'

export interface Site {
  /** Null if PostgreSQL runs as our own user. */
  readonly owner: Owner | null
  /** Contains everything that is made for this server. Only we and the owner can look inside. */
  readonly directory: string
  readonly environment: NodeJS.ProcessEnv
  readonly abort: AbortSignal | undefined
  say(sentence: string): void
}

export async function makeSite(abort: AbortSignal | undefined, say: (sentence: string) => void): Promise<Site> {
  const owner = chooseOwner()
  const directory = await mkdtemp(join(await temporaryRoot(owner), 'pgweir-postgres-'))
  if (owner) await chown(directory, owner.ids.uid, owner.ids.gid)
  // None of our variables that begin with PG may reach the server, and its messages must be in English.
  const { PATH, LD_LIBRARY_PATH } = process.env
  return { owner, directory, environment: { PATH, LD_LIBRARY_PATH, LC_ALL: 'C', HOME: directory }, abort, say }
}

/** Root's own temporary directory may be closed to the user that PostgreSQL runs as. */
async function temporaryRoot(owner: Owner | null): Promise<string> {
  if (!owner) return resolve(tmpdir())
  for (const root of [resolve(tmpdir()), '/tmp', '/var/tmp']) if (await isOpenToAll(root)) return root
  throw new Error(
    `PostgreSQL does not run as root, and the user ${owner.name} cannot enter ${tmpdir()}: set TMPDIR to a directory that it can enter`,
  )
}

async function isOpenToAll(path: string): Promise<boolean> {
  try {
    const { mode } = await stat(path)
    return (mode & 0o001) !== 0 && (path === dirname(path) || isOpenToAll(dirname(path)))
  } catch {
    // The directory does not exist. The next one may.
    return false
  }
}
