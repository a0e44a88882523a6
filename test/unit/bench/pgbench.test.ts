import { describe, expect, test } from 'vitest'
import { latencies, loadArguments, parseLog, parseSummary } from '../../../bench/pgbench.ts'

const SUMMARY = `pgbench (15.18)
transaction type: <builtin: select only>
scaling factor: 1
query mode: simple
number of clients: 16
number of threads: 1
maximum number of tries: 1
duration: 2 s
number of transactions actually processed: 31445
number of failed transactions: 0 (0.000%)
latency average = 1.017 ms
initial connection time = 21.052 ms
tps = 15722.905692 (without initial connection time)
`

describe('the output of pgbench', () => {
  test('gives the number of transactions and their rate', () => {
    expect(parseSummary(SUMMARY)).toEqual({ transactions: 31_445, failed: 0, perSecond: 15_722.905692 })
  })

  test('gives the number of failed transactions', () => {
    expect(parseSummary(SUMMARY.replace('failed transactions: 0', 'failed transactions: 12')).failed).toBe(12)
  })

  test('may come from a version that does not count failures, or that reconnects each time', () => {
    const output = 'number of transactions actually processed: 7\ntps = 3.5 (including reconnection times)\n'
    expect(parseSummary(output)).toEqual({ transactions: 7, failed: 0, perSecond: 3.5 })
  })

  test('without a result is an error that shows the output', () => {
    expect(() => parseSummary('connection refused')).toThrow('connection refused')
  })
})

describe('a log of pgbench', () => {
  test('gives the duration and the end of each transaction', () => {
    const { timeUs, endMs } = parseLog('0 1 1017 0 1700000000 123000\n3 9 250 0 1700000001 456500 12\n')
    expect([...timeUs]).toEqual([1017, 250])
    expect([...endMs]).toEqual([1_700_000_000_123, 1_700_000_001_456.5])
  })

  test('has words instead of durations for failed and skipped transactions', () => {
    const { timeUs } = parseLog('0 1 failed 0 1700000000 1\n0 2 skipped 0 1700000000 2\n0 3 80 0 1700000000 3\n')
    expect([...timeUs]).toEqual([80])
  })

  test('may be empty', () => {
    expect(parseLog('').timeUs).toHaveLength(0)
  })

  test('gives latencies in milliseconds', () => {
    const timeUs = Float64Array.from({ length: 1000 }, (_, index) => 1000 - index)
    expect(latencies({ timeUs })).toEqual({ p50Ms: 0.5, p95Ms: 0.95, p99Ms: 0.99, p99ToP50: 1.98 })
  })
})

test('a load is turned into arguments of pgbench', () => {
  const load = { mode: 'prepared', clients: 64, threads: 2, reconnects: true, script: null } as const
  expect(loadArguments(load).join(' ')).toBe('-n -M prepared -c 64 -j 2 -C')
})
