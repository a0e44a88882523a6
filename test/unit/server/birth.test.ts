import { expect, test } from 'vitest'
import { BirthSettings, NO_BIRTH } from '../../../src/server/birth.ts'
import type { Notice } from '../../../src/wire/notices.ts'

function refusal(message: string, sqlstate = '55P02'): Notice {
  return { severity: 'ERROR', sqlstate, message }
}

const AFTER_START = 'parameter "plan.debug" cannot be set after connection start'
const ASKED = new Map([['plan.debug', '1']])

test('Postgres’ own startup-only settings are recognized, in whatever order a client gives them', () => {
  const settings = new BirthSettings()
  const one = settings.of(new Map(Object.entries({ work_mem: '1MB', post_auth_delay: '1', log_connections: 'on' })))
  expect([...one]).toEqual([
    ['log_connections', 'on'],
    ['post_auth_delay', '1'],
  ])
  expect(settings.of(new Map([['work_mem', '1MB']]))).toBe(NO_BIRTH)
})

test('other startup-only settings are learned from Postgres’ errors', () => {
  const settings = new BirthSettings()
  expect(settings.of(ASKED)).toBe(NO_BIRTH)
  expect(settings.learn(refusal(AFTER_START), ASKED)).toBe('plan.debug')
  expect(settings.of(ASKED)).toEqual(ASKED)
})

for (const [what, words, sqlstate] of [
  ['another error', AFTER_START, '42501'],
  ['a setting that the client did not send', 'parameter "other" cannot be set after connection start'],
  ['a setting that needs a restart', 'parameter "plan.debug" cannot be changed without restarting the server'],
  ['a setting that only the configuration file sets', 'parameter "plan.debug" cannot be changed now'],
  ['an error without a name', 'cannot be set after connection start'],
] as const)
  test(`nothing is learned from ${what}`, () => {
    const settings = new BirthSettings()
    expect(settings.learn(refusal(words, sqlstate), ASKED)).toBe(null)
    expect(settings.of(ASKED)).toBe(NO_BIRTH)
  })

test('at most 100 settings are learned, so that clients cannot fill the memory with names', () => {
  const settings = new BirthSettings()
  let learnt = 0
  for (let number = 0; number < 1_000; number++) {
    const asked = new Map([[`a.b${number}`, '1']])
    if (settings.learn(refusal(`parameter "a.b${number}" cannot be set after connection start`), asked)) learnt++
  }
  expect(learnt).toBe(100)
})
