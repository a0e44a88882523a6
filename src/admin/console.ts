/** The handler of a console client: answers commands in the simple and the extended query protocol, one at a time and in order. */

import type { Log } from '../base/log.ts'
import type { Handler } from '../client/handler.ts'
import type { Host } from '../client/host.ts'
import { CLOSE_REQUEST } from '../client/leaving.ts'
import type { Counters } from '../pool/counters.ts'
import { kindOf, PoolerError } from '../problems.ts'
import type { Settings } from '../settings/load.ts'
import {
  BIND_COMPLETE,
  CLOSE_COMPLETE,
  EMPTY_QUERY,
  encodeCommandComplete,
  encodeParameterDescription,
  NO_DATA,
  PARSE_COMPLETE,
  PORTAL_SUSPENDED,
  READY_IDLE,
  READY_IN_TRANSACTION,
} from '../wire/backend.ts'
import {
  decodeBind,
  decodeExecute,
  decodeParse,
  decodeQuery,
  decodeTarget,
  type ExecuteMessage,
} from '../wire/extended.ts'
import { type FrameSink, Frames, needsTable, type Refusal, WHOLE } from '../wire/frames.ts'
import { MAX_CONSOLE_MESSAGE_BYTES } from '../wire/limits.ts'
import { encodeError, encodeNotice, type Notice } from '../wire/notices.ts'
import { encodeDataRow, encodeRowDescription, type Format } from '../wire/rows.ts'
import { FRONTEND, typeName } from '../wire/types.ts'
import type { Fleet } from '../workers/fleet.ts'
import { type Access, mayRun } from './access.ts'
import type { Answer, ConsoleContext, Plan } from './answer.ts'
import { Conversation, type Portal } from './conversation.ts'
import { planScript, planStatement } from './plan.ts'

export interface ConsoleOptions {
  readonly fleet: Fleet
  settings(): Settings
  readonly log: Log
  readonly counters: Counters
}

/** Every message is collected whole before it is handled. */
const NEEDS = needsTable(Object.fromEntries([...'QPBDECSFHdcfXp'].map((type) => [type, WHOLE])))

/**
 * How much is written at a time. After each piece, other work of the process gets a turn, and the client must have taken the piece before the
 * next one is built.
 */
const PIECE_BYTES = 32 * 1024

/** `answering`: a command is running. `full`: the client has not taken earlier answers. In both, further messages of the client have to wait. */
type Phase = 'listening' | 'answering' | 'full' | 'over'

export class Console implements Handler, FrameSink {
  requestMs = 0
  readonly canSpeak = true
  readonly #session: Host
  readonly #access: Access
  readonly #options: ConsoleOptions
  readonly #conversation = new Conversation()
  readonly #frames = new Frames(MAX_CONSOLE_MESSAGE_BYTES)
  #phase: Phase = 'listening'
  /** After an error in an extended batch, all messages up to Sync are ignored, as in Postgres. */
  #skipsToSync = false
  /** The client has sent an invalid message. The error is sent, and the session ended, after the answers that the client still waits for. */
  #refusal: PoolerError | null = null
  #said: Buffer[] = []
  #saidBytes = 0
  /** Makes the running command stop waiting and fail with 'wait-cancelled'. */
  #interrupt = () => {}
  readonly #atEnd = new Set<() => void>()
  /** Called when the client has taken everything that was written. */
  #roomCame = () => {}

  constructor(session: Host, access: Access, options: ConsoleOptions) {
    this.#session = session
    this.#access = access
    this.#options = options
  }

  get preparedStatements(): number {
    return this.#conversation.preparedStatements
  }

