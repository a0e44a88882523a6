import { describe, expect, test } from 'vitest'
import { ensureUnnamed, prepare, prepareUnasked } from '../../../src/client/preparing.ts'
import { UnnamedStatement } from '../../../src/client/unnamed-statement.ts'
import { DEBT, type Effect, type Ledger } from '../../../src/server/ledger.ts'
import { BACKEND } from '../../../src/wire/types.ts'
import { startSending } from '../../support/sending.ts'

const NO_LIMIT = 0
const UNDONE: Effect = { reply: null, undo: () => {} }

describe('a shared statement', () => {
  test('a shared statement is parsed on a server that lacks it, and is known to be there for the next message', () => {
    const { sending, statements, ledger, counters, statement, sentBy } = startSending()
    const one = statement('select 1')
    expect(sentBy(() => prepare(sending, one, NO_LIMIT, UNDONE))).toEqual(['Parse select 1'])
    expect(statements.has(one, ledger)).toBe(true)
    expect(counters).toMatchObject({ serverParses: 1, statementMisses: 1, statementEvictions: 0 })
  })

  test('the answer to a shared statement’s Parse goes only to a client that sent that Parse', () => {
    const { sending, ledger, statement, sentBy } = startSending()
    sentBy(() => prepare(sending, statement('select 1'), NO_LIMIT, UNDONE))
    expect(ledger.settle(BACKEND.parseComplete)).toBe('forward')
    sentBy(() => prepareUnasked(sending, statement('select 2'), NO_LIMIT))
    expect(ledger.settle(BACKEND.parseComplete)).toBe('swallow')
  })

  test('if its Parse fails, a shared statement does not count as prepared, and effects attached to the Parse are undone', () => {
    const { sending, statements, ledger, statement, sentBy } = startSending()
    const one = statement('select 1')
    const undone: boolean[] = []
    sentBy(() => prepare(sending, one, NO_LIMIT, { reply: null, undo: (wasSkipped) => undone.push(wasSkipped) }))
    ledger.fail()
    expect(statements.has(one, ledger)).toBe(false)
    expect(undone).toEqual([false])
  })

  test('a shared statement is closed first if an earlier, unanswered batch may have left it on the server', () => {
    const { sending, ledger, statement, sentBy } = startSending()
    const one = statement('select 1')
    sentBy(() => prepare(sending, one, NO_LIMIT, UNDONE))
    ledger.owe(DEBT.sync)
    expect(sentBy(() => prepareUnasked(sending, one, NO_LIMIT))).toEqual(['Close select 1', 'Parse select 1'])
  })
})

describe('eviction', () => {
  test('takes the least recently used statement once max_prepared_statements is reached', () => {
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

  test('takes two statements per new one after a reload has lowered the limit, so that their number goes down', () => {
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

  test('takes as many statements as a large new one needs, within the limit in bytes', () => {
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

  test('takes at most 32 statements at once, however large the new one is', () => {
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

  test('an unnamed statement is parsed again on a server that lacks it, once, and the client does not see the answer', () => {
    const { sending, ledger, counters, sentBy, answer } = startSending()
    const unnamed = withText('select 1', ledger)
    expect(sentBy(() => ensureUnnamed(sending, unnamed))).toEqual(['Parse unnamed select 1'])
    expect(counters.serverParses).toBe(1)
    expect(ledger.settle(BACKEND.parseComplete)).toBe('swallow')
    expect(sentBy(() => ensureUnnamed(sending, unnamed))).toEqual([])
    answer()
    expect(sentBy(() => ensureUnnamed(sending, unnamed))).toEqual([])
  })

  test('another client’s unnamed statement is closed before a client that has none uses the server', () => {
    const { sending, ledger, sentBy, answer } = startSending()
    sentBy(() => ensureUnnamed(sending, withText('select secret', ledger)))
    answer()
    expect(sentBy(() => ensureUnnamed(sending, null))).toEqual(['Close unnamed'])
    expect(ledger.settle(BACKEND.closeComplete)).toBe('swallow')
    expect(sentBy(() => ensureUnnamed(sending, null))).toEqual([])
  })

  test('another client’s unnamed statement is replaced by the client’s own', () => {
    const { sending, ledger, sentBy, answer } = startSending()
    sentBy(() => ensureUnnamed(sending, withText('select secret', ledger)))
    answer()
    expect(sentBy(() => ensureUnnamed(sending, withText('select 2', ledger)))).toEqual(['Parse unnamed select 2'])
  })

  test('another client’s unnamed statement is closed even if the client’s own was too large to keep', () => {
    const { sending, ledger, sentBy, answer } = startSending()
    sentBy(() => ensureUnnamed(sending, withText('select secret', ledger)))
    answer()
    expect(sentBy(() => ensureUnnamed(sending, new UnnamedStatement()))).toEqual(['Close unnamed'])
  })

  test('an unnamed statement is parsed again if the Parse that pgweir added failed', () => {
    const { sending, ledger, sentBy } = startSending()
    const unnamed = withText('select 1', ledger)
    sentBy(() => ensureUnnamed(sending, unnamed))
    ledger.fail()
    ledger.owe(DEBT.sync)
    ledger.settle(BACKEND.readyForQuery)
    expect(sentBy(() => ensureUnnamed(sending, unnamed))).toEqual(['Parse unnamed select 1'])
  })
})
