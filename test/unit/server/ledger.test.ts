import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { DEBT, type Effect, Ledger, REPLACE, SWALLOW } from '../../../src/server/ledger.ts'
import { BACKEND } from '../../../src/wire/types.ts'

function effect(reply: Buffer | null = null): Effect & { undone: number } {
  return {
    reply,
    undone: 0,
    undo() {
      this.undone++
    },
  }
}

function ledgerWith(...debts: number[]): Ledger {
  const ledger = new Ledger()
  for (const debt of debts) ledger.owe(debt)
  return ledger
}

test('replies pay debts in order, and a reply out of order is nonsense', () => {
  const ledger = ledgerWith(DEBT.parse, DEBT.bind, DEBT.describe, DEBT.execute, DEBT.sync)
  expect(ledger.settle(BACKEND.bindComplete)).toBe('nonsense')
  for (const reply of ['parseComplete', 'bindComplete', 'noData', 'commandComplete', 'readyForQuery'] as const)
    expect(ledger.settle(BACKEND[reply])).toBe('forward')
  expect(ledger.isClear).toBe(true)
})

test('a reply is nonsense if nothing is owed', () => {
  expect(new Ledger().settle(BACKEND.readyForQuery)).toBe('nonsense')
  expect(new Ledger().fail()).toBe('nonsense')
})

test('a simple query is paid only by ReadyForQuery, however many replies come before it', () => {
  const ledger = ledgerWith(DEBT.query)
  for (const reply of ['rowDescription', 'commandComplete', 'emptyQuery'] as const)
    expect(ledger.settle(BACKEND[reply])).toBe('forward')
  expect(ledger.isEmpty).toBe(false)
  expect(ledger.settle(BACKEND.readyForQuery)).toBe('forward')
  expect(ledger.isClear).toBe(true)
})

test('the reply to a request of pgweir’s own is swallowed', () => {
  const ledger = ledgerWith(DEBT.parse | SWALLOW, DEBT.bind, DEBT.sync)
  expect(ledger.settle(BACKEND.parseComplete)).toBe('swallow')
  expect(ledger.settle(BACKEND.bindComplete)).toBe('forward')
})

test('an answer of pgweir’s own waits for its turn', () => {
  const ledger = ledgerWith(DEBT.bind)
  ledger.owe(DEBT.ours, effect(Buffer.from('ours')))
  ledger.owe(DEBT.sync)
  expect(ledger.takeOurs()).toBeNull()
  ledger.settle(BACKEND.bindComplete)
  expect(ledger.takeOurs()?.toString()).toBe('ours')
  expect(ledger.settle(BACKEND.readyForQuery)).toBe('forward')
})

test('an error drops the debts up to the next Sync and undoes their effects, latest first', () => {
  const ledger = new Ledger()
  const undone: string[] = []
  const note = (name: string): Effect => ({ reply: null, undo: () => undone.push(name) })
  ledger.owe(DEBT.parse, note('failed'))
  ledger.owe(DEBT.ours, note('own answer'))
  ledger.owe(DEBT.query, note('query'))
  ledger.owe(DEBT.sync)
  ledger.owe(DEBT.parse, note('next batch'))
  expect(ledger.fail()).toBe('forward')
  expect(undone).toEqual(['query', 'own answer', 'failed'])
  expect(ledger.settle(BACKEND.readyForQuery)).toBe('forward')
  expect(ledger.settle(BACKEND.parseComplete)).toBe('forward')
})

test('after an error nothing is owed until a Sync is sent', () => {
  const ledger = ledgerWith(DEBT.bind)
  ledger.fail()
  expect(ledger.isClear).toBe(false)
  expect(ledger.owe(DEBT.execute)).toBe(false)
  expect(ledger.owe(DEBT.sync)).toBe(true)
  expect(ledger.settle(BACKEND.readyForQuery)).toBe('forward')
  expect(ledger.isClear).toBe(true)
})

test('an expected error is replaced by pgweir’s own', () => {
  const ledger = new Ledger()
  const ours = effect(Buffer.from('our error'))
  ledger.owe(DEBT.describe | REPLACE, ours)
  expect(ledger.headEffect).toBe(ours)
  expect(ledger.fail()).toBe('replace')
})

test('a batch that was answered but has had no Sync is not clear, because its transaction is open', () => {
  const ledger = ledgerWith(DEBT.parse, DEBT.bind)
  ledger.settle(BACKEND.parseComplete)
  ledger.settle(BACKEND.bindComplete)
  expect(ledger.isEmpty).toBe(true)
  expect(ledger.isClear).toBe(false)
})

