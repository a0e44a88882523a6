import { expect, test } from 'vitest'
import { ManualClock } from '../../../src/base/clock.ts'
import { EVICTED } from '../../../src/pool/permits/accounts.ts'
import type { ShareHolder } from '../../../src/pool/share.ts'
import { AskedPermits } from '../../../src/workers/asked-permits.ts'

/** A pool of one worker: its only server is leased, and clients wait. */
function busy() {
  const told: string[] = []
  const holder = {
    ...{ wanted: 2, waitingClients: 1, fillsMinimum: false, waitingSinceMs: 0, idleSinceMs: Infinity },
    onGranted: () => {},
    onRecalled: () => {},
  }
  const permits = new AskedPermits({
    ...{ pool: 1, clock: new ManualClock(), minimum: () => 0, onClosed: () => {} },
    holder: holder as unknown as ShareHolder,
    line: { tell: (topic: string) => void told.push(topic), ask: () => Promise.resolve(false) } as never,
  })
  permits.onGranted(false)
  return { permits, told }
}

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
