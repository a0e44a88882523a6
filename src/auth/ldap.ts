/**
 * Parses the options that say how to check a password with a directory, as in PostgreSQL and PgBouncer, and builds the names and filters.
 * https://www.postgresql.org/docs/current/auth-ldap.html
 */

import { fieldsOf, HbaError } from './hba-words.ts'

export interface LdapOptions {
  /** Such as `ldap://host:389`; tried in this order. */
  readonly urls: readonly string[]
  readonly startsTls: boolean
  /** The certificate authorities, in PEM; '' for those that Node trusts. */
  readonly authorities: string
  readonly how: LdapName | LdapSearch
}

/** The entry's name is the user's with a prefix and a suffix. */
export interface LdapName {
  readonly kind: 'name'
  readonly prefix: string
  readonly suffix: string
}

/** The entry is searched for. */
export interface LdapSearch {
  readonly kind: 'search'
  readonly base: string
  readonly scope: 'base' | 'one' | 'sub'
  readonly filter: string
  /** The name to bind with for the search; '' for an anonymous search. */
  readonly asWhom: string
  readonly password: string
}

/** Resolves the value of an option as written in the file: see `References`. */
export type Resolve = (written: string, isSecret: boolean) => { readonly value: string } | { readonly problem: string }

export interface LdapSources {
  readonly resolve: Resolve
  /** Throws if the file cannot be read. */
  readFile(path: string): string
}

const OPTIONS = [
  ...['ldapserver', 'ldapport', 'ldapscheme', 'ldaptls', 'ldapprefix', 'ldapsuffix', 'ldapbasedn', 'ldapbinddn'],
  ...['ldapbindpasswd', 'ldapsearchattribute', 'ldapsearchfilter', 'ldapscope', 'ldapurl', 'ldapcafile'],
]

const SECRET = 'ldapbindpasswd'

/** Throws an `HbaError` for invalid options; its message contains no secret. */
export function readLdapOptions(options: readonly string[], { resolve, readFile }: LdapSources): LdapOptions {
  const given = new Map<string, string>()
  for (const option of options) {
    const [name = '', written] = option.split(/=(.*)/s)
    if (!OPTIONS.includes(name)) {
      // An unknown word after the password may be a part of it.
      const what = given.has(SECRET) ? `that follows ${SECRET}` : `"${name}"`
      throw new HbaError(`there is no option ${what} for ldap; a value with spaces needs double quotes`)
    }
    if (written === undefined) throw new HbaError(`the option ${name} needs a value`)
    const resolved = resolve(written, name === SECRET)
    if ('problem' in resolved) throw new HbaError(`${name} ${resolved.problem}`)
    given.set(name, resolved.value)
  }
  const url = given.get('ldapurl')
  const all = new Map([...(url === undefined ? [] : readUrl(url)), ...given])
  const isTls = flagOf(all, 'ldaptls')
  const scheme = all.get('ldapscheme') ?? 'ldap'
  if (scheme !== 'ldap' && scheme !== 'ldaps') throw new HbaError('ldapscheme must be ldap or ldaps')
  if (isTls && scheme === 'ldaps')
    throw new HbaError('ldaptls cannot be used with ldaps, which uses TLS from the start')
  return {
    urls: urlsOf(all, scheme),
    startsTls: isTls,
    authorities: authoritiesIn(all.get('ldapcafile'), readFile),
    how: howOf(all),
  }
}

/** Splits options in one line, as in `auth_ldap_options`. */
export function splitLdapOptions(text: string): string[] {
  return fieldsOf(text).map((words) => words.map(({ text: word }) => word).join(','))
}

