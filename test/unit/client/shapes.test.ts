import { expect, test } from 'vitest'
import { prepare } from '../../../src/client/preparing.ts'
import { compareShape, learnsShape } from '../../../src/client/shapes.ts'
import { BACKEND } from '../../../src/wire/types.ts'
import { startSending } from '../../support/sending.ts'

/** A statement whose rows were described to clients with this shape; undefined if no client was told a shape. */
function setUp(told: string | null | undefined, sharing: 'shared' | 'own' = 'shared') {
  const { sending, statement: statementOf, registry, statements, ledger, sentBy } = startSending()
  const shared = statementOf('select * from t')
  const { body } = shared
  const statement = sharing === 'shared' ? shared : registry.unshared(body, 0, body.length, statements.version)
  const tell = (shape: string | null) => learnsShape(statement, sending.leased.statements).described?.(shape)
  if (told !== undefined) tell(told)
  let shownAgain = 0
  const context = { ...sending, goOnSoon: () => shownAgain++ }
  const sent: string[] = []
  return {
    ledger,
    sent,
    tell,
    shape: () => statement.shape,
    compare: () => {
      let shape: ReturnType<typeof compareShape> | null = null
      sent.push(...sentBy(() => (shape = compareShape(context, statement, 0))))
      return shape
    },
    prepare: () => sentBy(() => prepare(sending, statement, 0, { reply: null, undo: () => {} })),
    isOutdated: () => sending.leased.statements.isOutdated(statement),
    /** The server has parsed the statement and describes its rows. Returns what becomes of the two answers. */
    describe: (shape: string | null) => {
      const parsed = ledger.settle(BACKEND.parseComplete)
      ledger.headEffect?.described?.(shape)
      return [parsed, ledger.settle(shape === null ? BACKEND.noData : BACKEND.rowDescription)]
    },
    timesShownAgain: () => shownAgain,
  }
}

test('a server that lacks the statement is asked to describe it at once, and the client does not see the answers', () => {
  const { compare, sent, describe } = setUp('id int4')
  expect(compare()).toBe('asked')
  expect(sent).toEqual(['Parse select * from t', 'Describe select * from t', 'Flush'])
  expect(describe('id int4')).toEqual(['swallow', 'swallow'])
})

test.each([
  ['id int4', 'id int4', 'as told'],
  ['id int4', 'id int8', 'changed'],
  ['id int4', null, 'changed'],
  [null, null, 'as told'],
  [null, 'id int4', 'changed'],
])(
  'a shape that was %j and is %j is %s: the message is handled again, and the server is not asked again',
  (told, now, shape) => {
    const { compare, sent, describe, timesShownAgain } = setUp(told)
    compare()
    expect(timesShownAgain()).toBe(0)
    describe(now)
    expect(timesShownAgain()).toBe(1)
    sent.length = 0
    expect(compare()).toBe(shape)
    expect(sent).toEqual([])
  },
)

test.each([
  ['id int4', false],
  ['id int8', true],
])('if the shape was "id int4" and is "%s", tables have changed: %j', (now, isOutdated) => {
  const tables = setUp('id int4')
  tables.compare()
  tables.describe(now)
  expect(tables.isOutdated()).toBe(isOutdated)
})

test.each([
  ['id int4', false],
  ['id int8', true],
])('a client that is told "%s" does not change what others were told, "id int4"', (now, isOutdated) => {
  const tables = setUp('id int4')
  tables.tell(now)
  expect(tables.shape()).toBe('id int4')
  expect(tables.isOutdated()).toBe(isOutdated)
})

test('a client that does not share its statement can be told something else: that is what is compared with from then on', () => {
  const tables = setUp('id int4', 'own')
  tables.tell('id int8')
  expect(tables.shape()).toBe('id int8')
  expect(tables.isOutdated()).toBe(false)
})

test('the message is handled again if the statement can no longer be parsed', () => {
  const { compare, ledger, timesShownAgain } = setUp('id int4')
  compare()
  ledger.fail()
  expect(timesShownAgain()).toBe(1)
})

test('the server is not asked if no client was told a shape', () => {
  const { compare, sent } = setUp(undefined)
  expect(compare()).toBe('as told')
  expect(sent).toEqual([])
})

test('a server that has the statement is asked only until it has described it: another client may have had it prepared after a change', () => {
  const { compare, sent, prepare, tell } = setUp('id int4')
  prepare()
  expect(compare()).toBe('asked')
  expect(sent).toEqual(['Describe select * from t', 'Flush'])
  tell('id int4')
  sent.length = 0
  expect(compare()).toBe('as told')
  expect(sent).toEqual([])
})
