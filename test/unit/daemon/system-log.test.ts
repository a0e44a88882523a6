import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { ManualClock } from '../../../src/base/clock.ts'
import { openLog } from '../../../src/daemon/open-log.ts'
import { openSystemLog, systemLogLine } from '../../../src/daemon/system-log.ts'
import { receiveDatagrams, temporaryFolder } from '../../support/datagrams.ts'
import { until } from '../../support/e2e/until.ts'
import { loadText } from '../settings/virtual-files.ts'

const settings = (text = '') => loadText(`[databases]\n[pgbouncer]\nsyslog = 1\n${text}`).settings.general
const at = new Date(2024, 4, 1, 9, 8, 7).getTime()

function start(path: string) {
  const told: string[] = []
  const log = openSystemLog(
    settings(),
    () => at,
    (sentence) => told.push(sentence),
    path,
  )
  if (log === null) throw new Error('there is none')
  onTestFinished(() => log.close())
  return { log, told }
}

test('a line has facility, severity, wall-clock time, name and process, but no host', () => {
  const line = (text: string, level: Parameters<typeof systemLogLine>[2]) =>
    systemLogLine(settings(text), at, level, 'closing because: it is late').toString()
  const rest = `[${process.pid}]: closing because: it is late`
  expect(line('', 'info')).toBe(`<30>May  1 09:08:07 pgbouncer${rest}`)
  expect(line('syslog_facility = local7', 'error')).toBe(`<187>May  1 09:08:07 pgbouncer${rest}`)
  expect(line('syslog_facility = auth\nsyslog_ident = pooler', 'debug')).toBe(`<39>May  1 09:08:07 pooler${rest}`)
  expect(line('', 'warning')).toMatch(/^<28>/)
})

test('a line is no longer than receivers accept', () => {
  expect(systemLogLine(settings(), at, 'info', 'x'.repeat(100_000)).length).toBe(8_192)
})

test('a restarted receiver gets the following lines', () => {
  const first = receiveDatagrams()
  const { log, told } = start(first.path)
  log.write('info', 'one')
  expect(first.messages()).toEqual([expect.stringContaining('one')])
  first.close()
  const second = receiveDatagrams(first.path)
  log.write('info', 'two')
  expect(second.messages()).toEqual([expect.stringContaining('two')])
  expect(told).toEqual([])
})

test('lost lines are reported once while there is no receiver, and counted when there is one again', () => {
  const path = join(temporaryFolder(), 'socket')
  const { log, told } = start(path)
  log.write('info', 'one')
  log.write('info', 'two')
  expect(told).toEqual([expect.stringMatching(/^syslog: lines cannot be sent and are lost: send ENOENT/)])
  const receiver = receiveDatagrams(path)
  log.write('info', 'three')
  expect(told.slice(1)).toEqual(['syslog: 2 lines were lost'])
  expect(receiver.messages()).toEqual([expect.stringContaining('three')])
})

test('a busy receiver gets all lines in order once it has time', async () => {
  const receiver = receiveDatagrams()
  const { log, told } = start(receiver.path)
  const count = 900
  for (let number = 0; number < count; number++) log.write('info', `${number}`)
  const all: string[] = []
  await until('all lines have arrived', () => {
    all.push(...receiver.messages())
    return all.length === count
  })
  expect(all.map((line) => Number(line.split(': ')[1]))).toEqual(Array.from({ length: count }, (_, number) => number))
  expect(told).toEqual([])
})

test('a reload loses no lines that wait for a busy receiver', async () => {
  const receiver = receiveDatagrams()
  const opened = openLog(settings('syslog_ident = one'), new ManualClock(), true, receiver.path)
  onTestFinished(() => opened.close())
  const count = 900
  for (let number = 0; number < count; number++) {
    if (number === count / 2) opened.reopen(settings('syslog_ident = two'))
    opened.log.info(`line ${number}`)
  }
  const all: string[] = []
  await until('all lines have arrived', () => {
    all.push(...receiver.messages())
    return all.at(-1)?.endsWith(`line ${count - 1}`) ?? false
  })
  expect(all).toHaveLength(count)
  expect(all.filter((line) => / one\[/.test(line))).toHaveLength(count / 2)
})

test('a reload turns syslog on and off and changes its name', () => {
  const receiver = receiveDatagrams()
  const opened = openLog(settings('syslog = 0'), new ManualClock(), true, receiver.path)
  onTestFinished(() => opened.close())
  opened.log.info('one')
  opened.reopen(settings('syslog_ident = two'))
  opened.log.info('two', { subject: 'C-0x1: app/ada@unix:1' })
  opened.log.debug('not said')
  opened.reopen(settings('log_format = json'))
  opened.log.error('three')
  opened.reopen(settings('syslog = 0'))
  opened.log.info('four')
  const [second = '', third = '', ...more] = receiver.messages()
  expect(second).toMatch(/^<30>.* two\[\d+\]: C-0x1: app\/ada@unix:1 two$/)
  expect(JSON.parse(third.slice(third.indexOf('{')))).toMatchObject({ level: 'error', message: 'three' })
  expect(more).toEqual([])
})
