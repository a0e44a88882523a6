/**
 * Hot path: finds the shared statement for a client's text. Clients share one if they have the same settings; where the settings are not
 * known, the client gets a statement that nobody else is given.
 */

import type { Pool } from '../pool/pool.ts'
import type { Server } from '../server/server.ts'
import type { Statement } from '../server/statement-registry.ts'

interface SharingContext {
  readonly pool: Pick<Pool, 'statements'>
  readonly leased: Pick<Server, 'context' | 'inFlight' | 'ledger' | 'profile' | 'statements' | 'unseen'>
}

/** Returns the statement for bytes `start` to `end` (text, zero, parameter types), for the present settings and tables. */
export function sharedFor(context: SharingContext, buffer: Buffer, start: number, end: number): Statement {
  return made(context, buffer, start, end, meaningNow(context), context.leased.statements.version)
}

/**
 * Returns the statement to use for one that is about to be run: the same, or another one if it would be prepared now under other settings
 * than those that it is shared for. The settings may be about to change because of requests on their way, or may have changed without being
 * reported. Where they are unknown, the result is a statement that nobody else is given, until it is prepared on another server; or
 * `in doubt` if they will be known when what was sent has been answered, which is worth waiting for.
 */
export function asPrepared(context: SharingContext, statement: Statement): Statement | 'in doubt' {
  const { leased, pool } = context
  if (leased.statements.has(statement, leased.ledger) || statement.isNeverShared) return statement
  if (awaitsSettings(context)) return 'in doubt'
  const meaning = meaningNow(context)
  if (statement.meaning === meaning) return statement
  // It keeps the version, and what the client was told about its parameters and rows.
  const { parsed, version, shape } = statement
  const other = made(context, parsed, 0, parsed.length, meaning, version)
  other.shape ??= shape
  if (shape === undefined || shape === other.shape) return other
  // Those who share the other one were told of other rows.
  const own = pool.statements.unshared(parsed, 0, parsed.length, version)
  own.shape = shape
  return own
}

/** The settings are not known now, but will be when what was sent has been answered. */
export function awaitsSettings({ leased: { inFlight, ledger } }: SharingContext): boolean {
  return !inFlight.areSettingsKnown(ledger) && inFlight.areSettingsComing(ledger)
}

/** Returns what decides, besides its text, what a statement that is prepared now means; null if that is not known. */
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
