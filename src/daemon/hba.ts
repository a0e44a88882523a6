/** Loads the rules of auth_hba_file, the maps of auth_ident_file and the options for LDAP. */

import { networkInterfaces } from 'node:os'
import { type FileProblem, type HbaRule, parseHba } from '../auth/hba.ts'
import { HbaError } from '../auth/hba-words.ts'
import { IdentMaps, parseIdent } from '../auth/ident.ts'
import { type LdapOptions, readLdapOptions, splitLdapOptions } from '../auth/ldap.ts'
import { loadPam } from '../net/pam-library.ts'
import { diskFiles } from '../settings/ini.ts'
import type { Settings } from '../settings/load.ts'
import { error, type Problem } from '../settings/problem.ts'
import { References } from '../settings/references.ts'
import { hasAsker } from './auth-query.ts'
import { readSettingsFile } from './kept-files.ts'
import type { LoadedFiles } from './live.ts'

export interface HbaSetup {
  readonly rules: readonly HbaRule[]
  readonly maps: IdentMaps
  /** From auth_ldap_options; null unless auth_type = ldap. */
  readonly ldap: LdapOptions | null
}

export const NO_RULES: HbaSetup = { rules: [], maps: new IdentMaps(), ldap: null }

export function loadHba(settings: Settings): LoadedFiles<HbaSetup> {
  const { general, origins } = settings
  if (general.auth_type === 'ldap') return loadLdap(settings)
  if (general.auth_type === 'pam') {
    const problems = pamProblems(origins.auth_type)
    return { setup: problems.length === 0 ? NO_RULES : null, problems }
  }
  if (general.auth_type !== 'hba' && general.auth_type !== 'cert') return { setup: NO_RULES, problems: [] }
  const problems: Problem[] = []
  const read = (key: 'auth_hba_file' | 'auth_ident_file'): string => {
    if (general[key] === '') return ''
    try {
      return readSettingsFile(general[key]).toString('utf8')
    } catch (cause) {
      problems.push(error(origins[key], `${key} cannot be read: ${(cause as Error).message}`))
      return ''
    }
  }
  const isHba = general.auth_type === 'hba'
  if (isHba && general.auth_hba_file === '')
    problems.push(error(origins.auth_type, 'auth_type = hba needs auth_hba_file'))
  const hba = parseHba(isHba ? read('auth_hba_file') : '', general.auth_hba_file, SOURCES)
  const ident = parseIdent(read('auth_ident_file'), general.auth_ident_file)
  problems.push(...[...hba.problems, ...ident.problems].map(fromFile))
  const byRole = hba.rules.find(({ namesRoles }) => namesRoles)
  if (byRole && !hasAsker(settings))
    problems.push(
      error(
        { file: general.auth_hba_file, line: byRole.line },
        'this rule names a role; set auth_user, so that pgweir can ask PostgreSQL who is a member of it',
      ),
    )
  const byPam = hba.rules.find(({ method }) => method === 'pam')
  if (byPam) problems.push(...pamProblems({ file: general.auth_hba_file, line: byPam.line }))
  const byCertificate = hba.rules.find(({ method }) => method === 'cert')
  if ((!isHba || byCertificate) && !general.client_tls_sslmode.startsWith('verify-')) {
    const where = byCertificate ? { file: general.auth_hba_file, line: byCertificate.line } : origins.auth_type
    problems.push(error(where, 'login with a certificate needs client_tls_sslmode = verify-ca or verify-full'))
  }
  return { setup: problems.length === 0 ? { ...NO_RULES, rules: hba.rules, maps: ident.maps } : null, problems }
}

/** An error if PAM cannot be called on this machine. */
function pamProblems(where: Parameters<typeof error>[0]): Problem[] {
  try {
    loadPam()
    return []
  } catch (problem) {
    const { message } = problem as Error
    return [error(where, `PAM needs its library (libpam.so.0) and the optional package koffi: ${message}`)]
  }
}

function loadLdap({ general, origins }: Settings): LoadedFiles<HbaSetup> {
  if (general.auth_ldap_options === '')
    return { setup: null, problems: [error(origins.auth_type, 'auth_type = ldap needs auth_ldap_options')] }
  try {
    const ldap = readLdapOptions(splitLdapOptions(general.auth_ldap_options), SOURCES)
    return { setup: { ...NO_RULES, ldap }, problems: [] }
  } catch (problem) {
    if (!(problem instanceof HbaError)) throw problem
    return { setup: null, problems: [error(origins.auth_ldap_options, `auth_ldap_options: ${problem.message}`)] }
  }
}

function fromFile({ sentence, file, line }: FileProblem): Problem {
  return error({ file, line }, sentence)
}

const references = new References(process.env, {
  ...diskFiles,
  read: (path) => readSettingsFile(path).toString('utf8'),
})

const SOURCES = {
  resolve: (written: string, isSecret: boolean) => references.resolve(written, isSecret),
  readFile: (path: string) => readSettingsFile(path).toString('utf8'),
  ownNetworks: () =>
    Object.values(networkInterfaces())
      .flat()
      .flatMap((network) =>
        network?.cidr ? [{ address: network.address, bits: Number(network.cidr.split('/')[1]) }] : [],
      ),
}
