/** Parses the startup parameter `options`: command-line arguments of the server, of which only those that set a parameter are supported. */

import { PoolerError } from '../problems.ts'

/** White space as PostgreSQL's pg_split_opts sees it. */
const SPACE = /[ \t\n\v\f\r]/

/**
 * Accepts `-c name=value`, `-cname=value` and `--name=value`; a backslash escapes a space or a backslash. Dashes in a name stand for
 * underscores, as in PostgreSQL. Throws `unsupported-options` for anything else.
 * https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNECT-OPTIONS
 */
export function parseOptions(options: string): Map<string, string> {
  const parameters = new Map<string, string>()
  const words = splitWords(options)
  for (let at = 0; at < words.length; at++) {
    const word = words[at] as string
    let assignment: string | undefined
    if (word === '-c') assignment = words[++at]
    else if (word.startsWith('--')) assignment = word.slice(2)
    else if (word.startsWith('-c')) assignment = word.slice(2)
    const equals = assignment?.indexOf('=') ?? -1
    if (assignment === undefined || equals < 1) throw new PoolerError('unsupported-options')
    parameters.set(assignment.slice(0, equals).replaceAll('-', '_'), assignment.slice(equals + 1))
  }
  return parameters
}

function splitWords(options: string): string[] {
  const words: string[] = []
  let word: string | null = null
  for (let at = 0; at < options.length; at++) {
    const character = options[at] as string
    if (SPACE.test(character)) {
      if (word !== null) words.push(word)
      word = null
    } else if (character === '\\') word = (word ?? '') + (options[++at] ?? '')
    else word = (word ?? '') + character
  }
  if (word !== null) words.push(word)
  return words
}
