import { expect, test } from 'vitest'
import { failInServer } from '../../../src/client/failing.ts'
import { PoolerError } from '../../../src/problems.ts'
import { DEBT } from '../../../src/server/ledger.ts'
import { BACKEND } from '../../../src/wire/types.ts'
import { startLease } from '../../support/sending.ts'

test('the server is sent what it must refuse, and the client gets our error in its place, when its turn comes', () => {
  const { lease, ledger, errors, sentBy } = startLease()
  ledger.owe(DEBT.parse)
  expect(sentBy(() => failInServer(lease, new PoolerError('stale-plan')))).toEqual(['Describe pgweir_never'])
  ledger.owe(DEBT.bind)
  ledger.owe(DEBT.sync)
  expect(errors.totals()).toEqual({ 'pgweir 0A000': 1 })
  expect(ledger.settle(BACKEND.parseComplete)).toBe('forward')
  expect(ledger.headEffect?.reply?.toString('latin1')).toContain('C0A000\0')
  expect(ledger.fail()).toBe('replace')
  // The rest of the batch is skipped, up to its Sync.
  expect(ledger.length).toBe(1)
  expect(ledger.settle(BACKEND.readyForQuery)).toBe('forward')
})
