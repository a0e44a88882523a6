import { expect, onTestFinished, test, vi } from 'vitest'
import { Pulse } from '../../../src/workers/pulse.ts'

const NOBODY = { clients: 0, servers: 0 }

function pulse() {
  const pulse = new Pulse(100)
  let nowMs = 0
  /** The janitor is late by `lateMs` once, and then on time. */
  const passes = (lateMs: number, times = 1) => {
    for (let time = 0; time < times; time++) {
      nowMs += 100 + (time === 0 ? lateMs : 0)
      pulse.swept(nowMs)
    }
  }
  passes(0)
  return { passes, late: () => pulse.take(NOBODY).delayUs }
}

test('the delay of the event loop is that of the last second, however rarely it is read', () => {
  const { passes, late } = pulse()
  passes(700)
  passes(0, 30)
  expect(late()).toBe(0)
})

test('reading the delay does not reset it', () => {
  const { passes, late } = pulse()
  passes(50)
  expect([late(), late()]).toEqual([50_000, 50_000])
})

test('reading the delay near the end of a second does not lose what happened before', () => {
  const { passes, late } = pulse()
  passes(0, 8)
  passes(90)
  passes(0, 2)
  expect(late()).toBe(90_000)
})

test('if the system cannot report the memory in use, the last known value is reported', () => {
  const pulse = new Pulse(100)
  const { residentBytes } = pulse.take({ clients: 1, servers: 1 })
  expect(residentBytes).toBeGreaterThan(0)
  // As if the process had no free descriptor.
  const rss = vi.spyOn(process.memoryUsage, 'rss').mockImplementation(() => {
    throw Object.assign(new Error('EMFILE: too many open files, uv_resident_set_memory'), { code: 'EMFILE' })
  })
  onTestFinished(() => rss.mockRestore())
  expect(pulse.take({ clients: 2, servers: 1 })).toMatchObject({ clients: 2, residentBytes })
})
