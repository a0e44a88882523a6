/** Decides how a client has to log in, from auth_type and the rules of auth_hba_file. */

import { type Arrival, type HbaRule, ruleFor } from '../auth/hba.ts'
import type { LdapOptions } from '../auth/ldap.ts'
import { systemUserName } from '../auth/system-users.ts'
import type { Log } from '../base/log.ts'
import type { AuthenticationType } from '../client/authentication.ts'
import type { Host } from '../client/host.ts'
import type { Wishes } from '../client/startup-parameters.ts'
import type { Channel } from '../net/channel.ts'
import type { HostNames } from '../net/names/host-names.ts'
import { isPath } from '../net/unix-sockets.ts'
import { PoolerError } from '../problems.ts'
import type { Settings } from '../settings/load.ts'
import { consoleAlias } from '../settings/logging-in.ts'
import type { HbaSetup } from './hba.ts'
import type { Live } from './live.ts'
import type { Memberships } from './memberships.ts'

export interface LoginRulesOptions {
  settings(): Settings
  readonly hba: Live<HbaSetup>
  readonly hostNames: Pick<HostNames, 'isAt' | 'ask'>
  readonly memberships: Pick<Memberships, 'isMember' | 'ask' | 'left'>
  readonly log: Log
  /** The file of system users, for tests. Default: /etc/passwd. */
  readonly systemUsersFile?: string
}

export interface LoginMethod {
  readonly type: AuthenticationType
  /** Null unless the type is ldap. */
  readonly ldap: LdapOptions | null
  /** The PAM service to ask; only with the type pam. */
  readonly pam: string | null
}

type Done = (method: LoginMethod | PoolerError) => void

export class LoginRules {
  readonly #options: LoginRulesOptions

  constructor(options: LoginRulesOptions) {
    this.#options = options
  }

  /** Calls `done` at once, unless a DNS server or PostgreSQL has to be asked first. The owner of the console gets the type `any`. */
  methodFor(session: Host, wishes: Wishes, isOwner: boolean, done: Done): void {
    const { auth_type: type, auth_pam_service: service } = this.#options.settings().general
    const { database, user, replication } = wishes
    const { channel } = session
    if (isOwner) done(by('any'))
    else if (type === 'cert') done(this.#byCertificate(channel, null, user))
    else if (type === 'ldap') done(byLdap(this.#options.hba.setup.ldap))
    else if (type === 'pam') done(byPam(service))
    else if (type !== 'hba') done(by(type))
    else {
      const { host } = channel.peer
      this.#decide(
        session,
        {
          ...{ isLocal: isPath(host), isEncrypted: channel.tls !== '', host },
          ...{ database, alias: consoleAlias(database), user, replication },
        },
        (rule) => done(rule instanceof PoolerError ? rule : this.#byRule(rule, channel, user)),
      )
    }
  }

  /** Called when a client has left, whether its rules were being evaluated or not. */
  left(session: Host): void {
    this.#options.memberships.left(session)
  }

  #decide(session: Host, arrival: Arrival, done: (rule: HbaRule | PoolerError) => void): void {
    const { hba, hostNames, memberships } = this.#options
    const verdict = ruleFor(hba.setup.rules, arrival, {
      isAt: (name, address) => hostNames.isAt(name, address),
      isMember: (who, role) => memberships.isMember(who, role),
    })
    // Evaluates the rules again from the start, since a reload may have changed them while waiting for the answer.
    const goOn = () => session.isOpen && this.#decide(session, arrival, done)
    if (verdict === null) done(new PoolerError('hba-no-rule'))
    else if (!('asksFor' in verdict)) done(verdict)
    else if (verdict.asksFor === 'host')
      hostNames
        .ask(verdict.host, arrival.host)
        .then(goOn)
        .catch((problem: unknown) => session.onBroken(problem))
    else
      memberships.ask(arrival, session, (problem) => {
        if (problem === null) goOn()
        // Do not skip a rule that cannot be evaluated: it might have rejected this client.
        else if (session.isOpen) done(problem)
      })
  }

  #byRule(rule: HbaRule, channel: Channel, user: string): LoginMethod | PoolerError {
    switch (rule.method) {
      case 'reject':
        return new PoolerError('hba-rejected')
      case 'password':
        return by('plain')
      case 'ldap':
        return byLdap(rule.ldap)
      case 'pam':
        return byPam(rule.pamService ?? this.#options.settings().general.auth_pam_service)
      case 'cert':
        return this.#byCertificate(channel, rule.map, user)
      case 'peer': {
        const { process } = channel.peer
        const name = process === undefined ? null : this.#systemUser(process.uid)
        const isAllowed = name !== null && this.#options.hba.setup.maps.allows(rule.map, name, user)
        return isAllowed ? by('peer') : new PoolerError('peer-failed')
      }
      default:
        return by(rule.method)
    }
  }

  /** The name of a system user. Returns null if it cannot be found out; the client is then not let in. */
  #systemUser(uid: number): string | null {
    const { systemUsersFile, log } = this.#options
    try {
      return systemUserName(uid, systemUsersFile)
    } catch (problem) {
      log.error(`peer: the name of the system user with ID ${uid} cannot be looked up: ${(problem as Error).message}`)
      return null
    }
  }

  #byCertificate(channel: Channel, map: string | null, user: string): LoginMethod | PoolerError {
    const name = channel.certificateName
    const isAllowed = name !== null && this.#options.hba.setup.maps.allows(map, name, user)
    return isAllowed ? by('cert') : new PoolerError('certificate-failed')
  }
}

function by(type: AuthenticationType): LoginMethod {
  return { type, ldap: null, pam: null }
}

function byPam(service: string): LoginMethod {
  return { type: 'pam', ldap: null, pam: service }
}

/** Without LDAP options there is no server to ask, so nobody is let in. */
function byLdap(ldap: LdapOptions | null): LoginMethod | PoolerError {
  return ldap === null ? new PoolerError('ldap-failed') : { type: 'ldap', ldap, pam: null }
}
