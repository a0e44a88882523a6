import { describe, expect, test } from 'vitest'
import { StatementNames } from '../../../src/client/statement-names.ts'
import { UnnamedRequests } from '../../../src/client/unnamed-requests.ts'
import { DEBT } from '../../../src/server/ledger.ts'
import { STATUS_FAILED } from '../../../src/wire/backend.ts'
import { encodeParse } from '../../../src/wire/frontend.ts'
import { startLease } from '../../support/sending.ts'

function setUp({ autoPrepare = false, ...options }: Parameters<typeof startLease>[0] & { autoPrepare?: boolean } = {}) {
  const { lease, registry, ledger, statements, counters, settings, sentBy, answer, statement } = startLease(options)
  const pool = { ...lease.pool, settings: { ...settings, autoPrepare } }
  const unnamed = new UnnamedRequests({ ...lease, pool })
  unnamed.leaseBegins()
  return {
    unnamed,
    names: new StatementNames(registry),
    ledger,
    statements,
    counters,
    answer,
    sentBy,
    statement,
    /** What is sent for its Parse, with `shared` for shared names. */
    parse(text: string, names: StatementNames | null = null): string[] {
      const message = encodeParse('', Buffer.from(`${text}\0\0\0`))
      const sent = sentBy(() => unnamed.parse(message, 0, message.length, message.length, names))
      return sent.map((shown) => shown.replace(/pgweir_\d+/, 'shared'))
    },
    ensure: () => sentBy(() => unnamed.ensure()),
  }
}

describe('the Parse', () => {
  test('goes as it is, and the text is kept', () => {
    const { unnamed, parse, counters } = setUp()
    expect(parse('select 1')).toEqual(['Parse unnamed select 1'])
    expect(unnamed.text).toBe('select 1')
    expect(unnamed.shared).toBe(null)
    expect(counters).toMatchObject({ clientParses: 1, serverParses: 1 })
  })

  test('becomes one of a shared statement with auto_prepare, when the text is asked for again', () => {
    const { unnamed, parse, counters, answer } = setUp({ autoPrepare: true })
    expect(parse('select 1')).toEqual(['Parse unnamed select 1'])
    expect(parse('select 1')).toEqual(['Parse shared'])
    answer()
    expect(parse('select 1')).toEqual([])
    expect(unnamed.shared?.text).toBe('select 1')
    expect(counters).toMatchObject({ clientParses: 3, serverParses: 2 })
  })

  test('of a DEALLOCATE takes the name away, and is kept as what the server is sent', () => {
    const { unnamed, names, ledger, statement, parse } = setUp()
    names.give('s1', statement('select 1'), ledger, null)
    expect(parse('deallocate s1', names)).toHaveLength(3)
    expect(names.has('s1')).toBe(false)
    expect(unnamed.text).toBe('deallocate pgweir_doomed')
  })

  test('that is too large to be kept leaves no text', () => {
    const { unnamed, parse, sentBy } = setUp()
    parse('select 1')
    const message = encodeParse('', Buffer.from('select 2\0\0\0'))
    // Only a part of it is there when it is handled.
    sentBy(() => unnamed.parse(message, 0, message.length, message.length + 1, null))
    expect(unnamed.text).toBe(null)
  })
})

describe('the server is made sure to have it', () => {
  test('by nothing, if it has it', () => {
    const { parse, ensure } = setUp()
    parse('select 1')
    expect(ensure()).toEqual([])
  })

  test('by its Parse, if another client has put its own there', () => {
    const { statements, ledger, parse, ensure } = setUp()
    parse('select 1')
    statements.unnamedSent({}, 1, ledger)
    expect(ensure()).toEqual(['Parse unnamed select 1'])
  })

  test("or is made to have none, if the client has none: another client's must not be run", () => {
    const { statements, ledger, ensure } = setUp()
    statements.unnamedSent({}, 1, ledger)
    expect(ensure()).toEqual(['Close unnamed'])
  })
})

describe('its kind', () => {
  test.each([
    ["select set_config('a', 'b', true)", false, 'other'],
    ["select 'today'::date", false, 'other'],
    ["select 'today'::date", true, 'fleeting'],
    ['create table t ()', false, 'creates'],
  ])('of %j, if that is likely to matter: %j, is %s', (text, isLikely, kind) => {
    const { unnamed, parse } = setUp()
    parse(text)
    expect(unnamed.kind(isLikely)).toBe(kind)
  })

  test('is looked at where a transaction may have changed by then', () => {
    const { unnamed, ledger, parse } = setUp()
    parse("select 'today'::date")
    ledger.owe(DEBT.query)
    expect(unnamed.kind(false)).toBe('fleeting')
  })

  test('is unknown without a statement', () => {
    expect(setUp().unnamed.kind(true)).toBe('other')
  })
})

describe('a batch can be sent again', () => {
  test('if it is the first thing done with the statement', () => {
    const { unnamed, parse, answer } = setUp()
    parse('select 1')
    answer()
    expect(unnamed.isRepeatable).toBe(true)
    unnamed.use()
    expect(unnamed.isRepeatable).toBe(false)
  })

  test('unless something comes before it, or a transaction is open', () => {
    const { unnamed, ledger } = setUp()
    ledger.owe(DEBT.bind)
    expect(unnamed.isRepeatable).toBe(false)
    expect(setUp({ status: STATUS_FAILED }).unnamed.isRepeatable).toBe(false)
  })
})

describe.each([
  ['a simple query', DEBT.query, 'querySent'],
  ['its Close', DEBT.close, 'closeSent'],
] as const)('%s', (_, debt, sent) => {
  test('drops it', () => {
    const { unnamed, parse, answer } = setUp()
    parse('select 1')
    answer()
    unnamed[sent]()
    expect(unnamed.text).toBe(null)
  })

  test('keeps it if Postgres skips that', () => {
    const { unnamed, ledger, parse, answer } = setUp()
    parse('select 1')
    answer()
    ledger.owe(DEBT.bind)
    ledger.owe(debt, unnamed[sent]())
    expect(unnamed.text).toBe(null)
    ledger.fail()
    expect(unnamed.text).toBe('select 1')
  })
})
