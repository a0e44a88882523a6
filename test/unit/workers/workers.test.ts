import { expect, test } from 'vitest'
import { MAX_WORKER } from '../../../src/wire/cancel-key.ts'
import { LineDown } from '../../../src/workers/line.ts'
import { FROM_THE_START, ONCE_IT_SERVES, type WorkerState } from '../../../src/workers/states.ts'
import type { Worker } from '../../../src/workers/worker.ts'
import { Workers } from '../../../src/workers/workers.ts'

function workers(...states: WorkerState[]): Workers {
  const all = new Workers()
  for (const state of states)
    all.add({ number: all.freeNumber(), state, ended: Promise.resolve() } as unknown as Worker)
  return all
}

test('a number is free again once its worker is removed, and the lowest free number is taken', () => {
  const all = workers('serving', 'serving', 'serving')
  expect(all.freeNumber()).toBe(4)
  all.remove(all.numbered(2) as Worker)
  expect(all.freeNumber()).toBe(2)
  expect(all.numbered(2)).toBe(null)
})

test('there are no more workers than a cancel key can name', () => {
  const all = workers(...Array.from({ length: MAX_WORKER }, () => 'serving' as const))
  expect(() => all.freeNumber()).toThrow(`more than ${MAX_WORKER} workers`)
})

test('only workers in the given states are asked', async () => {
  const all = workers('starting', 'serving', 'draining', 'stopping')
  const numbers = (states: readonly WorkerState[]) => all.ask(states, async ({ number }) => number)
  expect(await numbers(ONCE_IT_SERVES)).toEqual([2, 3])
  expect(await numbers(FROM_THE_START)).toEqual([1, 2, 3])
})

test('a worker that ends while all are asked is left out of the answers', async () => {
  const all = workers('serving', 'serving', 'serving')
  const answers = all.ask(ONCE_IT_SERVES, async ({ number }) => {
    if (number === 2) throw new LineDown()
    return number === 1 ? null : 'something'
  })
  expect(await answers).toEqual([null, 'something'])
})

test('an error of a worker that is still there reaches the asker', async () => {
  const asking = workers('serving').ask(ONCE_IT_SERVES, () => Promise.reject(new Error('no such database')))
  await expect(asking).rejects.toThrow('no such database')
})

test('ended() resolves when the last worker is gone', async () => {
  const all = workers('serving', 'stopping')
  let end = () => {}
  const last = new Promise<void>((resolve) => {
    end = resolve
  })
  all.add({ number: 3, ended: last } as unknown as Worker)
  let isOver = false
  const over = all.ended().then(() => {
    isOver = true
  })
  for (let turn = 0; turn < 10; turn++) await Promise.resolve()
  expect(isOver).toBe(false)
  end()
  await over
  await new Workers().ended()
})
