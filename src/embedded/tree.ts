/** Repairs the files of an npm package that contains PostgreSQL, where npm ran no install scripts or lost the file modes. */

import { constants } from 'node:fs'
import { chmod, cp, lchown, lstat, readdir, readFile, stat, symlink } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import type { Owner } from './owner.ts'

const EXECUTABLE = 0o555

/**
 * npm packages contain no symbolic links, so the package lists those of its shared libraries in `native/pg-symlinks.json`, and its install
 * script creates them. npm 11 runs no install scripts, so we create them. Can be repeated, and run by several processes at once. Throws the
 * file system's error if `native` cannot be written.
 */
export async function mendTree(native: string): Promise<void> {
  for (const { source, target } of await listedLinks(native)) {
    const link = join(native, relative('native', target))
    if (await isThere(link)) continue
    try {
      // A relative link stays valid when the tree moves.
      await symlink(relative(dirname(target), source), link)
    } catch (error) {
      if (!isCode(error, 'EEXIST')) throw error
    }
  }
  for (const name of await readdir(join(native, 'bin'))) {
    const file = join(native, 'bin', name)
    const { mode } = await stat(file)
    if ((mode & EXECUTABLE) !== EXECUTABLE) await chmod(file, mode | EXECUTABLE)
  }
}

/** Copies the tree to a place where we may repair it and `owner` can reach it. */
export async function copyTree(native: string, to: string, owner: Owner | null): Promise<void> {
  await cp(native, to, {
    recursive: true,
    verbatimSymlinks: true,
    mode: constants.COPYFILE_FICLONE,
    filter: (source) => !source.endsWith('.a'),
  })
  if (owner) {
    const { uid, gid } = owner.ids
    await lchown(to, uid, gid)
    for (const name of await readdir(to, { recursive: true })) await lchown(join(to, name), uid, gid)
  }
  await mendTree(to)
}

interface ListedLink {
  /** Both are paths from the package's root: `native/lib/libpq.so.5.18`. */
  readonly source: string
  readonly target: string
}

async function listedLinks(native: string): Promise<ListedLink[]> {
  try {
    return JSON.parse(await readFile(join(native, 'pg-symlinks.json'), 'utf8'))
  } catch (error) {
    // Packages for systems without such links have no list.
    if (isCode(error, 'ENOENT')) return []
    throw error
  }
}

async function isThere(path: string): Promise<boolean> {
  try {
    await lstat(path)
    return true
  } catch (error) {
    if (isCode(error, 'ENOENT')) return false
    throw error
  }
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}
