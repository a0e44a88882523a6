import { describe, expect, test } from 'vitest'
import { keyOf, StatementNames } from '../../../src/client/statement-names.ts'
import { DEBT, type Effect, Ledger } from '../../../src/server/ledger.ts'
import { type Statement, StatementRegistry } from '../../../src/server/statement-registry.ts'
import { MAX_CLIENT_STATEMENTS_BYTES, STATEMENT_BYTES } from '../../../src/wire/limits.ts'
import { BACKEND } from '../../../src/wire/types.ts'

function setUp() {
  const registry = new StatementRegistry()
  const names = new StatementNames(registry)
  const ledger = new Ledger()
  const statement = (text: string): Statement => {
    const body = Buffer.from(`${text}\0\0\0`)
    return registry.intern(body, 0, body.length, '', 1)
  }
  const give = (name: string, text: string): void => {
    ledger.owe(DEBT.parse, names.give(name, statement(text), ledger, null))
  }
  const take = (name: string): void => {
    ledger.owe(DEBT.close, names.take(name, ledger, null, null))
  }
  const textOf = (name: string) => {
    const body = names.find(name)?.body
    return body?.toString('utf8', 0, body.indexOf(0))
  }
  return { registry, names, ledger, statement, give, take, textOf }
}

/** Ends the batch and answers all of it with success. */
function succeed(ledger: Ledger, ...replies: number[]): void {
  ledger.owe(DEBT.sync)
  for (const reply of [...replies, BACKEND.readyForQuery]) expect(ledger.settle(reply)).toBe('forward')
}

describe('a name given to a statement', () => {
  test('stands for the statement at once, and for nothing if its Parse fails', () => {
    const { names, ledger, give, textOf } = setUp()
    give('s1', 'select 1')
    expect(textOf('s1')).toBe('select 1')
    ledger.fail()
    expect(names.has('s1')).toBe(false)
    expect(names.size).toBe(0)
  })

  test('keeps its statement in the registry until its Parse fails', () => {
    const { registry, ledger, give } = setUp()
    give('s1', 'select 1')
    expect(registry.size).toBe(1)
    ledger.fail()
    expect(registry.size).toBe(0)
  })

  test('is not kept if it was closed and given again before its first Parse fails, because all of that was skipped', () => {
    const { names, ledger, give, take } = setUp()
    give('s1', 'select wrong')
    take('s1')
    give('s1', 'select 2')
    ledger.fail()
    expect(names.size).toBe(0)
  })

  test('stands for nothing if its Parse fails, even if it was renewed before', () => {
    const { registry, names, statement } = setUp()
    const hung = names.give('s1', statement('select 1'), new Ledger(), null)
    names.renew('s1', statement('select 2'))
    hung.undo(false, 0)
    expect(names.size).toBe(0)
    expect(registry.size).toBe(0)
  })

  test('is doubtful for a later batch until its own batch has been answered', () => {
    const { names, ledger, give } = setUp()
    give('s1', 'select 1')
    expect(names.doubtful.has('s1', ledger)).toBe(false)
    ledger.owe(DEBT.sync)
    expect(names.doubtful.has('s1', ledger)).toBe(true)
    expect(names.doubtful.has('s2', ledger)).toBe(false)
  })

  test('carries the reply that it was given with', () => {
    const { names, ledger, statement } = setUp()
    const reply = Buffer.from('1')
    expect(names.give('s1', statement('select 1'), ledger, reply).reply).toBe(reply)
  })
})

