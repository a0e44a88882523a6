/** Hot path: names of prepared statements by which a driver is known that reads all results of a statement by the columns of the first one. */

import { equalsBytes } from '../base/bytes.ts'

/**
 * PHP's PDO (`pdo_stmt_00000001`) and Perl's DBD::Pg (`dbdpg_p4711_1`). They ask for a description with each execution, but make room for
 * columns only once: if there are other columns later, the process crashes. PostgreSQL never lets it come to that, since it refuses to run
 * a statement whose columns have changed.
 */
const PREFIXES = ['pdo_stmt_', 'dbdpg_'].map((prefix) => Buffer.from(prefix))

/** Whether the statement with the name in bytes `start` to `end` belongs to such a driver. */
export function keepsFirstColumns(buffer: Buffer, start: number, end: number): boolean {
  for (const prefix of PREFIXES) {
    const prefixEnd = start + prefix.length
    if (prefixEnd < end && equalsBytes(buffer, start, prefixEnd, prefix)) return true
  }
  return false
}
