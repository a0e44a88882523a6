/**
 * Parses and applies rules about who may log in from where, and how: a file like PostgreSQL's pg_hba.conf.
 * https://www.postgresql.org/docs/current/auth-pg-hba-conf.html
 */

import type { Replication } from '../wire/replication.ts'
import { ANYWHERE, isNoAddress, type KnownHosts, type OwnNetworks, onlyWord, readAddress } from './hba-addresses.ts'
import { fieldsOf, HbaError, linesOf, type Word } from './hba-words.ts'
import { type LdapOptions, type LdapSources, readLdapOptions } from './ldap.ts'

export const HBA_METHODS = [
  'trust',
  'reject',
  'password',
  'md5',
  'scram-sha-256',
  'peer',
  'cert',
  'ldap',
  'pam',
] as const

export type HbaMethod = (typeof HBA_METHODS)[number]

/** How a client has connected, and what it asks for. */
export interface Arrival {
  readonly isLocal: boolean
  readonly isEncrypted: boolean
  /** The client's address; ignored if it is local. */
  readonly host: string
  readonly database: string
  /** Another name of the same database; only the console has one. */
  readonly alias?: string | undefined
  readonly user: string
  readonly replication: Replication
}

export interface HbaRule {
  readonly line: number
  readonly method: HbaMethod
  /** The map in `auth_ident_file`; null if the names must be the same. */
  readonly map: string | null
  /** Only with the method ldap. */
  readonly ldap: LdapOptions | null
  /** The service that a rule with the method pam names; null if it names none. */
  readonly pamService: string | null
  /** Whether the rule names roles, whose members only PostgreSQL knows. */
  readonly namesRoles: boolean
  /** How PgBouncer reads the rule. It supports neither host names, samehost and samenet, nor roles, nor regular expressions, nor the method pam. */
  readonly inPgbouncer: 'a rule' | 'left out' | 'a plain name'
  matches(arrival: Arrival, known: Known): boolean | Unknown
}

export interface FileProblem {
  readonly sentence: string
  readonly file: string
  readonly line: number
}

/** `readFile` reads the files that options name, and those that `@name` includes. */
export interface HbaSources extends LdapSources {
  readonly ownNetworks: OwnNetworks
}

/** What is known of hosts and roles so far. */
export interface Known extends KnownHosts {
  /** Whether the user is that role or a member of it; null if PostgreSQL must be asked first. */
  isMember(arrival: Pick<Arrival, 'database' | 'user'>, role: string): boolean | null
}

/** What must be found out before a rule can be judged: whether the client is that host, or which roles its user has. */
export type Unknown = { readonly asksFor: 'host'; readonly host: string } | { readonly asksFor: 'roles' }

/** Returns the first rule that matches, or null if none does; or what must be found out first. */
export function ruleFor(rules: readonly HbaRule[], arrival: Arrival, known: Known): HbaRule | Unknown | null {
  for (const rule of rules) {
    const fits = rule.matches(arrival, known)
    if (typeof fits !== 'boolean') return fits
    if (fits) return rule
  }
  return null
}

/** Reports each line that it cannot parse as an error: skipping it could drop the very rule that keeps a client out. */
export function parseHba(
  text: string,
  file: string,
  sources: HbaSources,
): { readonly rules: readonly HbaRule[]; readonly problems: readonly FileProblem[] } {
  const rules: HbaRule[] = []
  const problems: FileProblem[] = []
  for (const { text: content, number } of linesOf(text))
    try {
      const fields = fieldsOf(content)
      if (fields.length > 0) rules.push(readRule(fields, number, file, sources))
    } catch (problem) {
      if (!(problem instanceof HbaError)) throw problem
      problems.push({ sentence: problem.message, file, line: number })
    }
  return { rules, problems }
}

