import { expect, test } from 'vitest'
import { adviceOnLeaving } from '../../../src/client/leaving.ts'
import { SESSION_STATES } from '../../../src/client/states.ts'

test('no advice is logged for a client that leaves while nothing is under way', () => {
  for (const state of ['idle', 'active'] as const) expect(adviceOnLeaving({ state, left: 'nothing' })).toBeUndefined()
})

test.each([
  [{ state: 'greeting', left: 'nothing' }, '/readyz'],
  [{ state: 'greeting', left: 'nothing', isWithoutTls: true }, 'The TLS handshake failed'],
  [{ state: 'authenticating', left: 'nothing' }, 'during its login'],
  [{ state: 'welcoming', left: 'nothing' }, 'while its first server was being opened'],
  [{ state: 'waiting', left: 'nothing' }, 'its own timeout is shorter than query_wait_timeout'],
  [{ state: 'active', left: 'query' }, 'while its query was running; the query is canceled'],
  [{ state: 'active', left: 'transaction' }, 'during a transaction, which is rolled back'],
] as const)('a client that leaves in the midst of %j: what it means and what to look at', (predicament, told) => {
  expect(adviceOnLeaving(predicament)).toContain(told)
})

test('advice consists of whole sentences', () => {
  for (const state of SESSION_STATES)
    for (const left of ['nothing', 'query', 'transaction'] as const)
      for (const isWithoutTls of [false, true])
        expect(adviceOnLeaving({ state, left, isWithoutTls }) ?? 'It.').toMatch(/^[A-Z][^\n]*\.$/)
})
