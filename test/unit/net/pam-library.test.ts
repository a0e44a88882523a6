/** How PAM is called, with a made-up library in place of the system's. With the real one: test/clients/pam.test.ts. */

import { expect, test } from 'vitest'
import { Pam } from '../../../src/net/pam-library.ts'

const PAM_CONV_ERR = 19
const QUESTION = { service: 'pgbouncer', user: 'ada', password: 'secret', host: '' }

type Converse = (count: number, messages: number, answers: number) => number

interface Made {
  readonly without?: readonly string[]
  readonly pointerBytes?: number
  /** Plays `pam_authenticate`; its result is PAM's. */
  authenticate?(converse: Converse): number
}

/** Each function of the made-up library succeeds, and no memory can be read. */
function madeUp({ without = [], pointerBytes = 8, authenticate = () => 0 }: Made = {}) {
  const freed: number[] = []
  let allocated = 0
  let converse: Converse | null = null
  const functions: Record<string, (...values: never[]) => unknown> = {
    calloc: () => ++allocated,
    free: (address: number) => void freed.push(address),
    pam_authenticate: () => authenticate(converse as Converse),
    pam_strerror: () => 'Conversation error',
  }
  const koffi = {
    sizeof: () => pointerBytes,
    proto: () => null,
    pointer: () => null,
    address: () => 1n,
    encode: () => {},
    decode(address: number) {
      if (address >= 1_000) throw new Error('cannot be read')
      return address
    },
    register(given: Converse) {
      converse ??= given
      return given
    },
    unregister: () => {},
    load: () => ({
      func(name: string) {
        if (without.includes(name)) throw new Error(`Cannot find function '${name}'`)
        return functions[name] ?? (() => 0)
      },
    }),
  }
  const pam = new Pam(koffi as never)
  return { pam, freed, isAllFreed: () => freed.length === allocated }
}

test('a library without the function that only tests call is good enough', () => {
  const { pam } = madeUp({ without: ['pam_start_confdir'] })
  expect(pam.check(QUESTION)).toEqual({ isRight: true, reason: null, delayMs: 0 })
})

test('a system with pointers of another size is refused', () => {
  expect(() => madeUp({ pointerBytes: 4 })).toThrow('only 64-bit systems are supported')
})

test('a module whose messages cannot be read, or are too few or too many, gets an error and no answer', () => {
  for (const [count, messages] of [
    [1, 1_000],
    [0, 1],
    [-1, 1],
    [33, 1],
  ] as const) {
    const codes: number[] = []
    const { pam, isAllFreed } = madeUp({
      authenticate(converse) {
        codes.push(converse(count, messages, 1))
        return PAM_CONV_ERR
      },
    })
    expect(pam.check(QUESTION)).toMatchObject({ isRight: false, reason: expect.stringContaining('Conversation error') })
    expect(codes).toEqual([PAM_CONV_ERR])
    expect(isAllFreed()).toBe(true)
  }
})

test('a password that is longer than modules take is refused, as they would cut it off', () => {
  const { pam } = madeUp()
  expect(pam.check({ ...QUESTION, password: 'x'.repeat(511) }).isRight).toBe(true)
  expect(pam.check({ ...QUESTION, password: 'ü'.repeat(256) })).toEqual({
    isRight: false,
    reason: 'the password is longer than 511 bytes',
    delayMs: 0,
  })
})
