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
  /** Tells the pool whether other processes have servers; null before it has asked. */
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

test('whoever waits is told the server’s words once nobody has a server of the pool', () => {
  const toy = new Toy()
  expect(toy.serverLost()).toEqual(['asks about 3D000'])
  toy.answer?.(false)
  expect(toy.heard).toEqual(['asks about 3D000', 'refused: no such database'])
})

test('where other processes have servers, whoever waits has a turn on those, and the failure is forgotten', () => {
  const toy = new Toy()
  toy.serverLost()
  toy.answer?.(true)
  expect([toy.heard, toy.failures.forWaiting]).toEqual([['asks about 3D000', 'helps'], null])
})

test('as long as a server is left or being opened, nobody is refused', () => {
  const toy = new Toy()
  toy.total = 1
  expect([toy.serverLost(), toy.refusals.wordsForNewcomers]).toEqual([['helps'], null])
})

test('a server that has come while others were asked is enough to wait on', () => {
  const toy = new Toy()
  toy.serverLost()
  toy.total = 1
  toy.answer?.(false)
  expect(toy.heard).toEqual(['asks about 3D000', 'helps'])
})

test('where no login has failed, another server is opened', () => {
  const toy = new Toy()
  toy.failures.forget()
  expect(toy.serverLost()).toEqual(['helps'])
})

test('a follower is refused at once, whatever others have', () => {
  const toy = new Toy()
  toy.isOfOneClient = true
  expect(toy.serverLost()).toEqual(['refused: no such database'])
})

test('a pool that is not open leaves those who wait alone, also if it has asked before', () => {
  const paused = new Toy()
  paused.state = 'pausing'
  expect(paused.serverLost()).toEqual([])
  const asking = new Toy()
  asking.serverLost()
  asking.state = 'pausing'
  asking.answer?.(false)
  expect(asking.heard).toEqual(['asks about 3D000'])
})

test('newcomers are refused until the next try, but wait while it is asked whether there is hope', () => {
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

test('a newcomer is not refused for a failure that was over before it was told', () => {
  const toy = new Toy()
  toy.failures.forget()
  toy.refusals.refuseNewcomers()
  expect(toy.heard).toEqual([])
})
