// biome-ignore-all lint/suspicious/noTemplateCurlyInString: this is how a variable is referred to

import { describe, expect, test } from 'vitest'
import { type Arrival, parseHba, ruleFor } from '../../../src/auth/hba.ts'

const FILES: Readonly<Record<string, string>> = {
  '/etc/pgweir/people': 'ada, "bob"\n# nobody \\\nelse\ne\\\nve',
  '/etc/pgweir/loop': '@loop',
}

const SOURCES = {
  readFile(path: string): string {
    const text = FILES[path]
    if (text === undefined) throw new Error('no such file')
    return text
  },
  resolve: (written: string) => (written === '${GONE}' ? { problem: 'refers to ${GONE}' } : { value: written }),
  ownNetworks: () => [
    { address: '192.168.7.5', bits: 24 },
    { address: 'fd00::5', bits: 64 },
  ],
}

function read(text: string) {
  return parseHba(text, '/etc/pgweir/hba.conf', SOURCES)
}

const ADA: Arrival = {
  isLocal: false,
  isEncrypted: false,
  host: '10.1.2.3',
  database: 'app',
  user: 'ada',
  replication: 'none',
}

/** Addresses of host names. A name that is not listed has to be looked up first. */
const HOSTS: Readonly<Record<string, readonly string[]>> = {
  'db.example': ['10.1.2.3', '10.1.2.9'],
  'gone.example': [],
  '.example': ['10.1.2.3'],
}

/** Roles of the users about whom PostgreSQL has been asked. */
const ROLES: Readonly<Record<string, readonly string[]>> = { ada: ['ada', 'staff', 'app'], eve: ['eve'] }

/** Returns the method that the rules give a client that differs from ADA like this; null if no rule fits. */
function verdict(rule: string, differs: Partial<Arrival> = {}): string | null {
  const { rules, problems } = read(rule)
  expect(problems).toEqual([])
  const isAt = (name: string, address: string) =>
    name === 'silent.example' ? 'unanswered' : (HOSTS[name]?.includes(address) ?? null)
  const isMember = ({ user }: Pick<Arrival, 'user'>, role: string) => ROLES[user]?.includes(role) ?? null
  const found = ruleFor(rules, { ...ADA, ...differs }, { isAt, isMember })
  if (found === null) return null
  if (!('asksFor' in found)) return found.method
  return found.asksFor === 'host' ? `asks for ${found.host}` : 'asks for roles'
}

test('if a host name cannot be looked up, a client that may be at that host is refused by a reject rule and matches no other rule', () => {
  const behind = '\nhost all all all trust'
  expect(verdict(`host all all silent.example reject${behind}`)).toBe('reject')
  for (const method of ['md5', 'trust']) expect(verdict(`host all all silent.example ${method}`)).toBe(null)
  expect(verdict(`host all eve silent.example reject${behind}`)).toBe('trust')
})

