import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createLog, type Level, type LogFields, type LogFormat, silentLog } from '../../../src/base/log.ts'

const AT = Date.UTC(2024, 4, 1, 12, 0, 0, 7)
const LEVELS: readonly Level[] = ['debug', 'info', 'warning', 'error']

function logTo(lines: string[], format: LogFormat, level: Level = 'debug') {
  return createLog({ format, level, wallMs: () => AT, write: (line) => lines.push(line) })
}

function written(format: LogFormat, sentence: string, fields?: LogFields): string {
  const lines: string[] = []
  logTo(lines, format).info(sentence, fields)
  expect(lines).toHaveLength(1)
  return lines[0] as string
}

test('a line of text says when, who, how bad, about what, and what', () => {
  expect(written('text', 'login attempt', { subject: 'C-0x1: app/ada@10.0.0.7:50112', database: 'app' })).toBe(
    `2024-05-01 12:00:00.007 UTC [${process.pid}] LOG C-0x1: app/ada@10.0.0.7:50112 login attempt`,
  )
  expect(written('text', 'process up')).toBe(`2024-05-01 12:00:00.007 UTC [${process.pid}] LOG process up`)
})

test('what to do now stands behind the sentence, and in JSON apart from it', () => {
  const fields = { subject: 'C-0x1', hint: 'Look at it.' }
  expect(written('text', 'it has ended', fields)).toMatch(/ LOG C-0x1 it has ended HINT: Look at it\.$/)
  expect(written('text', 'it has ended', { subject: 'C-0x1', hint: undefined })).toMatch(/ LOG C-0x1 it has ended$/)
  expect(JSON.parse(written('json', 'it has ended', fields))).toMatchObject({ message: 'it has ended', ...fields })
})

test('a line about a server names the client that held it as its own lines do, and one about a query its trace', () => {
  expect(written('text', 'it crashed', { subject: 'S-0x1: app/ada', client: 26, hint: 'Look.' })).toMatch(
    / LOG S-0x1: app\/ada it crashed client=C-0x1a HINT: Look\.$/,
  )
  expect(written('text', 'it left', { subject: 'C-0x1a: app/ada', client: 26 })).toMatch(/ C-0x1a: app\/ada it left$/)
  expect(written('text', 'slow', { subject: 'C-0x1a', client: 26, traceparent: '00-a-b-01' })).toMatch(
    / LOG C-0x1a slow traceparent=00-a-b-01$/,
  )
})

test('a line of JSON keeps the sentence and the fields apart', () => {
  const fields = { subject: 'C-0x1', waitedMs: 1.5, isTls: true, user: null, nothing: undefined }
  expect(JSON.parse(written('json', 'login attempt', fields))).toEqual({
    time: '2024-05-01T12:00:00.007Z',
    pid: process.pid,
    level: 'info',
    message: 'login attempt',
    subject: 'C-0x1',
    waitedMs: 1.5,
    isTls: true,
    user: null,
  })
})

for (const [at, level] of LEVELS.entries())
  test(`a log of level ${level} writes what is at least as bad`, () => {
    for (const [format, seen] of [
      ['text', (line: string) => line.split(' ')[4]],
      ['json', (line: string) => JSON.parse(line).level],
    ] as const) {
      const lines: string[] = []
      const log = logTo(lines, format, level)
      for (const each of LEVELS) log[each]('something')
      const labels = format === 'json' ? LEVELS : ['DEBUG', 'LOG', 'WARNING', 'ERROR']
      expect(lines.map(seen)).toEqual(labels.slice(at))
      expect(log.isDebug).toBe(level === 'debug')
    }
  })

/** All that some reader of logs takes for the end of a line, and all that a terminal would obey; marks of direction are in words. */
const CONTROL = /[\p{Cc}\p{Zl}\p{Zp}]|\p{Bidi_Control}(?<![\u061c\u200e\u200f])/u

const nasty = fc.string({
  unit: fc.oneof(
    fc.constantFrom(
      '\n',
      '\r',
      '\0',
      '\x1b',
      '\x7f',
      '\x85',
      '\x9b',
      '\u2028',
      '\u2029',
      '\u202e',
      '\u2066',
      '\t',
      '"',
      '\\',
      'a',
      'é',
      '😀',
    ),
    fc.integer({ min: 0, max: 0xff }).map((code) => String.fromCharCode(code)),
  ),
})

test('no control character of a client gets into the log, so that none can start a line or speak to a terminal', () => {
  fc.assert(
    fc.property(nasty, nasty, nasty, (sentence, subject, user) => {
      for (const format of ['text', 'json'] as const)
        expect(written(format, sentence, { subject, user })).not.toMatch(CONTROL)
    }),
    { numRuns: 300 },
  )
})

test('JSON keeps what it escapes: a reader gets back exactly what was logged', () => {
  fc.assert(
    fc.property(nasty, nasty, (sentence, user) => {
      expect(JSON.parse(written('json', sentence, { user }))).toMatchObject({ message: sentence, user })
    }),
    { numRuns: 300 },
  )
})

test('text shows what it escapes', () => {
  expect(written('text', 'a\nb\x1b[31m\x9b\u2028é')).toMatch(/LOG a\\x0ab\\x1b\[31m\\x9b\\u2028é$/)
})

test('the silent log is quiet, and says that nobody listens to debugging', () => {
  silentLog.error('unheard')
  expect(silentLog.isDebug).toBe(false)
})
