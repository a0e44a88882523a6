/** Hot path: what clients were told about the rows of a statement that they share, and whether a server still has such rows for it. */

import { DEBT, type Effect, SWALLOW } from '../server/ledger.ts'
import type { Statement } from '../server/statement-registry.ts'
import type { ServerStatements } from '../server/statements.ts'
import { encodeDescribeStatement, FLUSH } from '../wire/frontend.ts'
import { prepareUnasked, type Sending } from './preparing.ts'

export interface ShapeSending extends Sending {
  /** The frame that was held back can be shown again. */
  goOnSoon(): void
}

/**
 * The effect of a Describe whose answer goes to a client: notes what the client is told about the parameters and the rows. If others that share
 * the statement were told something else, that stays what counts, since they cannot be told again.
 *
 * @param takeBack called if the client is told nothing, because the Describe has failed or was skipped
 */
export function learnsShape(
  statement: Statement,
  statements: ServerStatements,
  takeBack: (() => void) | null = null,
): Effect {
  return {
    reply: null,
    described: (shape) => {
      if (statement.shape === undefined || !statement.isShared) statement.shape = shape
      statements.noteRows(statement, shape)
    },
    told: (buffer, start, end) => statements.noteTypes(statement, buffer, start, end),
    undo: () => takeBack?.(),
  }
}

/**
 * Tells whether the server's rows for a statement are still those that clients were told, although tables may have changed: a client that
 * reads rows by the old description must not get others. Postgres refuses to run a plan whose rows have changed, but a server that prepares the
 * statement only after the change has nothing to compare with. A server that has not described its rows yet is `asked` first what they are; call
 * again when it has answered.
 */
export function compareShape(
  sending: ShapeSending,
  statement: Statement,
  capacityBytes: number,
): 'as told' | 'changed' | 'asked' {
  const { leased, toServer } = sending
  const { statements, ledger } = leased
  if (statement.shape === undefined) return 'as told'
  const rows = statements.rowsOf(statement, ledger)
  if (rows !== 'unknown') return rows
  if (!statements.has(statement, ledger)) prepareUnasked(sending, statement, capacityBytes)
  ledger.owe(DEBT.describe | SWALLOW, {
    reply: null,
    described: (shape) => {
      statements.noteRows(statement, shape)
      sending.goOnSoon()
    },
    undo: () => sending.goOnSoon(),
  })
  toServer.addAll(encodeDescribeStatement(statement.name.toString('latin1')))
  toServer.addAll(FLUSH)
  return 'asked'
}

/**
 * A client comes to share a statement of whose rows others were told. Tables may have changed outside the pool since then, and this must be known
 * first: then the client gets another statement. Returns true if the server is asked; call again when it has answered.
 */
export function asksForRows(sending: ShapeSending, statement: Statement, capacityBytes: number): boolean {
  const { statements, ledger } = sending.leased
  // A server that has it may have a plan that is out of date, and would refuse to describe it.
  if (statement.shape == null || statements.isOutdated(statement) || statements.has(statement, ledger)) return false
  return compareShape(sending, statement, capacityBytes) === 'asked'
}
