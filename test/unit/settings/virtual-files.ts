/** A file system made of an object, for tests of code that reads settings. */

import { posix } from 'node:path'
import type { Files } from '../../../src/settings/ini.ts'
import { type Loaded, type LoadOptions, loadSettings } from '../../../src/settings/load.ts'
import { formatProblem } from '../../../src/settings/problem.ts'

/** Texts by path. Folders exist if a path leads through them. */
export function virtualFiles(texts: Readonly<Record<string, string>>): Files {
  const byPath = new Map(Object.entries(texts).map(([path, text]) => [posix.normalize(path), text]))
  const list = (path: string) => {
    const folder = `${posix.normalize(path).replace(/\/$/, '')}/`
    return [...byPath.keys()].filter((name) => name.startsWith(folder)).map((name) => name.slice(folder.length))
  }
  return {
    kind(path) {
      if (byPath.has(posix.normalize(path))) return 'file'
      return list(path).length > 0 ? 'folder' : null
    },
    list,
    read(path) {
      const text = byPath.get(posix.normalize(path))
      if (text === undefined) throw Object.assign(new Error(`no ${path}`), { code: 'ENOENT' })
      return text
    },
  }
}

/** Loads one ini text, named `pgweir.ini`. */
export function loadText(text: string, options: LoadOptions = {}): Loaded & { readonly told: string[] } {
  const loaded = loadSettings({ iniFile: 'pgweir.ini', files: virtualFiles({ 'pgweir.ini': text }), ...options })
  return { ...loaded, told: loaded.problems.map(formatProblem) }
}

/** A valid file to add lines to: one database, and no check of who may log in. */
export const GOOD_INI = `[databases]
app = host=10.0.0.5
[pgbouncer]
auth_type = any
`
