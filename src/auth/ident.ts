/**
 * Maps names given by the system or by certificates to the users that they may log in as: a file like PostgreSQL's pg_ident.conf.
 * https://www.postgresql.org/docs/current/auth-username-maps.html
 */

import type { FileProblem } from './hba.ts'
import { fieldsOf, linesOf, type Word } from './hba-words.ts'

interface Entry {
  readonly map: string
  allows(outside: string, user: string): boolean
}

export class IdentMaps {
  readonly #entries: readonly Entry[]

  constructor(entries: readonly Entry[] = []) {
    this.#entries = entries
  }

  /** Whether a client with that outside name may log in as this user. Without a map, the names must be the same. */
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
  for (const { text: content, number } of linesOf(text)) {
    const fields = fieldsOf(content)
    if (fields.length === 0) continue
    const [map, outside, user] = fields.map(([word]) => word as Word)
    const isWhole = fields.length === 3 && fields.every((words) => words.length === 1)
    const entry =
      isWhole && map && outside && user
        ? entryOf(map, outside, user)
        : 'a line must have three fields: map name, system user name, PostgreSQL user'
    if (typeof entry === 'string') problems.push({ sentence: entry, file, line: number })
    else entries.push(entry)
  }
  return { maps: new IdentMaps(entries), problems }
}

function entryOf(map: Word, outside: Word, user: Word): Entry | string {
  const isUser = userTest(user)
  if (typeof isUser === 'string') return isUser
  if (!isExpression(outside))
    return { map: map.text, allows: (name, wanted) => name === outside.text && isUser(wanted) }
  const pattern = expressionIn(outside)
  if (typeof pattern === 'string') return pattern
  return {
    map: map.text,
    allows(name, wanted) {
      const match = pattern.exec(name)
      if (match === null) return false
      if (!user.text.includes('\\1')) return isUser(wanted)
      // \1 stands for what the first group has matched, literally. Without a group, no user matches.
      const [, found] = match
      return found !== undefined && user.text.replaceAll('\\1', () => found) === wanted
    },
  }
}

/** Even in quotes, without which an expression could have no space. */
function isExpression({ text }: Word): boolean {
  return text.startsWith('/')
}

/** Returns the regular expression, or a sentence if it is invalid. */
function expressionIn({ text }: Word): RegExp | string {
  try {
    return new RegExp(text.slice(1), 'su')
  } catch (problem) {
    return `"${text}" is not a valid regular expression: ${(problem as Error).message}`
  }
}

function userTest(word: Word): ((user: string) => boolean) | string {
  const { text, isQuoted } = word
  if (!isQuoted && text === 'all') return () => true
  if (!isExpression(word)) return (user) => user === text
  const pattern = expressionIn(word)
  return typeof pattern === 'string' ? pattern : (user) => pattern.test(user)
}
