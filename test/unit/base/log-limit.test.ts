import { expect, test } from 'vitest'
import { createLog, type LogOptions } from '../../../src/base/log.ts'
import { LogLimit } from '../../../src/base/log-limit.ts'

function open(perSecond: number) {
  const lines: string[] = []
  const at = { ms: 1_000_000 }
  const options: LogOptions = {
    ...{ format: 'text', level: 'info', limit: new LogLimit(perSecond) },
    wallMs: () => at.ms,
    write: (line) => lines.push(line.replace(/^.*\[\d+\] /, '')),
  }
  return { log: createLog(options), options, lines, at }
}

test('similar warnings are limited per second, and the number left out is logged', () => {
  const { log, lines, at } = open(2)
  for (let n = 1; n <= 5; n++) log.warning(`password of "user${n}" is wrong, attempt ${n}`, { subject: `C-0x${n}` })
  log.warning('something else')
  expect(lines).toEqual([
    'WARNING C-0x1 password of "user1" is wrong, attempt 1',
    'WARNING C-0x2 password of "user2" is wrong, attempt 2',
    'WARNING something else',
  ])
  at.ms += 1_000
  log.info('the next second')
  expect(lines.slice(3)).toEqual([
    'WARNING 3 more lines in a second like this one were left out: password of "user5" is wrong, attempt 5',
    'LOG the next second',
  ])
  log.warning('password of "eve" is wrong, attempt 6')
  expect(lines.at(-1)).toBe('WARNING password of "eve" is wrong, attempt 6')
})

test('what was left out is logged even if no other line follows', () => {
  const { log, lines, at } = open(1)
  log.error('no')
  log.error('no')
  log.tellLeftOut()
  expect(lines).toEqual(['ERROR no'])
  at.ms += 1_000
  log.tellLeftOut()
  log.tellLeftOut()
  expect(lines.slice(1)).toEqual(['WARNING 1 more line in a second like this one was left out: no'])
})

test('info lines are not limited, and a limit of 0 means none', () => {
  const { log, lines } = open(1)
  for (let n = 0; n < 5; n++) log.info('login attempt')
  expect(lines).toHaveLength(5)
  const free = open(0)
  for (let n = 0; n < 5; n++) free.log.warning('no')
  expect(free.lines).toHaveLength(5)
})

test('the number of remembered kinds of lines is bounded', () => {
  const { log, lines, at } = open(1)
  for (let n = 0; n < 5_000; n++) log.warning(`kind ${'x'.repeat(n % 2_500)}`)
  // The first thousand kinds are limited to one line each, the others to one line together.
  expect(lines).toHaveLength(1_000 + 1)
  at.ms += 1_000
  log.tellLeftOut()
  expect(lines.at(-1)).toMatch(/^WARNING 2999 more lines in a second like this one were left out: kind x+$/)
  log.warning('kind of tomorrow')
  expect(lines.at(-1)).toBe('WARNING kind of tomorrow')
})

test('lines are of one kind, whatever they say, if the caller says so', () => {
  const { log, lines, at } = open(2)
  for (const name of ['ada', 'eve', 'bob']) log.warning(`no such database: ${name}`, { kind: 'no-such-database' })
  expect(lines).toEqual(['WARNING no such database: ada', 'WARNING no such database: eve'])
  at.ms += 1_000
  log.tellLeftOut()
  expect(lines.slice(2)).toEqual(['WARNING 1 more line in a second like this one was left out: no such database: bob'])
})
