/** Values of the settings that have to do with logging in. */

import { withoutSecret } from '../auth/ldap.ts'
import type { ValueType } from './values.ts'

export const NO_PAM =
  'there is no maintained library for PAM that works without a compiler; ask the directory behind it by ldap, or PostgreSQL by auth_query'

/** The console's name, and PgBouncer's name for it. */
export const CONSOLE_NAMES: readonly string[] = ['pgweir', 'pgbouncer']

/** The console's other name; undefined for all else. */
export function consoleAlias(name: string): string | undefined {
  return CONSOLE_NAMES.includes(name) ? CONSOLE_NAMES.find((other) => other !== name) : undefined
}

/** Where auth_query is asked: never on the console, which knows nothing of users. */
export const lookupDatabase: ValueType<string> = {
  name: 'text',
  accepts: 'the name of a database',
  parse: (value) =>
    CONSOLE_NAMES.includes(value)
      ? { problem: 'it is the admin console, where no users can be looked up; name a database of PostgreSQL' }
      : { value },
  print: (value) => value,
}

/** Taken apart where it is used; wherever it is shown, the password in it is not. */
export const ldapOptions: ValueType<string> = {
  name: 'options',
  accepts: 'options of ldap',
  parse: (value) => ({ value }),
  print: withoutSecret,
}
