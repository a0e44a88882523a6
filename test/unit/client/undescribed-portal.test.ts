import { expect, test } from 'vitest'
import { UndescribedPortal } from '../../../src/client/undescribed-portal.ts'
import type { Statement } from '../../../src/server/statement-registry.ts'
import { startSending } from '../../support/sending.ts'

function setUp() {
  const portal = new UndescribedPortal()
  const { sending, statement: statementOf } = startSending()
  const statement = statementOf('select 1')
  sending.leased.statements.parseSent(statement, sending.leased.ledger, false, null)
  return {
    portal,
    statement,
    bind(name: string, bound: Statement | null = statement) {
      portal.bound(bound, Buffer.from(name), 0, name.length, sending.leased)
    },
    /** Describes `P` or `S` and a name. Returns whether the rows are learned from the answer. */
    describe(target: string): boolean {
      const effect = portal.described(Buffer.from(`${target}\0`), 0, target.length + 1, sending.leased.statements)
      effect?.described?.('id int4')
      return effect !== null
    },
  }
}

test.each(['', 'c1'])('the rows are learned from the first Describe of the portal %j', (name) => {
  const { statement, bind, describe } = setUp()
  bind(name)
  expect(describe(`P${name}`)).toBe(true)
  expect(statement.shape).toBe('id int4')
})

test('they are asked for once', () => {
  const { bind, describe } = setUp()
  bind('')
  describe('P')
  expect(describe('P')).toBe(false)
  bind('')
  expect(describe('P')).toBe(false)
})

test('nothing is learned from the Describe of another portal, or of a statement', () => {
  const { bind, describe } = setUp()
  bind('c1')
  expect(describe('Sc1')).toBe(false)
  expect(describe('P')).toBe(false)
})

test('nor when another statement has been bound since, or a lease has begun', () => {
  const { portal, bind, describe } = setUp()
  bind('')
  bind('', null)
  expect(describe('P')).toBe(false)
  bind('')
  portal.leaseBegins()
  expect(describe('P')).toBe(false)
})
