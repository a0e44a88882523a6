/** Asks PAM whether passwords are right. Each question goes to a helper process, since PAM's modules block and may hang. */

import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { FewAtOnce } from '../base/few-at-once.ts'
import { invariant } from '../base/invariant.ts'
import type { PamAnswer, PamQuestion } from './pam-library.ts'

/** How many questions are asked at once, each in its own process. More wait in line. */
const MAX_HELPERS = 8

/** How long an answer may take: a module may wait for a server, or for the user to confirm the login on a phone. */
const PATIENCE_MS = 60_000

/**
 * How often to look whether a question that has no answer yet is still wanted. Whoever leaves at once makes a helper start anew at most this
 * often.
 */
const LOOK_MS = 5_000

/** How long a helper without a question is kept. */
const IDLE_MS = 60_000

const PROGRAM = fileURLToPath(new URL('../cli/pam-helper.js', import.meta.url))

export interface PamHelpersOptions {
  /** Starts a process that answers each message, a `PamQuestion`, with a `PamAnswer`. */
  readonly start?: () => ChildProcess
  readonly patienceMs?: number
  readonly lookMs?: number
  readonly idleMs?: number
  /** Called with the reason why a user was not let in, unless the user or the password is wrong. */
  onTrouble(sentence: string): void
}

/** Reason null, without PAM having been asked or having answered: nobody waits for the answer. */
const UNWANTED: PamAnswer = { isRight: false, reason: null, delayMs: 0 }

export class PamHelpers {
  readonly #start: () => ChildProcess
  readonly #patienceMs: number
  readonly #lookMs: number
  readonly #idleMs: number
  readonly #onTrouble: PamHelpersOptions['onTrouble']
  readonly #few = new FewAtOnce(MAX_HELPERS)
  /** Helpers without a question, each with the timer that ends it; the most recently used is last. */
  readonly #idle = new Map<ChildProcess, NodeJS.Timeout>()
  readonly #all = new Set<ChildProcess>()
  #isClosed = false

  constructor({
    start = startHelper,
    patienceMs = PATIENCE_MS,
    lookMs = LOOK_MS,
    idleMs = IDLE_MS,
    onTrouble,
  }: PamHelpersOptions) {
    this.#start = start
    this.#patienceMs = patienceMs
    this.#lookMs = lookMs
    this.#idleMs = idleMs
    this.#onTrouble = onTrouble
  }

  /** The number of helper processes. */
  get count(): number {
    return this.#all.size
  }

  /**
   * Never rejects: if PAM cannot be asked, the answer is false. `isWanted` is called when the question's turn has come, and again while there is
   * no answer; if it returns false, the question is given up.
   *
   * @param place where the client is: places take turns
   */
  async isRight(question: PamQuestion, place: string, isWanted: () => boolean): Promise<boolean> {
    invariant(question.password !== '', 'an empty password came as far as PAM')
    const isOpen = () => !this.#isClosed && isWanted()
    const { isRight, reason, delayMs } = await this.#few.do(
      async () => (isOpen() ? await this.#ask(question, isOpen) : UNWANTED),
      place,
    )
    if (this.#isClosed) return false
    if (reason !== null) this.#onTrouble(`PAM rejected user ${JSON.stringify(question.user)}: ${reason}`)
    // Here, and not in the helper, which would be of no use to others for as long.
    if (delayMs > 0) await new Promise<void>((resolve) => setTimeout(resolve, Math.min(delayMs, PATIENCE_MS)).unref())
    return isRight
  }

  close(): void {
    this.#isClosed = true
    for (const helper of this.#all) this.#end(helper)
  }

  #ask(question: PamQuestion, isWanted: () => boolean): Promise<PamAnswer> {
    const helper = this.#take()
    if (helper instanceof Error) return Promise.resolve({ ...UNWANTED, reason: helper.message })
    return new Promise((resolve) => {
      let isOver = false
      const over = (answer: PamAnswer) => {
        isOver = true
        clearTimeout(patience)
        clearInterval(look)
        for (const event of ['message', 'exit', 'error']) helper.removeAllListeners(event)
        resolve(answer)
      }
      const giveUp = (reason: string | null) => {
        if (isOver) return
        over({ ...UNWANTED, reason })
        this.#end(helper)
      }
      const patience = setTimeout(
        () => giveUp(`no answer within ${this.#patienceMs / 1000} s`),
        this.#patienceMs,
      ).unref()
      const look = setInterval(() => isWanted() || giveUp(null), this.#lookMs).unref()
      helper.on('message', (answer) => {
        over(answer as PamAnswer)
        if (this.#isClosed) this.#end(helper)
        else this.#rest(helper)
      })
      helper.on('exit', (code, signal) => giveUp(`the helper process ended with ${signal ?? `exit code ${code}`}`))
      helper.on('error', ({ message }) => giveUp(message))
      // Without open files or memory for it, there is no channel; its error follows.
      helper.send?.(question, (problem) => problem && giveUp(problem.message))
    })
  }

  /** Returns an error if no process can be started. */
  #take(): ChildProcess | Error {
    const known = [...this.#idle.keys()].findLast((helper) => helper.connected)
    if (known !== undefined) {
      clearTimeout(this.#idle.get(known))
      this.#idle.delete(known)
      return known
    }
    try {
      const helper = this.#start()
      this.#all.add(helper)
      return helper
    } catch (problem) {
      return problem as Error
    }
  }

  #rest(helper: ChildProcess): void {
    const end = () => this.#end(helper)
    helper.on('exit', end).on('error', end)
    this.#idle.set(helper, setTimeout(end, this.#idleMs).unref())
  }

  /** Kills the helper, since one that blocks in PAM receives no message. */
  #end(helper: ChildProcess): void {
    clearTimeout(this.#idle.get(helper))
    this.#idle.delete(helper)
    this.#all.delete(helper)
    // A process that could not be started emits its error again, which must not be unhandled.
    helper.removeAllListeners('error').on('error', () => {})
    if (helper.pid !== undefined) helper.kill('SIGKILL')
  }
}

/** The helper does not keep this process alive, and ends with it. Our settings are none of PAM's business, and may contain passwords. */
function startHelper(): ChildProcess {
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('PGWEIR_')))
  const helper = fork(PROGRAM, [], { execArgv: [], env, stdio: ['ignore', 'ignore', 'ignore', 'ipc'] })
  helper.unref()
  helper.channel?.unref()
  return helper
}
