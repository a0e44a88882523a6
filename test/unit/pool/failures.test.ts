import { expect, test } from 'vitest'
import { Failures, retryDelayMs } from '../../../src/pool/failures.ts'
import { PoolerError } from '../../../src/problems.ts'
import type { Notice } from '../../../src/wire/notices.ts'

const MAX_DELAY_MS = 15_000

function refusal(sqlstate: string, message: string): Notice {
  return { severity: 'ERROR', sqlstate, message }
}

function failed(problem: Notice): Failures {
  const failures = new Failures()
  failures.failed(problem, { startedMs: 900, nowMs: 1_000 }, MAX_DELAY_MS, 1)
  return failures
}

test('if no login has failed, no client is refused and there is no retry delay', () => {
  const failures = new Failures()
  expect([failures.forWaiting, failures.forNewcomers(0), failures.isCoolingDown(0)]).toEqual([null, null, false])
})

test('after a failed login waiting clients receive the server’s error, and new clients also learn that server_login_retry decides when the next attempt is', () => {
  const failures = failed(refusal('3D000', 'no such database'))
  expect(failures.forWaiting).toMatchObject({ severity: 'FATAL', sqlstate: '3D000', message: 'no such database' })
  expect(failures.forNewcomers(1_099)?.message).toContain('no such database')
  expect(failures.forNewcomers(1_099)?.message).toContain('server_login_retry')
  expect(failures.forNewcomers(1_100)).toBe(null)
})

test('an error of pgweir’s own is passed on unchanged', () => {
  const problem = new PoolerError('server-login-failing', { error: 'refused' })
  expect(failed(problem).forNewcomers(1_001)).toBe(problem)
})

test('while the server starts up or shuts down, clients wait and are not refused', () => {
  const failures = failed(refusal('57P03', 'the database system is starting up'))
  expect([failures.forWaiting, failures.forNewcomers(1_001)]).toEqual([null, null])
  expect(failures.isCoolingDown(1_001)).toBe(true)
})

test('a successful login clears the failure and the retry delay', () => {
  const failures = failed(refusal('3D000', 'no such database'))
  failures.forget()
  expect([failures.forWaiting, failures.isCoolingDown(1_001)]).toEqual([null, false])
})

test('the delay after failed logins doubles up to server_login_retry, with random jitter', () => {
  expect([1, 2, 3, 4].map((failures) => retryDelayMs(failures, 15_000, 1))).toEqual([100, 200, 400, 800])
  expect(retryDelayMs(40, 15_000, 1)).toBe(15_000)
  expect(retryDelayMs(1, 15_000, 0)).toBe(50)
})

test('logins that were started together count as one failure; a login started later counts as another', () => {
  const failures = failed(refusal('57P03', 'the database system is starting up'))
  const fail = (startedMs: number, nowMs: number) =>
    failures.failed(refusal('3D000', 'no such database'), { startedMs, nowMs }, MAX_DELAY_MS, 1)
  for (let number = 0; number < 9; number++) fail(900, 1_050)
  expect([failures.isCoolingDown(1_099), failures.isCoolingDown(1_100)]).toEqual([true, false])
  expect(failures.forWaiting?.message).toBe('no such database')
  fail(1_100, 1_200)
  expect([failures.isCoolingDown(1_399), failures.isCoolingDown(1_400)]).toEqual([true, false])
  failures.forget()
  fail(1_100, 1_500)
  expect([failures.isCoolingDown(1_599), failures.isCoolingDown(1_600)]).toEqual([true, false])
})

test('while another host is tried, clients wait, unless all hosts have just failed', () => {
  const failures = failed(refusal('3D000', 'no such database'))
  failures.triesAnother(1_099)
  expect(failures.forWaiting?.message).toBe('no such database')
  failures.triesAnother(1_100)
  expect(failures.forWaiting).toBe(null)
  failures.failed(refusal('3D000', 'no such database here either'), { startedMs: 1_100, nowMs: 1_150 }, MAX_DELAY_MS, 1)
  expect(failures.forWaiting?.message).toBe('no such database here either')
})

test('a shorter server_login_retry applies to the next attempt; a longer one does not delay it', () => {
  const failures = new Failures()
  for (let number = 0; number < 9; number++)
    failures.failed(
      refusal('3D000', 'no such database'),
      { startedMs: 1_000 + number, nowMs: 1_000 + number },
      MAX_DELAY_MS,
      1,
    )
  expect(failures.isCoolingDown(16_007)).toBe(true)
  failures.shorten(2_000, 5_000)
  expect([failures.isCoolingDown(6_999), failures.isCoolingDown(7_000)]).toEqual([true, false])
  failures.shorten(2_000, MAX_DELAY_MS)
  expect(failures.isCoolingDown(7_000)).toBe(false)
  failures.shorten(3_000, 0)
  expect([failures.isCoolingDown(3_099), failures.isCoolingDown(3_100)]).toEqual([true, false])
})

test('new clients wait while other processes are asked whether they have servers', () => {
  const failures = failed(refusal('53300', 'too many clients'))
  failures.question(true)
  expect(failures.forNewcomers(1_001)).toBe(null)
  failures.question(false)
  expect(failures.forNewcomers(1_001)?.message).toContain('too many clients')
})

test('clients whose own settings may be the cause get the server’s error as it is', () => {
  const failures = new Failures(true)
  failures.failed(refusal('22023', 'invalid value'), { startedMs: 900, nowMs: 1_000 }, MAX_DELAY_MS, 1)
  expect(failures.forNewcomers(1_001)).toMatchObject({ severity: 'FATAL', sqlstate: '22023', message: 'invalid value' })
})

test('a failure is remembered for ten times its delay, or until a login works', () => {
  const failures = failed(refusal('3D000', 'no such database'))
  expect([failures.areRecent(1_999), failures.areRecent(2_000)]).toEqual([true, false])
  failures.forget()
  expect(failures.areRecent(1_999)).toBe(false)
})

test.each([
  ['a server that does not answer', new PoolerError('server-login-failing', { error: 'refused' }), true],
  ['a server that is starting up', refusal('57P03', 'the database system is starting up'), true],
  ['a refused login', refusal('28P01', 'password authentication failed'), false],
  ['a login that the pooler could not complete', new PoolerError('server-nonsense'), false],
])('whether it was a failure to reach the server: %s', (_, problem, expected) => {
  expect(failed(problem).areOfReaching).toBe(expected)
})

test('without a failure, nothing failed to reach the server', () => {
  expect(new Failures().areOfReaching).toBe(false)
})
