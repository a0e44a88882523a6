import { expect, test } from 'vitest'
import { type Balance, Hosts } from '../../../src/pool/hosts.ts'

function hostsOf(balance: Balance, ...names: string[]) {
  const hosts = new Hosts(
    names.map((host) => ({ host, port: 5432 })),
    balance,
  )
  return { hosts, next: (nowMs = 0) => hosts.next(nowMs).host }
}

test('round-robin takes them in turn', () => {
  const { next } = hostsOf('round-robin', 'a', 'b', 'c')
  expect([next(), next(), next(), next()]).toEqual(['a', 'b', 'c', 'a'])
})

test('round-robin may begin with another one, disable begins with the first', () => {
  const addresses = ['a', 'b', 'c'].map((host) => ({ host, port: 5432 }))
  const taken = (hosts: Hosts) => [hosts.next(0).host, hosts.next(0).host]
  expect(taken(new Hosts(addresses, 'round-robin', 5))).toEqual(['c', 'a'])
  expect(taken(new Hosts(addresses, 'disable', 5))).toEqual(['a', 'a'])
})

test('one that has failed has no turn for a while, unless it works nonetheless, or all are to be tried', () => {
  const { hosts, next } = hostsOf('round-robin', 'a', 'b', 'c')
  const a = hosts.next(0)
  hosts.failed(a, 100)
  expect([next(), next(), next(99), next(100)]).toEqual(['b', 'c', 'b', 'c'])
  expect(next(100)).toBe('a')
  hosts.failed(a, 200)
  hosts.worked(a)
  expect([next(100), next(100), next(100)]).toEqual(['b', 'c', 'a'])
  hosts.failed(a, 200)
  hosts.forget()
  expect([next(100), next(100), next(100)]).toEqual(['b', 'c', 'a'])
})

test('where all rest, they are taken in turn', () => {
  const { hosts, next } = hostsOf('round-robin', 'a', 'b')
  for (const address of [hosts.next(0), hosts.next(0)]) hosts.failed(address, 100)
  expect([next(), next(), next()]).toEqual(['a', 'b', 'a'])
})

test('disable stays with one until it fails', () => {
  const { hosts, next } = hostsOf('disable', 'a', 'b')
  const a = hosts.next(0)
  expect([next(), next()]).toEqual(['a', 'a'])
  hosts.failed(a, 0)
  // A second server that was being opened at the same time. b has not been tried yet.
  expect(hosts.failed(a, 0)).toBe(true)
  expect([next(), next()]).toEqual(['b', 'b'])
})

test('there is hope until each has failed in a row', () => {
  const { hosts } = hostsOf('round-robin', 'a', 'b', 'c')
  const fail = () => hosts.failed(hosts.next(0), 0)
  expect([fail(), fail(), fail(), fail()]).toEqual([true, true, false, true])
  hosts.worked(hosts.next(0))
  expect([fail(), fail(), fail()]).toEqual([true, true, false])
})

test('of one host the first failure is the last', () => {
  const { hosts } = hostsOf('disable', 'a')
  expect(hosts.failed(hosts.next(0), 0)).toBe(false)
  expect(hosts.balance).toBe(null)
})