function readRule(fields: Word[][], line: number, file: string, sources: HbaSources): HbaRule {
  const [type, databases, users, ...rest] = fields
  const kind = onlyWord(type, 'type')?.text ?? ''
  if (!KINDS.includes(kind)) throw new HbaError(`a rule must begin with one of ${KINDS.join(', ')}, not with "${kind}"`)
  if (!databases || !users) throw new HbaError('a rule needs databases and users')
  const isLocal = kind === 'local'
  const inPgbouncer = pgbouncersView(databases, users, isLocal ? [] : (rest[0] ?? []))
  const from = isLocal ? ANYWHERE : readAddress(rest, sources.ownNetworks)
  const [method, ...options] = rest.map((words) => words.map(({ text }) => text).join(','))
  if (method === undefined) throw new HbaError('a rule needs a method')
  if (!isMethod(method))
    throw new HbaError(`the method "${method}" is not supported; use one of ${HBA_METHODS.join(', ')}`)
  if (method === 'peer' && !isLocal) throw new HbaError('the method peer works only in local rules')
  // PostgreSQL requires hostssl here. PgBouncer accepts `host`, too, and refuses clients without TLS, since they have no certificate.
  if (method === 'cert' && kind !== 'hostssl' && kind !== 'host')
    throw new HbaError('the method cert works only in hostssl rules')
  const isDatabase = namesOf(databases, file, sources, databaseTest)
  const isUser = namesOf(users, file, sources, userTest)
  return {
    line,
    method,
    map: method === 'ldap' || method === 'pam' ? null : mapOf(method, options),
    ldap: method === 'ldap' ? readLdapOptions(options, sources) : null,
    pamService: method === 'pam' ? pamServiceOf(options) : null,
    namesRoles: isDatabase.namesRoles || isUser.namesRoles,
    inPgbouncer: method === 'pam' ? 'left out' : inPgbouncer,
    matches(arrival, known) {
      if (arrival.isLocal !== isLocal) return false
      if (kind === 'hostssl' && !arrival.isEncrypted) return false
      if (kind === 'hostnossl' && arrival.isEncrypted) return false
      const fits = [isDatabase.test(arrival, known), isUser.test(arrival, known)]
      if (fits.includes(false)) return false
      // Check the address last, since a host name may need a lookup. A lookup of roles comes after that, since it takes more work.
      const found = isLocal || from(arrival.host, known)
      // Without an answer the client may be the very host that a `reject` rule is to keep out, so such a rule applies, and no other does.
      const isThere = found === 'unanswered' ? method === 'reject' : found
      if (isThere === null) return { asksFor: 'host', host: from.hostName as string }
      return isThere && fits.includes(null) ? { asksFor: 'roles' } : isThere
    },
  }
}

const KINDS = ['local', 'host', 'hostssl', 'hostnossl']

function isMethod(text: string): text is HbaMethod {
  return (HBA_METHODS as readonly string[]).includes(text)
}

function mapOf(method: HbaMethod, options: readonly string[]): string | null {
  let map: string | null = null
  for (const option of options) {
    const [name, value = ''] = option.split(/=(.*)/s)
    if (name === 'map' && (method === 'peer' || method === 'cert')) map = value
    // With cert, both of PostgreSQL's values of clientcert ask for what is done anyway.
    else if (!(name === 'clientcert' && method === 'cert'))
      throw new HbaError(`the option "${option}" is not supported with ${method}`)
  }
  return map
}

/** The name of a file in /etc/pam.d. */
export const PAM_SERVICE = /^[\w-][\w.-]*$/

function pamServiceOf(options: readonly string[]): string | null {
  let service: string | null = null
  for (const option of options) {
    const [name, value = ''] = option.split(/=(.*)/s)
    if (name !== 'pamservice') throw new HbaError(`the option "${option}" is not supported with pam`)
    if (!PAM_SERVICE.test(value))
      throw new HbaError(`pamservice must be the name of a file in /etc/pam.d, not "${value}"`)
    service = value
  }
  return service
}

function pgbouncersView(databases: readonly Word[], users: readonly Word[], addresses: readonly Word[]) {
  const names = [...databases, ...users]
  const unquoted = names.filter(({ isQuoted }) => !isQuoted).map(({ text }) => text)
  if (addresses.some(isNoAddress) || unquoted.some((name) => name.startsWith('+'))) return 'left out'
  const isExpression = names.some(({ text }) => text.startsWith('/'))
  return isExpression || unquoted.some((name) => SAME_ROLE.includes(name)) ? 'a plain name' : 'a rule'
}

