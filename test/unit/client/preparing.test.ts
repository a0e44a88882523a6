import { describe, expect, test } from 'vitest'
import { ensureUnnamed, prepare, prepareUnasked } from '../../../src/client/preparing.ts'
import { UnnamedStatement } from '../../../src/client/unnamed-statement.ts'
import { DEBT, type Effect, type Ledger } from '../../../src/server/ledger.ts'
import { BACKEND } from '../../../src/wire/types.ts'
import { startSending } from '../../support/sending.ts'

const NO_LIMIT = 0
const UNDONE: Effect = { reply: null, undo: () => {} }

describe('a shared statement', () => {
  test('is parsed where it is missing, and is there for whatever is sent next', () => {
    const { sending, statements, ledger, counters, statement, sentBy } = startSending()
    const one = statement('select 1')
    expect(sentBy(() => prepare(sending, one, NO_LIMIT, UNDONE))).toEqual(['Parse select 1'])
    expect(statements.has(one, ledger)).toBe(true)
    expect(counters).toMatchObject({ serverParses: 1, statementMisses: 1, statementEvictions: 0 })
  })

  test('is answered to the client that asked for it, and to nobody else', () => {
    const { sending, ledger, statement, sentBy } = startSending()
    sentBy(() => prepare(sending, statement('select 1'), NO_LIMIT, UNDONE))
    expect(ledger.settle(BACKEND.parseComplete)).toBe('forward')
    sentBy(() => prepareUnasked(sending, statement('select 2'), NO_LIMIT))
    expect(ledger.settle(BACKEND.parseComplete)).toBe('swallow')
  })

  test('is not there if its Parse fails, and what hangs on that is undone', () => {
    const { sending, statements, ledger, statement, sentBy } = startSending()
    const one = statement('select 1')
    const undone: boolean[] = []
    sentBy(() => prepare(sending, one, NO_LIMIT, { reply: null, undo: (wasSkipped) => undone.push(wasSkipped) }))
    ledger.fail()
    expect(statements.has(one, ledger)).toBe(false)
    expect(undone).toEqual([false])
  })

  test('is closed first where an earlier batch that is not answered yet may have left it', () => {
    const { sending, ledger, statement, sentBy } = startSending()
    const one = statement('select 1')
    sentBy(() => prepare(sending, one, NO_LIMIT, UNDONE))
    ledger.owe(DEBT.sync)
    expect(sentBy(() => prepareUnasked(sending, one, NO_LIMIT))).toEqual(['Close select 1', 'Parse select 1'])
  })
})

describe('what makes way', () => {
  test('is the one that was used longest ago, when there are as many as there may be', () => {
    const { sending, statements, counters, statement, sentBy, answer } = startSending({ maxPreparedStatements: 2 })
    const [one, two, three] = [statement('select 1'), statement('select 2'), statement('select 3')]
    sentBy(() => prepare(sending, one, NO_LIMIT, UNDONE))
    sentBy(() => prepare(sending, two, NO_LIMIT, UNDONE))
    answer()
    statements.use(one)
    expect(sentBy(() => prepare(sending, three, NO_LIMIT, UNDONE))).toEqual(['Close select 2', 'Parse select 3'])
    expect(statements.size).toBe(2)
    expect(counters.statementEvictions).toBe(1)
  })

  test('are two at a time, when a reload has made them too many, so that they become fewer', () => {
    const { sending, statements, settings, statement, sentBy, answer } = startSending({ maxPreparedStatements: 4 })
    for (const number of [1, 2, 3, 4]) sentBy(() => prepare(sending, statement(`select ${number}`), NO_LIMIT, UNDONE))
    answer()
    Object.assign(settings, { maxPreparedStatements: 2 })
    expect(sentBy(() => prepare(sending, statement('select 5'), NO_LIMIT, UNDONE))).toEqual([
      'Close select 1',
      'Close select 2',
      'Parse select 5',
    ])
    expect(statements.size).toBe(3)
  })

  test('are as many as a large one needs, up to the bytes that all may take', () => {
    const { sending, statement, sentBy, answer } = startSending()
    const small = ['select 1', 'select 2', 'select 3', 'select 4']
    const bytes = small.length * 'select 1\0\0\0'.length
    for (const text of small) sentBy(() => prepare(sending, statement(text), bytes, UNDONE))
    answer()
    const large = statement(`select ${'5'.repeat(12)}`)
    expect(sentBy(() => prepare(sending, large, bytes, UNDONE))).toEqual([
      'Close select 1',
      'Close select 2',
      `Parse select ${'5'.repeat(12)}`,
    ])
  })

  test('are no more than 32 of them at once, however large it is', () => {
    const { sending, statements, counters, statement, sentBy, answer } = startSending()
    for (let number = 0; number < 40; number++)
      sentBy(() => prepare(sending, statement(`select ${number}`), NO_LIMIT, UNDONE))
    answer()
    sentBy(() => prepare(sending, statement('select large'), 1, UNDONE))
    expect(counters.statementEvictions).toBe(32)
    expect(statements.size).toBe(9)
  })
})

