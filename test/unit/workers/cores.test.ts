import { expect, test } from 'vitest'
import { usableCores } from '../../../src/workers/cores.ts'

const withFiles = (files: Record<string, string>) => (path: string) => files[path] ?? null

test('without CPU limits all cores available to the process are used', () => {
  expect(usableCores(6, withFiles({}))).toBe(6)
  expect(usableCores(6, withFiles({ '/sys/fs/cgroup/cpu.max': 'max 100000\n' }))).toBe(6)
})

test('in a container the number of cores is the quota, rounded up', () => {
  expect(usableCores(8, withFiles({ '/sys/fs/cgroup/cpu.max': '200000 100000\n' }))).toBe(2)
  expect(usableCores(8, withFiles({ '/sys/fs/cgroup/cpu.max': '150000 100000\n' }))).toBe(2)
  expect(usableCores(8, withFiles({ '/sys/fs/cgroup/cpu.max': '50000 100000\n' }))).toBe(1)
})

test('the smallest quota of all parent groups applies', () => {
  const files = {
    '/proc/self/cgroup': '0::/system.slice/pgweir.service\n',
    '/sys/fs/cgroup/system.slice/pgweir.service/cpu.max': 'max 100000\n',
    '/sys/fs/cgroup/system.slice/cpu.max': '300000 100000\n',
    '/sys/fs/cgroup/cpu.max': 'max 100000\n',
  }
  expect(usableCores(8, withFiles(files))).toBe(3)
})

test('quotas of control groups version 1 are read too', () => {
  const quota = (us: string) => ({
    '/sys/fs/cgroup/cpu/cpu.cfs_quota_us': us,
    '/sys/fs/cgroup/cpu/cpu.cfs_period_us': '100000',
  })
  expect(usableCores(8, withFiles(quota('400000')))).toBe(4)
  expect(usableCores(8, withFiles(quota('-1')))).toBe(8)
})

test('a quota that cannot be parsed is ignored', () => {
  expect(usableCores(2, withFiles({ '/sys/fs/cgroup/cpu.max': 'what\n' }))).toBe(2)
})

test('this process may use at least one core', () => {
  expect(usableCores()).toBeGreaterThanOrEqual(1)
})
