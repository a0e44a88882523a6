import { expect, test } from 'vitest'
import { costOf, type Sample } from '../../../bench/sampling.ts'

function sample(atMs: number, userMs: number, systemMs: number, postgresMs: number): Sample {
  return { atMs, pooler: { userMs, systemMs }, postgres: { userMs: postgresMs, systemMs: 0 }, residentKib: 2_048 }
}

test('CPU time while clients connect and disconnect is not counted', () => {
  const endMs = Float64Array.from([1_100, 1_250, 1_350, 1_450, 1_450, 1_650])
  const samples = [
    sample(1_000, 0, 0, 0),
    sample(1_200, 500, 500, 900),
    sample(1_400, 501, 502, 906),
    sample(1_600, 502, 503, 908),
    sample(1_800, 900, 900, 2_000),
  ]
  // Four transactions ended between the samples at 1,200 and 1,600.
  expect(costOf(samples, { endMs })).toEqual({
    userUs: 500,
    systemUs: 750,
    cpuUs: 1_250,
    postgresUs: 2_000,
    cpuToPostgres: 0.625,
    residentMib: 2,
  })
})

test('a run without two samples during its transactions is an error', () => {
  const samples = [sample(1_000, 0, 0, 0), sample(1_200, 1, 1, 1), sample(1_400, 2, 2, 2)]
  expect(() => costOf(samples, { endMs: Float64Array.from([1_150, 1_300]) })).toThrow('too short')
})
