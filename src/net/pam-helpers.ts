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

/** How long a helper without a question is kept. */
const IDLE_MS = 60_000

const PROGRAM = fileURLToPath(new URL('../cli/pam-helper.js', import.meta.url))

export interface PamHelpersOptions {
  /** Starts a process that answers each message, a `PamQuestion`, with a `PamAnswer`. */
  readonly start?: () => ChildProcess
  readonly patienceMs?: number
  readonly idleMs?: number
  /** Called with the reason why a user was not let in, unless the user or the password is wrong. */
  onTrouble(sentence: string): void
}

export class PamHelpers {
  readonly #start: () => ChildProcess
  readonly #patienceMs: number
  readonly #idleMs: number
  readonly #onTrouble: PamHelpersOptions['onTrouble']
  readonly #few = new FewAtOnce(MAX_HELPERS)
  /** Helpers without a question, each with the timer that ends it; the most recently used is last. */
  readonly #idle = new Map<ChildProcess, NodeJS.Timeout>()
  readonly #all = new Set<ChildProcess>()

  constructor({ start = startHelper, patienceMs = PATIENCE_MS, idleMs = IDLE_MS, onTrouble }: PamHelpersOptions) {
    this.#start = start
    this.#patienceMs = patienceMs
    this.#idleMs = idleMs
    this.#onTrouble = onTrouble
  }

  /** The number of helper processes. */
  get count(): number {
    return this.#all.size
  }

  /** Never rejects: if PAM cannot be asked, the answer is false. `isWanted` is called when the question's turn has come. */
  isRight(question: PamQuestion, isWanted: () => boolean): Promise<boolean> {
    invariant(question.password !== '', 'an empty password came as far as PAM')
    return this.#few.do(async () => {
      if (!isWanted()) return false
      const { isRight, reason } = await this.#ask(question)
      if (reason !== null) this.#onTrouble(`PAM rejected user ${JSON.stringify(question.user)}: ${reason}`)
      return isRight
    })
  }

  close(): void {
    for (const helper of this.#all) this.#end(helper)
  }

  #ask(question: PamQuestion): Promise<PamAnswer> {
    return new Promise((resolve) => {
      const helper = this.#take()
      const over = (answer: PamAnswer) => {
        clearTimeout(patience)
        helper.removeAllListeners('message')
        helper.removeAllListeners('exit')
        helper.removeAllListeners('error')
        resolve(answer)
      }
      const fail = (reason: string) => {
        over({ isRight: false, reason })
        this.#end(helper)
      }
      const patience = setTimeout(() => fail(`no answer within ${this.#patienceMs / 1000} s`), this.#patienceMs).unref()
      helper.on('message', (answer) => {
        over(answer as PamAnswer)
        this.#rest(helper)
      })
      helper.on('exit', (code, signal) => fail(`the helper process ended with ${signal ?? `exit code ${code}`}`))
      helper.on('error', ({ message }) => fail(message))
      helper.send(question, (problem) => problem && fail(problem.message))
    })
  }

  #take(): ChildProcess {
    const known = [...this.#idle.keys()].findLast((helper) => helper.connected)
    if (known !== undefined) {
      clearTimeout(this.#idle.get(known))
      this.#idle.delete(known)
      return known
    }
    const helper = this.#start()
    this.#all.add(helper)
    return helper
  }

  #rest(helper: ChildProcess): void {
    if (!this.#all.has(helper)) return
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

/** The helper does not keep this process alive, and ends with it. */
function startHelper(): ChildProcess {
  const helper = fork(PROGRAM, [], { execArgv: [], stdio: ['ignore', 'ignore', 'ignore', 'ipc'] })
  helper.unref()
  helper.channel?.unref()
  return helper
}
