/** A line between two processes. Each side sends the other messages, or asks questions and gets answers, under names that a contract lists. */

import { PoolerError, type ProblemDetails, type ProblemKind } from '../problems.ts'

/** What one side may send: for each name the body, and the answer if it is a question. Both must survive structured cloning. */
export type Contract = { readonly [Name in string]: { readonly sent: unknown; readonly answer: unknown } }

/** What one side does about each message from the other. An error goes back to the side that asked. */
export type Answers<In extends Contract> = {
  readonly [Name in keyof In]: (sent: In[Name]['sent']) => In[Name]['answer'] | Promise<In[Name]['answer']>
}

/** What carries the messages: process.send, or a pair in memory. */
export interface Carrier {
  /** Returns false if the other side is gone. */
  send(message: unknown): boolean
}

interface Message {
  /** The name in the contract; an answer has none. */
  readonly name?: string
  /** The number of this question, or of the question that this answers. */
  readonly question?: number
  readonly body: unknown
  readonly problem?: TransferredProblem
}

/** An error on its way to another process. */
type TransferredProblem =
  | { readonly kind: ProblemKind; readonly details: ProblemDetails }
  | { readonly kind: null; readonly message: string }

/** The other process is gone, so that an answer will never come. */
export class LineDown extends Error {
  constructor() {
    super('the other process is gone')
    this.name = 'LineDown'
  }
}

export class Line<Out extends Contract, In extends Contract> {
  readonly #carrier: Carrier
  readonly #answers: Answers<In>
  readonly #questions = new Map<number, { resolve(body: unknown): void; reject(problem: unknown): void }>()
  #lastQuestion = 0
  #isUp = true

  constructor(carrier: Carrier, answers: Answers<In>) {
    this.#carrier = carrier
    this.#answers = answers
  }

  get isUp(): boolean {
    return this.#isUp
  }

  tell<Name extends keyof Out & string>(name: Name, body: Out[Name]['sent']): void {
    this.#send({ name, body })
  }

  /** Asks the other side. Rejects with `LineDown` if it goes away before it answers, and with its error if it answers with one. */
  ask<Name extends keyof Out & string>(name: Name, body: Out[Name]['sent']): Promise<Out[Name]['answer']> {
    if (!this.#isUp) return Promise.reject(new LineDown())
    const question = ++this.#lastQuestion
    return new Promise((resolve, reject) => {
      this.#questions.set(question, { resolve, reject })
      this.#send({ name, question, body })
    })
  }

  /** Takes a message from the other side. Anything that is not a line's message is ignored. */
  receive(message: unknown): void {
    if (!isMessage(message)) return
    if (message.name === undefined) this.#answered(message)
    else this.#answer(message.name, message)
  }

  /** The other side is gone: sends nothing more, and rejects all open questions. */
  hangUp(): void {
    if (!this.#isUp) return
    this.#isUp = false
    const waiting = [...this.#questions.values()]
    this.#questions.clear()
    for (const { reject } of waiting) reject(new LineDown())
  }

  #send(message: Message): void {
    if (this.#isUp && !this.#carrier.send(message)) this.hangUp()
  }

  #answered({ question = 0, body, problem }: Message): void {
    const waiting = this.#questions.get(question)
    if (!waiting) return
    this.#questions.delete(question)
    if (problem === undefined) waiting.resolve(body)
    else
      waiting.reject(
        problem.kind === null ? new Error(problem.message) : new PoolerError(problem.kind, problem.details),
      )
  }

  #answer(name: string, { question, body }: Message): void {
    if (question === undefined) {
      this.#answers[name]?.(body)
      return
    }
    const fail = (problem: unknown) => this.#send({ question, body: null, problem: transferred(problem) })
    try {
      const result = this.#answers[name]?.(body)
      if (result instanceof Promise) result.then((answer) => this.#send({ question, body: answer }), fail)
      else this.#send({ question, body: result })
    } catch (problem) {
      fail(problem)
    }
  }
}

function isMessage(message: unknown): message is Message {
  return (
    typeof message === 'object' && message !== null && 'body' in message && ('name' in message || 'question' in message)
  )
}

function transferred(problem: unknown): TransferredProblem {
  if (problem instanceof PoolerError) return { kind: problem.kind, details: problem.details }
  return { kind: null, message: problem instanceof Error ? problem.message : String(problem) }
}
