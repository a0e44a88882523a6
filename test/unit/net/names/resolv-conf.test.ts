import { describe, expect, test } from 'vitest'
import { candidates } from '../../../../src/net/names/look-up.ts'
import { parseHosts, parseResolvConf } from '../../../../src/net/names/resolv-conf.ts'

describe('resolv.conf', () => {
  test('gives name servers, search domains and options', () => {
    const text = `# comment
nameserver 10.0.0.2
nameserver fd00::2   ; the other
nameserver 127.0.0.1:5353
nameserver nonsense
search example.com. svc.cluster.local
options ndots:5 timeout:2 attempts:3 rotate
`
    expect(parseResolvConf(text)).toEqual({
      servers: ['10.0.0.2', 'fd00::2', '127.0.0.1:5353'],
      search: ['example.com', 'svc.cluster.local'],
      ...{ ndots: 5, timeoutMs: 2_000, attempts: 3 },
    })
  })

  test('has the system’s defaults for what it does not set', () => {
    expect(parseResolvConf('domain example.com')).toEqual({
      ...{ servers: [], search: ['example.com'], ndots: 1, timeoutMs: 5_000, attempts: 2 },
    })
  })
})

test('/etc/hosts maps names in any letter case to addresses', () => {
  expect(parseHosts('127.0.0.1 localhost Local # me\n::1 localhost\nnonsense db\n')).toEqual(
    new Map([
      ['localhost', ['127.0.0.1', '::1']],
      ['local', ['127.0.0.1']],
    ]),
  )
})

test('addresses in /etc/hosts are written as the system shows them for connections', () => {
  const text = 'FD00:0:0::1 db\nfe80:0::1%eth0 link\n::FFFF:10.0.0.1 mapped\n'
  expect(parseHosts(text)).toEqual(
    new Map([
      ['db', ['fd00::1']],
      ['link', ['fe80::1%eth0']],
      ['mapped', ['::ffff:10.0.0.1']],
    ]),
  )
})

for (const [host, ndots, expected] of [
  ['db', 1, ['db.one', 'db.two', 'db']],
  ['db.example', 1, ['db.example', 'db.example.one', 'db.example.two']],
  ['db.example', 5, ['db.example.one', 'db.example.two', 'db.example']],
  ['db.', 1, ['db.']],
] as const)
  test(`${host} with ndots:${ndots} is looked up as ${expected.join(', ')}`, () => {
    expect(candidates(host, ['one', 'two'], ndots)).toEqual(expected)
  })
