import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { describe, expect, test } from 'vitest'
import { familyOf, parseCpuTime, parseFileLimit, parseResidentKib } from '../../../bench/process-figures.ts'

const REST =
  'S 1 10731 10731 0 -1 4194560 21453 0 12 0 1234 567 0 0 20 0 11 0 311023 1137901568 16332 18446744073709551615'

describe('CPU time in /proc/PID/stat', () => {
  test('is counted in hundredths of a second', () => {
    expect(parseCpuTime(`10731 (node) ${REST}`)).toEqual({ userMs: 12_340, systemMs: 5_670 })
  })

  test.each(['(a b)', '(x) S 1 1)', '(:-) )'])('is found after a process name like %s', (name) => {
    expect(parseCpuTime(`10731 ${name} ${REST}`)).toEqual({ userMs: 12_340, systemMs: 5_670 })
  })

  test('includes that of children that have ended', () => {
    const withChildren = REST.replace('1234 567 0 0', '1234 567 100 10')
    expect(parseCpuTime(`10731 (node) ${withChildren}`)).toEqual({ userMs: 13_340, systemMs: 5_770 })
  })

  test('is an error if it is missing', () => {
    expect(() => parseCpuTime('10731 (node) S 1')).toThrow('not as expected')
  })
})

describe('resident memory in /proc/PID/status', () => {
  test('is given in KiB', () => {
    expect(parseResidentKib('Name:\tnode\nVmHWM:\t   70000 kB\nVmRSS:\t   65328 kB\nThreads:\t11\n')).toBe(65_328)
  })

  test('is missing if the process has ended', () => {
    expect(() => parseResidentKib('Name:\tnode\nState:\tZ (zombie)\n')).toThrow('gone')
  })
})

test.each([
  ['Max open files            1024                 20000                files', 1024],
  ['Max open files            unlimited            unlimited            files', Infinity],
])('the limit of open files is read from: %s', (line, expected) => {
  expect(
    parseFileLimit(`Max processes             94985                94985                processes\n${line}\n`),
  ).toBe(expected)
})

test.runIf(process.platform === 'linux')(
  'a process and all processes that it has started belong to its family',
  async () => {
    const shell = spawn('sh', ['-c', 'tail -f /dev/null & echo $!; wait'])
    const pid = shell.pid ?? 0
    const [said] = (await once(shell.stdout, 'data')) as [Buffer]
    expect(familyOf(pid)).toEqual([pid, Number(said)])
    process.kill(Number(said))
    await once(shell, 'exit')
    expect(familyOf(pid)).toEqual([pid])
  },
)
