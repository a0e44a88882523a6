import { Resolver } from 'node:dns/promises'
import { mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test, vi } from 'vitest'
import { ManualClock } from '../../../../src/base/clock.ts'
import { ownNameService, systemNameService } from '../../../../src/net/names/look-up.ts'
import { Names } from '../../../../src/net/names/names.ts'
import { parseResolvConf } from '../../../../src/net/names/resolv-conf.ts'
import { Zones } from '../../../../src/net/names/zones.ts'
import { until } from '../../../support/e2e/until.ts'
import { type NameServer, startNameServer } from '../../../support/name-server.ts'

const NO_HOSTS = () => new Map<string, readonly string[]>()

function ask({ address }: NameServer, more = '') {
  return ownNameService(parseResolvConf(`nameserver ${address}\n${more}`), NO_HOSTS)
}

test('a name server is asked for a host’s addresses and their lifetime', async () => {
  const server = await startNameServer()
  server.hosts.set('db.test', ['10.0.0.1', '10.0.0.2'])
  server.lifetimeSeconds = 5
  const { addresses, lifetimeMs } = await ask(server).lookUp('db.test')
  expect(addresses.toSorted()).toEqual(['10.0.0.1', '10.0.0.2'])
  expect(await lifetimeMs).toBe(5_000)
})

test('a short name is looked up in the search domains of resolv.conf', async () => {
  const server = await startNameServer()
  server.hosts.set('db.two.test', ['10.0.0.1'])
  expect(await ask(server, 'search one.test two.test').lookUp('db')).toMatchObject({ addresses: ['10.0.0.1'] })
})

test('a name in /etc/hosts is not asked for', async () => {
  const server = await startNameServer()
  const hosts = new Map([['localhost', ['127.0.0.1']]])
  const service = ownNameService(parseResolvConf(`nameserver ${server.address}`), () => hosts)
  expect(await service.lookUp('localhost')).toEqual({ addresses: ['127.0.0.1'], lifetimeMs: null })
  expect(server.questions).toEqual([])
})

test('a name that does not exist fails with ENOTFOUND', async () => {
  const server = await startNameServer()
  await expect(ask(server).lookUp('db.test')).rejects.toMatchObject({ code: 'ENOTFOUND' })
})

test('a server failure for a name is reported as such, even if the name with search domains does not exist', async () => {
  const server = await startNameServer()
  server.broken.add('db.test')
  const asked = ask(server, 'search one.test two.test').lookUp('db.test')
  await expect(asked).rejects.toMatchObject({ code: 'ESERVFAIL' })
  expect(server.questions).toContain('A db.test.two.test')
})

test('the system resolves localhost', async () => {
  const { addresses, lifetimeMs } = await systemNameService().lookUp('localhost')
  expect(['127.0.0.1', '::1']).toContain(addresses[0])
  expect(lifetimeMs).toBeNull()
})

test('after a change of resolv.conf other name servers are asked', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'pgweir-names-'))
  onTestFinished(() => rmSync(directory, { recursive: true }))
  const file = join(directory, 'resolv.conf')
  const asked: Resolver[] = []
  const reverse = vi.spyOn(Resolver.prototype, 'reverse').mockImplementation(async function (this: Resolver) {
    asked.push(this)
    return []
  })
  onTestFinished(() => reverse.mockRestore())
  const service = systemNameService(file)
  const ask = () => service.namesOf('10.0.0.1')
  await ask()
  await ask()
  writeFileSync(file, '')
  await ask()
  utimesSync(file, 1, 1)
  await ask()
  await ask()
  const [first, same, ...others] = asked
  expect(same).toBe(first)
  expect(others.map((each) => asked.indexOf(each))).toEqual([2, 3, 3])
})

test('when the serial number of a zone changes, its hosts are looked up again', async () => {
  const server = await startNameServer()
  server.hosts.set('db.zone.test', ['10.0.0.1'])
  server.zones.set('zone.test', 1)
  const clock = new ManualClock()
  const { lookUp, serialOf } = ask(server)
  const names = new Names({
    ...{ clock, lookUp, onMoved: () => {} },
    maxAgeMs: () => 3_600_000,
    maxFailureAgeMs: () => 0,
  })
  const zones = new Zones({ clock, names, serialOf, periodMs: () => 10_000 })
  await new Promise((resolve) => names.find('db.zone.test', resolve))
  expect(zones.snapshot()).toEqual([{ zone: 'zone.test', serial: 0, hosts: 1 }])
  const check = async (serial: number) => {
    server.zones.set('zone.test', serial)
    clock.advance(10_000)
    zones.sweep()
    await until('the serial number is known', () => zones.snapshot()[0]?.serial === serial)
    expect(zones.snapshot()).toEqual([{ zone: 'zone.test', serial, hosts: 1 }])
  }
  await check(1)
  expect(names.snapshot()[0]?.ttlMs).toBeGreaterThan(0)
  await check(2)
  expect(names.snapshot()[0]?.ttlMs).toBe(0)
})
