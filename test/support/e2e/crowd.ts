/** Clients that ask questions without a pause. Each question has a number that only its answer contains. */

import type { Client, ClientConfig } from 'pg'
import { expect } from 'vitest'
import type { Pgweir } from './pgweir.ts'
import { workerOf } from './places.ts'
import { LONG_PATIENCE_MS, until } from './until.ts'

/** One way to ask a question. Returns the answer, which must be the question itself. Most of the time is spent sleeping in Postgres. */
type Way = (client: Client, question: string) => Promise<string>

const WAYS: readonly Way[] = [
  async (client, question) => (await client.query(`select '${question}' as said`)).rows[0].said,
  async (client, question) => (await client.query('select $1::text as said', [question])).rows[0].said,
  async (client, question) => (await client.query('select $1 as said, pg_sleep(0.05)', [question])).rows[0].said,
  async (client, question) => {
    await client.query('begin')
    await client.query(`select set_config('app.question', $1, true)`, [question])
    const { rows } = await client.query(`select current_setting('app.question') as said, pg_sleep(0.05)`)
    await client.query('commit')
    return rows[0].said
  },
]

const SENT_AWAY = '57P01'

function codeOf(problem: Error): string {
  return (problem as { readonly code?: string }).code ?? ''
}

function isLoss(problem: Error): boolean {
  return [SENT_AWAY, 'ECONNRESET', 'EPIPE'].includes(codeOf(problem)) || /^Connection terminated/.test(problem.message)
}

/** One client of a crowd. When it loses its connection, it reconnects and asks the same question again. */
export class Asker {
  answers = 0
  /** The lost connections; the worker is 0 if the client was not connected to one yet. */
  readonly losses: { readonly worker: number; readonly why: 'sent away' | 'gone' }[] = []
  readonly #pgweir: Pgweir
  readonly #name: string
  readonly #config: ClientConfig
  #client: Client | null = null
  /** The error that has arrived between two questions. */
  #lastWord: Error | null = null

  constructor(pgweir: Pgweir, name: string, config: ClientConfig) {
    this.#pgweir = pgweir
    this.#name = name
    this.#config = config
  }

  /** The worker that it is connected to; 0 if it is not connected. */
  get worker(): number {
    return this.#client === null ? 0 : workerOf(this.#client)
  }

  /** Asks until it has `times` more answers. */
  async ask(times: number): Promise<void> {
    for (const enough = this.answers + times; this.answers < enough; ) await this.#try()
  }

  async queueBehind(lock: number): Promise<void> {
    this.#client ??= await this.#connect()
    await this.#client.query(`select pg_advisory_xact_lock_shared(${lock})`)
  }

  async leave(): Promise<void> {
    const client = this.#client
    this.#client = null
    await client?.end()
  }

  async #try(): Promise<void> {
    const question = `${this.#name}, question ${this.answers}`
    const way = WAYS[this.answers % WAYS.length] as Way
    let answer: string
    let worker = 0
    try {
      this.#client ??= await this.#connect()
      worker = this.worker
      answer = await way(this.#client, question)
    } catch (problem) {
      this.#lost(worker, problem as Error)
      return
    }
    expect(answer).toBe(question)
    this.answers++
  }

  async #connect(): Promise<Client> {
    const client = await this.#pgweir.client(this.#config)
    this.#lastWord = null
    client.on('error', (problem) => {
      this.#lastWord ??= problem
    })
    return client
  }

  #lost(worker: number, problem: Error): void {
    const told = this.#lastWord ?? problem
    if (!isLoss(told)) throw problem
    this.losses.push({ worker, why: codeOf(told) === SENT_AWAY ? 'sent away' : 'gone' })
    this.#client = null
    this.#lastWord = null
  }
}

export class Crowd {
  readonly askers: readonly Asker[]
  #isOver = false
  #asking: Promise<unknown> = Promise.resolve()

  constructor(pgweir: Pgweir, size: number, config: ClientConfig = {}) {
    const where = config.database ?? pgweir.database.database
    pgweir.onFinish(() => {
      this.#isOver = true
    })
    this.askers = Array.from({ length: size }, (_, n) => new Asker(pgweir, `client ${n} of ${where}`, config))
  }

  get losses(): Asker['losses'] {
    return this.askers.flatMap(({ losses }) => losses)
  }

  /** Lets each client ask until it has `times` more answers. */
  async ask(times: number): Promise<void> {
    await Promise.all(this.askers.map((asker) => asker.ask(times)))
  }

  /** Lets each client that gets a server hold it while another session has the lock; the others wait for a server. */
  async queueBehind(lock: number): Promise<void> {
    await Promise.all(this.askers.map((asker) => asker.queueBehind(lock)))
  }

  /** Lets all clients ask until `stop`. */
  begin(): void {
    this.#asking = Promise.all(
      this.askers.map(async (asker) => {
        while (!this.#isOver) await asker.ask(1)
      }),
    )
    // A wrong answer is reported to the caller that waits for the end, which may be later.
    this.#asking.catch(() => {})
  }

  /** Waits until each client has `times` more answers. */
  async untilAnswered(times: number): Promise<void> {
    const enough = this.askers.map(({ answers }) => answers + times)
    await Promise.race([
      this.#asking,
      until(
        `each client has ${times} more answers`,
        () => this.askers.every(({ answers }, index) => answers >= (enough[index] as number)),
        LONG_PATIENCE_MS,
      ),
    ])
  }

  /** Stops after each client has received the answer that it waits for. */
  async stop(): Promise<void> {
    this.#isOver = true
    await this.#asking
  }

  async leave(): Promise<void> {
    await Promise.all(this.askers.map((asker) => asker.leave()))
  }
}
