import { expect, test } from 'vitest'
import { readLdapOptions, splitLdapOptions } from '../../../src/auth/ldap.ts'
import { InvariantError } from '../../../src/base/invariant.ts'
import { Directory } from '../../../src/net/directory.ts'
import { type DialLdap, isOneMessage, LdapRefusal } from '../../../src/net/ldap-connection.ts'
import { takeInvariantFailures } from '../../support/every-file.ts'

/** `servers` says what each server does, by its URL; `asked` lists what the servers were asked. */
function setUp(text: string, servers: Record<string, Partial<Awaited<ReturnType<DialLdap>>> | Error>) {
  const asked: string[] = []
  const troubles: string[] = []
  let open = 0
  let most = 0
  const dial: DialLdap = async (url) => {
    asked.push(url)
    const server = servers[url]
    if (server instanceof Error || server === undefined) throw server ?? new Error('nobody is there')
    open++
    most = Math.max(most, open)
    return {
      bind: async (name, password) => {
        asked.push(`bind ${name}`)
        return password === 'right'
      },
      search: async () => [],
      ...server,
      close: () => {
        open--
      },
    }
  }
  const options = readLdapOptions(splitLdapOptions(text), { resolve: (value) => ({ value }), readFile: () => '' })
  const directory = new Directory({ dial, onTrouble: (sentence) => troubles.push(sentence) })
  const isRight = (user: string, password: string, isWanted = () => true) =>
    directory.isRight(options, user, password, '', isWanted)
  return { asked, troubles, isRight, open: () => open, most: () => most }
}

const BY_NAME = 'ldapprefix="uid=" ldapsuffix=",dc=x"'

test('a password is right if the server accepts it for the DN of the user’s entry', async () => {
  const rig = setUp(`ldapserver=a ${BY_NAME}`, { 'ldap://a:389': {} })
  expect(await rig.isRight('ada', 'right')).toBe(true)
  expect(await rig.isRight('ada', 'wrong')).toBe(false)
  expect(rig.asked).toEqual(['ldap://a:389', 'bind uid=ada,dc=x', 'ldap://a:389', 'bind uid=ada,dc=x'])
  expect(rig.troubles).toEqual([])
  expect(rig.open()).toBe(0)
})

test('an empty password is never sent, because a server would accept it as an anonymous login', () => {
  const rig = setUp(`ldapserver=a ${BY_NAME}`, { 'ldap://a:389': { bind: async () => true } })
  expect(() => rig.isRight('ada', '')).toThrow(InvariantError)
  expect(rig.asked).toEqual([])
  expect(takeInvariantFailures()).toHaveLength(1)
})

test('a server that is down is logged, the next one is asked, and that one is asked first from then on', async () => {
  const rig = setUp(`ldapserver="a b c" ${BY_NAME}`, { 'ldap://b:389': {}, 'ldap://c:389': {} })
  expect(await rig.isRight('ada', 'right')).toBe(true)
  expect(rig.troubles).toEqual(['the LDAP server ldap://a:389 could not verify a password: nobody is there'])
  expect(await rig.isRight('ada', 'wrong')).toBe(false)
  expect(rig.asked.filter((what) => what.startsWith('ldap'))).toEqual(['ldap://a:389', 'ldap://b:389', 'ldap://b:389'])
})

test('no login succeeds if no server answers, and a refusal is not tried again on another server', async () => {
  const down = setUp(`ldapserver="a b" ${BY_NAME}`, {})
  expect(await down.isRight('ada', 'right')).toBe(false)
  expect(down.troubles).toHaveLength(2)
  const refusing = { bind: async () => Promise.reject(new LdapRefusal('not like this')) }
  const rig = setUp(`ldapserver="a b" ${BY_NAME}`, { 'ldap://a:389': refusing, 'ldap://b:389': {} })
  expect(await rig.isRight('ada', 'right')).toBe(false)
  expect(rig.troubles).toEqual(['the LDAP server ldap://a:389 could not verify a password: not like this'])
  expect(rig.open()).toBe(0)
})

const BY_SEARCH = 'ldapserver=a ldapbasedn=dc=x ldapbinddn=cn=searcher ldapbindpasswd=right'

test('a search must find exactly one entry', async () => {
  const found = (names: string[]) => ({ 'ldap://a:389': { search: async () => names } })
  const one = setUp(BY_SEARCH, found(['uid=ada,dc=x']))
  expect(await one.isRight('ada', 'right')).toBe(true)
  expect(await one.isRight('ada', 'wrong')).toBe(false)
  expect(one.asked.slice(0, 3)).toEqual(['ldap://a:389', 'bind cn=searcher', 'bind uid=ada,dc=x'])
  for (const names of [[], ['']]) expect(await setUp(BY_SEARCH, found(names)).isRight('ada', 'right')).toBe(false)
  const two = setUp(BY_SEARCH, found(['uid=ada,dc=x', 'uid=ada,dc=y']))
  expect(await two.isRight('ada', 'right')).toBe(false)
  expect(two.troubles).toEqual([expect.stringContaining('there is more than one entry for user "ada"')])
  const locked = setUp(BY_SEARCH.replace('passwd=right', 'passwd=wrong'), found(['uid=ada,dc=x']))
  expect(await locked.isRight('ada', 'right')).toBe(false)
  expect(locked.troubles).toEqual([expect.stringContaining('cn=searcher cannot log in')])
})

test('at most 20 questions are asked at once, and none for clients that have left meanwhile', async () => {
  const answers: (() => void)[] = []
  const slow = { bind: () => new Promise<boolean>((resolve) => answers.push(() => resolve(true))) }
  const rig = setUp(`ldapserver=a ${BY_NAME}`, { 'ldap://a:389': slow })
  let isHere = true
  const all = Array.from({ length: 25 }, (_, index) => rig.isRight('ada', 'right', () => isHere || index === 24))
  await new Promise((resolve) => setImmediate(resolve))
  expect(rig.most()).toBe(20)
  isHere = false
  while (answers.length > 0) {
    answers.shift()?.()
    await new Promise((resolve) => setImmediate(resolve))
  }
  expect((await Promise.all(all)).filter(Boolean)).toHaveLength(21)
  expect(rig.asked.filter((what) => what === 'ldap://a:389')).toHaveLength(21)
})

test('an unencrypted answer before TLS must be exactly one message', () => {
  const answer = Buffer.from('300c02010178070a010004000400', 'hex')
  expect(isOneMessage(answer)).toBe(true)
  expect(isOneMessage(Buffer.concat([answer, Buffer.from([0x30])]))).toBe(false)
  expect(isOneMessage(answer.subarray(0, 9))).toBe(false)
  expect(isOneMessage(Buffer.concat([Buffer.from('30810c', 'hex'), answer.subarray(2)]))).toBe(true)
  for (const bytes of ['', '30', '3080', '308901', '310c']) expect(isOneMessage(Buffer.from(bytes, 'hex'))).toBe(false)
})
