// biome-ignore-all lint/suspicious/noTemplateCurlyInString: this is how a variable is referred to

import { describe, expect, test } from 'vitest'
import { filterFor, nameFor, readLdapOptions, splitLdapOptions, withoutSecret } from '../../../src/auth/ldap.ts'

const resolve = (written: string, isSecret: boolean) => {
  if (written === '${GONE}') return { problem: 'refers to ${GONE}, which is not set in the environment' }
  return { value: written === 'file:x' && isSecret ? 'from a file' : written }
}

function readFile(path: string): string {
  if (path === 'gone') throw new Error('no such file')
  return `of ${path}`
}

const read = (text: string) => readLdapOptions(splitLdapOptions(text), { resolve, readFile })

/** From PostgreSQL’s manual. */
const BY_NAME = 'ldapserver=ldap.example.net ldapprefix="cn=" ldapsuffix=", dc=example, dc=net"'
const BY_SEARCH = 'ldapserver=ldap.example.net ldapbasedn="dc=example, dc=net" ldapsearchattribute=uid'

test('ldapprefix and ldapsuffix make the DN of the entry', () => {
  expect(read(BY_NAME)).toEqual({
    ...{ urls: ['ldap://ldap.example.net:389'], startsTls: false, authorities: '' },
    how: { kind: 'name', prefix: 'cn=', suffix: ', dc=example, dc=net' },
  })
})

test('ldapbasedn makes a search for the entry', () => {
  const search = { kind: 'search', base: 'dc=example, dc=net', scope: 'sub', filter: '(uid=$username)' }
  expect(read(BY_SEARCH).how).toEqual({ ...search, asWhom: '', password: '' })
  const bound = read(`ldapserver=a ldapbasedn="dc=example, dc=net" ldapbinddn=cn=admin,dc=x ldapbindpasswd=file:x`)
  expect(bound.how).toEqual({ ...search, asWhom: 'cn=admin,dc=x', password: 'from a file' })
  const filter = read(
    `${BY_SEARCH.replace('ldapsearchattribute=uid', 'ldapsearchfilter="|(uid=$username)(mail=$username)"')}`,
  )
  expect(filter.how).toMatchObject({ filter: '(|(uid=$username)(mail=$username))' })
})

test('servers may be a list, with port, scheme, StartTLS and certificate authorities', () => {
  const urls = (text: string) => read(`${text} ldapprefix="" ldapsuffix=@example.net`).urls
  expect(urls('ldapserver="a, b c"')).toEqual(['ldap://a:389', 'ldap://b:389', 'ldap://c:389'])
  expect(urls('ldapserver=a ldapport=1389')).toEqual(['ldap://a:1389'])
  expect(urls('ldapserver=a ldapscheme=ldaps')).toEqual(['ldaps://a:636'])
  expect(urls('ldapserver=fd00::1')).toEqual(['ldap://[fd00::1]:389'])
  expect(read(`${BY_NAME} ldaptls=1 ldapcafile=/etc/ca.pem`)).toMatchObject({
    startsTls: true,
    authorities: 'of /etc/ca.pem',
  })
})

test('ldapurl sets everything in one URL, and other options add to it', () => {
  expect(read('ldapurl="ldaps://h:1636/dc=example,dc=net??one?(mail=$username)"')).toEqual({
    ...{ urls: ['ldaps://h:1636'], startsTls: false, authorities: '' },
    how: expect.objectContaining({ base: 'dc=example,dc=net', scope: 'one', filter: '(mail=$username)' }),
  })
  expect(read('ldapurl=ldap://h/dc=x?cn ldapbinddn=cn=a ldapbindpasswd=b')).toMatchObject({
    urls: ['ldap://h:389'],
    how: { filter: '(cn=$username)', scope: 'base', asWhom: 'cn=a', password: 'b' },
  })
  expect(read('ldapurl=ldap://[::1]/dc=a%20b??sub').urls).toEqual(['ldap://[::1]:389'])
  expect(read('ldapurl=ldap://h/dc=a%20b??sub').how).toMatchObject({ base: 'dc=a b', scope: 'sub' })
})

