/** Values of the settings that have to do with logging in. */

import { withoutSecret } from '../auth/ldap.ts'
import type { ValueType } from './values.ts'

export const NO_PAM =
  'there is no maintained library for PAM that works without a compiler; ask the directory behind it by ldap, or PostgreSQL by auth_query'

/** Taken apart where it is used; wherever it is shown, the password in it is not. */
export const ldapOptions: ValueType<string> = {
  name: 'options',
  accepts: 'options of ldap',
  parse: (value) => ({ value }),
  print: withoutSecret,
}
