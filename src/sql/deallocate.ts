/** The one statement that names a client's prepared statement in SQL although it was prepared by the protocol. */

/** Longer messages are not looked at. */
const MAX_DEALLOCATE_BYTES = 256

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

/** A look at the first letters, since nearly every query is something else. `start` is where the text begins in a message of `length` bytes. */
export function mayDeallocate(buffer: Buffer, start: number, length: number): boolean {
  return (
    ((buffer[start] as number) | 0x20) === 0x64 && // d
    ((buffer[start + 1] as number) | 0x20) === 0x65 && // e
    ((buffer[start + 2] as number) | 0x20) === 0x61 && // a
    length <= MAX_DEALLOCATE_BYTES
  )
}