test.each([
  ['ldapserver=a ldapprefix=x ldapcafile=gone', 'ldapcafile cannot be read: no such file'],
  ['ldapserver=a', 'ldap needs ldapprefix, ldapsuffix or ldapbasedn'],
  ['ldapprefix=a', 'ldap needs ldapserver or ldapurl'],
  ['ldapserver="a/b" ldapprefix=x', 'ldapserver: "a/b" is not a valid host'],
  ['ldapserver="u@a" ldapprefix=x', 'ldapserver: "u@a" is not a valid host'],
  ['ldapserver=a ldapport=x ldapprefix=a', 'ldapport must be a number from 1 to 65535'],
  ['ldapserver=a ldapscheme=http ldapprefix=a', 'ldapscheme must be ldap or ldaps'],
  ['ldapserver=a ldaptls=yes ldapprefix=a', 'ldaptls must be 0 or 1'],
  [
    'ldapserver=a ldaptls=1 ldapscheme=ldaps ldapprefix=a',
    'ldaptls cannot be used with ldaps, which uses TLS from the start',
  ],
  ['ldapserver=a ldapprefix=a ldapbasedn=b', 'ldapprefix cannot be used together with ldapbasedn'],
  ['ldapserver=a ldapsuffix=a ldapbinddn=b', 'ldapsuffix cannot be used together with ldapbinddn'],
  [
    'ldapserver=a ldapbasedn=b ldapsearchattribute=c ldapsearchfilter=d',
    'ldapsearchattribute cannot be used together with ldapsearchfilter',
  ],
  ['ldapserver=a ldapbasedn=b ldapbinddn=c', 'ldapbinddn and ldapbindpasswd must be set together'],
  [
    'ldapserver=a ldapbasedn=b ldapbinddn=c ldapbindpasswd=${GONE}',
    'ldapbindpasswd refers to ${GONE}, which is not set',
  ],
  ['ldapserver', 'the option ldapserver needs a value'],
  ['ldapservr=a', 'there is no option "ldapservr" for ldap'],
  ['ldapbindpasswd=my hunter2', 'there is no option that follows ldapbindpasswd for ldap'],
  ['ldapurl=http://h/dc=x', 'ldapurl must have the form'],
  ['ldapurl=ldap://h/dc=%zz', 'ldapurl has a % that is not followed by two hexadecimal digits'],
  ['ldapurl=ldap://h/dc=x?cn??(mail=a)', 'ldapsearchattribute cannot be used together with ldapsearchfilter'],
  ['ldapurl=ldap://h/dc=x??all', 'ldapscope must be base, one or sub'],
])('%s is an error', (text, sentence) => {
  expect(() => read(text)).toThrow(sentence)
})

describe('a user name is escaped:', () => {
  const search = { kind: 'search', base: '', scope: 'sub', asWhom: '', password: '' } as const

  test.each([
    ['ada', '(|(uid=ada)(mail=ada))'],
    ['*', '(|(uid=\\2a)(mail=\\2a))'],
    ['a)(uid=*', '(|(uid=a\\29\\28uid=\\2a)(mail=a\\29\\28uid=\\2a))'],
    ['a\\2a', '(|(uid=a\\5c2a)(mail=a\\5c2a))'],
    ['jürgen $& $1', '(|(uid=jürgen $& $1)(mail=jürgen $& $1))'],
  ])('in a filter: %s', (user, filter) => {
    expect(filterFor({ ...search, filter: '(|(uid=$username)(mail=$username))' }, user)).toBe(filter)
  })

  test.each([
    ['ada', 'uid=ada,dc=x'],
    ['ada,ou=admins', 'uid=ada\\2cou\\3dadmins,dc=x'],
    [' #a+b"<>;\\ ', 'uid=\\20#a\\2bb\\22\\3c\\3e\\3b\\5c\\20,dc=x'],
    ['#a', 'uid=\\23a,dc=x'],
  ])('in the name of an entry: %s', (user, name) => {
    expect(nameFor({ kind: 'name', prefix: 'uid=', suffix: ',dc=x' }, user)).toBe(name)
  })

  test('in a name that is not a DN nothing is escaped', () => {
    expect(nameFor({ kind: 'name', prefix: '', suffix: '@example.net' }, 'ada+x')).toBe('ada+x@example.net')
    expect(nameFor({ kind: 'name', prefix: 'EXAMPLE\\', suffix: '' }, 'ada')).toBe('EXAMPLE\\ada')
  })
})

test.each([
  [BY_NAME, 'ldapserver=ldap.example.net ldapprefix=cn= ldapsuffix=", dc=example, dc=net"'],
  ['ldapbindpasswd=hunter2 ldapserver=a', 'ldapbindpasswd=**** ldapserver=a'],
  ['ldapbindpasswd="hunter 2" ldaptls=1', 'ldapbindpasswd=**** ldaptls=1'],
  ['ldapbindpasswd=my"hunter 2" ldaptls=1', 'ldapbindpasswd=**** ldaptls=1'],
  ['ldapbindpasswd=my hunter2 "x=hunter2"', 'ldapbindpasswd=****'],
  ['ldapbindpasswd="hunter2', 'ldapbindpasswd=****'],
  ['', ''],
])('%s is shown as %s', (text, shown) => {
  expect(withoutSecret(text)).toBe(shown)
})
