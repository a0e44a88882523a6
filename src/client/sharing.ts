/**
 * Hot path: which of the statements that servers keep stands for a client's text. Clients share one if they have the same settings; where
 * those are not known, what is prepared is nobody else's.
 */

import type { Pool } from '../pool/pool.ts'
import type { Server } from '../server/server.ts'
import type { Statement } from '../server/statement-registry.ts'

interface SharingContext {
  readonly pool: Pick<Pool, 'statements'>
  readonly leased: Pick<Server, 'context' | 'inFlight' | 'ledger' | 'profile' | 'statements' | 'unseen'>
}

/** That for a text (with a zero, and parameter types) in bytes `start` to `end`, as it is understood now. */
export function sharedFor(context: SharingContext, buffer: Buffer, start: number, end: number): Statement {
  return made(context, buffer, start, end, meaningNow(context), context.leased.statements.version)
}

/**
 * That for a text that is about to be run: another one if it would be prepared under other settings than those that it is shared for.
 * They may be changed by what is on its way, or have been by what is not reported: nobody else must then be given it, until it is
 * prepared elsewhere; or else it is better to wait.
 */
export function asPrepared(context: SharingContext, statement: Statement): Statement | 'in doubt' {
  const { leased } = context
  if (leased.statements.has(statement, leased.ledger) || statement.isNeverShared) return statement
  if (awaitsSettings(context)) return 'in doubt'
  const meaning = meaningNow(context)
  if (statement.meaning === meaning) return statement
  // As old as it was, and with what the client was told of its rows.
  const { body, version, shape } = statement
  const other = made(context, body, 0, body.length, meaning, version)
  other.shape ??= shape
  return other
}

/** The settings are not known, and will be when what was sent has been answered. */
export function awaitsSettings({ leased: { inFlight, ledger } }: SharingContext): boolean {
  return !inFlight.areSettingsKnown(ledger) && inFlight.areSettingsComing(ledger)
}

/** What decides, besides its text, what a statement means that is prepared now; null if that is not known. */
function meaningNow({ leased: { inFlight, unseen, ledger, profile, context } }: SharingContext): string | null {
  if (!inFlight.areSettingsKnown(ledger) || unseen.words === null) return null
  return profile.meaning(context.tracked) + unseen.words
}

function made(
  { pool, leased }: SharingContext,
  buffer: Buffer,
  start: number,
  end: number,
  meaning: string | null,
  version: number,
): Statement {
  if (meaning === null) return pool.statements.unshared(buffer, start, end, version)
  const hasStandardStrings = leased.profile.hasStandardStrings(leased.context.tracked)
  return pool.statements.intern(buffer, start, end, meaning, version, hasStandardStrings)
}