  get #hasEnded(): boolean {
    return this.#phase === 'over'
  }

  // From the client

  read(buffer: Buffer, start: number, end: number): number {
    const stoppedAt = this.#frames.read(buffer, start, end, NEEDS, this)
    this.#flush()
    return stoppedAt
  }

  frame(type: number, buffer: Buffer, start: number, end: number): boolean {
    if (this.#phase === 'over') return true
    if (this.#phase !== 'listening' || !this.#hasRoom()) return false
    if (type === FRONTEND.terminate) this.#session.leave(CLOSE_REQUEST)
    else if (!this.#skipsToSync || type === FRONTEND.sync) this.#take(type, buffer.subarray(start, end))
    return true
  }

  rest(): void {}

  pass(): void {}

  refuse(type: number, length: number, why: Refusal): void {
    this.#refusal ??= refusal(type, length, why)
    if (this.#phase === 'listening') this.#session.end(this.#refusal)
  }

  #take(type: number, frame: Buffer): void {
    try {
      this.#understand(type, frame)
    } catch (problem) {
      if (!(problem instanceof PoolerError)) throw problem
      if (problem.severity === 'FATAL') this.#session.end(problem)
      else this.#failBatch(problem)
    }
  }

  #understand(type: number, frame: Buffer): void {
    switch (type) {
      case FRONTEND.query: {
        const text = decodeQuery(frame)
        this.#work(() => this.#query(text))
        return
      }
      case FRONTEND.parse: {
        const { name, text, parameterTypes } = decodeParse(frame)
        if (parameterTypes > 0) throw new PoolerError('console-parameters')
        this.#conversation.prepare(name, planStatement(text))
        this.#say(PARSE_COMPLETE)
        return
      }
      case FRONTEND.bind: {
        const { portal, statement, parameters, formats } = decodeBind(frame)
        const plan = this.#conversation.statement(statement)
        if (parameters > 0) throw new PoolerError('console-parameters')
        this.#conversation.bind(portal, plan, formats)
        this.#say(BIND_COMPLETE)
        return
      }
      case FRONTEND.describe: {
        const { kind, name } = decodeTarget(frame, 'Describe')
        if (kind === 'portal') {
          const { plan, formats } = this.#conversation.portal(name)
          this.#describe(plan, formats)
          return
        }
        const plan = this.#conversation.statement(name)
        this.#say(encodeParameterDescription([]))
        this.#describe(plan)
        return
      }
      case FRONTEND.execute: {
        const message = decodeExecute(frame)
        this.#work(() => this.#execute(message))
        return
      }
      case FRONTEND.close: {
        const { kind, name } = decodeTarget(frame, 'Close')
        this.#conversation.close(kind, name)
        this.#say(CLOSE_COMPLETE)
        return
      }
      case FRONTEND.sync:
        this.#skipsToSync = false
        this.#ready()
        return
      case FRONTEND.functionCall:
        this.#complain(new PoolerError('console-function-call'))
        this.#ready()
        return
      case FRONTEND.password:
        throw new PoolerError('message-out-of-turn', { type: typeName(type), when: 'after the login' })
      // Flush needs no action: answers are written as soon as there is nothing more to read. CopyDone and CopyFail without a COPY are ignored,
      // as in Postgres.
    }
  }

  // Commands

  /** Runs `job`. Until it is done, no further messages are handled. */
  async #work(job: () => Promise<void>): Promise<void> {
    this.#phase = 'answering'
    this.requestMs = this.#session.clock.nowMs
    try {
      await job()
      this.#listen()
    } catch (problem) {
      this.#session.onBroken(problem)
    }
  }

  #listen(): void {
    if (this.#hasEnded) return
    this.#phase = 'listening'
    this.#flush()
    if (this.#refusal !== null) this.#session.end(this.#refusal)
    else this.#session.goOn()
  }

  async #query(text: string): Promise<void> {
    this.#conversation.forgetUnnamed()
    try {
      const plans = planScript(text)
      if (plans.length === 0) this.#say(EMPTY_QUERY)
      for (const plan of plans) await this.#answer(plan)
    } catch (problem) {
      if (!(problem instanceof PoolerError)) throw problem
      this.#complain(problem)
    }
    this.#ready()
  }

  async #answer(plan: Plan): Promise<void> {
    const answer = await this.#run(plan)
    this.#notify(answer)
    if (plan.columns) this.#say(encodeRowDescription(plan.columns))
    const rows = answer.rows?.[Symbol.iterator]()
    if (rows) await this.#sendRows({ plan, formats: [], rows }, 0)
    this.#complete(answer)
  }

  async #execute({ portal: name, maxRows }: ExecuteMessage): Promise<void> {
    try {
      const portal = this.#conversation.portal(name)
      if (portal.answer === null) {
        portal.answer = await this.#run(portal.plan)
        this.#notify(portal.answer)
        portal.rows = portal.answer.rows?.[Symbol.iterator]() ?? portal.rows
      }
      if (await this.#sendRows(portal, maxRows)) this.#complete(portal.answer)
      else this.#say(PORTAL_SUSPENDED)
    } catch (problem) {
      if (!(problem instanceof PoolerError)) throw problem
      this.#failBatch(problem)
    }
  }

  /** Runs a plan. The only place where access rights are checked. */
  async #run(plan: Plan): Promise<Answer> {
    if (!mayRun(this.#access, plan.access)) throw new PoolerError('console-access')
    const { fleet, settings, counters } = this.#options
    const context: ConsoleContext = {
      ...{ fleet, settings: settings(), conversation: this.#conversation },
      asker: { id: this.#session.id, atEnd: (work) => this.#atEnd.add(work) },
    }
    const answer = await this.#unlessInterrupted(plan.run(context))
    counters.queries++
    counters.transactions++
    return answer
  }

  /** Sends up to `maxRows` rows; 0 means no limit. Returns true if all rows are sent, false if the limit was reached and there may be more. */
  async #sendRows(
    { plan, formats, rows }: Pick<Portal, 'plan' | 'formats' | 'rows'>,
    maxRows: number,
  ): Promise<boolean> {
    const columns = plan.columns ?? []
    for (let sent = 0; maxRows === 0 || sent < maxRows; sent++) {
      const row = rows.next()
      if (row.done) return true
      this.#say(encodeDataRow(row.value, columns, formats))
      if (this.#saidBytes >= PIECE_BYTES) await this.#pieceDone()
      if (this.#hasEnded) return true
    }
    return false
  }

  async #pieceDone(): Promise<void> {
    this.#flush()
    await this.#unlessInterrupted(
      new Promise<void>((resolve) => {
        this.#roomCame = resolve
        if (this.#session.channel.owedBytes === 0) setImmediate(resolve)
      }),
    )
  }

  /** Waits for `result`. A cancel request or the end of the session ends the wait with 'wait-cancelled'. */
  async #unlessInterrupted<T>(result: T | Promise<T>): Promise<T> {
    if (!(result instanceof Promise)) return result
    const interrupted = new Promise<never>((_resolve, reject) => {
      this.#interrupt = () => reject(new PoolerError('wait-cancelled'))
    })
    return Promise.race([result, interrupted])
  }

  // To the client

  #describe({ columns }: Plan, formats: readonly Format[] = []): void {
    this.#say(columns ? encodeRowDescription(columns, formats) : NO_DATA)
  }

  #notify({ notices = [] }: Answer): void {
    for (const notice of notices) this.#say(encodeNotice(notice))
  }

  #complete({ tag }: Answer): void {
    this.#say(tag === null ? EMPTY_QUERY : encodeCommandComplete(tag))
  }

  #ready(): void {
    this.#conversation.endBatch()
    this.#say(this.#conversation.isInTransaction ? READY_IN_TRANSACTION : READY_IDLE)
  }

  #failBatch(problem: PoolerError): void {
    this.#complain(problem)
    this.#skipsToSync = true
  }

  #complain(problem: Notice): void {
    if (this.#hasEnded) return
    const { subject, settings } = this.#session
    if (settings.logsErrors)
      this.#options.log.warning(`pooler error: ${problem.message}`, {
        ...{ subject, sqlstate: problem.sqlstate, kind: kindOf(problem), hint: problem.hint },
      })
    this.#say(encodeError(problem))
  }

  #say(message: Buffer): void {
    this.#said.push(message)
    this.#saidBytes += message.length
  }

  #flush(): void {
    if (this.#said.length === 0) return
    const message = Buffer.concat(this.#said)
    this.#said = []
    this.#saidBytes = 0
    this.#session.channel.write(message, 0, message.length)
  }

  /**
   * Whether another message may be handled. If the client has not taken earlier answers, enters `full`: otherwise a client could fill the
   * memory by sending thousands of short messages with long answers.
   */
  #hasRoom(): boolean {
    if (this.#saidBytes >= PIECE_BYTES) this.#flush()
    if (this.#session.channel.owedBytes === 0) return true
    this.#phase = 'full'
    return false
  }

  onDrained(): void {
    this.#roomCame()
    if (this.#phase === 'full') this.#listen()
  }

  cancel(over: () => void): void {
    if (this.#phase === 'answering') this.#interrupt()
    over()
  }

  end(state: 'sound' | 'doubtful'): void {
    if (state === 'sound') this.#flush()
    this.#phase = 'over'
    this.#interrupt()
    for (const work of this.#atEnd) work()
  }
}

function refusal(type: number, length: number, why: Refusal): PoolerError {
  switch (why) {
    case 'unknown':
      return new PoolerError('unknown-message', { type: typeName(type) })
    case 'length':
      return new PoolerError('bad-length', { type: typeName(type), length: length - 1 })
    case 'too-large':
      return new PoolerError('console-message-too-large', { length, limit: MAX_CONSOLE_MESSAGE_BYTES })
  }
}
