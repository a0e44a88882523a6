/**
 * Rules about who may log in from where, and how: a file like PostgreSQL's pg_hba.conf.
 * https://www.postgresql.org/docs/current/auth-pg-hba-conf.html
 */

import { type IpBytes, isWithin, maskBits, parseIp } from '../base/ip.ts'
import type { Replication } from '../wire/replication.ts'

export const HBA_METHODS = ['trust', 'reject', 'password', 'md5', 'scram-sha-256', 'peer', 'cert'] as const

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
  matches(arrival: Arrival): boolean
}

export interface FileProblem {
  readonly sentence: string
  readonly file: string
  readonly line: number
}

export interface HbaSources {
  /** Reads what `@name` stands for. Throws if it cannot be read. */
  readFile(path: string): string
  /** Networks of this machine, with the length of their masks. */
  ownNetworks(): readonly { readonly address: string; readonly bits: number }[]
}

/** The first rule that fits decides; null if none does. */
export function ruleFor(rules: readonly HbaRule[], arrival: Arrival): HbaRule | null {
  return rules.find((rule) => rule.matches(arrival)) ?? null
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

class HbaError extends Error {}

/** In quotes it stands for itself, whatever it would mean without. */
export interface Word {
  readonly text: string
  readonly isQuoted: boolean
}

/** Of one line: fields with spaces between, each of words with commas between. A `#` begins a comment. */
export function fieldsOf(line: string): Word[][] {
  const fields: Word[][] = []
  const pattern = /\s*(?:#.*$|"((?:[^"]|"")*)"?|([^\s,"#]+)|(,))/gy
  let continues = false
  let end = 0
  for (let match = pattern.exec(line); match !== null; match = pattern.exec(line)) {
    const [whole, quoted, plain, comma] = match
    const isApart = /^\s/.test(whole) || end === 0
    end = pattern.lastIndex
    if (comma !== undefined) continues = true
    else if (quoted !== undefined || plain !== undefined) {
      const word =
        quoted === undefined
          ? { text: plain as string, isQuoted: false }
          : { text: quoted.replaceAll('""', '"'), isQuoted: true }
      const last = fields.at(-1)
      if (continues && last) last.push(word)
      else if (!isApart && last) last[last.length - 1] = joined(last.at(-1) as Word, word)
      else fields.push([word])
      continues = false
    }
  }
  return fields
}

/** `map="a b"`: one word in which only a part is quoted. */
function joined(one: Word, other: Word): Word {
  return { text: one.text + other.text, isQuoted: one.isQuoted && other.isQuoted }
}

function readRule(fields: Word[][], line: number, file: string, sources: HbaSources): HbaRule {
  const [type, databases, users, ...rest] = fields
  const kind = type?.[0]?.text ?? ''
  if (!KINDS.includes(kind)) throw new HbaError(`a rule begins with ${KINDS.join(', ')}, not with "${kind}"`)
  if (!databases || !users) throw new HbaError('a rule names databases and users')
  const isLocal = kind === 'local'
  const from = isLocal ? ANYWHERE : readAddress(rest, sources)
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
    map: mapOf(method, options),
    matches(arrival) {
      if (arrival.isLocal !== isLocal) return false
      if (kind === 'hostssl' && !arrival.isEncrypted) return false
      if (kind === 'hostnossl' && arrival.isEncrypted) return false
      return (isLocal || from(arrival.host)) && isDatabase(arrival) && isUser(arrival)
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

// Addresses

type FromTest = (host: string) => boolean

const ANYWHERE: FromTest = () => true

/** Takes the address, and its mask where that is a field of its own, off the fields. */
function readAddress(fields: Word[][], { ownNetworks }: HbaSources): FromTest {
  const word = fields.shift()?.[0]
  if (word === undefined) throw new HbaError('a rule for hosts names an address')
  const { text } = word
  if (!word.isQuoted) {
    if (text === 'all') return ANYWHERE
    if (text === 'samehost' || text === 'samenet')
      return (host) => {
        const address = parseIp(host)
        return (
          address !== null &&
          ownNetworks().some((network) => {
            const own = parseIp(network.address)
            return own !== null && isWithin(address, own, text === 'samenet' ? network.bits : own.length * 8)
          })
        )
      }
  }
  const [plain = '', length] = text.split('/')
  const network = parseIp(plain)
  if (network === null) throw new HbaError(`"${text}" is no address; host names are not supported`)
  const bits = length === undefined ? maskOf(fields.shift()?.[0]?.text, network) : bitsOf(length, network)
  return (host) => {
    const address = parseIp(host)
    return address !== null && isWithin(address, network, bits)
  }
}

function bitsOf(length: string, network: IpBytes): number {
  const bits = /^\d{1,3}$/.test(length) ? Number(length) : Infinity
  if (bits > network.length * 8) throw new HbaError(`an address has no ${length} bits`)
  return bits
}

function maskOf(text: string | undefined, network: IpBytes): number {
  const mask = text === undefined ? null : parseIp(text)
  const bits = mask === null || mask.length !== network.length ? null : maskBits(mask)
  if (bits === null) throw new HbaError('an address is followed by /bits, or by a mask of its kind')
  return bits
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