describe('a replication stream', () => {
  const { copyBoth, rowDescription, commandComplete, readyForQuery } = BACKEND

  function streaming(): Ledger {
    const ledger = ledgerWith(DEBT.query)
    expect(ledger.settle(copyBoth)).toBe('forward')
    expect([ledger.copy, ledger.isClear, ledger.length]).toEqual(['both', false, 1])
    return ledger
  }

  test('is open until its command is complete, whichever side ends it first, and the client’s CopyDone is not a debt', () => {
    const ledger = streaming()
    expect(ledger.owe(DEBT.copyEnd)).toBe(false)
    expect([ledger.copy, ledger.length]).toEqual(['both', 1])
    for (const reply of [rowDescription, commandComplete, commandComplete, readyForQuery])
      expect(ledger.settle(reply)).toBe('forward')
    expect([ledger.copy, ledger.isClear]).toEqual(['none', true])
    expect(ledger.settle(commandComplete)).toBe('nonsense')
  })

  test('is over when it fails', () => {
    const ledger = streaming()
    expect(ledger.fail()).toBe('forward')
    expect([ledger.copy, ledger.isClear]).toEqual(['none', false])
    // Postgres ignores what the client still sends for the stream.
    expect(ledger.owe(DEBT.copyEnd)).toBe(true)
    expect(ledger.settle(readyForQuery)).toBe('forward')
    expect(ledger.isClear).toBe(true)
    expect(ledger.owe(DEBT.copyEnd)).toBe(false)
  })

  test('begins only in answer to a query', () => {
    expect(new Ledger().settle(copyBoth)).toBe('nonsense')
    for (const debt of [DEBT.parse, DEBT.sync, DEBT.functionCall])
      expect(ledgerWith(debt).settle(copyBoth)).toBe('nonsense')
  })
})

test('when the connection is gone, the effects of everything owed are undone', () => {
  const ledger = new Ledger()
  const noted = effect()
  ledger.owe(DEBT.parse, noted)
  ledger.abandon()
  expect(noted.undone).toBe(1)
  expect(ledger.isClear).toBe(true)
})

function fence(ledger: Ledger): void {
  ledger.oweFence()
  expect(ledger.settle(BACKEND.closeComplete)).toBe('swallow')
}

/** A COPY that has failed after this many Syncs were sent during it. */
function failedCopy(syncs: number): Ledger {
  const ledger = new Ledger()
  ledger.owe(DEBT.query)
  ledger.settle(BACKEND.copyIn)
  for (let left = syncs; left > 0; left--) ledger.owe(DEBT.sync)
  ledger.owe(DEBT.copyEnd)
  ledger.fail()
  ledger.settle(BACKEND.readyForQuery)
  return ledger
}

test('after a failed COPY with Syncs in it nothing is owed, but ReadyForQuery may still come until a fence is answered', () => {
  for (const late of [0, 1, 2, 3]) {
    const ledger = failedCopy(3)
    expect([ledger.isEmpty, ledger.isClear, ledger.needsFence]).toEqual([true, false, true])
    ledger.oweFence()
    ledger.owe(DEBT.parse)
    for (let left = late; left > 0; left--) expect(ledger.settle(BACKEND.readyForQuery)).toBe('forward')
    expect(ledger.needsFence).toBe(false)
    expect(ledger.settle(BACKEND.closeComplete)).toBe('swallow')
    expect(ledger.isBatchOpen).toBe(true)
    expect(ledger.settle(BACKEND.readyForQuery)).toBe('nonsense')
    expect(ledger.settle(BACKEND.parseComplete)).toBe('forward')
    ledger.owe(DEBT.sync)
    expect(ledger.settle(BACKEND.readyForQuery)).toBe('forward')
    expect(ledger.isClear).toBe(true)
  }
})

test('a late answer to a Sync sent during a failed COPY is told apart from answers to later messages', () => {
  for (const [debt, ...replies] of [
    [DEBT.query, BACKEND.rowDescription, BACKEND.commandComplete, BACKEND.readyForQuery],
    [DEBT.query, BACKEND.emptyQuery, BACKEND.readyForQuery],
    [DEBT.functionCall, BACKEND.functionCallResponse, BACKEND.readyForQuery],
    [DEBT.parse, BACKEND.parseComplete],
  ] as const) {
    const ledger = failedCopy(2)
    ledger.owe(debt)
    ledger.owe(debt)
    for (let late = 0; late < 2; late++) {
      expect(ledger.settle(BACKEND.readyForQuery)).toBe('forward')
      expect(ledger.length).toBe(2)
    }
    for (const reply of [...replies, ...replies]) expect(ledger.settle(reply)).toBe('forward')
    expect(ledger.isEmpty).toBe(true)
  }
})

