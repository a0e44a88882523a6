/** Makes a message of the client's fail in the server, with an error of ours. */

import type { Pool } from '../pool/pool.ts'
import type { PoolerError } from '../problems.ts'
import { DEBT, REPLACE } from '../server/ledger.ts'
import { SHARED_PREFIX } from '../server/statement-registry.ts'
import { encodeDescribeStatement } from '../wire/frontend.ts'
import { encodeError } from '../wire/notices.ts'
import type { Sending } from './preparing.ts'

/** A Describe that always fails, since no server has a statement of this name. */
const NEVER = encodeDescribeStatement(`${SHARED_PREFIX}never`)

export interface FailingSending extends Sending {
  readonly pool: Pick<Pool, 'settings' | 'counters' | 'errors'>
}

/**
 * Makes the server fail here, and gives the client our error in place of the server's. So the rest of the batch is skipped, its
 * transaction is rolled back, and all replies keep their order, as if Postgres had found the error itself.
 */
export function failInServer({ leased, toServer, pool }: FailingSending, problem: PoolerError): void {
  pool.errors.note('pgweir', problem.sqlstate)
  leased.ledger.owe(DEBT.describe | REPLACE, { reply: encodeError(problem), undo: () => {} })
  toServer.addAll(NEVER)
}
