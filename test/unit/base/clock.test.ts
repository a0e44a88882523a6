import { expect, test, vi } from 'vitest'
import { ManualClock, SystemClock, startTime, stopTime } from '../../../src/base/clock.ts'

test('nowMs changes only when it is refreshed', () => {
  const now = vi.spyOn(performance, 'now').mockReturnValue(10.5)
  try {
    const clock = new SystemClock()
    now.mockReturnValue(12.25)
    expect(clock.nowMs).toBe(10.5)
    clock.refresh()
    expect(clock.nowMs).toBe(12.25)
  } finally {
    now.mockRestore()
  }
})

test('while time is stopped, every refresh gives the same time', () => {
  const now = vi.spyOn(performance, 'now').mockReturnValue(10.5)
  try {
    const clock = new SystemClock()
    now.mockReturnValue(12.25)
    stopTime()
    now.mockReturnValue(20)
    clock.refresh()
    expect(clock.nowMs).toBe(12.25)
    startTime()
    clock.refresh()
    expect(clock.nowMs).toBe(20)
  } finally {
    startTime()
    now.mockRestore()
  }
})

test('wallMs is the system’s time of day', () => {
  const clock = new SystemClock()
  const before = Date.now()
  const wallMs = clock.wallMs()
  expect(wallMs).toBeGreaterThanOrEqual(before)
  expect(wallMs).toBeLessThanOrEqual(Date.now())
})

test('a manual clock and its wall clock move only by advance(), and refresh() changes nothing', () => {
  const clock = new ManualClock()
  const { nowMs } = clock
  const wallMs = clock.wallMs()
  clock.refresh()
  expect(clock.nowMs).toBe(nowMs)
  clock.advance(1500)
  clock.refresh()
  expect(clock.nowMs - nowMs).toBe(1500)
  expect(clock.wallMs() - wallMs).toBe(1500)
})
