import { expect, test } from 'vitest'
import { adviceOnLeaving } from '../../../src/client/leaving.ts'
import { SESSION_STATES } from '../../../src/client/states.ts'

test('no advice is logged for a client that leaves while nothing is under way', () => {
  for (const state of ['idle', 'active'] as const) expect(adviceOnLeaving({ state, left: 'nothing' })).toBeUndefined()
})

test.each([
  [{ state: 'greeting', left: 'nothing' }, '/readyz'],
  [{ state: 'greeting', left: 'nothing', isWithoutTls: true }, 'could not agree with us on TLS'],
  [{ state: 'authenticating', left: 'nothing' }, 'in the midst of its login'],
  [{ state: 'welcoming', left: 'nothing' }, 'while the first server for it was being opened'],
  [{ state: 'waiting', left: 'nothing' }, 'its own timeout is shorter than query_wait_timeout'],
  [{ state: 'active', left: 'query' }, 'Its query had not been answered and is cancelled'],
  [{ state: 'active', left: 'transaction' }, 'within a transaction, which is rolled back'],
] as const)(
  'a client that leaves in the situation %j: the advice says what it means and what to check',
  (predicament, told) => {
    expect(adviceOnLeaving(predicament)).toContain(told)
  },
)

test('advice consists of whole sentences', () => {
  for (const state of SESSION_STATES)
    for (const left of ['nothing', 'query', 'transaction'] as const)
      for (const isWithoutTls of [false, true])
        expect(adviceOnLeaving({ state, left, isWithoutTls }) ?? 'It.').toMatch(/^[A-Z][^\n]*\.$/)
})
