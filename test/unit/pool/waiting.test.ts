import { expect, test } from 'vitest'
import { Link } from '../../../src/base/list.ts'
import type { Waiter } from '../../../src/pool/lease.ts'
import type { PoolSettings } from '../../../src/pool/settings.ts'
import { Waiting } from '../../../src/pool/waiting.ts'
import { PoolerError } from '../../../src/problems.ts'

interface Toy extends Waiter {
  readonly heard: string[]
}

function waiter(waitingSinceMs: number): Toy {
  const heard: string[] = []
  return {
    link: new Link<Waiter>(),
    waitingSinceMs,
    heard,
    onRefused: (notice: { message: string }) => heard.push(notice.message),
    onStillWaiting: () => heard.push('still waiting'),
    onWelcomeKnown: () => {},
  } as unknown as Toy
}

function queue(...sinceMs: readonly number[]): { waiting: Waiting; toys: Toy[] } {
  const waiting = new Waiting()
  const toys = sinceMs.map(waiter)
  for (const toy of toys) waiting.pushLast(toy)
  return { waiting, toys }
}

const TIMES = { waitTimeoutMs: 100, waitNotifyMs: 10 } as PoolSettings

test('a client that is put back regains its place: behind clients that came before it, ahead of those that came later', () => {
  const { waiting } = queue(10, 20, 40, 50)
  waiting.putBack(waiter(30))
  waiting.putBack(waiter(5))
  expect([...waiting].map(({ waitingSinceMs }) => waitingSinceMs)).toEqual([5, 10, 20, 30, 40, 50])
})

test('a waiting client is notified once after query_wait_notify and refused after query_wait_timeout', () => {
  const { waiting, toys } = queue(0, 95, 195)
  const timedOut: number[] = []
  const sweep = (nowMs: number) => waiting.sweep(nowMs, TIMES, (waitedMs) => timedOut.push(waitedMs))
  sweep(200)
  sweep(200)
  expect(timedOut).toEqual([200, 105])
  const refusal = new PoolerError('query-wait-timeout').message
  expect(toys.map(({ heard }) => heard)).toEqual([[refusal], [refusal], []])
  sweep(206)
  expect([toys[2]?.heard, waiting.sinceMs]).toEqual([['still waiting'], 195])
})

test('without timeouts a client waits forever and is not notified', () => {
  const { waiting, toys } = queue(0)
  waiting.sweep(1e9, { ...TIMES, waitTimeoutMs: 0, waitNotifyMs: 0 }, () => {})
  expect(toys[0]?.heard).toEqual([])
})

test('refuseAll refuses every client and leaves the queue empty', () => {
  const { waiting, toys } = queue(0, 1)
  waiting.refuseAll(new PoolerError('pooler-shutting-down'))
  expect(toys.map(({ heard }) => heard.length)).toEqual([1, 1])
  expect([waiting.length, waiting.sinceMs]).toEqual([0, Infinity])
})
