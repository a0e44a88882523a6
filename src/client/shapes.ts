/** Hot path: what clients were told about the rows of a statement that they share, and whether a server still has such rows for it. */

import { DEBT, type Effect, SWALLOW } from '../server/ledger.ts'
import type { Statement } from '../server/statement-registry.ts'
import type { ServerStatements } from '../server/statements.ts'
import { encodeDescribeStatement, FLUSH } from '../wire/frontend.ts'
import { prepareUnasked, type Sending } from './preparing.ts'

interface ShapeSending extends Sending {
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
      else if (shape !== statement.shape) statements.noteChange(statement)
    },
    told: (buffer, start, end) => statements.noteTypes(statement, buffer, start, end),
    undo: () => takeBack?.(),
  }
}

/**
 * Tells whether the server's rows for a statement are still those that clients were told, although tables may have changed: a client that
 * reads rows by the old description must not get others. Postgres refuses to run a plan whose rows have changed, but a server that prepares the
 * statement only now has nothing to compare with. Such a server is `asked` first what the rows are; call again when it has answered.
 */
export function compareShape(
  sending: ShapeSending,
  statement: Statement,
  capacityBytes: number,
): 'as told' | 'changed' | 'asked' {
  const { leased, toServer } = sending
  const { statements, ledger } = leased
  if (statement.shape === undefined || statements.has(statement, ledger))
    return statements.isChanged(statement) ? 'changed' : 'as told'
  prepareUnasked(sending, statement, capacityBytes)
  ledger.owe(DEBT.describe | SWALLOW, {
    reply: null,
    described: (shape) => {
      if (shape !== statement.shape) statements.markChanged(statement)
      sending.goOnSoon()
    },
    undo: () => sending.goOnSoon(),
  })
  toServer.addAll(encodeDescribeStatement(statement.name.toString('latin1')))
  toServer.addAll(FLUSH)
  return 'asked'
}
