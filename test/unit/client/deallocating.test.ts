import { expect, test } from 'vitest'
import { parseDeallocate } from '../../../src/client/deallocating.ts'
import { keyOf, StatementNames } from '../../../src/client/statement-names.ts'
import { DEBT, type Effect } from '../../../src/server/ledger.ts'
import { BACKEND } from '../../../src/wire/types.ts'
import { startSending } from '../../support/sending.ts'

/** A client that has given this name to a statement. */
function setUp(name: string) {
  const { sending, registry, statement, ledger, sentBy } = startSending()
  const names = new StatementNames(registry)
  names.give(keyOf(name), statement('select 1'), ledger, null)
  const undone: boolean[] = []
  const dropped: Effect = { reply: null, undo: (wasSkipped) => undone.push(wasSkipped) }
  /** Returns what is sent in place of a Parse with this text; null if the Parse is passed on unchanged. */
  const parse = (text: string, known: StatementNames | null = names): string[] | null => {
    const body = Buffer.from(`${text}\0\0\0`)
    let isDone = false
    const sent = sentBy(() => {
      isDone = parseDeallocate(sending, known, body, 0, body.length, 6 + body.length, dropped)
    })
    return isDone ? sent : null
  }
  return { names, ledger, undone, parse }
}

test('the server deallocates a stand-in instead of the statement that other clients may use, and the client sees one answer', () => {
  const { names, ledger, parse } = setUp('s1')
  expect(parse('deallocate s1')).toEqual([
    'Close pgweir_doomed',
    'Parse pgweir_doomed',
    'Parse unnamed deallocate pgweir_doomed',
  ])
  expect(names.has('s1')).toBe(false)
  const replies = [BACKEND.closeComplete, BACKEND.parseComplete, BACKEND.parseComplete]
  expect(replies.map((reply) => ledger.settle(reply))).toEqual(['swallow', 'swallow', 'forward'])
})

test('if Postgres skips the Parse, the name stands for its statement again and effects attached to the Parse are undone', () => {
  const { names, ledger, undone, parse } = setUp('s1')
  ledger.owe(DEBT.bind)
  parse('deallocate s1')
  ledger.fail()
  expect(names.has('s1')).toBe(true)
  expect(undone).toEqual([true])
})

test.each([
  ['_pg3_0', 'DEALLOCATE "_pg3_0"'],
  ['s1', 'deallocate prepare S1 ;'],
  ['größe', 'deallocate "größe"'],
])('%j is the statement that %j deallocates', (name, text) => {
  const { names, parse } = setUp(name)
  expect(parse(text)).toHaveLength(3)
  expect(names.size).toBe(0)
})

test.each(['deallocate s2', 'deallocate all', 'select 1', `deallocate "${'s'.repeat(300)}"`])(
  '%j is passed on unchanged, and no name is removed',
  (text) => {
    const { names, undone, parse } = setUp('s1')
    expect(parse(text)).toBe(null)
    expect(names.size).toBe(1)
    expect(undone).toEqual([])
  },
)

test('DEALLOCATE from a client that has named no statement is passed on unchanged', () => {
  expect(setUp('s1').parse('deallocate s1', null)).toBe(null)
})
