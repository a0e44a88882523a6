/** The kinds of arguments that commands take, and how they are parsed. */

import { PoolerError } from '../problems.ts'
import { nearest } from '../settings/nearest.ts'
import { nameIn, type Word } from './grammar.ts'
import { REFUSED_TOPICS, TOPICS } from './show/topics.ts'

export interface Argument {
  /** The notation in the help text, as in PgBouncer's. */
  readonly usage: string
  /** Returns the arguments, or null if the words do not fit. Throws if PgBouncer has a specific message for the mistake. */
  read(words: readonly Word[]): readonly string[] | null
  /** Guesses what was meant. */
  guess?(words: readonly Word[]): string | null
}

/** SHOW HELP is not in the table of topics, since it lists that table. */
export const HELP = 'help'

const KNOWN_TOPICS: readonly string[] = [HELP, ...TOPICS.keys(), ...REFUSED_TOPICS.keys()]

export const TAKES = {
  nothing: { usage: '', read: (words) => (words.length === 0 ? [] : null) },
  database: {
    usage: '<db>',
    read(words) {
      if (words.length === 0) throw new PoolerError('console-database-needed')
      return words.length === 1 ? namesIn(words) : null
    },
  },
  'database?': { usage: '[<db>]', read: (words) => (words.length <= 1 ? namesIn(words) : null) },
  'client id': { usage: '<client_id>', read: (words) => (words.length === 1 ? namesIn(words) : null) },
  'mode?': {
    usage: '[WAIT_FOR_SERVERS|WAIT_FOR_CLIENTS]',
    read(words) {
      const mode = nameIn(words[0])
      if (words.length === 0) return []
      return words.length === 1 && (mode === 'wait_for_servers' || mode === 'wait_for_clients') ? [mode] : null
    },
  },
  workers: {
    usage: 'WORKERS',
    read: (words) => (words.length === 1 && nameIn(words[0]) === 'workers' ? [] : null),
  },
  'key = value': {
    usage: 'key = arg',
    read([key, sign, value, ...rest]) {
      const name = nameIn(key)
      const isAssignment = sign?.text === '=' || nameIn(sign) === 'to'
      if (name === null || !isAssignment || value === undefined || value.kind === 'symbol' || rest.length > 0)
        return null
      return [name, value.text]
    },
  },
  topic: {
    usage: KNOWN_TOPICS.map((name) => name.toUpperCase()).join('|'),
    read(words) {
      const name = nameIn(words[0])
      return words.length === 1 && name !== null && KNOWN_TOPICS.includes(name) ? [name] : null
    },
    guess: (words) => nearest(nameIn(words[0]) ?? '', KNOWN_TOPICS),
  },
} as const satisfies Record<string, Argument>

export type Takes = keyof typeof TAKES

/** Words as names of databases, which are case-sensitive; null if a word cannot be a name. */
function namesIn(words: readonly Word[]): readonly string[] | null {
  return words.every(({ kind }) => kind === 'plain' || kind === 'quoted') ? words.map(({ text }) => text) : null
}
