/** Hot path: tells from a command tag whether the command changed more than rows. https://www.postgresql.org/docs/current/protocol-message-formats.html */

/** Nearly every tag is of no concern: INSERT, UPDATE, SELECT, FETCH, BEGIN, COMMIT, COPY, MOVE. Others are worth reading. */
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
    case 0x53: // SET
      return buffer[start + 2] === 0x54
    default:
      return false
  }
}

/** The tag of SELECT INTO and CREATE TABLE AS tells only how many rows there are; this one stands in for it. */
export const SELECT_INTO = 'SELECT INTO'

/** After this command a statement that was prepared before may mean something else: what a DO block has done is not told. */
export function changesSchema(tag: string): boolean {
  return tag === DO || /^(CREATE|ALTER|DROP|IMPORT|SELECT) /.test(tag)
}

/** May have done anything. */
export const DO = 'DO'

/** After this command the session has no prepared statements. */
export function dropsStatements(tag: string): boolean {
  return tag === 'DISCARD ALL' || tag === 'DEALLOCATE ALL'
}
