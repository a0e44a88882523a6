import { mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { ManualClock } from '../../../src/base/clock.ts'
import { openLog } from '../../../src/daemon/open-log.ts'
import { loadText } from '../settings/virtual-files.ts'

function start() {
  const directory = mkdtempSync(join(tmpdir(), 'pgweir-log-'))
  onTestFinished(() => rmSync(directory, { recursive: true }))
  const path = (name: string) => join(directory, name)
  const settings = (text: string) => loadText(`[databases]\n[pgbouncer]\n${text}`).settings.general
  const opened = openLog(settings(`logfile = ${path('a.log')}`), new ManualClock(), true)
  onTestFinished(() => opened.close())
  const words = (name: string) =>
    readFileSync(path(name), 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => line.replace(/^.*\] /, ''))
  return { ...opened, settings, path, words }
}

test('reopening the log applies the new file, format and verbosity', () => {
  const { log, reopen, settings, path, words } = start()
  log.debug('too much')
  log.info('one')
  reopen(settings(`logfile = ${path('b.log')}\nlog_format = json\nverbose = 1`))
  log.debug('two')
  expect(words('a.log')).toEqual(['LOG one'])
  expect(words('b.log').map((line) => JSON.parse(line).message)).toEqual(['two'])
  reopen(settings(''))
  log.info('three')
  expect(words('b.log')).toHaveLength(1)
})

test('reopening a log file that was moved away creates a new file under its name', () => {
  const { log, reopen, settings, path, words } = start()
  log.info('one')
  renameSync(path('a.log'), path('a.log.1'))
  log.info('two')
  reopen(settings(`logfile = ${path('a.log')}`))
  log.info('three')
  expect(words('a.log.1')).toEqual(['LOG one', 'LOG two'])
  expect(words('a.log')).toEqual(['LOG three'])
})

test('if the new file cannot be written, the old one stays in use', () => {
  const { log, reopen, settings, path, words } = start()
  expect(() => reopen(settings(`logfile = ${path('nowhere/b.log')}\nverbose = 1`))).toThrow('ENOENT')
  log.debug('too much')
  log.info('one')
  expect(words('a.log')).toEqual(['LOG one'])
})

test('a full disk only loses lines, and their number is logged once there is room again', () => {
  const { log, reopen, settings, path, words } = start()
  reopen(settings('logfile = /dev/full'))
  log.info('one')
  log.info('two')
  reopen(settings(`logfile = ${path('b.log')}`))
  log.info('three')
  log.info('four')
  // The number includes the line that would have reported the loss.
  expect(words('b.log')).toEqual(['LOG three', 'WARNING logfile: 3 lines were lost', 'LOG four'])
})

test('at most log_rate_limit lines of one kind are written per second, and a reload changes the limit', () => {
  const { log, reopen, settings, path, words } = start()
  const warn = () => {
    for (let number = 0; number < 5; number++) log.warning(`too many: ${number}`)
  }
  reopen(settings(`logfile = ${path('b.log')}\nlog_rate_limit = 2`))
  warn()
  expect(words('b.log')).toHaveLength(2)
  reopen(settings(`logfile = ${path('c.log')}\nlog_rate_limit = 0`))
  warn()
  expect(words('c.log')).toHaveLength(5)
})
