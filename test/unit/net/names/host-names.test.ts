import { expect, test } from 'vitest'
import { ManualClock } from '../../../../src/base/clock.ts'
import { HostNames } from '../../../../src/net/names/host-names.ts'
import type { Answer } from '../../../../src/net/names/names.ts'

const AGES = { maxAgeMs: () => 15_000, maxFailureAgeMs: () => 15_000 }

/** A service that answers from tables; `asked` lists what it was asked. */
function setUp(forward: Record<string, string[]>, reverse: Record<string, string[]> = {}) {
  const clock = new ManualClock()
  const asked: string[] = []
  const failed: string[] = []
  const answer = (table: Record<string, string[]>, key: string): Promise<string[]> => {
    asked.push(key)
    const found = table[key]
    if (found?.[0]?.startsWith('E')) return Promise.reject(Object.assign(new Error('no'), { code: found[0] }))
    return found ? Promise.resolve(found) : Promise.reject(Object.assign(new Error('no'), { code: 'ENOTFOUND' }))
  }
  const service = {
    lookUp: async (name: string) => ({ addresses: await answer(forward, name), lifetimeMs: null }),
    namesOf: (address: string) => answer(reverse, address),
  }
  const hosts = new HostNames({ ...AGES, clock, service, onFailed: (...words) => failed.push(words.join(' ')) })
  return { clock, asked, failed, hosts, forward, reverse }
}

async function isAt({ hosts }: { hosts: HostNames }, name: string, address: string) {
  if (hosts.isAt(name, address) === null) await hosts.ask(name, address)
  return hosts.isAt(name, address)
}

test('a name matches the addresses it resolves to, IPv4 and IPv6', async () => {
  const rig = setUp({ 'db.example': ['10.0.0.1', 'fd00::1'] })
  expect(rig.hosts.isAt('db.example', '10.0.0.1')).toBe(null)
  expect(await isAt(rig, 'db.example', '10.0.0.1')).toBe(true)
  expect(await isAt(rig, 'db.example', '::ffff:10.0.0.1')).toBe(true)
  expect(await isAt(rig, 'db.example', 'fd00:0:0::1%eth0')).toBe(true)
  expect(await isAt(rig, 'db.example', '10.0.0.2')).toBe(false)
  expect(await isAt(rig, 'other.example', '10.0.0.1')).toBe(false)
  expect(rig.asked).toEqual(['db.example', 'other.example'])
})

test('a name in a domain matches only if it resolves back to the address', async () => {
  const rig = setUp(
    { 'a.example': ['10.0.0.1'], 'liar.example': ['10.9.9.9'] },
    {
      '10.0.0.1': ['elsewhere.test', 'A.Example.'],
      '10.0.0.2': ['liar.example'],
      '10.0.0.3': ['gone.example'],
      '10.0.0.4': ['example', 'badexample', 'a.example.test'],
    },
  )
  expect(await isAt(rig, '.example', '10.0.0.1')).toBe(true)
  for (const address of ['10.0.0.2', '10.0.0.3', '10.0.0.4', '10.0.0.5'])
    expect(await isAt(rig, '.example', address), address).toBe(false)
  // Names in other domains are not looked up.
  expect(rig.asked.filter((key) => key.endsWith('test') || key === 'badexample')).toEqual([])
})

test('of many names that an address claims, only four are looked up', async () => {
  const names = Array.from({ length: 100 }, (_, index) => `${index}.example`)
  const rig = setUp({ '99.example': ['10.0.0.1'] }, { '10.0.0.1': names })
  expect(await isAt(rig, '.example', '10.0.0.1')).toBe(false)
  expect(rig.asked).toHaveLength(1 + 4)
})

test('an answer is cached for dns_max_ttl, and a failure, which is reported, for less', async () => {
  const rig = setUp({ 'db.example': ['10.0.0.1'], 'slow.example': ['EAI_AGAIN'] })
  await isAt(rig, 'db.example', '10.0.0.1')
  expect(await isAt(rig, 'slow.example', '10.0.0.1')).toBe('unanswered')
  expect(rig.failed).toEqual(['slow.example EAI_AGAIN'])
  rig.forward['db.example'] = ['10.0.0.2']
  rig.clock.advance(14_000)
  expect(await isAt(rig, 'db.example', '10.0.0.1')).toBe(true)
  rig.forward['slow.example'] = ['10.0.0.1']
  expect(await isAt(rig, 'slow.example', '10.0.0.1')).toBe(true)
  rig.clock.advance(2_000)
  expect(await isAt(rig, 'db.example', '10.0.0.1')).toBe(false)
  expect(await isAt(rig, 'db.example', '10.0.0.2')).toBe(true)
})

test('while no name server answers, the last answer stays in use', async () => {
  const rig = setUp({ 'db.example': ['10.0.0.1'] }, { '10.0.0.1': ['db.example'] })
  expect(await isAt(rig, '.example', '10.0.0.1')).toBe(true)
  rig.forward['db.example'] = ['EAI_AGAIN']
  rig.reverse['10.0.0.1'] = ['ETIMEOUT']
  for (let minute = 0; minute < 3; minute++) {
    rig.clock.advance(60_000)
    expect(await isAt(rig, '.example', '10.0.0.1')).toBe(true)
    expect(await isAt(rig, 'db.example', '10.0.0.2')).toBe(false)
    // An address without an earlier answer.
    rig.reverse['10.0.0.9'] = ['ETIMEOUT']
    expect(await isAt(rig, '.example', '10.0.0.9')).toBe('unanswered')
  }
  rig.forward['db.example'] = ['10.0.0.2']
  rig.clock.advance(60_000)
  expect(await isAt(rig, 'db.example', '10.0.0.1')).toBe(false)
})

test('the same question is asked once, and only two questions are asked at a time', async () => {
  const open = new Map<string, (found: string[]) => void>()
  const service = {
    lookUp: (name: string) =>
      new Promise<Answer>((resolve) => open.set(name, (addresses) => resolve({ addresses, lifetimeMs: null }))),
    namesOf: () => Promise.reject(new Error('not asked')),
  }
  const hosts = new HostNames({ ...AGES, clock: new ManualClock(), service, onFailed: () => {} })
  const all = ['a', 'a', 'b', 'c', 'c'].map((name) => hosts.ask(name, '10.0.0.1'))
  expect([...open.keys()]).toEqual(['a', 'b'])
  open.get('b')?.(['10.0.0.1'])
  await all[2]
  expect([...open.keys()]).toEqual(['a', 'b', 'c'])
  expect(hosts.isAt('b', '10.0.0.1')).toBe(true)
  open.get('a')?.([])
  open.get('c')?.([])
  await Promise.all(all)
})

test('the asker can use an answer even if it expires at once', async () => {
  const service = {
    lookUp: async () => ({ addresses: ['10.0.0.1'], lifetimeMs: null }),
    namesOf: async () => ['a.example'],
  }
  const ages = { maxAgeMs: () => 0, maxFailureAgeMs: () => 0 }
  const hosts = new HostNames({ ...ages, clock: new ManualClock(), service, onFailed: () => {} })
  await hosts.ask('.example', '10.0.0.1')
  expect(hosts.isAt('.example', '10.0.0.1')).toBe(true)
})
