import { expect, test } from 'vitest'
import type { ClientSettings } from '../../../src/client/host.ts'
import type { Session } from '../../../src/client/session.ts'
import { Sessions } from '../../../src/client/sessions.ts'

function startSessions() {
  const sessions = new Sessions()
  const looks = { count: 0 }
  const add = (idleUntilMs: number) => {
    const session = { idleUntilMs, onSweep: () => looks.count++ } as unknown as Session & { idleUntilMs: number }
    sessions.add(session)
    sessions.loggedIn(session)
    return session
  }
  const looksAt = (nowMs: number, settings: ClientSettings) => {
    looks.count = 0
    sessions.sweep(nowMs, settings)
    return looks.count
  }
  return { add, looksAt }
}

test('slowest() is the first client that has kept its login waiting for too long', () => {
  const sessions = new Sessions()
  const add = (connectedMs: number, isAwaited: boolean) => {
    const session = { connectedMs, isAwaited } as unknown as Session
    sessions.add(session)
    return session
  }
  const isIn = add(0, true)
  sessions.loggedIn(isIn)
  add(0, false)
  const [first, second] = [add(1_000, true), add(1_001, true)]
  expect(sessions.slowest(3_999)).toBe(null)
  expect(sessions.slowest(4_000)).toBe(first)
  sessions.remove(first)
  expect(sessions.slowest(4_000)).toBe(null)
  expect(sessions.slowest(4_001)).toBe(second)
})

test('slowest() finds no client if all wait for pgweir, and checks at most 100 sessions', () => {
  const sessions = new Sessions()
  let looks = 0
  for (let n = 0; n < 1_000; n++)
    sessions.add({
      connectedMs: 0,
      get isAwaited() {
        looks++
        return false
      },
    } as unknown as Session)
  expect(sessions.slowest(60_000)).toBe(null)
  expect(looks).toBe(100)
})

const settings = (shortestIdleTimeoutMs: number) => ({ shortestIdleTimeoutMs }) as ClientSettings

test('idle clients are checked when the first of them may have exceeded the idle timeout, not earlier', () => {
  const { add, looksAt } = startSessions()
  const hour = settings(3_600_000)
  add(500_000)
  add(900_000)
  add(Infinity)
  expect(looksAt(1_000, hour)).toBe(3)
  expect([1_100, 100_000, 499_999].map((nowMs) => looksAt(nowMs, hour))).toEqual([0, 0, 0])
  expect(looksAt(500_000, hour)).toBe(3)
})

test('a client that was active during a check is checked again once it may have been idle for the timeout', () => {
  const { add, looksAt } = startSessions()
  const minute = settings(60_000)
  const client = add(Infinity)
  expect(looksAt(1_000, minute)).toBe(1)
  client.idleUntilMs = 61_001
  expect([60_999, 61_000].map((nowMs) => looksAt(nowMs, minute))).toEqual([0, 1])
})

test('a new idle timeout applies at once', () => {
  const { add, looksAt } = startSessions()
  add(3_000_000)
  const hour = settings(3_600_000)
  expect(looksAt(1_000, hour)).toBe(1)
  expect(looksAt(1_100, settings(10_000))).toBe(1)
  expect(looksAt(1_200, settings(Infinity))).toBe(0)
})

test('a client that is due does not cause all others to be checked on every sweep', () => {
  const { add, looksAt } = startSessions()
  const hour = settings(3_600_000)
  add(1_000)
  expect([2_000, 2_100, 2_900, 3_000].map((nowMs) => looksAt(nowMs, hour))).toEqual([1, 0, 0, 1])
})
