/**
 * Hot path: tells from a command tag whether the command changed more than rows.
 * https://www.postgresql.org/docs/current/protocol-message-formats.html
 */

/** Whether a tag is worth reading. Nearly all are of no concern: INSERT, UPDATE, SELECT, FETCH, BEGIN, COMMIT, COPY, MOVE. */
export function isRareTag(buffer: Buffer, start: number): boolean {
  switch (buffer[start]) {
    case 0x41: // ALTER
    case 0x52: // RESET, ROLLBACK
      return true
    case 0x43: // CREATE
      return buffer[start + 1] === 0x52
    case 0x44: // DEALLOCATE, DISCARD, DO, DROP; not DELETE, DECLARE
      return buffer[start + 1] !== 0x45 || buffer[start + 2] === 0x41
    case 0x49: // IMPORT
      return buffer[start + 1] === 0x4d
    case 0x4c: // LISTEN; not LOCK
      return buffer[start + 1] === 0x49
    case 0x53: // SET
      return buffer[start + 2] === 0x54
    default:
      return false
  }
}

/** Used in place of the tag of SELECT INTO and CREATE TABLE AS, which says only how many rows there are. */
export const SELECT_INTO = 'SELECT INTO'

/** Whether a statement that was prepared before this command may mean something else after it. What a DO block has done is not known. */
export function changesSchema(tag: string): boolean {
  return tag === DO || /^(CREATE|ALTER|DROP|IMPORT|SELECT) /.test(tag)
}

/** The tag of a DO block, which may have done anything. */
export const DO = 'DO'

/** Whether the session has no prepared statements after this command. */
export function dropsStatements(tag: string): boolean {
  return tag === 'DISCARD ALL' || tag === 'DEALLOCATE ALL'
}
