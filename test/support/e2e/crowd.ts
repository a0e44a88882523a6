/** Clients that ask without a pause. Each question has a number that only its answer can carry. */

import type { Client, ClientConfig } from 'pg'
import { expect } from 'vitest'
import type { Pgweir } from './pgweir.ts'
import { workerOf } from './places.ts'
import { LONG_PATIENCE_MS, until } from './until.ts'

/** How a client asks one of its questions. Returns what came back, which must be the question. Most of the time is spent asleep in Postgres. */
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

/** One of a crowd: connects again when it has lost its connection, and asks the same question again. */
export class Asker {
  answers = 0
  /** Each connection that was lost; the worker is 0 if there was none yet. */
  readonly losses: { readonly worker: number; readonly why: 'sent away' | 'gone' }[] = []
  readonly #pgweir: Pgweir
  readonly #name: string
  readonly #config: ClientConfig
  #client: Client | null = null
  /** What it was told between two questions. */
  #lastWord: Error | null = null

  constructor(pgweir: Pgweir, name: string, config: ClientConfig) {
    this.#pgweir = pgweir
    this.#name = name
    this.#config = config
  }

  /** Where it is connected; 0 while it is not. */
  get worker(): number {
    return this.#client === null ? 0 : workerOf(this.#client)
  }

  /** Asks until it has been answered so often. */
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

  /** Each asks so often. */
  async ask(times: number): Promise<void> {
    await Promise.all(this.askers.map((asker) => asker.ask(times)))
  }

  /** Each holds a server for as long as the lock is somebody else's; those who get none wait. */
  async queueBehind(lock: number): Promise<void> {
    await Promise.all(this.askers.map((asker) => asker.queueBehind(lock)))
  }

  /** All ask, until they are told to stop. */
  begin(): void {
    this.#asking = Promise.all(
      this.askers.map(async (asker) => {
        while (!this.#isOver) await asker.ask(1)
      }),
    )
    // A wrong answer is told by whoever waits for the end, which may be later.
    this.#asking.catch(() => {})
  }

  /** Until each has been answered so often from now on. */
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

  /** Lets each have the answer that it waits for. */
  async stop(): Promise<void> {
    this.#isOver = true
    await this.#asking
  }

  async leave(): Promise<void> {
    await Promise.all(this.askers.map((asker) => asker.leave()))
  }
}
