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

test('a text line has time, process, level, subject and message', () => {
  expect(written('text', 'login attempt', { subject: 'C-0x1: app/ada@10.0.0.7:50112', database: 'app' })).toBe(
    `2024-05-01 12:00:00.007 UTC [${process.pid}] LOG C-0x1: app/ada@10.0.0.7:50112 login attempt`,
  )
  expect(written('text', 'process up')).toBe(`2024-05-01 12:00:00.007 UTC [${process.pid}] LOG process up`)
})

test('a hint follows the message, and is a field of its own in JSON', () => {
  const fields = { subject: 'C-0x1', hint: 'Look at it.' }
  expect(written('text', 'it has ended', fields)).toMatch(/ LOG C-0x1 it has ended HINT: Look at it\.$/)
  expect(written('text', 'it has ended', { subject: 'C-0x1', hint: undefined })).toMatch(/ LOG C-0x1 it has ended$/)
  expect(JSON.parse(written('json', 'it has ended', fields))).toMatchObject({ message: 'it has ended', ...fields })
})

test('a line about a server names its client, and a line about a query its traceparent', () => {
  expect(written('text', 'it crashed', { subject: 'S-0x1: app/ada', client: 26, hint: 'Look.' })).toMatch(
    / LOG S-0x1: app\/ada it crashed client=C-0x1a HINT: Look\.$/,
  )
  expect(written('text', 'it left', { subject: 'C-0x1a: app/ada', client: 26 })).toMatch(/ C-0x1a: app\/ada it left$/)
  expect(written('text', 'slow', { subject: 'C-0x1a', client: 26, traceparent: '00-a-b-01' })).toMatch(
    / LOG C-0x1a slow traceparent=00-a-b-01$/,
  )
})

test('a JSON line has the message and the fields separately', () => {
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
  test(`a log of level ${level} writes lines of that level and above`, () => {
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

/** All characters that a log reader may take for the end of a line or that a terminal may obey. Direction marks that occur in words are allowed. */
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

test('no control character of a client gets into the log, so that none can forge a line or control a terminal', () => {
  fc.assert(
    fc.property(nasty, nasty, nasty, (sentence, subject, user) => {
      for (const format of ['text', 'json'] as const)
        expect(written(format, sentence, { subject, user })).not.toMatch(CONTROL)
    }),
    { numRuns: 300 },
  )
})

test('JSON escapes can be read back to exactly what was logged', () => {
  fc.assert(
    fc.property(nasty, nasty, (sentence, user) => {
      expect(JSON.parse(written('json', sentence, { user }))).toMatchObject({ message: sentence, user })
    }),
    { numRuns: 300 },
  )
})

test('text escapes are visible', () => {
  expect(written('text', 'a\nb\x1b[31m\x9b\u2028é')).toMatch(/LOG a\\x0ab\\x1b\[31m\\x9b\\u2028é$/)
})

test('the silent log writes nothing and is not at debug level', () => {
  silentLog.error('unheard')
  expect(silentLog.isDebug).toBe(false)
})
