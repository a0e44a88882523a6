import { expect, test } from 'vitest'
import { cipherList, protocols } from '../../../src/settings/tls.ts'

test.each([
  ['secure', 'TLSv1.2', 'TLSv1.3'],
  ['default', 'TLSv1.2', 'TLSv1.3'],
  ['all', 'TLSv1', 'TLSv1.3'],
  ['legacy', 'TLSv1', 'TLSv1.3'],
  ['tlsv1', 'TLSv1', 'TLSv1.3'],
  ['tlsv1.3', 'TLSv1.3', 'TLSv1.3'],
  ['tlsv1.3,tlsv1.2', 'TLSv1.2', 'TLSv1.3'],
  ['TLSv1.0 tlsv1.1', 'TLSv1', 'TLSv1.1'],
  ['secure:tlsv1.1', 'TLSv1.1', 'TLSv1.3'],
  ['all:!tlsv1.0', 'TLSv1.1', 'TLSv1.3'],
  ['tlsv1,!tlsv1.0,!tlsv1.1', 'TLSv1.2', 'TLSv1.3'],
  ['!tlsv1.0:!tlsv1.1', 'TLSv1.2', 'TLSv1.3'],
])('the protocols %s range from %s to %s', (text, min, max) => {
  const parsed = protocols.parse(text)
  expect(parsed).toEqual({ value: { min, max, written: text } })
  if ('value' in parsed) expect(protocols.print(parsed.value), 'print() must return the text as written').toBe(text)
})

test.each(['', 'sslv3', '!sslv3', 'tlsv1.1,tlsv1.3', 'all:!tlsv1.1', 'secure:!tlsv1', '!', 'tlsv1.4'])(
  'the protocols %j are refused',
  (text) => {
    expect(protocols.parse(text)).toHaveProperty('problem')
  },
)

test('a list of ciphers may be a word of PgBouncer’s or an OpenSSL list; TLS 1.3 ciphers come first', () => {
  expect(cipherList('default', '')).toBe(undefined)
  expect(cipherList('HIGH:!aNULL', '')).toBe('HIGH:!aNULL')
  expect(cipherList('compat', '')).toContain('3DES')
  for (const all of ['all', 'ALL', 'insecure']) expect(cipherList(all, '')).toBe('ALL:!aNULL:!eNULL')
  expect(cipherList('Secure', '')).toBe(undefined)
  expect(cipherList('HIGH', 'TLS_AES_256_GCM_SHA384')).toBe('TLS_AES_256_GCM_SHA384:HIGH')
  expect(cipherList('default', 'TLS_AES_256_GCM_SHA384')).toMatch(/^TLS_AES_256_GCM_SHA384:/)
})
