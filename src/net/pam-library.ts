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
}

const PAM_SUCCESS = 0
const PAM_AUTH_ERR = 7
const PAM_USER_UNKNOWN = 10
const PAM_CONV_ERR = 19

const PAM_RHOST = 4

const PAM_PROMPT_ECHO_OFF = 1
const PAM_PROMPT_ECHO_ON = 2
const PAM_ERROR_MSG = 3

/** The size of a `pam_response`: a pointer, and an int with its padding. */
const ANSWER_BYTES = 16
const POINTER_BYTES = 8

/** Throws if the machine has no PAM library, or koffi cannot be loaded. */
export function loadPam(): Pam {
  return new Pam(createRequire(import.meta.url)('koffi'))
}

export class Pam {
  readonly #koffi: Koffi
  readonly #conversation: ReturnType<Koffi['pointer']>
  readonly #start: Call
  readonly #startIn: Call
  readonly #setItem: Call
  readonly #authenticate: Call
  readonly #mayEnter: Call
  readonly #end: Call
  readonly #describe: (handle: number, code: number) => string
  readonly #allocate: Call
  readonly #free: Call
  readonly #copy: Call

  constructor(koffi: Koffi) {
    const system = koffi.load(null)
    const library = koffi.load('libpam.so.0')
    const call = (name: string, parameters: string[], result = 'int') => library.func(name, result, parameters)
    this.#koffi = koffi
    this.#conversation = koffi.pointer(koffi.proto('int (int, uint64, uint64, uint64)'))
    this.#start = call('pam_start', ['str', 'str', 'uint64', 'uint64'])
    this.#startIn = call('pam_start_confdir', ['str', 'str', 'uint64', 'str', 'uint64'])
    this.#setItem = call('pam_set_item', ['uint64', 'int', 'str'])
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
  check({ service, user, password, host }: PamQuestion, folder: string | null = null): PamAnswer {
    const said: string[] = []
    const answer = this.#koffi.register(
      (count: number, messages: number, answers: number) => this.#converse(count, messages, answers, password, said),
      this.#conversation,
    )
    // A `pam_conv`, which must stay in place until `pam_end`, and the place where PAM writes its handle.
    const conversation = this.#allocate(2, POINTER_BYTES)
    const handleAt = this.#allocate(1, POINTER_BYTES)
    try {
      this.#koffi.encode(conversation, 'uint64', this.#koffi.address(answer))
      const started =
        folder === null
          ? this.#start(service, user, conversation, handleAt)
          : this.#startIn(service, user, conversation, folder, handleAt)
      const handle = this.#koffi.decode(handleAt, 'uint64') as number
      if (started !== PAM_SUCCESS) return { isRight: false, reason: this.#describe(handle, started) }
      let code = host === '' ? PAM_SUCCESS : this.#setItem(handle, PAM_RHOST, host)
      if (code === PAM_SUCCESS) code = this.#authenticate(handle, 0)
      const isWrong = (code === PAM_AUTH_ERR || code === PAM_USER_UNKNOWN) && said.length === 0
      if (code === PAM_SUCCESS) code = this.#mayEnter(handle, 0)
      const reason = [this.#describe(handle, code), ...said].join('; ')
      this.#end(handle, code)
      return { isRight: code === PAM_SUCCESS, reason: code === PAM_SUCCESS || isWrong ? null : reason }
    } finally {
      this.#koffi.unregister(answer)
      this.#free(conversation)
      this.#free(handleAt)
    }
  }

  /** Called when a module asks for the password or has a message for the user. PAM frees the answers that it is given. */
  #converse(count: number, messages: number, answers: number, password: string, said: string[]): number {
    const koffi = this.#koffi
    const all = this.#allocate(count, ANSWER_BYTES)
    let outcome = PAM_SUCCESS
    for (let index = 0; index < count; index++) {
      const message = koffi.decode(messages + index * POINTER_BYTES, 'uint64') as number
      const style = koffi.decode(message, 'int') as number
      if (style === PAM_PROMPT_ECHO_OFF) koffi.encode(all + index * ANSWER_BYTES, 'uint64', this.#copy(password))
      else if (style === PAM_ERROR_MSG) said.push(this.#textOf(message))
      // A client can only be asked for a password.
      else if (style === PAM_PROMPT_ECHO_ON) {
        said.push(`PAM asked for something other than a password: ${this.#textOf(message)}`)
        outcome = PAM_CONV_ERR
      }
    }
    if (outcome === PAM_SUCCESS) {
      koffi.encode(answers, 'uint64', all)
      return outcome
    }
    for (let index = 0; index < count; index++) this.#free(koffi.decode(all + index * ANSWER_BYTES, 'uint64') as number)
    this.#free(all)
    return outcome
  }

  #textOf(message: number): string {
    const text = this.#koffi.decode(message + POINTER_BYTES, 'str') as string | null
    return (text ?? '').trim()
  }
}
