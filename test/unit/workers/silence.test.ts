import { describe, expect, test } from 'vitest'
import { Silence } from '../../../src/workers/silence.ts'
import type { WorkerState } from '../../../src/workers/states.ts'

const LIMIT_MS = 5_000

/** Looks every second until the worker is considered hung or the time is over. Returns when that was; null if it never was. */
function firstFound(worker: { state: WorkerState; heardMs: number }, limitMs = LIMIT_MS, untilMs = 60_000) {
  const silence = new Silence(0)
  for (let nowMs = 1_000; nowMs <= untilMs; nowMs += 1_000)
    for (const { silentMs } of silence.look([worker], nowMs, limitMs)) return { nowMs, silentMs }
  return null
}

describe('a worker is considered hung', () => {
  test('when it has been silent for longer than the limit', () => {
    expect(firstFound({ state: 'serving', heardMs: 0 })).toEqual({ nowMs: 6_000, silentMs: 6_000 })
    expect(firstFound({ state: 'draining', heardMs: 2_500 })).toEqual({ nowMs: 8_000, silentMs: 5_500 })
  })

  test('while it starts, only after more than half a minute', () => {
    expect(firstFound({ state: 'starting', heardMs: 0 })).toEqual({ nowMs: 31_000, silentMs: 31_000 })
    expect(firstFound({ state: 'starting', heardMs: 0 }, 40_000)).toEqual({ nowMs: 41_000, silentMs: 41_000 })
  })

  test('not while it is heard from once a second, even if the limit is shorter', () => {
    const silence = new Silence(0)
    const worker = { state: 'serving' as const, heardMs: 0 }
    for (let nowMs = 100; nowMs <= 10_000; nowMs += 100) {
      expect(silence.look([worker], nowMs, 100)).toEqual([])
      if (nowMs % 1_000 === 0) worker.heardMs = nowMs
    }
    for (let nowMs = 10_100; nowMs <= 13_000; nowMs += 100) expect(silence.look([worker], nowMs, 100)).toEqual([])
    expect(silence.look([worker], 13_100, 100)).toEqual([{ worker, silentMs: 3_100 }])
  })

  test('never if the limit is 0', () => {
    expect(firstFound({ state: 'serving', heardMs: 0 }, 0)).toBe(null)
  })

  test('once, and again only after another silence of the same length', () => {
    const silence = new Silence(0)
    const worker = { state: 'stopping' as const, heardMs: 0 }
    const found: number[] = []
    for (let nowMs = 1_000; nowMs <= 13_000; nowMs += 1_000)
      if (silence.look([worker], nowMs, LIMIT_MS).length > 0) found.push(nowMs)
    expect(found).toEqual([6_000, 12_000])
  })

  test('alone if the other workers are heard from', () => {
    const silence = new Silence(0)
    const hung = { state: 'serving' as const, heardMs: 0 }
    const well = { state: 'serving' as const, heardMs: 0 }
    let found: unknown[] = []
    for (let nowMs = 1_000; nowMs <= 6_000; nowMs += 1_000) {
      well.heardMs = nowMs
      found = silence.look([well, hung], nowMs, LIMIT_MS).map(({ worker }) => worker === hung)
    }
    expect(found).toEqual([true])
  })
})

test('if the primary itself was stalled, no worker is considered hung and all silences start anew', () => {
  const silence = new Silence(0)
  const worker = { state: 'serving' as const, heardMs: 0 }
  expect(silence.look([worker], 60_000, LIMIT_MS)).toEqual([])
  expect(worker.heardMs).toBe(60_000)
})
