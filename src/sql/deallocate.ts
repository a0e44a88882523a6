/** The one statement that names a client's prepared statement in SQL although it was prepared by the protocol. */

/** Longer texts are not looked at. */
export const MAX_DEALLOCATE_BYTES = 256

const DEALLOCATE = /^\s*deallocate\s+(?:prepare\s+)?(?:"((?:[^"]|"")+)"|([a-z_][\w$]*))\s*;?\s*$/i

/**
 * The name in a text that is `DEALLOCATE name` and nothing else, as Postgres would fold it; null for any other, `ALL` included.
 * https://www.postgresql.org/docs/current/sql-deallocate.html
 */
export function deallocatedName(text: string): string | null {
  const match = DEALLOCATE.exec(text)
  if (!match) return null
  const [, quoted, plain] = match
  if (quoted !== undefined) return quoted.replaceAll('""', '"')
  const name = (plain ?? '').toLowerCase()
  return name === 'all' ? null : name
}
