import { expect, test } from 'vitest'
import { ManualClock } from '../../../src/base/clock.ts'
import { Link } from '../../../src/base/list.ts'
import { Failures } from '../../../src/pool/failures.ts'
import type { Waiter } from '../../../src/pool/lease.ts'
import type { Permits } from '../../../src/pool/permits/holder.ts'
import { Refusals, type RefusingPool } from '../../../src/pool/refusals.ts'
import { Waiting } from '../../../src/pool/waiting.ts'
import type { Notice } from '../../../src/wire/notices.ts'

const NO_DATABASE: Notice = { severity: 'FATAL', sqlstate: '3D000', message: 'no such database' }

/** A pool that has lost its last server to a failed login, and whose client is waiting. */
class Toy implements RefusingPool {
  state: RefusingPool['state'] = 'open'
  total = 0
  isOfOneClient = false
  readonly waiting = new Waiting()
  readonly heard: string[] = []
  readonly clock = new ManualClock()
  readonly failures = new Failures()
  readonly refusals = new Refusals(this, this.failures, this.clock)
  /** Tells the pool whether other processes have servers; null until the pool has asked. */
  answer: ((isSharedOut: boolean) => void) | null = null
  readonly permits = {
    refused: (sqlstate: string, decided: (isSharedOut: boolean) => void) => {
      this.heard.push(`asks about ${sqlstate}`)
      this.answer = decided
    },
  } as unknown as Permits

  constructor() {
    const { nowMs } = this.clock
    this.failures.failed(NO_DATABASE, { startedMs: nowMs, nowMs }, 15_000, 1)
    this.wait()
  }

  wait(): void {
    const onRefused = ({ message }: { message: string }) => this.heard.push(`refused: ${message}`)
    this.waiting.pushLast({ link: new Link<Waiter>(), onRefused } as unknown as Waiter)
  }

  help(): void {
    this.heard.push('helps')
  }

  serverLost(): string[] {
    this.refusals.serverLost(this.permits)
    return this.heard
  }
}

test('waiting clients receive the server’s error once no process has a server of the pool', () => {
  const toy = new Toy()
  expect(toy.serverLost()).toEqual(['asks about 3D000'])
  toy.answer?.(false)
  expect(toy.heard).toEqual(['asks about 3D000', 'refused: no such database'])
})

test('if other processes have servers of the pool, waiting clients wait for those and the failure is forgotten', () => {
  const toy = new Toy()
  toy.serverLost()
  toy.answer?.(true)
  expect([toy.heard, toy.failures.forWaiting]).toEqual([['asks about 3D000', 'helps'], null])
})

test('no client is refused while the pool still has a server or is opening one', () => {
  const toy = new Toy()
  toy.total = 1
  expect([toy.serverLost(), toy.refusals.wordsForNewcomers]).toEqual([['helps'], null])
})

test('a server that was opened while other processes were asked keeps waiting clients from being refused', () => {
  const toy = new Toy()
  toy.serverLost()
  toy.total = 1
  toy.answer?.(false)
  expect(toy.heard).toEqual(['asks about 3D000', 'helps'])
})

test('if no login has failed, the pool opens another server', () => {
  const toy = new Toy()
  toy.failures.forget()
  expect(toy.serverLost()).toEqual(['helps'])
})

test('a replication client is refused at once, whatever servers other processes have', () => {
  const toy = new Toy()
  toy.isOfOneClient = true
  expect(toy.serverLost()).toEqual(['refused: no such database'])
})

test('a pool that is not open leaves its waiting clients alone, even if it asked other processes before', () => {
  const paused = new Toy()
  paused.state = 'pausing'
  expect(paused.serverLost()).toEqual([])
  const asking = new Toy()
  asking.serverLost()
  asking.state = 'pausing'
  asking.answer?.(false)
  expect(asking.heard).toEqual(['asks about 3D000'])
})

test('new clients are refused until the next attempt, except while other processes are asked', () => {
  const toy = new Toy()
  const words = () => toy.refusals.wordsForNewcomers?.message ?? null
  expect(words()).toContain('no such database')
  toy.serverLost()
  expect(words()).toBe(null)
  toy.answer?.(false)
  expect(words()).toContain('no such database')
  toy.clock.advance(100)
  expect(words()).toBe(null)
})

test('a new client is not refused for a failure that is already over', () => {
  const toy = new Toy()
  toy.failures.forget()
  toy.refusals.refuseNewcomers()
  expect(toy.heard).toEqual([])
})
