/** What may follow the name of a command, and how it is read. */

import { PoolerError } from '../problems.ts'
import { nearest } from '../settings/nearest.ts'
import { nameIn, type Word } from './grammar.ts'
import { REFUSED_TOPICS, TOPICS } from './show/topics.ts'

export interface Argument {
  /** As PgBouncer's help writes it. */
  readonly usage: string
  /** The arguments; null if the words are not such. Throws where PgBouncer has words for what is wrong. */
  read(words: readonly Word[]): readonly string[] | null
  /** What was meant, perhaps. */
  guess?(words: readonly Word[]): string | null
}

/** SHOW HELP is not in the table of topics, since it tells of it. */
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

/** Names of databases have capitals that matter. */
function namesIn(words: readonly Word[]): readonly string[] | null {
  return words.every(({ kind }) => kind === 'plain' || kind === 'quoted') ? words.map(({ text }) => text) : null
}
