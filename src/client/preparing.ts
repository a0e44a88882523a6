/** Hot path: makes sure that a server has the statement that the next message names. */

import type { Pool } from '../pool/pool.ts'
import { DEBT, type Effect, SWALLOW } from '../server/ledger.ts'
import type { Server } from '../server/server.ts'
import { SHARED_PREFIX, type Statement } from '../server/statement-registry.ts'
import { encodeCloseStatement, encodeDescribeStatement, encodeParse, encodeQuery } from '../wire/frontend.ts'
import type { Outbox } from '../wire/outbox.ts'
import type { UnnamedStatement } from './unnamed-statement.ts'

const CLOSE_UNNAMED = encodeCloseStatement('')

const VAIN = `${SHARED_PREFIX}vain`
const CLOSE_VAIN = encodeCloseStatement(VAIN)
const DESCRIBE_VAIN = encodeDescribeStatement(VAIN)

const DOOMED = `${SHARED_PREFIX}doomed`
/** Makes the statement `DOOMED`, after closing the last one, which may still be there. */
const MAKE_DOOMED = Buffer.concat([encodeCloseStatement(DOOMED), encodeParse(DOOMED, Buffer.from('\0\0\0'))])
/** The body of the Parse that is sent in place of the client's own DEALLOCATE: it drops `DOOMED`. */
export const DEALLOCATE_DOOMED = Buffer.from(`deallocate ${DOOMED}\0\0\0`)
/** The same as a simple query. */
export const QUERY_DEALLOCATE_DOOMED = encodeQuery(`deallocate ${DOOMED}`)

/** How many small statements are closed at once to make room for a large one. */
const MAX_CLOSED = 32

/** The leased server, and the outbox to it. */
export interface Sending {
  readonly pool: Pick<Pool, 'settings' | 'counters'>
  /** Only while a lease is held. */
  readonly leased: Pick<Server, 'ledger' | 'statements'>
  readonly toServer: Outbox
}

/**
 * Sends a Parse of the shared statement in place of the client's own, after a Close of what must make room for it.
 *
 * @param capacityBytes how many bytes all statements of the server may take; 0 is no limit
 * @param effect the effect of the client's Parse
 */
export function prepare(sending: Sending, statement: Statement, capacityBytes: number, effect: Effect): void {
  if (statement.parsed !== statement.body) askTypes(sending, statement)
  sendParse(sending, statement, capacityBytes, false, effect)
}

/** The same if the client has not sent a Parse now: it does not see the answer. */
export function prepareUnasked(sending: Sending, statement: Statement, capacityBytes: number): void {
  sendParse(sending, statement, capacityBytes, true, null)
}

function sendParse(
  sending: Sending,
  statement: Statement,
  capacityBytes: number,
  isSwallowed: boolean,
  effect: Effect | null,
): void {
  const { leased, toServer, pool } = sending
  const { statements, ledger } = leased
  if (statements.mayHave(statement, ledger)) close(sending, statement)
  makeRoom(sending, capacityBytes, statement.body.length)
  pool.counters.serverParses++
  pool.counters.statementMisses++
  statements.parseSent(statement, ledger, isSwallowed, effect)
  toServer.addAll(encodeParse(statement.name.toString('latin1'), statement.parsed))
}

/** Closes a statement if another one does not fit; and a second one if a reload has lowered the limit, so that there are fewer each time. */
function makeRoom(sending: Sending, capacityBytes: number, bytes: number): void {
  const { leased, pool } = sending
  const { maxPreparedStatements } = pool.settings
  for (let left = 2; left > 0; left--) {
    const surplus = leased.statements.surplus(maxPreparedStatements)
    if (surplus === null) break
    pool.counters.statementEvictions++
    close(sending, surplus)
  }
  for (let left = MAX_CLOSED; left > 0; left--) {
    const surplus = leased.statements.surplusBytes(capacityBytes, bytes)
    if (surplus === null) break
    pool.counters.statementEvictions++
    close(sending, surplus)
  }
}

function close({ leased, toServer }: Sending, statement: Statement): void {
  leased.statements.closeSent(statement, leased.ledger)
  toServer.addAll(encodeCloseStatement(statement.name.toString('latin1')))
}

/** Makes sure that the server has this client's unnamed statement, or none: another client's must not be run for this one. */
export function ensureUnnamed(sending: Sending, unnamed: UnnamedStatement | null): void {
  const { leased, toServer, pool } = sending
  const { statements, ledger } = leased
  if (unnamed !== null && statements.hasUnnamed(unnamed.token, unnamed.serial, ledger)) return
  const body = unnamed?.body ?? null
  if (unnamed !== null && body !== null) {
    pool.counters.serverParses++
    if (body.equals(DEALLOCATE_DOOMED)) makeDoomed(sending)
    // Unlike a Parse of the client's own, this one takes nothing away from the client if it fails.
    ledger.owe(DEBT.parse | SWALLOW, statements.unnamedDoubt)
    toServer.addAll(encodeParse('', body))
    statements.unnamedSent(unnamed.token, unnamed.serial, ledger)
  } else if (!statements.hasNoUnnamed(ledger)) {
    statements.closeUnnamedSent(ledger)
    toServer.addAll(CLOSE_UNNAMED)
  }
}

/** Gives the server a statement for the client's DEALLOCATE to drop. */
export function makeDoomed({ leased: { ledger }, toServer }: Sending): void {
  ledger.owe(DEBT.close | SWALLOW)
  ledger.owe(DEBT.parse | SWALLOW)
  toServer.addAll(MAKE_DOOMED)
}

/** Has the server parse a text that it is not to keep. If it refuses the text, the client gets that error. */
export function parseInVain({ leased: { ledger }, toServer }: Sending, body: Buffer): void {
  ledger.owe(DEBT.close | SWALLOW)
  ledger.owe(DEBT.parse | SWALLOW)
  toServer.addAll(CLOSE_VAIN)
  toServer.addAll(encodeParse(VAIN, body))
}

/**
 * A client that may not know the statement's parameter types yet asks for the text, and the server is sent those that others were told. Asks the
 * server which ones it would choose today: if tables have changed, clients that ask for the text from then on get these.
 */
function askTypes(sending: Sending, statement: Statement): void {
  const { leased, toServer } = sending
  const { statements, ledger } = leased
  parseInVain(sending, statement.body)
  ledger.owe(DEBT.describe | SWALLOW, {
    reply: null,
    told: (buffer, start, end) => statements.noteTypes(statement, buffer, start, end),
    undo: () => {},
  })
  toServer.addAll(DESCRIBE_VAIN)
}
