import { expect, test } from 'vitest'
import { parseNamed } from '../../../src/client/naming.ts'
import { StatementNames } from '../../../src/client/statement-names.ts'
import { DEBT } from '../../../src/server/ledger.ts'
import { STATUS_FAILED } from '../../../src/wire/backend.ts'
import { BACKEND } from '../../../src/wire/types.ts'
import { startLease } from '../../support/sending.ts'

class FullNames extends StatementNames {
  override hasRoomFor(): boolean {
    return false
  }
}

function setUp(options: Parameters<typeof startLease>[0] = {}) {
  const { lease, registry, ledger, counters, errors, sentBy, answer } = startLease(options)
  const sending = { ...lease, goOnSoon() {} }
  const names = new StatementNames(registry)
  /** What is sent for a Parse, with `shared` for shared names. */
  const parse = (name: string, text: string, of = names): string[] => {
    const body = Buffer.from(`${text}\0\0\0`)
    const sent = sentBy(() => parseNamed(sending, of, name, body, 0, body.length, 0))
    return sent.map((message) => message.replace(/pgweir_\d+/, 'shared'))
  }
  const others = new StatementNames(registry)
  const full = new FullNames(registry)
  return { names, others, full, ledger, counters, errors, answer, parse }
}

test('the server prepares what it does not have, and answers itself', () => {
  const { names, ledger, parse } = setUp()
  expect(parse('s1', 'select 1')).toEqual(['Parse shared'])
  expect(ledger.settle(BACKEND.parseComplete)).toBe('forward')
  expect(names.find('s1')?.text).toBe('select 1')
})

test('we answer for what the server has, even from another client', () => {
  const { names, others, ledger, counters, parse, answer } = setUp()
  parse('s1', 'select 1')
  answer()
  expect(parse('a', 'select 1', others)).toEqual([])
  expect(ledger.takeOurs()?.toString('latin1')).toBe('1\0\0\0\x04')
  expect(others.find('a')).toBe(names.find('s1'))
  expect(counters).toMatchObject({ statementHits: 1, statementMisses: 1 })
})

test('a name that is taken is refused in the server, and still stands for what it did', () => {
  const { names, ledger, errors, parse, answer } = setUp()
  parse('s1', 'select 1')
  answer()
  expect(parse('s1', 'select 2')).toEqual(['Close pgweir_vain', 'Parse pgweir_vain', 'Describe pgweir_never'])
  expect([ledger.settle(BACKEND.closeComplete), ledger.settle(BACKEND.parseComplete)]).toEqual(['swallow', 'swallow'])
  expect(ledger.fail()).toBe('replace')
  expect(errors.totals()).toEqual({ 'pgweir 42P05': 1 })
  expect(names.find('s1')?.text).toBe('select 1')
})

test('so is a statement that the client has no room for', () => {
  const { full, errors, parse } = setUp()
  expect(parse('s1', 'select 1', full)).toEqual(['Describe pgweir_never'])
  expect(errors.totals()).toEqual({ 'pgweir 54000': 1 })
  expect(full.size).toBe(0)
})

test('in a transaction that has failed the server sees even what it has, and what it is not to keep', () => {
  const { parse } = setUp({ status: STATUS_FAILED })
  parse('s1', 'select 1')
  expect(parse('s2', 'select 1')).toEqual(['Close shared', 'Parse shared'])
  expect(parse('s1', 'select 1')).toEqual(['Close pgweir_vain', 'Parse pgweir_vain', 'Describe pgweir_never'])
})

test('so does it where a transaction may have failed by then', () => {
  const { ledger, parse, answer } = setUp()
  parse('s1', 'select 1')
  answer()
  ledger.owe(DEBT.query)
  expect(parse('s2', 'select 1')).toHaveLength(2)
})

test('the name stands for nothing if the Parse fails', () => {
  const { names, ledger, parse } = setUp()
  parse('s1', 'select 1')
  ledger.fail()
  expect(names.has('s1')).toBe(false)
})
