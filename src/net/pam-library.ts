/**
 * Calls the system's PAM library through FFI. Used by the helper process (see `PamHelpers`), since a call blocks until the modules have decided.
 * https://man7.org/linux/man-pages/man3/pam_authenticate.3.html
 */

import { createRequire } from 'node:module'

type Koffi = typeof import('koffi')
type Call = (...values: (number | string)[]) => number

export interface PamQuestion {
  /** The name of the file in /etc/pam.d that decides. */
  readonly service: string
  readonly user: string
  readonly password: string
  /** The client's address, for modules that use it; '' for a unix socket. */
  readonly host: string
}

export interface PamAnswer {
  readonly isRight: boolean
  /** Why the user is not let in, in PAM's words; null if the user or the password is wrong. */
  readonly reason: string | null
  /** How long modules want the answer to be held back (pam_fail_delay). PAM itself would block for that time. */
  readonly delayMs: number
}

const PAM_SUCCESS = 0
const PAM_AUTH_ERR = 7
const PAM_USER_UNKNOWN = 10
const PAM_CONV_ERR = 19

const PAM_RHOST = 4
const PAM_FAIL_DELAY = 10

const PAM_PROMPT_ECHO_OFF = 1
const PAM_PROMPT_ECHO_ON = 2
const PAM_ERROR_MSG = 3

/** The most bytes that modules take for an answer, with the zero byte behind it. Some cut off what is longer. */
const PAM_MAX_RESP_SIZE = 512
/** The most messages in a call of the conversation. */
const PAM_MAX_NUM_MSG = 32

const PR_SET_PDEATHSIG = 1
const SIGKILL = 9

/** The size of a `pam_response`: a pointer, and an int with its padding. */
const ANSWER_BYTES = 16
const POINTER_BYTES = 8

/** Throws if the machine has no PAM library, or koffi cannot be loaded. */
export function loadPam(): Pam {
  return new Pam(loadKoffi())
}

/** Has the kernel kill this process when the one that has started it ends. A process that blocks in PAM would not notice that its channel is closed. */
export function endWithParent(): void {
  loadKoffi().load(null).func('prctl', 'int', ['int', 'uint64'])(PR_SET_PDEATHSIG, SIGKILL)
}

function loadKoffi(): Koffi {
  return createRequire(import.meta.url)('koffi')
}

export class Pam {
  readonly #koffi: Koffi
  readonly #library: ReturnType<Koffi['load']>
  readonly #conversation: ReturnType<Koffi['pointer']>
  readonly #delay: ReturnType<Koffi['pointer']>
  readonly #start: Call
  readonly #setItem: Call
  readonly #setPointer: Call
  readonly #authenticate: Call
  readonly #mayEnter: Call
  readonly #end: Call
  readonly #describe: (handle: number, code: number) => string
  readonly #allocate: Call
  readonly #free: Call
  readonly #copy: Call

  constructor(koffi: Koffi) {
    if (koffi.sizeof('void *') !== POINTER_BYTES) throw new Error('only 64-bit systems are supported')
    const system = koffi.load(null)
    const library = koffi.load('libpam.so.0')
    const call = (name: string, parameters: string[], result = 'int') => library.func(name, result, parameters)
    this.#koffi = koffi
    this.#library = library
    this.#conversation = koffi.pointer(koffi.proto('int (int, uint64, uint64, uint64)'))
    this.#delay = koffi.pointer(koffi.proto('void (int, uint, uint64)'))
    this.#start = call('pam_start', ['str', 'str', 'uint64', 'uint64'])
    this.#setItem = call('pam_set_item', ['uint64', 'int', 'str'])
    this.#setPointer = call('pam_set_item', ['uint64', 'int', 'uint64'])
    this.#authenticate = call('pam_authenticate', ['uint64', 'int'])
    this.#mayEnter = call('pam_acct_mgmt', ['uint64', 'int'])
    this.#end = call('pam_end', ['uint64', 'int'])
    this.#describe = call('pam_strerror', ['uint64', 'int'], 'str')
    this.#allocate = system.func('calloc', 'uint64', ['uint64', 'uint64'])
    this.#free = system.func('free', 'void', ['uint64'])
    this.#copy = system.func('strdup', 'uint64', ['str'])
  }

