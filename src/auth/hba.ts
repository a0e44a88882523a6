/**
 * Rules about who may log in from where, and how: a file like PostgreSQL's pg_hba.conf.
 * https://www.postgresql.org/docs/current/auth-pg-hba-conf.html
 */

import type { Replication } from '../wire/replication.ts'
import { ANYWHERE, type KnownHosts, type OwnNetworks, readAddress } from './hba-addresses.ts'
import { fieldsOf, HbaError, type Word } from './hba-words.ts'
import { type LdapOptions, type LdapSources, readLdapOptions } from './ldap.ts'

export const HBA_METHODS = ['trust', 'reject', 'password', 'md5', 'scram-sha-256', 'peer', 'cert', 'ldap'] as const

export type HbaMethod = (typeof HBA_METHODS)[number]

/** How a client has come, and what it asks for. */
export interface Arrival {
  readonly isLocal: boolean
  readonly isEncrypted: boolean
  /** Where it is; of no matter where it is local. */
  readonly host: string
  readonly database: string
  readonly user: string
  readonly replication: Replication
}

export interface HbaRule {
  readonly line: number
  readonly method: HbaMethod
  /** Of `auth_ident_file`; null: the names must be the same. */
  readonly map: string | null
  /** With the method ldap. */
  readonly ldap: LdapOptions | null
  /** The host by whose name clients are told; null if the rule names none. */
  readonly hostName: string | null
  /** null: it has to be asked first whether the client is that host. */
  matches(arrival: Arrival, hosts: KnownHosts): boolean | null
}

export interface FileProblem {
  readonly sentence: string
  readonly file: string
  readonly line: number
}

/** Besides files that options name it reads what `@name` stands for. */
export interface HbaSources extends LdapSources {
  readonly ownNetworks: OwnNetworks
}

/** What has to be known of a host before there is a verdict. */
export interface HostQuestion {
  readonly asksForHost: string
}

/** The first rule that fits decides; null if none does. */
export function ruleFor(rules: readonly HbaRule[], arrival: Arrival, hosts: KnownHosts): HbaRule | HostQuestion | null {
  for (const rule of rules) {
    const fits = rule.matches(arrival, hosts)
    if (fits === null) return { asksForHost: rule.hostName as string }
    if (fits) return rule
  }
  return null
}

/** What cannot be understood is an error: a rule that is left out might have been the one that keeps somebody out. */
export function parseHba(
  text: string,
  file: string,
  sources: HbaSources,
): { readonly rules: readonly HbaRule[]; readonly problems: readonly FileProblem[] } {
  const rules: HbaRule[] = []
  const problems: FileProblem[] = []
  text
    .replace(/\\\r?\n/g, ' ')
    .split('\n')
    .forEach((content, index) => {
      try {
        const fields = fieldsOf(content)
        if (fields.length > 0) rules.push(readRule(fields, index + 1, file, sources))
      } catch (problem) {
        if (!(problem instanceof HbaError)) throw problem
        problems.push({ sentence: problem.message, file, line: index + 1 })
      }
    })
  return { rules, problems }
}

