import { expect, test } from 'vitest'
import { ManualClock } from '../../../src/base/clock.ts'
import { FailedLogins, placeOf } from '../../../src/workers/failed-logins.ts'

function setUp(delayMs = 100) {
  const clock = new ManualClock()
  const slowed: string[] = []
  const logins = new FailedLogins({ clock, delayMs: () => delayMs, onSlowed: (place) => slowed.push(place) })
  const fail = (times: number, place = 'a') => Array.from({ length: times }, () => logins.failed(place))
  return { clock, slowed, fail }
}

test('the first three failures cause no delay; then each failure doubles the delay up to a limit', () => {
  const { fail, slowed } = setUp()
  expect(fail(3)).toEqual([0, 0, 0])
  expect(slowed).toEqual([])
  expect(fail(9)).toEqual([100, 200, 400, 800, 1600, 3200, 6400, 6400, 6400])
  expect(slowed).toEqual(['a'])
})

test('failures from one place do not delay logins from another', () => {
  const { fail } = setUp()
  fail(20, 'a')
  expect(fail(4, 'b')).toEqual([0, 0, 0, 100])
})

test('failures are forgotten one by one over time', () => {
  const { clock, fail, slowed } = setUp()
  fail(6)
  clock.advance(10_000)
  expect(fail(1)).toEqual([400])
  clock.advance(25_000)
  // 6 failures, less 2.5 that are forgotten, plus 1 more
  expect(fail(1)).toEqual([200])
  clock.advance(100_000)
  expect(fail(4)).toEqual([0, 0, 0, 100])
  expect(slowed).toEqual(['a', 'a'])
})

test('even 10,000 failures are mostly forgotten after a minute', () => {
  const { clock, fail } = setUp()
  fail(10_000)
  clock.advance(70_000)
  expect(fail(1)).toEqual([100])
})

test('with a delay of 0 no login is delayed', () => {
  expect(
    setUp(0)
      .fail(100)
      .every((ms) => ms === 0),
  ).toBe(true)
})

test('the number of remembered places is bounded: the one with the oldest failure is forgotten first', () => {
  const { fail } = setUp()
  fail(5, 'first')
  for (let place = 0; place < 10_000; place++) fail(1, String(place))
  expect(fail(1, 'first')).toEqual([0])
})

test.each([
  [{ host: '10.0.0.1', port: 5 }, '10.0.0.1'],
  [{ host: '::ffff:10.0.0.1', port: 5 }, '10.0.0.1'],
  [{ host: 'fd00:1:2:3:4:5:6:7', port: 5 }, 'fd00:1:2:3::/64'],
  [{ host: 'fe80::1%eth0', port: 5 }, 'fe80:0:0:0::/64'],
  [{ host: '/tmp/.s.PGSQL.6432', port: 6432, process: { pid: 1, uid: 1000, gid: 1 } }, 'user 1000 of this machine'],
  [{ host: '/tmp/.s.PGSQL.6432', port: 6432 }, 'unix sockets'],
])('the place of %j is %s', (address, place) => {
  expect(placeOf(address)).toBe(place)
})
