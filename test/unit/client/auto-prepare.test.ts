import { expect, test } from 'vitest'
import { AutoPrepare } from '../../../src/client/auto-prepare.ts'
import { UnnamedStatement } from '../../../src/client/unnamed-statement.ts'
import { DEBT } from '../../../src/server/ledger.ts'
import { STATUS_FAILED } from '../../../src/wire/backend.ts'
import { MAX_AUTO_PREPARED_BYTES } from '../../../src/wire/limits.ts'
import { startLease } from '../../support/sending.ts'

function setUp(options: Parameters<typeof startLease>[0] = {}) {
  const { lease, ledger, inFlight, counters, settings, sentBy, answer } = startLease(options)
  const auto = new AutoPrepare()
  auto.leaseBegins({ ...settings, autoPrepare: true })
  const unnamed = new UnnamedStatement()
  return {
    auto,
    unnamed,
    ledger,
    inFlight,
    counters,
    settings,
    answer,
    /** Returns what is sent for a Parse of this text; null if the Parse is passed on unchanged. */
    parse: (text: string): string[] | null => {
      const body = Buffer.from(`${text}\0\0\0`)
      let isDone = false
      const sent = sentBy(() => {
        isDone = auto.parse(lease, unnamed, body, 0, body.length)
      })
      return isDone ? sent : null
    },
  }
}

test('the first Parse of a text is passed on unchanged, the second prepares it, and later ones are answered by pgweir', () => {
  const { parse, ledger, counters, answer } = setUp()
  expect(parse('select 1')).toBe(null)
  expect(parse('select 1')).toHaveLength(1)
  answer()
  expect(counters).toMatchObject({ autoPrepareMisses: 2, autoPrepareHits: 0, statementHits: 0 })
  expect(parse('select 1')).toEqual([])
  expect(ledger.takeOurs()?.toString('latin1')).toBe('1\0\0\0\x04')
  expect(counters).toMatchObject({ autoPrepareMisses: 2, autoPrepareHits: 1, statementHits: 1 })
})

test.each([
  ['begin', 'begin'],
  ['set work_mem = 1', 'other'],
  ["select 'today'::date", 'fleeting'],
  ['create table t ()', 'creates'],
])('%j is always passed on unchanged and does not count as a miss', (text, kind) => {
  const { auto, parse, counters } = setUp()
  for (let times = 0; times < 3; times++) expect(parse(text)).toBe(null)
  expect(auto.kind).toBe(kind)
  expect(counters.autoPrepareMisses).toBe(0)
})

test('a text that is too long is passed on unchanged and counts as a miss', () => {
  const { parse, counters } = setUp()
  const long = `select ${'1'.repeat(MAX_AUTO_PREPARED_BYTES)}`
  for (let times = 0; times < 3; times++) expect(parse(long)).toBe(null)
  expect(counters.autoPrepareMisses).toBe(3)
})

test('every Parse is passed on unchanged while a statement that may change settings is unanswered', () => {
  const { inFlight, parse, ledger, answer } = setUp()
  parse('select 1')
  inFlight.add('other', ledger)
  ledger.owe(DEBT.parse)
  expect(parse('select 1')).toBe(null)
  answer()
  expect(parse('select 1')).toHaveLength(1)
})

test('every Parse is passed on unchanged in a failed transaction, where Postgres refuses it', () => {
  const { parse } = setUp({ status: STATUS_FAILED })
  for (let times = 0; times < 3; times++) expect(parse('select 1')).toBe(null)
})

test('if Postgres would have skipped a Parse that pgweir answers, the client keeps its previous unnamed statement', () => {
  const { unnamed, parse, ledger, answer } = setUp()
  for (const text of ['select 1', 'select 1', 'select 2', 'select 2']) parse(text)
  answer()
  const before = unnamed.shared
  expect(before).not.toBe(null)
  ledger.owe(DEBT.bind)
  expect(parse('select 1')).toEqual([])
  expect(unnamed.shared).not.toBe(before)
  ledger.fail()
  expect(unnamed.shared).toBe(before)
})

test('auto_prepare_max_bytes limits what a server holds only while auto-prepare is on', () => {
  const { auto, settings, parse, counters, answer } = setUp({ autoPrepareMaxBytes: 'select 1\0\0\0'.length })
  expect(auto.capacityBytes(settings)).toBe('select 1\0\0\0'.length)
  for (const text of ['select 1', 'select 1', 'select 2', 'select 2']) {
    parse(text)
    answer()
  }
  expect(counters.statementEvictions).toBe(1)
  auto.leaseBegins({ ...settings, autoPrepare: false })
  expect(auto.capacityBytes(settings)).toBe(0)
})