function readRule(fields: Word[][], line: number, file: string, sources: HbaSources): HbaRule {
  const [type, databases, users, ...rest] = fields
  const kind = type?.[0]?.text ?? ''
  if (!KINDS.includes(kind)) throw new HbaError(`a rule begins with ${KINDS.join(', ')}, not with "${kind}"`)
  if (!databases || !users) throw new HbaError('a rule names databases and users')
  const isLocal = kind === 'local'
  const from = isLocal ? ANYWHERE : readAddress(rest, sources.ownNetworks)
  const [method, ...options] = rest.map((words) => words.map(({ text }) => text).join(','))
  if (method === undefined) throw new HbaError('a rule ends with a method')
  if (!isMethod(method))
    throw new HbaError(`the method "${method}" is not supported; there are ${HBA_METHODS.join(', ')}`)
  if (method === 'peer' && !isLocal) throw new HbaError('the method peer is for local connections')
  if (method === 'cert' && kind !== 'hostssl') throw new HbaError('the method cert is for hostssl connections')
  const isDatabase = namesOf(databases, file, sources, databaseTest)
  const isUser = namesOf(users, file, sources, userTest)
  return {
    line,
    method,
    map: method === 'ldap' ? null : mapOf(method, options),
    ldap: method === 'ldap' ? readLdapOptions(options, sources) : null,
    hostName: from.hostName ?? null,
    matches(arrival, hosts) {
      if (arrival.isLocal !== isLocal) return false
      if (kind === 'hostssl' && !arrival.isEncrypted) return false
      if (kind === 'hostnossl' && arrival.isEncrypted) return false
      // Last, because it may have to be asked.
      return isDatabase(arrival) && isUser(arrival) && (isLocal || from(arrival.host, hosts))
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
    // For a certificate both of PostgreSQL's words mean what is done anyway.
    else if (!(name === 'clientcert' && method === 'cert'))
      throw new HbaError(`the option "${option}" is not supported with ${method}`)
  }
  return map
}

// Names

type NameTest = (arrival: Arrival) => boolean

function namesOf(words: Word[], file: string, sources: HbaSources, testOf: (word: Word) => NameTest): NameTest {
  const tests = withIncluded(words, file, sources).map(testOf)
  return (arrival) => tests.some((test) => test(arrival))
}

/** `@file` stands for the words in that file, which is beside the one that names it. */
function withIncluded(words: readonly Word[], file: string, sources: HbaSources, depth = 0): Word[] {
  return words.flatMap((word) => {
    if (word.isQuoted || !word.text.startsWith('@') || word.text.length === 1) return [word]
    if (depth > 8) throw new HbaError(`"${word.text}" includes itself`)
    const name = word.text.slice(1)
    const path = name.startsWith('/') ? name : `${file.slice(0, file.lastIndexOf('/') + 1)}${name}`
    try {
      const included = sources.readFile(path).split('\n').flatMap(fieldsOf).flat()
      return withIncluded(included, path, sources, depth + 1)
    } catch (problem) {
      if (problem instanceof HbaError) throw problem
      throw new HbaError(`"${word.text}" cannot be read: ${(problem as Error).message}`)
    }
  })
}

/** Physical replication is that of no database: only its own word means it, not even `all`. Logical replication is that of its database. */
function databaseTest(word: Word): NameTest {
  if (!word.isQuoted && word.text === 'replication') return ({ replication }) => replication === 'physical'
  const test = namedDatabaseTest(word)
  return (arrival) => arrival.replication !== 'physical' && test(arrival)
}

function namedDatabaseTest(word: Word): NameTest {
  if (!word.isQuoted) {
    if (word.text === 'all') return () => true
    if (word.text === 'sameuser') return ({ database, user }) => database === user
    if (word.text === 'samerole' || word.text === 'samegroup' || word.text.startsWith('+'))
      throw new HbaError(
        `"${word.text}" is not supported: which roles are members of others is known to PostgreSQL only`,
      )
  }
  const test = nameTest(word)
  return ({ database }) => test(database)
}

function userTest(word: Word): NameTest {
  if (!word.isQuoted) {
    if (word.text === 'all') return () => true
    if (word.text.startsWith('+'))
      throw new HbaError(
        `"${word.text}" is not supported: which roles are members of others is known to PostgreSQL only`,
      )
  }
  const test = nameTest(word)
  return ({ user }) => test(user)
}

/** As in PostgreSQL 16: a slash begins a regular expression. */
export function nameTest({ text, isQuoted }: Word): (name: string) => boolean {
  if (isQuoted || !text.startsWith('/')) return (name) => name === text
  const pattern = expressionOf(text)
  return (name) => pattern.test(name)
}

function expressionOf(text: string): RegExp {
  try {
    return new RegExp(text.slice(1), 'u')
  } catch (problem) {
    throw new HbaError(`"${text}" is no regular expression: ${(problem as Error).message}`)
  }
}
