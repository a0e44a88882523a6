/** The startup parameter `replication`: https://www.postgresql.org/docs/current/protocol-replication.html */

/** `logical`: replication of one database; `physical`: of the whole server. */
export type Replication = 'none' | 'logical' | 'physical'

/** Reads the value as Postgres does: `database` or a boolean. Returns null if it is neither. */
export function readReplication(text: string): Replication | null {
  if (text === 'database') return 'logical'
  const word = text.toLowerCase()
  if (isOneOf(TRUE, word)) return 'physical'
  return isOneOf(FALSE, word) ? 'none' : null
}

const TRUE = { words: ['true', 'yes'], exact: ['on', '1'] }
const FALSE = { words: ['false', 'no'], exact: ['off', 'of', '0'] }

/** As in Postgres, an unambiguous beginning of a word is enough. */
function isOneOf({ words, exact }: typeof TRUE, text: string): boolean {
  return exact.includes(text) || (text !== '' && words.some((word) => word.startsWith(text)))
}
