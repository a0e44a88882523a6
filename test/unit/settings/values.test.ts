import { homedir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  boolean,
  bytes,
  fileMode,
  host,
  integer,
  list,
  milliseconds,
  oneOf,
  override,
  path,
  socketDirectory,
  time,
} from '../../../src/settings/values.ts'

const refused = { problem: expect.any(String) }

describe('times', () => {
  test.each([
    ['5', 5000],
    ['0', 0],
    ['0.5', 500],
    ['.5', 500],
    ['2.3', 2300],
    ['3600', 3_600_000],
    ['300ms', 300],
    ['1500us', 1.5],
    ['10s', 10_000],
    ['5min', 300_000],
    ['5 min', 300_000],
    ['1h', 3_600_000],
    ['1.5h', 5_400_000],
    ['2d', 172_800_000],
    ['2147483647', 2_147_483_647_000],
  ])('%s is %d ms', (written, ms) => {
    expect(time().parse(written)).toEqual({ value: ms })
  })

  test.each(['', '-1', '5m', '5 minutes', '1e3', 'infinity', '0x10', '1,5', 'ms', '2147483648', '99999999999999999'])(
    '%j is refused, not guessed',
    (written) => {
      expect(time().parse(written)).toEqual(refused)
    },
  )

  test('are printed in seconds, as PgBouncer prints them', () => {
    expect([3_600_000, 500, 0, 1.5].map(time().print)).toEqual(['3600', '0.5', '0', '0.0015'])
  })

  test('are read back unchanged after printing', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 10_000_000_000 }), (us) => {
        expect(time().parse(time().print(us / 1000))).toEqual({ value: us / 1000 })
      }),
    )
  })

  test('out of bounds are refused with the bound', () => {
    expect(time({ min: 1000 }).parse('500ms')).toEqual({ problem: expect.stringContaining('at least 1s') })
  })
})

describe('times in milliseconds', () => {
  test('are milliseconds without a unit, and printed as such', () => {
    for (const [written, ms] of [
      ['300', 300],
      ['300ms', 300],
      ['5s', 5_000],
      ['1.5 s', 1_500],
      ['1min', 60_000],
      ['0', 0],
      ['2147483647', 2_147_483_647],
    ] as const)
      expect(milliseconds().parse(written), written).toEqual({ value: ms })
    expect(milliseconds().print(5_000)).toBe('5000')
  })

  test('are whole numbers up to the kernel’s limit', () => {
    for (const written of ['-1', '1.5', '300us', '2147483648', '30d', '5m', '', 'ms'])
      expect(milliseconds().parse(written), written).toEqual(refused)
  })
})

describe('whole numbers', () => {
  test('are decimal; octal and hexadecimal notation, which PgBouncer accepts, is refused', () => {
    expect(integer().parse('20')).toEqual({ value: 20 })
    for (const written of ['010', '0x10', '1.5', '', '20abc', '+1', '2147483648'])
      expect(integer().parse(written), written).toEqual(refused)
  })

  test('out of bounds are refused with the bounds', () => {
    const port = integer({ min: 1, max: 65_535 })
    expect(port.parse('65535')).toEqual({ value: 65_535 })
    expect(port.parse('65536')).toEqual({ problem: 'it must be a whole number from 1 to 65535' })
    expect(port.parse('0')).toEqual(refused)
    expect(integer().parse('-1')).toEqual(refused)
  })
})

test('booleans have four words for yes and four for no, in any letter case', () => {
  for (const word of ['1', 'on', 'YES', 'True']) expect(boolean.parse(word), word).toEqual({ value: true })
  for (const word of ['0', 'off', 'No', 'false']) expect(boolean.parse(word), word).toEqual({ value: false })
  for (const word of ['2', '', 'y']) expect(boolean.parse(word), word).toEqual(refused)
  expect([true, false].map(boolean.print)).toEqual(['1', '0'])
})

test('sizes in bytes may have a unit', () => {
  expect(bytes().parse('65536')).toEqual({ value: 65_536 })
  expect(bytes().parse('64kB')).toEqual({ value: 65_536 })
  expect(bytes().parse('16 MB')).toEqual({ value: 16 * 1024 ** 2 })
  expect(bytes().parse('2GB')).toEqual(refused)
  expect(bytes().parse('1TB')).toEqual(refused)
})

