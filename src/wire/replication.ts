/** The startup parameter `replication`: https://www.postgresql.org/docs/current/protocol-replication.html */

/** `logical` replication is that of one database, `physical` that of the whole server. */
export type Replication = 'none' | 'logical' | 'physical'

/** As Postgres reads it: `database` or a boolean. null if it is neither. */
export function readReplication(text: string): Replication | null {
  if (text === 'database') return 'logical'
  const word = text.toLowerCase()
  if (isOneOf(TRUE, word)) return 'physical'
  return isOneOf(FALSE, word) ? 'none' : null
}

const TRUE = { words: ['true', 'yes'], exact: ['on', '1'] }
const FALSE = { words: ['false', 'no'], exact: ['off', 'of', '0'] }

/** The beginning of a word will do where it cannot be mistaken. */
function isOneOf({ words, exact }: typeof TRUE, text: string): boolean {
  return exact.includes(text) || (text !== '' && words.some((word) => word.startsWith(text)))
}