  /**
   * Asks the service about the password, and whether the account may be used now. Blocks until PAM has answered.
   *
   * @param folder replaces /etc/pam.d, for tests
   */
  check(question: PamQuestion, folder: string | null = null): PamAnswer {
    if (Buffer.byteLength(question.password) >= PAM_MAX_RESP_SIZE)
      return refusal(`the password is longer than ${PAM_MAX_RESP_SIZE - 1} bytes`)
    const said: string[] = []
    let delayMs = 0
    const converse = this.#koffi.register(
      (count: number, messages: number, answers: number) =>
        this.#converse(count, messages, answers, question.password, said),
      this.#conversation,
    )
    const delay = this.#koffi.register((code: number, delayUs: number) => {
      if (code !== PAM_SUCCESS) delayMs = delayUs / 1000
    }, this.#delay)
    // A `pam_conv`, which must stay in place until `pam_end`, and the place where PAM writes its handle.
    const conversation = this.#allocate(2, POINTER_BYTES)
    const handleAt = this.#allocate(1, POINTER_BYTES)
    try {
      this.#koffi.encode(conversation, 'uint64', this.#koffi.address(converse))
      const started = this.#startIn(folder, question, conversation, handleAt)
      const handle = this.#koffi.decode(handleAt, 'uint64') as number
      if (started !== PAM_SUCCESS) return refusal(this.#describe(handle, started))
      const { code, isWrong } = this.#ask(handle, question.host, this.#koffi.address(delay))
      const reason = [this.#describe(handle, code), ...said].join('; ')
      this.#end(handle, code)
      if (code === PAM_SUCCESS) return { isRight: true, reason: null, delayMs: 0 }
      return { isRight: false, reason: isWrong && said.length === 0 ? null : reason, delayMs }
    } finally {
      this.#koffi.unregister(converse)
      this.#koffi.unregister(delay)
      this.#free(conversation)
      this.#free(handleAt)
    }
  }

  #startIn(folder: string | null, { service, user }: PamQuestion, conversation: number, handleAt: number): number {
    if (folder === null) return this.#start(service, user, conversation, handleAt)
    // Linux-PAM has this function since version 1.4, of 2020.
    const start = this.#library.func('pam_start_confdir', 'int', ['str', 'str', 'uint64', 'str', 'uint64'])
    return start(service, user, conversation, folder, handleAt)
  }

  /** Returns PAM's last code, and whether it means that the user or the password is wrong. */
  #ask(handle: number, host: string, delay: number | bigint): { code: number; isWrong: boolean } {
    let code = this.#setPointer(handle, PAM_FAIL_DELAY, Number(delay))
    if (code === PAM_SUCCESS && host !== '') code = this.#setItem(handle, PAM_RHOST, host)
    if (code === PAM_SUCCESS) code = this.#authenticate(handle, 0)
    const isWrong = code === PAM_AUTH_ERR || code === PAM_USER_UNKNOWN
    if (code === PAM_SUCCESS) code = this.#mayEnter(handle, 0)
    return { code, isWrong }
  }

  /**
   * Called when a module asks for the password or has a message for the user. PAM frees the answers that it is given. Must not throw, since
   * PAM would take whatever is then in place of an answer.
   */
  #converse(count: number, messages: number, answers: number, password: string, said: string[]): number {
    const koffi = this.#koffi
    if (count < 1 || count > PAM_MAX_NUM_MSG) return PAM_CONV_ERR
    const all = this.#allocate(count, ANSWER_BYTES)
    if (all === 0) return PAM_CONV_ERR
    const given: number[] = []
    try {
      for (let index = 0; index < count; index++) {
        const message = koffi.decode(messages + index * POINTER_BYTES, 'uint64') as number
        const style = koffi.decode(message, 'int') as number
        if (style === PAM_PROMPT_ECHO_OFF) {
          const copy = this.#copy(password)
          given.push(copy)
          koffi.encode(all + index * ANSWER_BYTES, 'uint64', copy)
        } else if (style === PAM_ERROR_MSG) said.push(this.#textOf(message))
        // A client can only be asked for a password.
        else if (style === PAM_PROMPT_ECHO_ON)
          throw new Error(`PAM asked for something other than a password: ${this.#textOf(message)}`)
      }
      koffi.encode(answers, 'uint64', all)
      return PAM_SUCCESS
    } catch (problem) {
      said.push((problem as Error).message)
      for (const copy of given) this.#free(copy)
      this.#free(all)
      return PAM_CONV_ERR
    }
  }

  #textOf(message: number): string {
    const text = this.#koffi.decode(message + POINTER_BYTES, 'str') as string | null
    return (text ?? '').trim()
  }
}

function refusal(reason: string): PamAnswer {
  return { isRight: false, reason, delayMs: 0 }
}