test('lists are separated by commas, spaces or both', () => {
  expect(list.parse('ada, bob carol,,dan')).toEqual({ value: ['ada', 'bob', 'carol', 'dan'] })
  expect(list.parse('')).toEqual({ value: [] })
  expect(list.print(['ada', 'bob'])).toBe('ada, bob')
})

test('a path may start with the home directory (~) and otherwise stays as written', () => {
  expect(path.parse('~/users.txt')).toEqual({ value: `${homedir()}/users.txt` })
  expect(path.parse('etc/users.txt')).toEqual({ value: 'etc/users.txt' })
})

test('a word is accepted in any letter case, and a word known elsewhere is refused with the reason', () => {
  const type = oneOf(['md5', 'trust'], { ldap: 'it is elsewhere' })
  expect(type.parse('MD5')).toEqual({ value: 'md5' })
  expect(type.parse('ldap')).toEqual({ problem: 'it is elsewhere; use one of md5, trust' })
  expect(type.parse('foo')).toEqual({ problem: 'it must be one of md5, trust' })
})

test('a host is a name, an address, a unix socket, or a list of names', () => {
  expect(host.parse('db.example')).toEqual({ value: 'db.example' })
  expect(host.parse('a,b')).toEqual({ value: 'a,b' })
  for (const broken of ['a,', ',a', 'a,,b']) expect(host.parse(broken)).toHaveProperty('problem')
  for (const broken of ['[::1]', 'a, [::1]'])
    expect(host.parse(broken)).toEqual({ problem: expect.stringContaining('without brackets') })
  for (const socket of ['/run/postgresql', '/run/[test]', '@abstract', '@[a]', ''])
    expect(host.parse(socket)).toEqual({ value: socket })
})

test('file permissions are octal digits', () => {
  expect(fileMode.parse('0777')).toEqual({ value: 0o777 })
  expect(fileMode.parse('620')).toEqual({ value: 0o620 })
  for (const text of ['', '8', '1777', 'rw', '-1']) expect(fileMode.parse(text)).toHaveProperty('problem')
  expect(fileMode.print(0o20)).toBe('0020')
})

test('a socket directory is an absolute path, an abstract name, or empty', () => {
  expect(socketDirectory.parse('/tmp/')).toEqual({ value: '/tmp' })
  expect(socketDirectory.parse('sockets')).toEqual({ value: join(process.cwd(), 'sockets') })
  expect(socketDirectory.parse('@pgweir')).toEqual({ value: '@pgweir' })
  expect(socketDirectory.parse('')).toEqual({ value: '' })
})

test('a negative number means the general setting, and so does 0 for the settings where PgBouncer treats it that way', () => {
  expect(override(integer(), 'zero is a value').parse('-1')).toEqual({ value: null })
  expect(override(integer(), 'zero is a value').parse('0')).toEqual({ value: 0 })
  expect(override(time(), 'zero means general').parse('0')).toEqual({ value: null })
  expect(override(time(), 'zero means general').parse('2s')).toEqual({ value: 2000 })
  expect(override(time(), 'zero means general').parse('soon')).toEqual(refused)
})

test.each([
  [time(), '2147483648', '2147483647 seconds'],
  [time({ min: 1000 }), '30000d', '2147483647 seconds'],
  [milliseconds(), '25d', '2147483647 milliseconds'],
  [bytes(), '2GB', '2147483647 bytes'],
  [integer(), '3000000000', '2147483647'],
  [integer(), '9'.repeat(400), '2147483647'],
  [time(), '9'.repeat(20), '2147483647 seconds'],
  [bytes(), '99999999999999999999', '2147483647 bytes'],
])(
  'a number that is too large for any setting is refused with the general maximum (case %#)',
  (type, written, most) => {
    expect(type.parse(written)).toEqual({ problem: `it must be at most ${most}` })
  },
)

test.each([
  [time({ max: 60_000 }), '3000000000', '60s'],
  [bytes({ max: 1024 }), '2GB', '1024'],
  [integer({ max: 9 }), '9'.repeat(20), '9'],
])(
  'a number that is too large for its setting is refused with the setting’s maximum (case %#)',
  (type, written, most) => {
    expect(type.parse(written)).toEqual({ problem: expect.stringMatching(`from 0 to ${most}$`) })
  },
)