describe('a rule matches', () => {
  test.each<[string, Partial<Arrival>, boolean]>([
    ['host all all all md5', {}, true],
    ['host all all all md5', { isEncrypted: true }, true],
    ['host all all all md5', { isLocal: true }, false],
    ['local all all md5', { isLocal: true, host: '/tmp/.s.PGSQL.6432' }, true],
    ['local all all md5', {}, false],
    ['hostssl all all all md5', {}, false],
    ['hostssl all all all md5', { isEncrypted: true }, true],
    ['hostnossl all all all md5', {}, true],
    ['hostnossl all all all md5', { isEncrypted: true }, false],
    // Databases
    ['host app all all md5', {}, true],
    ['host app,other all all md5', { database: 'other' }, true],
    ['host app, other all all md5', { database: 'other' }, true],
    ['host other all all md5', {}, false],
    ['host sameuser all all md5', {}, false],
    ['host sameuser all all md5', { database: 'ada' }, true],
    ['host pgbouncer all all md5', { database: 'pgweir', alias: 'pgbouncer' }, true],
    ['host pgweir all all md5', { database: 'pgweir', alias: 'pgbouncer' }, true],
    ['host sameuser pgbouncer all md5', { database: 'pgweir', alias: 'pgbouncer', user: 'pgbouncer' }, true],
    ['host app all all md5', { database: 'pgweir', alias: 'pgbouncer' }, false],
    ['host pgbouncer all all md5', { alias: 'pgbouncer', replication: 'physical' }, false],
    ['host "all" all all md5', {}, false],
    ['host "all" all all md5', { database: 'all' }, true],
    ['host "with space" all all md5', { database: 'with space' }, true],
    ['host "a ""b""" all all md5', { database: 'a "b"' }, true],
    ['host replication all all md5', { database: 'replication' }, false],
    ['host replication all all md5', { replication: 'physical' }, true],
    ['host app,replication all all md5', { database: 'other', replication: 'physical' }, true],
    ['host replication bob all md5', { replication: 'physical' }, false],
    ['host "replication" all all md5', { database: 'replication', replication: 'physical' }, false],
    ['host all all all md5', { replication: 'physical' }, false],
    ['host app all all md5', { replication: 'physical' }, false],
    ['host sameuser all all md5', { database: 'ada', replication: 'physical' }, false],
    ['host replication all all md5', { replication: 'logical' }, false],
    ['host all all all md5', { replication: 'logical' }, true],
    ['host app all all md5', { replication: 'logical' }, true],
    ['host /^app_\\d+$ all all md5', { database: 'app_12' }, true],
    ['host /^app_\\d+$ all all md5', { database: 'app_12x' }, false],
    // A comma in an expression needs quotes, as in the examples of PostgreSQL's documentation.
    ['host db1,"/^app\\d{1,2}$",db2 all all md5', { database: 'app12' }, true],
    ['host db1,"/^app\\d{1,2}$",db2 all all md5', { database: 'app123' }, false],
    ['host /^app.*t$ all all md5', { database: 'app\nt' }, true],
    // Users
    ['host all ada all md5', {}, true],
    ['host all bob,ada all md5', {}, true],
    ['host all bob all md5', {}, false],
    ['host all /a$ all md5', {}, true],
    ['host all @people all md5', {}, true],
    ['host all @people all md5', { user: 'eve' }, true],
    ['host all @/etc/pgweir/people all md5', { user: 'nobody' }, false],
    ['host all +staff all md5', {}, true],
    ['host all +ada all md5', {}, true],
    ['host all +staff all md5', { user: 'eve' }, false],
    ['host all "+staff" all md5', {}, false],
    ['host all "+"staff all md5', {}, false],
    ['host all "+"staff all md5', { user: '+staff' }, true],
    ['host all a"ll" all md5', {}, true],
    ['host all "/^a" all md5', {}, true],
    ['host all bob,+staff all md5', {}, true],
    ['host samerole all all md5', {}, true],
    ['host samegroup all all md5', {}, true],
    ['host samerole all all md5', { database: 'other' }, false],
    ['host samerole all all md5', { replication: 'physical' }, false],
    // Addresses
    ['host all all 10.1.2.3/32 md5', {}, true],
    ['host all all 10.1.2.4/32 md5', {}, false],
    ['host all all 10.1.0.0/16 md5', {}, true],
    ['host all all 10.2.0.0/16 md5', {}, false],
    ['host all all 10.0.0.0/9 md5', { host: '10.128.0.1' }, false],
    ['host all all 10.0.0.0 255.128.0.0 md5', { host: '10.127.0.1' }, true],
    ['host all all 0.0.0.0/0 md5', {}, true],
    ['host all all 0.0.0.0/0 md5', { host: '::1' }, false],
    ['host all all ::/0 md5', { host: 'fe80::1%eth0' }, true],
    ['host all all ::1/128 md5', { host: '::1' }, true],
    ['host all all fd00:1::/32 md5', { host: 'fd00:1:2::3' }, true],
    ['host all all fd00:1::/32 md5', { host: 'fd00:2::3' }, false],
    ['host all all 10.1.0.0/16 md5', { host: '::ffff:10.1.2.3' }, true],
    ['host all all db.example md5', {}, true],
    ['host all all DB.example md5', { host: '10.1.2.9' }, true],
    ['host all all "db.example" md5', {}, true],
    ['host all all db.example md5', { host: '10.1.2.4' }, false],
    ['host all all gone.example md5', {}, false],
    ['host all all .example md5', {}, true],
    ['host all all .example md5', { host: '10.1.2.9' }, false],
    ['host all all samehost md5', { host: '192.168.7.5' }, true],
    ['host all all samehost md5', { host: '192.168.7.6' }, false],
    ['host all all samenet md5', { host: '192.168.7.6' }, true],
    ['host all all samenet md5', { host: 'fd00::77' }, true],
    ['host all all samenet md5', { host: '192.168.8.6' }, false],
  ])('%s, %j: %s', (rule, differs, fits) => {
    expect(verdict(rule, differs)).toBe(fits ? 'md5' : null)
  })
})

