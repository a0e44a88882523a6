/** Settings of Postgres that drivers routinely read and set. The console has a fixed value for each and changes none. */

import { VERSION } from '../version.ts'

/** The parameters reported to every console client at login. */
export const REPORTED: ReadonlyMap<string, string> = new Map([
  ['server_version', `${VERSION}/pgweir`],
  ['client_encoding', 'UTF8'],
  ['server_encoding', 'UTF8'],
  ['DateStyle', 'ISO'],
  ['TimeZone', 'GMT'],
  ['standard_conforming_strings', 'on'],
  ['is_superuser', 'on'],
  ['integer_datetimes', 'on'],
])

export const VARIABLES: ReadonlyMap<string, string> = new Map([
  ...REPORTED,
  ['application_name', ''],
  ['bytea_output', 'hex'],
  ['client_min_messages', 'notice'],
  ['default_transaction_isolation', 'read committed'],
  ['default_transaction_read_only', 'off'],
  ['extra_float_digits', '1'],
  ['intervalstyle', 'postgres'],
  ['lock_timeout', '0'],
  ['search_path', 'public'],
  ['statement_timeout', '0'],
  ['transaction_isolation', 'read committed'],
  ['transaction_read_only', 'off'],
])

const NAMES = new Map([...VARIABLES.keys()].map((name) => [name.toLowerCase(), name]))

/** Returns the variable's proper spelling, or null if there is no such variable. */
export function variableNamed(name: string): string | null {
  return NAMES.get(name.toLowerCase()) ?? null
}
