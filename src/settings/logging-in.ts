/** Value types and names for the settings about logging in. */

import { PAM_SERVICE } from '../auth/hba.ts'
import { withoutSecret } from '../auth/ldap.ts'
import type { ValueType } from './values.ts'

/** The console's name, and PgBouncer's name for it. */
export const CONSOLE_NAMES: readonly string[] = ['pgweir', 'pgbouncer']

/** Given one of the console's names, returns the other; undefined for any other name. */
export function consoleAlias(name: string): string | undefined {
  return CONSOLE_NAMES.includes(name) ? CONSOLE_NAMES.find((other) => other !== name) : undefined
}

/** The database in which auth_query runs. It cannot be the console, which has no users to look up. */
export const lookupDatabase: ValueType<string> = {
  name: 'text',
  accepts: 'the name of a database',
  parse: (value) =>
    CONSOLE_NAMES.includes(value)
      ? { problem: 'it is the admin console, which has no users to look up; name a PostgreSQL database' }
      : { value },
  print: (value) => value,
}

/** The name of a file in /etc/pam.d. */
export const pamService: ValueType<string> = {
  name: 'name',
  accepts: 'the name of a file in /etc/pam.d',
  parse: (value) => (PAM_SERVICE.test(value) ? { value } : { problem: 'it must be the name of a file in /etc/pam.d' }),
  print: (value) => value,
}

/** Parsed where it is used. When printed, the password in it is left out. */
export const ldapOptions: ValueType<string> = {
  name: 'options',
  accepts: 'LDAP options',
  parse: (value) => ({ value }),
  print: withoutSecret,
}
