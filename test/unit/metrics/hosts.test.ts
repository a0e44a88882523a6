import { expect, test } from 'vitest'
import { isLoopback, isOurs } from '../../../src/metrics/hosts.ts'

const MACHINE = 'Db1.example.com'

test.each([
  undefined,
  '',
  '127.0.0.1',
  '127.0.0.1:9127',
  '10.0.0.7:9127',
  '[::1]:9127',
  '[::1]',
  'localhost',
  'LOCALHOST:9127',
  'localhost.',
  'pgweir.localhost:9127',
  'db1.example.com:9127',
  'db1',
])('%j is a host name of this machine', (host) => {
  expect(isOurs(host, MACHINE)).toBe(true)
})

test.each([
  'evil.example:9127',
  'example.com',
  'localhost.evil.example',
  '127.0.0.1.evil.example',
  'db1.evil.example',
  '[evil.example]',
  'localhost:80:80',
  ':9127',
])('%j may be the name of another machine', (host) => {
  expect(isOurs(host, MACHINE)).toBe(false)
})

test('loopback addresses are recognized', () => {
  expect(['127.0.0.1', '127.9.9.9', '::1', 'localhost'].every(isLoopback)).toBe(true)
  expect(['*', '0.0.0.0', '::', '10.0.0.1', '127.evil.example', ''].some(isLoopback)).toBe(false)
})
