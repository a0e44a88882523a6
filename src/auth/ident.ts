/**
 * Which users somebody may log in as whom the system, or a certificate, has another name for: a file like PostgreSQL's pg_ident.conf.
 * https://www.postgresql.org/docs/current/auth-username-maps.html
 */

import type { FileProblem } from './hba.ts'
import { fieldsOf, type Word } from './hba-words.ts'

interface Entry {
  readonly map: string
  allows(outside: string, user: string): boolean
}

export class IdentMaps {
  readonly #entries: readonly Entry[]

  constructor(entries: readonly Entry[] = []) {
    this.#entries = entries
  }

  /** Whether somebody of that name outside may be this user. Without a map the names must be the same. */
  allows(map: string | null, outside: string, user: string): boolean {
    if (map === null) return outside === user
    return this.#entries.some((entry) => entry.map === map && entry.allows(outside, user))
  }
}

export function parseIdent(
  text: string,
  file: string,
): { readonly maps: IdentMaps; readonly problems: readonly FileProblem[] } {
  const entries: Entry[] = []
  const problems: FileProblem[] = []
  text.split('\n').forEach((content, index) => {
    const [map, outside, user] = fieldsOf(content).map(([word]) => word as Word)
    if (map === undefined) return
    const entry = outside && user ? entryOf(map, outside, user) : 'a line has three words: map, name outside, user'
    if (typeof entry === 'string') problems.push({ sentence: entry, file, line: index + 1 })
    else entries.push(entry)
  })
  return { maps: new IdentMaps(entries), problems }
}

function entryOf(map: Word, outside: Word, user: Word): Entry | string {
  if (outside.isQuoted || !outside.text.startsWith('/')) {
    const isUser = userTest(user)
    return { map: map.text, allows: (name, wanted) => name === outside.text && isUser(wanted) }
  }
  let pattern: RegExp
  try {
    pattern = new RegExp(outside.text.slice(1), 'u')
  } catch (problem) {
    return `"${outside.text}" is no regular expression: ${(problem as Error).message}`
  }
  return {
    map: map.text,
    allows(name, wanted) {
      const match = pattern.exec(name)
      if (match === null) return false
      // \1 is what was found in the first parentheses.
      const text = user.text.replaceAll('\\1', match[1] ?? '')
      return user.text.includes('\\1') ? text === wanted : userTest(user)(wanted)
    },
  }
}

function userTest({ text, isQuoted }: Word): (user: string) => boolean {
  return !isQuoted && text === 'all' ? () => true : (user) => user === text
}
