import { expect, test } from 'vitest'
import { type Balance, Hosts } from '../../../src/pool/hosts.ts'

function hostsOf(balance: Balance, ...names: string[]) {
  const hosts = new Hosts(
    names.map((host) => ({ host, port: 5432 })),
    balance,
  )
  return { hosts, next: () => hosts.next().host }
}

test('round-robin takes them in turn', () => {
  const { next } = hostsOf('round-robin', 'a', 'b', 'c')
  expect([next(), next(), next(), next()]).toEqual(['a', 'b', 'c', 'a'])
})

test('disable stays with one until it fails', () => {
  const { hosts, next } = hostsOf('disable', 'a', 'b')
  const a = hosts.next()
  expect([next(), next()]).toEqual(['a', 'a'])
  hosts.failed(a)
  // Another one that was being opened at that time: b has not been tried yet.
  expect(hosts.failed(a)).toBe(true)
  expect([next(), next()]).toEqual(['b', 'b'])
})

test('there is hope until each has failed in a row', () => {
  const { hosts } = hostsOf('round-robin', 'a', 'b', 'c')
  const fail = () => hosts.failed(hosts.next())
  expect([fail(), fail(), fail(), fail()]).toEqual([true, true, false, true])
  hosts.worked()
  expect([fail(), fail(), fail()]).toEqual([true, true, false])
})

test('of one host the first failure is the last', () => {
  const { hosts } = hostsOf('disable', 'a')
  expect(hosts.failed(hosts.next())).toBe(false)
  expect(hosts.balance).toBe(null)
})