test('while an earlier Sync may still be answered, pgweir’s own answer waits until the server’s next answer decides', () => {
  const ours: Effect = { reply: Buffer.from('ours'), undo: () => {} }
  const ledger = failedCopy(2)
  ledger.owe(DEBT.ours, ours)
  ledger.owe(DEBT.parse)
  expect(ledger.takeOurs()).toBe(null)
  expect(ledger.settle(BACKEND.readyForQuery)).toBe('forward')
  expect(ledger.takeOurs()).toBe(null)
  expect(ledger.takeOurs(true)).toBe(ours.reply)
  expect(ledger.settle(BACKEND.parseComplete)).toBe('forward')
  expect(ledger.isInDoubt).toBe(false)
})

test('if no later answer is due that could decide, a fence is sent', () => {
  const ours: Effect = { reply: Buffer.from('ours'), undo: () => {} }
  const ledger = failedCopy(1)
  ledger.owe(DEBT.ours, ours)
  expect([ledger.takeOurs(), ledger.needsFence]).toEqual([null, true])
  ledger.oweFence()
  expect([ledger.takeOurs(), ledger.needsFence]).toEqual([null, false])
  expect(ledger.settle(BACKEND.readyForQuery)).toBe('forward')
  expect(ledger.takeOurs()).toBe(null)
  expect(ledger.settle(BACKEND.closeComplete)).toBe('swallow')
  expect(ledger.takeOurs()).toBe(ours.reply)
})

test('pgweir’s own answer does not wait if a Sync follows it, because either ReadyForQuery will do for that Sync', () => {
  const ours: Effect = { reply: Buffer.from('ours'), undo: () => {} }
  const ledger = failedCopy(1)
  ledger.owe(DEBT.ours, ours)
  ledger.owe(DEBT.sync)
  expect(ledger.takeOurs()).toBe(ours.reply)
})

test('more ReadyForQuery messages than Syncs in a failed COPY are nonsense', () => {
  const ledger = failedCopy(1)
  expect(ledger.settle(BACKEND.readyForQuery)).toBe('forward')
  expect(ledger.isClear).toBe(true)
  expect(ledger.settle(BACKEND.readyForQuery)).toBe('nonsense')
})

// A model of what Postgres does with each message. Requests are sent and processed in any interleaving. Each reply must pay the debt of
// exactly the request it belongs to, and exactly the effects of what failed or was skipped must be undone.

type Token = 'P' | 'B' | 'D' | 'E' | 'C' | 'S' | 'Q' | 'F' | 'E-copy' | 'Q-copy' | 'd' | 'c' | 'f'

const PIECES: fc.Arbitrary<Token[]> = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.constantFrom<Token>('P', 'B', 'D', 'E', 'C', 'S', 'S', 'S', 'Q', 'F').map((token) => [token]),
  },
  {
    weight: 3,
    // As libpq sends it: perhaps a Sync after the command, then data, then the end, then a Sync.
    arbitrary: fc
      .record({ sync: fc.boolean(), rows: fc.nat(2), end: fc.constantFrom<Token>('c', 'f'), isSimple: fc.boolean() })
      .map(({ sync, rows, end, isSimple }): Token[] => [
        isSimple ? 'Q-copy' : 'E-copy',
        ...(sync && !isSimple ? (['S'] as const) : []),
        ...Array<Token>(rows).fill('d'),
        end,
        ...(isSimple ? [] : (['S'] as const)),
      ]),
  },
)

const REPLY_TO: Partial<Record<Token, number>> = {
  P: BACKEND.parseComplete,
  B: BACKEND.bindComplete,
  D: BACKEND.rowDescription,
  E: BACKEND.commandComplete,
  C: BACKEND.closeComplete,
}

const DEBT_OF: Partial<Record<Token, number>> = {
  P: DEBT.parse,
  B: DEBT.bind,
  D: DEBT.describe,
  E: DEBT.execute,
  'E-copy': DEBT.execute,
  C: DEBT.close,
  S: DEBT.sync,
  Q: DEBT.query,
  'Q-copy': DEBT.query,
  F: DEBT.functionCall,
  c: DEBT.copyEnd,
  f: DEBT.copyEnd,
}

interface Reply {
  readonly type: number | 'error'
  /** The message that it answers. */
  readonly of: number
}

