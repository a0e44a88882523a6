import { expect, test } from 'vitest'
import { FAMILIES } from '../../../src/metrics/families.ts'
import { PGBOUNCER_FAMILIES } from '../../../src/metrics/pgbouncer-families.ts'
import { metricsPage } from '../../../src/metrics/reference.ts'

test('docs/metrics.md matches the metrics table (npx vitest run test/unit/metrics/reference.test.ts -u writes it)', async () => {
  await expect(metricsPage()).toMatchFileSnapshot('../../../docs/metrics.md')
})

test('metric names have a prefix, use base units, and end in _total exactly if they are counters', () => {
  for (const { name, type } of FAMILIES) {
    expect(name).toMatch(/^pgweir_[a-z0-9_]+$/)
    expect(name.endsWith('_total'), name).toBe(type === 'counter')
    expect(name).not.toMatch(/_(ms|us|milliseconds|kb|mb|percent)(_|$)/)
  }
  for (const { name, type } of PGBOUNCER_FAMILIES) {
    expect(name).toMatch(/^pgbouncer_[a-z_]+$/)
    expect(name.endsWith('_total'), name).toBe(type === 'counter')
  }
  expect(new Set(FAMILIES.map(({ name }) => name)).size).toBe(FAMILIES.length)
})
