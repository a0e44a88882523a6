import { expect, test } from 'vitest'
import { type Balance, Hosts } from '../../../src/pool/hosts.ts'

function hostsOf(balance: Balance, ...names: string[]) {
  const hosts = new Hosts(
    names.map((host) => ({ host, port: 5432 })),
    balance,
  )
  return { hosts, next: (nowMs = 0) => hosts.next(nowMs).host }
}

test('round-robin uses the hosts in turn', () => {
  const { next } = hostsOf('round-robin', 'a', 'b', 'c')
  expect([next(), next(), next(), next()]).toEqual(['a', 'b', 'c', 'a'])
})

test('round-robin can start with any host, disable starts with the first', () => {
  const addresses = ['a', 'b', 'c'].map((host) => ({ host, port: 5432 }))
  const taken = (hosts: Hosts) => [hosts.next(0).host, hosts.next(0).host]
  expect(taken(new Hosts(addresses, 'round-robin', 5))).toEqual(['c', 'a'])
  expect(taken(new Hosts(addresses, 'disable', 5))).toEqual(['a', 'a'])
})

test('a host that has failed is skipped for a while, unless a login there succeeds or all failures are forgotten', () => {
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

test('if all hosts have failed recently, they are used in turn', () => {
  const { hosts, next } = hostsOf('round-robin', 'a', 'b')
  for (const address of [hosts.next(0), hosts.next(0)]) hosts.failed(address, 100)
  expect([next(), next(), next()]).toEqual(['a', 'b', 'a'])
})

test('disable stays with one host until it fails', () => {
  const { hosts, next } = hostsOf('disable', 'a', 'b')
  const a = hosts.next(0)
  expect([next(), next()]).toEqual(['a', 'a'])
  hosts.failed(a, 0)
  // A second server that was being opened at the same time. b has not been tried yet.
  expect(hosts.failed(a, 0)).toBe(true)
  expect([next(), next()]).toEqual(['b', 'b'])
})

test('failed() reports that another host may work until every host has failed in a row', () => {
  const { hosts } = hostsOf('round-robin', 'a', 'b', 'c')
  const fail = () => hosts.failed(hosts.next(0), 0)
  expect([fail(), fail(), fail(), fail()]).toEqual([true, true, false, true])
  hosts.worked(hosts.next(0))
  expect([fail(), fail(), fail()]).toEqual([true, true, false])
})

test('with a single host, its first failure is already the last', () => {
  const { hosts } = hostsOf('disable', 'a')
  expect(hosts.failed(hosts.next(0), 0)).toBe(false)
  expect(hosts.balance).toBe(null)
})