// Names

/** Returns null if the user's roles must be asked for first. */
type NameTest = (arrival: Arrival, known: Known) => boolean | null

interface Names {
  readonly test: NameTest
  readonly namesRoles: boolean
}

function namesOf(words: Word[], file: string, sources: HbaSources, testOf: (word: Word) => NameTest): Names {
  const all = withIncluded(words, file, sources)
  const tests = all.map(testOf)
  return {
    namesRoles: all.some(isRole),
    test(arrival, known) {
      let found: boolean | null = false
      for (const test of tests) {
        const fits = test(arrival, known)
        if (fits) return true
        if (fits === null) found = null
      }
      return found
    },
  }
}

const SAME_ROLE = ['samerole', 'samegroup']

function isRole({ text, isQuoted }: Word): boolean {
  return !isQuoted && (text.startsWith('+') || SAME_ROLE.includes(text))
}

/** Replaces `@file` by the words in that file. A relative path is relative to the file that includes it. */
function withIncluded(words: readonly Word[], file: string, sources: HbaSources, depth = 0): Word[] {
  return words.flatMap((word) => {
    if (word.isQuoted || !word.text.startsWith('@') || word.text.length === 1) return [word]
    if (depth > 8) throw new HbaError(`"${word.text}" includes itself`)
    const name = word.text.slice(1)
    const path = name.startsWith('/') ? name : `${file.slice(0, file.lastIndexOf('/') + 1)}${name}`
    try {
      const included = linesOf(sources.readFile(path)).flatMap(({ text }) => fieldsOf(text).flat())
      return withIncluded(included, path, sources, depth + 1)
    } catch (problem) {
      if (problem instanceof HbaError) throw problem
      throw new HbaError(`"${word.text}" cannot be read: ${(problem as Error).message}`)
    }
  })
}

/**
 * Physical replication belongs to no database: only the word `replication` matches it, not even `all`. Logical replication matches like any
 * connection to its database.
 */
function databaseTest(word: Word): NameTest {
  if (!word.isQuoted && word.text === 'replication') return ({ replication }) => replication === 'physical'
  const test = namedDatabaseTest(word)
  return (arrival, known) => {
    if (arrival.replication === 'physical') return false
    const fits = test(arrival, known)
    if (fits || arrival.alias === undefined) return fits
    // A client that a rule keeps out must not get in by the other name.
    const fitsAlias = test({ ...arrival, database: arrival.alias }, known)
    return fitsAlias === false ? fits : fitsAlias
  }
}

function namedDatabaseTest(word: Word): NameTest {
  if (!word.isQuoted) {
    if (word.text === 'all') return () => true
    if (word.text === 'sameuser') return ({ database, user }) => database === user
    if (SAME_ROLE.includes(word.text)) return (arrival, known) => known.isMember(arrival, arrival.database)
    if (word.text.startsWith('+')) throw new HbaError(`"${word.text}" is not a database; + works only for users`)
  }
  const test = nameTest(word)
  return ({ database }) => test(database)
}

function userTest(word: Word): NameTest {
  if (!word.isQuoted) {
    if (word.text === 'all') return () => true
    if (SAME_ROLE.includes(word.text)) throw new HbaError(`"${word.text}" is not a user; it works only for databases`)
    if (word.text.startsWith('+')) return (arrival, known) => known.isMember(arrival, word.text.slice(1))
  }
  const test = nameTest(word)
  return ({ user }) => test(user)
}

/** As in PostgreSQL 16, a leading slash marks a regular expression, even in quotes: an expression with a comma or a space needs them. */
export function nameTest({ text }: Word): (name: string) => boolean {
  if (!text.startsWith('/')) return (name) => name === text
  const pattern = expressionOf(text)
  return (name) => pattern.test(name)
}

function expressionOf(text: string): RegExp {
  try {
    return new RegExp(text.slice(1), 'su')
  } catch (problem) {
    throw new HbaError(`"${text}" is not a valid regular expression: ${(problem as Error).message}`)
  }
}