test('the first matching rule decides', () => {
  const rules = 'host all eve all reject\nhost all all 10.0.0.0/8 scram-sha-256\nhost all all all trust'
  expect(verdict(rules)).toBe('scram-sha-256')
  expect(verdict(rules, { user: 'eve' })).toBe('reject')
  expect(verdict(rules, { host: '127.0.0.1' })).toBe('trust')
})

test('a rule that names a host waits until the host has been looked up, and so do the rules after it', () => {
  const rules = 'host all all slow.example reject\nhost all all all md5'
  expect(verdict(rules)).toBe('asks for slow.example')
  expect(verdict('host all all .slow.example reject')).toBe('asks for .slow.example')
  // A rule that does not match in any case causes no lookup.
  expect(verdict(`host other all slow.example reject\nhost all eve slow.example reject\nhost all all all md5`)).toBe(
    'md5',
  )
  expect(verdict(`hostssl all all slow.example reject\nhost all all 10.0.0.0/8 trust\n${rules}`)).toBe('trust')
  expect(verdict(rules, { isLocal: true, host: '/tmp/socket' })).toBe(null)
})

test('roles are looked up last, and only if they decide', () => {
  const rules = 'host all +staff all reject\nhost all all all md5'
  expect(verdict(rules, { user: 'unknown' })).toBe('asks for roles')
  expect(verdict('host samerole all all reject', { user: 'unknown' })).toBe('asks for roles')
  expect(verdict('host all eve,+staff,unknown all md5', { user: 'unknown' })).toBe('md5')
  expect(verdict('host other +staff all reject\nhost all all all md5', { user: 'unknown' })).toBe('md5')
  expect(verdict('host all +staff 10.9.9.9/32 reject\nhost all all all md5', { user: 'unknown' })).toBe('md5')
  expect(verdict('host all +staff slow.example reject', { user: 'unknown' })).toBe('asks for slow.example')
  const { rules: read1 } = read('host all +staff all md5\nhost all "+staff" all md5\nhost samerole all all md5')
  expect(read1.map(({ namesRoles }) => namesRoles)).toEqual([true, false, true])
})

test('comments and empty lines are not rules, and a backslash continues a line', () => {
  const { rules, problems } = read('# all\n\n  \nhost all \\\n  all all md5 # everybody\n')
  expect(problems).toEqual([])
  expect(rules.map(({ method }) => method)).toEqual(['md5'])
})

test('a continued line counts from its first line number', () => {
  const { rules, problems } = read('host all a\\\r\nda all\\\n trust\nhost nothing\nlocal all all md5\\')
  expect(rules.map(({ line, method }) => [line, method])).toEqual([
    [1, 'trust'],
    [5, 'md5'],
  ])
  expect(problems.map(({ line }) => line)).toEqual([4])
  expect(verdict('host all a\\\nda all trust')).toBe('trust')
})

