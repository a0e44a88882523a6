import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Pair, parseConnectionString, parseUpstreamUrl } from '../../../src/settings/connection-string.ts'

function read(text: string): Record<string, string> {
  const { pairs, problem } = parseConnectionString(text)
  expect(problem).toBeNull()
  return Object.fromEntries(pairs.map(({ key, value }) => [key, value]))
}

describe('a connection string', () => {
  test('is key=value pairs separated by spaces, with optional spaces around the equals sign', () => {
    expect(read('host=10.0.0.5 port=5432')).toEqual({ host: '10.0.0.5', port: '5432' })
    expect(read('  host = db\tport =  5432  ')).toEqual({ host: 'db', port: '5432' })
    expect(read('')).toEqual({})
  })

  test('may contain anything in single quotes, with a quote written twice', () => {
    expect(read("connect_query='set x = ''a b''' password=''")).toEqual({
      connect_query: "set x = 'a b'",
      password: '',
    })
  })

  test('keeps backslashes, as PgBouncer does, because passwords contain them', () => {
    expect(read(String.raw`password=a\b datestyle='c\'`)).toEqual({ password: String.raw`a\b`, datestyle: 'c\\' })
  })

  test('keeps an equals sign and a quote inside an unquoted value', () => {
    expect(read("password=a=b'c")).toEqual({ password: "a=b'c" })
  })

  test.each([
    ['secret', 'character 1'],
    ['host=db secret', 'character 9'],
    ['=secret', 'character 1'],
    ["'secret'=x", 'character 1'],
    ['host=', 'empty'],
    ["password='secret", 'never closed'],
    ["password='a'secret", 'expected a space'],
  ])('with a mistake is reported by position, without its text: %s', (text, told) => {
    const { problem } = parseConnectionString(text)
    expect(problem).toContain(told)
    expect(problem).not.toContain('secret')
  })

  test('yields the pairs before a mistake', () => {
    expect(parseConnectionString('host=db oops').pairs).toEqual([{ key: 'host', value: 'db' }])
  })

  test('is read back unchanged after quoting, whatever the values', () => {
    const key = fc.stringMatching(/^[a-z_]{1,8}$/)
    const pair = fc.record({ key, value: fc.string() }, { noNullPrototype: true })
    const quoted = ({ key, value }: Pair) => `${key}='${value.replaceAll("'", "''")}'`
    fc.assert(
      fc.property(fc.array(pair), (pairs) => {
        expect(parseConnectionString(pairs.map(quoted).join(' '))).toEqual({ pairs, problem: null })
      }),
    )
  })

  test('never makes the parser throw or hang, whatever the text', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom('a', '=', "'", ' ', '\\') }), (text) => {
        const { pairs, problem } = parseConnectionString(text)
        expect(pairs.length > 0 || problem !== null || text.trim() === '').toBe(true)
      }),
    )
  })
})

describe('an upstream URL', () => {
  const read = (url: string) => {
    const { pairs, problem } = parseUpstreamUrl(url)
    expect(problem).toBeNull()
    return Object.fromEntries(pairs.map(({ key, value }) => [key, value]))
  }

  test('gives host, port, user, password, database and further keys', () => {
    expect(read('postgres://ada:p%40ss%2Fword@db.example:5433/shop?pool_size=5&pool_mode=transaction')).toEqual({
      host: 'db.example',
      port: '5433',
      user: 'ada',
      password: 'p@ss/word',
      dbname: 'shop',
      pool_size: '5',
      pool_mode: 'transaction',
    })
  })

  test('keeps a plus sign and decodes percent-encoded characters', () => {
    expect(read('postgres://db/?timezone=Etc/GMT%2B5&application_name=a+b%20c=d&password=&user=ad%C3%A9')).toEqual({
      host: 'db',
      timezone: 'Etc/GMT+5',
      application_name: 'a+b c=d',
      password: '',
      user: 'adé',
    })
  })

  test('may omit everything after the scheme', () => {
    expect(read('postgresql://')).toEqual({})
    expect(read('postgres://db.example/')).toEqual({ host: 'db.example' })
  })

  test('may have an IPv6 address in brackets, which are not part of the host', () => {
    expect(read('postgres://[::1]:5432/')).toEqual({ host: '::1', port: '5432' })
  })

  test.each([
    'secret',
    'mysql://ada:secret@db/',
    'postgres://ada:secret#1@db/',
    'postgres://secret:123#4@db/',
    'postgres://ada:secret%zz@db/',
    'postgres://ada:secret@db:99999/',
  ])('with a mistake is not repeated in the error: %s', (url) => {
    const { pairs, problem } = parseUpstreamUrl(url)
    expect(pairs).toEqual([])
    expect(problem).toContain('postgres://user:password@host:5432/database')
    expect(problem).not.toContain('secret')
  })
})
