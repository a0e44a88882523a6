import { describe, expect, test } from 'vitest'
import { ManualClock } from '../../../src/base/clock.ts'
import { EVICTED } from '../../../src/pool/permits/accounts.ts'
import type { ShareHolder } from '../../../src/pool/share.ts'
import { AskedPermits } from '../../../src/workers/asked-permits.ts'

/** A pool of one worker: its servers are leased, and a client waits. */
function busy({ servers = 1, minimum = 0, ask = () => Promise.resolve(false) } = {}) {
  const told: string[] = []
  const recalls: string[] = []
  const holder = {
    ...{ wanted: 2, waitingClients: 1, fillsMinimum: false, waitingSinceMs: 0, idleSinceMs: Infinity },
    onGranted: () => {},
    onRecalled: (because: string) => void recalls.push(because),
  }
  const clock = new ManualClock()
  const permits = new AskedPermits({
    ...{ pool: 1, clock, minimum: () => minimum, onClosed: () => told.push('closed') },
    holder: holder as unknown as ShareHolder,
    line: { tell: (topic: string) => void told.push(topic), ask } as never,
  })
  for (let left = servers; left > 0; left--) permits.onGranted(false)
  return { permits, holder, clock, told, recalls }
}

describe('the primary is asked', () => {
  test('once for all servers that clients want, and again only when they want more', () => {
    const { permits, holder, told } = busy()
    permits.ask()
    permits.ask()
    expect(told).toEqual(['permitsAsk'])
    holder.wanted = 3
    permits.ask()
    permits.onGranted(false)
    permits.ask()
    expect(told).toEqual(['permitsAsk', 'permitsAsk'])
    holder.wanted = 2
    permits.ask()
    expect(told).toEqual(['permitsAsk', 'permitsAsk'])
    holder.wanted = 4
    permits.ask()
    expect(told).toEqual(['permitsAsk', 'permitsAsk', 'permitsAsk'])
  })

  test('for servers that fill the minimum once a second, and not once the minimum is reached', () => {
    const { permits, holder, clock, told } = busy({ minimum: 2 })
    Object.assign(holder, { wanted: 1, waitingClients: 0, waitingSinceMs: Infinity })
    permits.ask()
    expect(told).toEqual([])
    holder.fillsMinimum = true
    permits.ask()
    permits.ask()
    clock.advance(999)
    permits.ask()
    expect(told).toEqual(['permitsAsk'])
    clock.advance(1)
    permits.ask()
    expect(told).toEqual(['permitsAsk', 'permitsAsk'])
    permits.onGranted(false)
    clock.advance(2_000)
    permits.ask()
    expect(told).toEqual(['permitsAsk', 'permitsAsk'])
  })
})

describe('a refused login', () => {
  const outcome = (permits: AskedPermits, sqlstate: string) =>
    new Promise<boolean>((decided) => permits.refused(sqlstate, decided))

  test('lets the primary decide about waiting only if PostgreSQL has no room', async () => {
    const { permits } = busy({ ask: () => Promise.resolve(true) })
    expect(await outcome(permits, '53300')).toBe(true)
    expect(await outcome(permits, '28P01')).toBe(false)
  })

  test('is final if the primary is gone', async () => {
    const { permits } = busy({ ask: () => Promise.reject(new Error('the other process is gone')) })
    expect(await outcome(permits, '53300')).toBe(false)
  })
})

test('a pool that is over tells the primary', () => {
  const { permits, told } = busy()
  permits.close()
  expect(told).toEqual(['permitsClose', 'closed'])
})

test('no server is closed for a turn that is allowed to go on', () => {
  const { permits } = busy()
  permits.onRecalled(EVICTED, null, true)
  permits.onKept()
  expect(permits.mustYield()).toBe(null)
})

test('a recall that finds no idle server is reported as missed, so that the primary does not count on it', () => {
  const { permits, told } = busy()
  permits.onRecalled(EVICTED, null, true)
  permits.onRecalled('too many servers in the pool', null, false)
  expect(told).toEqual(['permitMissed'])
  permits.onKept()
  expect(permits.mustYield()).toBe(null)
})

test('a turn that ends because there are too many servers gives that reason', () => {
  const { permits, told } = busy()
  permits.onRecalled('too many servers in the pool', null, true)
  expect(permits.mustYield()).toBe('too many servers in the pool')
  permits.giveBack()
  expect(told).toEqual(['permitBack'])
})

test('a server that ends by itself counts as the one that a turn was to give up', () => {
  const { permits, told } = busy({ servers: 3 })
  permits.onRecalled(EVICTED, null, true)
  permits.giveBack()
  expect(permits.mustYield()).toBe(null)
  permits.onRecalled(EVICTED, null, true)
  expect(permits.mustYield()).toBe(EVICTED)
  expect(permits.mustYield()).toBe(null)
  expect(told).toEqual(['permitBack'])
})

test('no more turns end than there are servers, and each turn ends once', () => {
  const { permits } = busy({ servers: 2 })
  for (let more = 3; more > 0; more--) permits.onRecalled(EVICTED, null, true)
  expect(permits.mustYield()).toBe(EVICTED)
  permits.onRecalled(EVICTED, null, true)
  expect(permits.mustYield()).toBe(EVICTED)
  expect(permits.mustYield()).toBe(null)
  permits.giveBack()
  permits.giveBack()
  permits.onGranted(false)
  expect(permits.mustYield()).toBe(null)
})

test('an idle server is closed at once when its permit is recalled, whether or not a turn ends by that', () => {
  const { permits, holder, told, recalls } = busy({ servers: 2 })
  holder.idleSinceMs = 0
  permits.onRecalled(EVICTED, null, true)
  permits.onRecalled('too many servers in the pool', null, false)
  expect(recalls).toEqual([EVICTED, 'too many servers in the pool'])
  permits.onRecalled(EVICTED, null, false)
  expect(recalls, 'both are on their way back already').toHaveLength(2)
  expect([permits.mustYield(), told]).toEqual([null, []])
})