test('peer and cert may name a user name map', () => {
  expect(read('local all all peer map=staff').rules[0]?.map).toBe('staff')
  expect(read('hostssl all all all cert map="a b" clientcert=verify-full').rules[0]?.map).toBe('a b')
  expect(read('local all all peer').rules[0]?.map).toBe(null)
})

test('an ldap rule contains its own options', () => {
  const line = 'host all all all ldap ldapserver="a b" ldapprefix="uid=" ldapsuffix=", dc=example, dc=com"'
  expect(read(line).rules[0]?.ldap).toEqual({
    ...{ urls: ['ldap://a:389', 'ldap://b:389'], startsTls: false, authorities: '' },
    how: { kind: 'name', prefix: 'uid=', suffix: ', dc=example, dc=com' },
  })
})

test('a pam rule may name its own service', () => {
  expect(read('host all all all pam pamservice=sshd').rules[0]?.pamService).toBe('sshd')
  expect(read('host all all all pam').rules[0]?.pamService).toBe(null)
})

test.each([
  ['hosts all all all md5', 'a rule must begin with one of local, host, hostssl, hostnossl, not with "hosts"'],
  ['host all', 'a rule needs databases and users'],
  ['host all all', 'a host rule needs an address'],
  ['host all all all', 'a rule needs a method'],
  ['host all all all gss', 'the method "gss" is not supported'],
  ['host all all all pam pamservice=../x', 'pamservice must be the name of a file in /etc/pam.d, not "../x"'],
  ['host all all all pam map=x', 'the option "map=x" is not supported with pam'],
  ['host all all all ldap ldapserver=x', 'ldap needs ldapprefix, ldapsuffix or ldapbasedn'],
  ['host all all all ldap map=x', 'there is no option "map" for ldap'],
  ['host all all all md5 ldapserver=x', 'the option "ldapserver=x" is not supported with md5'],
  ['host,hostssl all all all reject', 'a rule can have only one type'],
  ['host all all 10.0.0.0/8,192.168.0.0/16 reject', 'a rule can have only one address'],
  ['host all all 10.0.0.0 255.0.0.0,255.255.0.0 reject', 'a rule can have only one mask'],
  ['host all all 10.0.0.300 md5', '"10.0.0.300" is neither an address nor a host name'],
  ['host all all db.example/24 md5', '"db.example/24" is neither an address nor a host name'],
  ['host all all -x.example md5', '"-x.example" is neither an address nor a host name'],
  ['host all all . md5', '"." is neither an address nor a host name'],
  ['host all all db..example md5', '"db..example" is neither an address nor a host name'],
  [`host all all ${'x.'.repeat(130)} md5`, 'is neither an address nor a host name'],
  ['host all all 10.0.0.0/8/24 md5', '"/8/24" is not a valid number of bits for this address'],
  ['host all all 10.0.0.0/33 md5', '"/33" is not a valid number of bits for this address'],
  ['host all all 10.0.0.0 md5', 'an address needs /bits, or a mask of the same kind (IPv4 or IPv6)'],
  ['host all all 10.0.0.0 255.0.255.0 md5', 'an address needs /bits, or a mask of the same kind (IPv4 or IPv6)'],
  ['host all samerole all md5', '"samerole" is not a user'],
  ['host +staff all all md5', '"+staff" is not a database'],
  ['host all @nowhere all md5', '"@nowhere" cannot be read: no such file'],
  ['host all @loop all md5', '"@loop" includes itself'],
  ['host /( all all md5', '"/(" is not a valid regular expression'],
  ['host all all all peer', 'the method peer works only in local rules'],
  ['hostnossl all all all cert', 'the method cert works only in hostssl rules'],
  ['local all all cert', 'the method cert works only in hostssl rules'],
  ['host all all all md5 map=x', 'the option "map=x" is not supported with md5'],
])('%s is an error', (rule, sentence) => {
  const { problems } = read(`# first\n${rule}`)
  expect(problems).toEqual([{ file: '/etc/pgweir/hba.conf', line: 2, sentence: expect.stringContaining(sentence) }])
})
