import { describe, expect, test } from 'vitest'
import { ManualClock } from '../../../src/base/clock.ts'
import { Spreading } from '../../../src/workers/spreading.ts'
import type { WorkerState } from '../../../src/workers/states.ts'
import type { Worker } from '../../../src/workers/worker.ts'

/** Workers with these numbers of connections, named by their index. */
function start(...loads: readonly number[]) {
  const clock = new ManualClock()
  const told: unknown[] = []
  const workers = loads.map((load, index) => ({
    ...{ load, underWay: 0, handedOver: 0, turn: 0, accepts: true, heardMs: clock.nowMs },
    state: 'serving' as WorkerState,
    line: { tell: (_name: string, body: object) => told.push({ index, ...body }) },
  }))
  const all = workers as unknown as Worker[]
  const spreading = new Spreading(clock, () => all)
  const next = () => indexOf(spreading.nextInTurn())
  const indexOf = (worker: Worker | null) => (worker === null ? null : all.indexOf(worker))
  return { clock, spreading, workers, all, told, next, busiest: () => indexOf(spreading.busiest()) }
}

describe('a new connection', () => {
  test('goes to nobody while no worker serves', () => {
    const { workers, next, busiest } = start(0, 0)
    for (const [index, state] of (['starting', 'draining'] as const).entries())
      Object.assign(workers[index] as object, { state })
    expect([next(), busiest()]).toEqual([null, null])
  })

  test('goes to any worker that serves if all of them seem to hang', () => {
    const { clock, workers, next } = start(2, 0, 0)
    Object.assign(workers[2] as object, { state: 'starting' })
    clock.advance(2_001)
    expect(next()).toBe(1)
    Object.assign(workers[0] as object, { heardMs: clock.nowMs - 2_000 })
    expect(next(), 'has missed only one beat').toBe(0)
  })

  test('goes to the worker with the most connections while the fleet is ending', () => {
    const { workers, busiest } = start(1, 3, 2, 5)
    Object.assign(workers[3] as object, { state: 'draining' })
    expect(busiest()).toBe(1)
  })

  test('counts once: on its way to the worker, and then among those that the worker reports', () => {
    const { all, spreading, next } = start(0, 2)
    const [one] = all as [Worker, Worker]
    expect([next(), next()]).toEqual([0, 0])
    spreading.accepted(one, 1)
    spreading.accepted(one, 2)
    // Both were handed over since the last beat, but neither is on its way any more.
    spreading.beaten(one)
    expect(one.underWay).toBe(0)
    // Accepted from a shared socket, nothing was ever on its way.
    spreading.accepted(one, 3)
    expect(one.underWay).toBe(0)
  })
})

test('only workers that serve are told whether to accept connections', () => {
  const { workers, spreading, told } = start(0, 9, 9)
  Object.assign(workers[2] as object, { state: 'draining' })
  spreading.settle()
  expect(told).toEqual([{ index: 1, accepts: false, heard: 0 }])
})

test('with many connections, a worker may have a sixteenth more than the one with the fewest, and one', () => {
  const { spreading, told } = start(240, 256, 257)
  spreading.settle()
  expect(told).toEqual([{ index: 2, accepts: false, heard: 0 }])
})
