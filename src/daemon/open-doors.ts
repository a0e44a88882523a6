/** Builds the parts that let clients in: the doors, and what they ask about a client: PostgreSQL, LDAP servers and PAM. */

import type { Clock } from '../base/clock.ts'
import type { Log } from '../base/log.ts'
import { Directory } from '../net/directory.ts'
import type { DialLdap } from '../net/ldap-connection.ts'
import type { HostNames } from '../net/names/host-names.ts'
import { PamHelpers } from '../net/pam-helpers.ts'
import { AuthQueries } from './auth-query.ts'
import { Doors, type DoorsOptions } from './doors.ts'
import type { HbaSetup } from './hba.ts'
import { Inquiries } from './inquiries.ts'
import type { Live } from './live.ts'
import { LoginRules } from './login-rules.ts'
import { Memberships } from './memberships.ts'

export interface OpenDoorsOptions extends Omit<DoorsOptions, 'rules' | 'directory' | 'pamHelpers' | 'authQueries'> {
  readonly clock: Clock
  readonly log: Log
  readonly hba: Live<HbaSetup>
  readonly hostNames: HostNames
  /** Replaces the usual way to dial an LDAP server. */
  readonly dialLdap: DialLdap | undefined
  /** Replaces the usual way to ask PAM. */
  readonly pamHelpers: Pick<PamHelpers, 'isRight' | 'close'> | undefined
}

/** `stop` ends the processes that ask PAM. */
export function openDoors({ clock, log, hba, hostNames, dialLdap, pamHelpers: given, ...options }: OpenDoorsOptions) {
  const { settings, databases } = options
  const onTrouble = (sentence: string) => log.warning(sentence)
  const asking = {
    ...{ settings, clock, log },
    inquiries: new Inquiries({
      poolOf: (name, user) => databases.poolForLookups(name, user),
      isEstablished: (name) => databases.isEstablished(name),
    }),
  }
  const pamHelpers = given ?? new PamHelpers({ onTrouble })
  const doors = new Doors({
    ...{ ...options, pamHelpers },
    rules: new LoginRules({ settings, hba, hostNames, memberships: new Memberships(asking), log }),
    directory: new Directory({ ...(dialLdap && { dial: dialLdap }), onTrouble }),
    authQueries: new AuthQueries(asking),
  })
  return { doors, stop: () => pamHelpers.close() }
}