describe('a name taken away from a statement', () => {
  test('stands for nothing at once, and for the same statement again if the Close was skipped', () => {
    const { registry, names, ledger, give, take, textOf } = setUp()
    give('s1', 'select 1')
    succeed(ledger, BACKEND.parseComplete)
    ledger.owe(DEBT.bind)
    take('s1')
    expect(names.has('s1')).toBe(false)
    expect(registry.size).toBe(0)
    ledger.fail()
    expect(textOf('s1')).toBe('select 1')
    expect(registry.size).toBe(1)
  })

  test('is doubtful for a later batch until its own batch has been answered', () => {
    const { names, ledger, give, take } = setUp()
    give('s1', 'select 1')
    succeed(ledger, BACKEND.parseComplete)
    take('s1')
    ledger.owe(DEBT.sync)
    expect(names.doubtful.has('s1', ledger)).toBe(true)
  })

  test.each(['the latest', 'the first'])(
    'is not restored to a statement whose Parse has failed, undoing %s first',
    (which) => {
      const { names, ledger, statement } = setUp()
      const given = names.give('s1', statement('select wrong'), ledger, null)
      const taken = names.take('s1', ledger, null, null)
      for (const hung of which === 'the latest' ? [taken, given] : [given, taken]) hung?.undo(true, 0)
      expect(names.size).toBe(0)
    },
  )

  test('is not restored if it has been given to another statement since', () => {
    const { names, ledger, give, textOf } = setUp()
    give('s1', 'select 1')
    const taken = names.take('s1', ledger, null, null)
    give('s1', 'select 2')
    taken?.undo(true, 0)
    expect(textOf('s1')).toBe('select 2')
  })

  test('is not restored if the client is gone, so that nothing holds its statement', () => {
    const { registry, names, ledger, give, take } = setUp()
    give('s1', 'select 1')
    succeed(ledger, BACKEND.parseComplete)
    take('s1')
    names.clear()
    ledger.abandon()
    expect(names.size).toBe(0)
    expect(registry.size).toBe(0)
  })

  test('undoes other effects attached to the Close before it is restored', () => {
    const { names, ledger, give } = setUp()
    give('s1', 'select 1')
    const undone: unknown[] = []
    const also: Effect = {
      reply: null,
      undo: (wasSkipped, batch) => undone.push([wasSkipped, batch, names.has('s1')]),
    }
    names.take('s1', ledger, null, also)?.undo(true, 7)
    expect(undone).toEqual([[true, 7, false]])
    expect(names.has('s1')).toBe(true)
  })

  test('has nothing to undo and is not doubtful if it stood for nothing', () => {
    const { names, ledger } = setUp()
    expect(names.take('s1', ledger, null, null)).toBe(null)
    ledger.owe(DEBT.sync)
    expect(names.doubtful.has('s1', ledger)).toBe(false)
  })
})

test('a name that pgweir has dropped itself is not doubtful', () => {
  const { registry, names, ledger, give } = setUp()
  give('s1', 'select 1')
  succeed(ledger, BACKEND.parseComplete)
  names.drop('s1')
  ledger.owe(DEBT.sync)
  expect(names.has('s1')).toBe(false)
  expect(names.doubtful.has('s1', ledger)).toBe(false)
  expect(registry.size).toBe(0)
})

test('a name fits as long as all names and statement texts of the client stay within the limit', () => {
  const { names, give, take } = setUp()
  give('s1', 'select 1')
  const taken = STATEMENT_BYTES + 's1'.length + 'select 1\0\0\0'.length
  const left = MAX_CLIENT_STATEMENTS_BYTES - taken - STATEMENT_BYTES - 's2'.length
  expect(names.hasRoomFor('s2', left)).toBe(true)
  expect(names.hasRoomFor('s2', left + 1)).toBe(false)
  expect(names.hasRoomFor('s10', left)).toBe(false)
  take('s1')
  expect(names.hasRoomFor('s2', left + taken)).toBe(true)
  expect(names.hasRoomFor('s2', left + taken + 1)).toBe(false)
})

test('a renewed name takes up as much as before and releases its old statement', () => {
  const { registry, names, statement, give } = setUp()
  give('s1', 'select 1')
  const left = MAX_CLIENT_STATEMENTS_BYTES - 2 * STATEMENT_BYTES - 's1s2'.length - 'select 1\0\0\0'.length
  names.renew('s1', statement('select 2'))
  expect(names.hasRoomFor('s2', left)).toBe(true)
  expect(names.hasRoomFor('s2', left + 1)).toBe(false)
  expect(registry.size).toBe(1)
})

test('a statement is found by its name on servers, whatever name the client has given it', () => {
  const { names, statement, give } = setUp()
  give('s1', 'select 1')
  give('s2', 'select 2')
  expect(names.nameOf(statement('select 2').name.toString())).toBe('s2')
  expect(names.nameOf(statement('select 3').name.toString())).toBe(null)
})

test('a name in SQL is looked up by its bytes in the protocol', () => {
  expect(keyOf('größe')).toBe(Buffer.from('größe').toString('latin1'))
})