class PostgresModel {
  skips = false
  copy: { of: number; isSimple: boolean } | null = null
  /** Messages that failed or were skipped. */
  readonly undone = new Set<number>()

  work(token: Token, of: number, fails: boolean): Reply[] {
    if (this.skips) {
      if (token !== 'S') this.undone.add(of)
      if (token !== 'S') return []
      this.skips = false
      return [{ type: BACKEND.readyForQuery, of }]
    }
    if (this.copy) return this.#copyIn(this.copy, token, fails)
    if (token === 'd' || token === 'c' || token === 'f') return []
    if (token === 'S') return [{ type: BACKEND.readyForQuery, of }]
    if (token === 'Q' || token === 'F')
      return [
        ...(fails
          ? [{ type: 'error' as const, of }]
          : token === 'Q'
            ? [{ type: BACKEND.commandComplete, of }]
            : [{ type: BACKEND.functionCallResponse, of }]),
        { type: BACKEND.readyForQuery, of },
      ]
    const isSimple = token === 'Q-copy'
    if (fails) return this.#fail(of, isSimple)
    if (token === 'E-copy' || isSimple) {
      this.copy = { of, isSimple }
      return [{ type: BACKEND.copyIn, of }]
    }
    return [{ type: REPLY_TO[token] as number, of }]
  }

  #copyIn(copy: { of: number; isSimple: boolean }, token: Token, fails: boolean): Reply[] {
    if (token === 'S') return []
    if (token === 'f' || (token === 'd' && fails)) {
      this.copy = null
      return this.#fail(copy.of, copy.isSimple)
    }
    if (token !== 'c') return []
    this.copy = null
    const done = { type: BACKEND.commandComplete, of: copy.of }
    return copy.isSimple ? [done, { type: BACKEND.readyForQuery, of: copy.of }] : [done]
  }

  #fail(of: number, isSimple: boolean): Reply[] {
    if (isSimple)
      return [
        { type: 'error', of },
        { type: BACKEND.readyForQuery, of },
      ]
    this.skips = true
    this.undone.add(of)
    return [{ type: 'error', of }]
  }
}

test('whatever the order of requests, failures and replies, each reply pays its own request’s debt, and only what failed is undone', () => {
  const conversation = fc.record({
    pieces: fc.array(PIECES, { maxLength: 12, size: 'max' }),
    failures: fc.infiniteStream(fc.nat(4).map((number) => number === 0)),
    steps: fc.infiniteStream(fc.constantFrom('send', 'work', 'deliver')),
  })
  fc.assert(
    fc.property(conversation, ({ pieces, failures, steps }) => {
      const tokens: Token[] = [...pieces.flat(), 'S']
      const ledger = new Ledger()
      const postgres = new PostgresModel()
      const undone = new Set<number>()
      const sent: number[] = []
      const replies: Reply[] = []
      const indexOf = new Map<Effect, number>()
      let next = 0
      let delivered = 0

      const send = () => {
        const index = next++
        const debt = DEBT_OF[tokens[index] as Token]
        const mark: Effect = { reply: null, undo: () => undone.add(index) }
        indexOf.set(mark, index)
        // A message that Postgres skips is not owed and has no effects to undo.
        if (debt !== undefined && !ledger.owe(debt, mark)) undone.add(index)
        sent.push(index)
      }
      const deliver = () => {
        const reply = replies.shift() as Reply
        const mark = ledger.headEffect
        expect(mark && indexOf.get(mark)).toBe(reply.of)
        expect(reply.type === 'error' ? ledger.fail() : ledger.settle(reply.type)).toBe('forward')
        delivered++
      }

      while (next < tokens.length || sent.length > 0 || replies.length > 0) {
        const step = steps.next().value
        if (step === 'send' && next < tokens.length) send()
        else if (step === 'work' && sent.length > 0) {
          const index = sent.shift() as number
          replies.push(...postgres.work(tokens[index] as Token, index, failures.next().value as boolean))
        } else if (step === 'deliver' && replies.length > 0) deliver()
      }
      if (ledger.needsFence) fence(ledger)
      expect(ledger.isClear).toBe(postgres.copy === null)
      for (const index of postgres.undone) {
        // CopyDone and CopyFail are not debts, so no effects are attached to them.
        if (tokens[index] !== 'd' && tokens[index] !== 'c' && tokens[index] !== 'f') expect(undone).toContain(index)
      }
      return delivered >= 0
    }),
    { numRuns: 2_000 },
  )
})