/** Returns that line without the password. A word after the password that is not an option is left out too, since it may be a part of it. */
export function withoutSecret(text: string): string {
  let isSecret = false
  const shown: string[] = []
  for (const option of splitLdapOptions(text)) {
    const [name = '', value = ''] = option.split(/=(.*)/s)
    if (name === SECRET) shown.push(`${SECRET}=****`)
    else if (OPTIONS.includes(name) || !isSecret)
      shown.push(/[\s,"#]/.test(value) ? `${name}="${value.replaceAll('"', '""')}"` : option)
    isSecret ||= name === SECRET
  }
  return shown.join(' ')
}

function authoritiesIn(path: string | undefined, readFile: LdapSources['readFile']): string {
  if (path === undefined) return ''
  try {
    return readFile(path)
  } catch (problem) {
    throw new HbaError(`ldapcafile cannot be read: ${(problem as Error).message}`)
  }
}

function flagOf(all: ReadonlyMap<string, string>, name: string): boolean {
  const value = all.get(name) ?? '0'
  if (value !== '0' && value !== '1') throw new HbaError(`${name} must be 0 or 1`)
  return value === '1'
}

function urlsOf(all: ReadonlyMap<string, string>, scheme: string): string[] {
  const port = all.get('ldapport') ?? (scheme === 'ldaps' ? '636' : '389')
  if (!/^[1-9]\d{0,4}$/.test(port) || Number(port) > 65_535)
    throw new HbaError('ldapport must be a number from 1 to 65535')
  const hosts = (all.get('ldapserver') ?? '').split(/[\s,]+/).filter((host) => host !== '')
  if (hosts.length === 0) throw new HbaError('ldap needs ldapserver or ldapurl')
  return hosts.map((host) => {
    const url = `${scheme}://${host.includes(':') && !host.startsWith('[') ? `[${host}]` : host}:${port}`
    if (!URL.canParse(url) || /[/?#@]/.test(host)) throw new HbaError(`ldapserver: "${host}" is not a valid host`)
    return url
  })
}

const OF_NAMES = ['ldapprefix', 'ldapsuffix']
const OF_SEARCHES = ['ldapbasedn', 'ldapbinddn', SECRET, 'ldapsearchattribute', 'ldapsearchfilter', 'ldapscope']

function howOf(all: ReadonlyMap<string, string>): LdapName | LdapSearch {
  const name = OF_NAMES.find((option) => all.has(option))
  const search = OF_SEARCHES.find((option) => all.has(option))
  if (name !== undefined && search !== undefined) throw new HbaError(`${name} cannot be used together with ${search}`)
  if (name !== undefined)
    return { kind: 'name', prefix: all.get('ldapprefix') ?? '', suffix: all.get('ldapsuffix') ?? '' }
  const base = all.get('ldapbasedn')
  if (base === undefined) throw new HbaError('ldap needs ldapprefix, ldapsuffix or ldapbasedn')
  if (all.has('ldapsearchattribute') && all.has('ldapsearchfilter'))
    throw new HbaError('ldapsearchattribute cannot be used together with ldapsearchfilter')
  const scope = all.get('ldapscope') ?? 'sub'
  if (scope !== 'base' && scope !== 'one' && scope !== 'sub') throw new HbaError('ldapscope must be base, one or sub')
  const asWhom = all.get('ldapbinddn') ?? ''
  const password = all.get(SECRET) ?? ''
  if ((asWhom === '') !== (password === '')) throw new HbaError(`ldapbinddn and ${SECRET} must be set together`)
  const filter = all.get('ldapsearchfilter') ?? `(${all.get('ldapsearchattribute') ?? 'uid'}=${PLACEHOLDER})`
  return { kind: 'search', base, scope, filter: filter.startsWith('(') ? filter : `(${filter})`, asWhom, password }
}

/** Reads `ldap://host:port/base?attribute?scope?filter` as options. https://www.rfc-editor.org/rfc/rfc4516 */
function readUrl(url: string): [string, string][] {
  const match =
    /^(ldaps?):\/\/(\[[^\]]*\]|[^/?:]*)(?::(\d+))?(?:\/([^?]*))?(?:\?([^?]*))?(?:\?([^?]*))?(?:\?([^?]*))?$/.exec(url)
  if (match === null) throw new HbaError('ldapurl must have the form ldap://host:port/base?attribute?scope?filter')
  const [, scheme, host, port, base, attribute, scope, filter] = match.map((part) => part && decode(part))
  const options: [string, string | undefined][] = [
    ['ldapscheme', scheme],
    ['ldapserver', host],
    ['ldapport', port],
    ['ldapbasedn', base],
    ['ldapsearchattribute', attribute],
    // The default in URLs, as in the RFC and in PostgreSQL.
    ['ldapscope', scope || 'base'],
    ['ldapsearchfilter', filter],
  ]
  return options.filter((option): option is [string, string] => option[1] !== undefined && option[1] !== '')
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    throw new HbaError('ldapurl has a % that is not followed by two hexadecimal digits')
  }
}

// Names

const PLACEHOLDER = '$username'

/** Returns the filter for a user. The name is escaped so that it cannot change the filter. https://www.rfc-editor.org/rfc/rfc4515#section-3 */
export function filterFor({ filter }: LdapSearch, user: string): string {
  const escaped = user.replace(/[*()\\\0]/g, escapeAscii)
  return filter.replaceAll(PLACEHOLDER, () => escaped)
}

/**
 * Returns the name to bind with. The user's name is escaped only if the result is the name of an entry; `user@domain` and `DOMAIN\user`, which
 * Active Directory accepts, are not.
 */
export function nameFor({ prefix, suffix }: LdapName, user: string): string {
  return `${prefix}${prefix.includes('=') ? escapeName(user) : user}${suffix}`
}

/** https://www.rfc-editor.org/rfc/rfc4514#section-2.4 */
function escapeName(user: string): string {
  return user.replace(/[,+"\\<>;=\0]|^[ #]| $/g, escapeAscii)
}

function escapeAscii(character: string): string {
  return `\\${character.charCodeAt(0).toString(16).padStart(2, '0')}`
}
