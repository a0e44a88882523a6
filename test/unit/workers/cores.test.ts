import { expect, test } from 'vitest'
import { usableCores } from '../../../src/workers/cores.ts'

const withFiles = (files: Record<string, string>) => (path: string) => files[path] ?? null

test('without limits all cores are used that the process may run on', () => {
  expect(usableCores(6, withFiles({}))).toBe(6)
  expect(usableCores(6, withFiles({ '/sys/fs/cgroup/cpu.max': 'max 100000\n' }))).toBe(6)
})

test('a container uses as many as its quota, rounded up', () => {
  expect(usableCores(8, withFiles({ '/sys/fs/cgroup/cpu.max': '200000 100000\n' }))).toBe(2)
  expect(usableCores(8, withFiles({ '/sys/fs/cgroup/cpu.max': '150000 100000\n' }))).toBe(2)
  expect(usableCores(8, withFiles({ '/sys/fs/cgroup/cpu.max': '50000 100000\n' }))).toBe(1)
})

test('the narrowest of all groups above counts', () => {
  const files = {
    '/proc/self/cgroup': '0::/system.slice/pgweir.service\n',
    '/sys/fs/cgroup/system.slice/pgweir.service/cpu.max': 'max 100000\n',
    '/sys/fs/cgroup/system.slice/cpu.max': '300000 100000\n',
    '/sys/fs/cgroup/cpu.max': 'max 100000\n',
  }
  expect(usableCores(8, withFiles(files))).toBe(3)
})

test('the older kind of control groups is understood', () => {
  const quota = (us: string) => ({
    '/sys/fs/cgroup/cpu/cpu.cfs_quota_us': us,
    '/sys/fs/cgroup/cpu/cpu.cfs_period_us': '100000',
  })
  expect(usableCores(8, withFiles(quota('400000')))).toBe(4)
  expect(usableCores(8, withFiles(quota('-1')))).toBe(8)
})

test('nonsense limits nothing', () => {
  expect(usableCores(2, withFiles({ '/sys/fs/cgroup/cpu.max': 'what\n' }))).toBe(2)
})

test('this process may use a core', () => {
  expect(usableCores()).toBeGreaterThanOrEqual(1)
})