describe('an unnamed statement', () => {
  const withText = (text: string, ledger: Ledger): UnnamedStatement => {
    const unnamed = new UnnamedStatement()
    unnamed.drop(ledger)
    const body = Buffer.from(`${text}\0\0\0`)
    unnamed.keep(body, 0, body.length, 'other')
    return unnamed
  }

  test('is parsed again on a server that does not have it, which the client does not see, and then no more', () => {
    const { sending, ledger, counters, sentBy, answer } = startSending()
    const unnamed = withText('select 1', ledger)
    expect(sentBy(() => ensureUnnamed(sending, unnamed))).toEqual(['Parse unnamed select 1'])
    expect(counters.serverParses).toBe(1)
    expect(ledger.settle(BACKEND.parseComplete)).toBe('swallow')
    expect(sentBy(() => ensureUnnamed(sending, unnamed))).toEqual([])
    answer()
    expect(sentBy(() => ensureUnnamed(sending, unnamed))).toEqual([])
  })

  test('of another client is never left to one that has none', () => {
    const { sending, ledger, sentBy, answer } = startSending()
    sentBy(() => ensureUnnamed(sending, withText('select secret', ledger)))
    answer()
    expect(sentBy(() => ensureUnnamed(sending, null))).toEqual(['Close unnamed'])
    expect(ledger.settle(BACKEND.closeComplete)).toBe('swallow')
    expect(sentBy(() => ensureUnnamed(sending, null))).toEqual([])
  })

  test('of another client is replaced', () => {
    const { sending, ledger, sentBy, answer } = startSending()
    sentBy(() => ensureUnnamed(sending, withText('select secret', ledger)))
    answer()
    expect(sentBy(() => ensureUnnamed(sending, withText('select 2', ledger)))).toEqual(['Parse unnamed select 2'])
  })

  test('of another client is not left either where its own was too large to be kept', () => {
    const { sending, ledger, sentBy, answer } = startSending()
    sentBy(() => ensureUnnamed(sending, withText('select secret', ledger)))
    answer()
    expect(sentBy(() => ensureUnnamed(sending, new UnnamedStatement()))).toEqual(['Close unnamed'])
  })

  test('whose Parse on our account fails is in doubt, and parsed again', () => {
    const { sending, ledger, sentBy } = startSending()
    const unnamed = withText('select 1', ledger)
    sentBy(() => ensureUnnamed(sending, unnamed))
    ledger.fail()
    ledger.owe(DEBT.sync)
    ledger.settle(BACKEND.readyForQuery)
    expect(sentBy(() => ensureUnnamed(sending, unnamed))).toEqual(['Parse unnamed select 1'])
  })
})
