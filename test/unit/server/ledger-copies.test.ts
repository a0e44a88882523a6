/** COPY from the client, with any messages before, during and after it, even ones at which Postgres would end the connection. */

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { DEBT, type Effect, Ledger } from '../../../src/server/ledger.ts'
import { BACKEND } from '../../../src/wire/types.ts'

const SENT = [
  ...(['parse', 'bind', 'execute', 'close', 'sync', 'query', 'two commands', 'functionCall', 'ours'] as const),
  ...(['execute copy', 'query copy', 'query two copies', 'data', 'end', 'fail', 'flush'] as const),
]

type Message = (typeof SENT)[number] | 'fence'

type Reply = number | 'error' | 'copy fail'

const DEBTS: Partial<Record<Message, number>> = {
  ...{ parse: DEBT.parse, bind: DEBT.bind, execute: DEBT.execute, close: DEBT.close, sync: DEBT.sync },
  ...{ query: DEBT.query, 'two commands': DEBT.query, functionCall: DEBT.functionCall, ours: DEBT.ours },
  ...{ 'execute copy': DEBT.execute, 'query copy': DEBT.query, 'query two copies': DEBT.query },
  ...{ end: DEBT.copyEnd, fail: DEBT.copyEnd },
}

const ANSWERS: Partial<Record<Message, Reply[]>> = {
  parse: [BACKEND.parseComplete],
  bind: [BACKEND.bindComplete],
  execute: [BACKEND.commandComplete],
  close: [BACKEND.closeComplete],
  fence: [BACKEND.closeComplete],
  sync: [BACKEND.readyForQuery],
  query: [BACKEND.commandComplete, BACKEND.readyForQuery],
  'two commands': [BACKEND.commandComplete, BACKEND.emptyQuery, BACKEND.readyForQuery],
  functionCall: [BACKEND.functionCallResponse, BACKEND.readyForQuery],
}

const OURS: Effect = { reply: Buffer.from('ours'), undo: () => {} }

/** What Postgres does with each message. */
class PostgresModel {
  /** How many more COPYs follow in the same query; null if none is under way. */
  #copy: { readonly isSimple: boolean; readonly more: number } | null = null
  #skips = false
  /** Postgres has ended the connection. */
  isGone = false

  get isBusy(): boolean {
    return this.#copy !== null || this.#skips
  }

  copy(): PostgresModel {
    const same = new PostgresModel()
    same.#copy = this.#copy
    same.#skips = this.#skips
    same.isGone = this.isGone
    return same
  }

  work(message: Message, fails: boolean): Reply[] {
    if (this.isGone) return []
    if (this.#copy !== null) return this.#copyIn(message, fails)
    if (this.#skips) {
      this.#skips = message !== 'sync'
      return this.#skips ? [] : [BACKEND.readyForQuery]
    }
    const answers = ANSWERS[message] ?? []
    switch (message) {
      case 'query copy':
      case 'query two copies':
      case 'execute copy':
        this.#copy = { isSimple: message !== 'execute copy', more: message === 'query two copies' ? 1 : 0 }
        return fails ? this.fail() : [BACKEND.copyIn]
      case 'two commands':
        return fails ? [BACKEND.commandComplete, 'error', BACKEND.readyForQuery] : answers
      case 'query':
      case 'functionCall':
        return fails ? ['error', BACKEND.readyForQuery] : answers
      case 'parse':
      case 'bind':
      case 'execute':
      case 'close':
        this.#skips = fails
        return fails ? ['error'] : answers
      default:
        return answers
    }
  }

  #copyIn(message: Message, fails: boolean): Reply[] {
    const { isSimple, more } = this.#copy as { isSimple: boolean; more: number }
    if (message === 'sync' || message === 'flush' || (message === 'data' && !fails)) return []
    if (message === 'fail') return this.fail('copy fail')
    if (message === 'data' || (message === 'end' && fails)) return this.fail()
    this.isGone = message !== 'end'
    this.#copy = more > 0 && !this.isGone ? { isSimple, more: more - 1 } : null
    if (this.isGone) return []
    if (this.#copy !== null) return [BACKEND.commandComplete, BACKEND.copyIn]
    return isSimple ? [BACKEND.commandComplete, BACKEND.readyForQuery] : [BACKEND.commandComplete]
  }

  /** The COPY fails for any reason, perhaps before Postgres has read a message. */
  fail(error: Reply = 'error'): Reply[] {
    if (this.#copy === null) return []
    this.#skips = !this.#copy.isSimple
    this.#copy = null
    return this.#skips ? [error] : [error, BACKEND.readyForQuery]
  }
}

const STEPS = ['send', 'send', 'work', 'work', 'fail', 'deliver', 'cancel'] as const

test('a server whose ledger is clear sends nothing more', () => {
  const conversation = fc.record({
    messages: fc.array(fc.constantFrom<Message>(...SENT, 'sync', 'data'), { maxLength: 9, size: 'max' }),
    steps: fc.array(fc.constantFrom(...STEPS), { maxLength: 50, size: 'max' }),
  })
  fc.assert(
    fc.property(conversation, ({ messages, steps }) => {
      const left = [...messages]
      const ledger = new Ledger()
      const postgres = new PostgresModel()
      const sent: Message[] = []
      const replies: Reply[] = []

      /** Returns false if the ledger takes the reply for nonsense. */
      const deliver = (reply: Reply): boolean => {
        if (ledger.isInDoubt && reply !== BACKEND.readyForQuery) takeOurs(ledger, true)
        const verdict = typeof reply === 'string' ? ledger.fail(reply === 'copy fail') : ledger.settle(reply)
        takeOurs(ledger)
        return verdict !== 'nonsense'
      }
      const send = (message: Message): void => {
        if (ledger.skipsToSync && message !== 'sync') return
        const debt = DEBTS[message]
        if (debt !== undefined) ledger.owe(debt, message === 'ours' ? OURS : null)
        takeOurs(ledger)
        if (message !== 'ours') sent.push(message)
      }

      for (const step of steps) {
        if (step === 'send' && left.length > 0) send(left.shift() as Message)
        else if ((step === 'work' || step === 'fail') && sent.length > 0)
          replies.push(...postgres.work(sent.shift() as Message, step === 'fail'))
        else if (step === 'cancel') replies.push(...postgres.fail())
        // Such a server is closed.
        else if (step === 'deliver' && replies.length > 0 && !deliver(replies.shift() as Reply)) return
        if (postgres.isGone) return
        if (ledger.needsFence) {
          ledger.oweFence()
          sent.push('fence')
        }
        if (!ledger.isClear) continue
        const future = postgres.copy()
        const toCome = sent.flatMap((message) => future.work(message, false))
        expect({ replies, toCome, isBusy: future.isBusy }).toEqual({ replies: [], toCome: [], isBusy: false })
      }
    }),
    { numRuns: 3_000 },
  )
})

function takeOurs(ledger: Ledger, isNextHere = false): void {
  while (ledger.takeOurs(isNextHere) !== null);
}
