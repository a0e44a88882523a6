/** How many cores this process may use, for `workers = auto`: by its affinity, and by the quota of its control group. */

import { readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'

type ReadText = (path: string) => string | null

/** Returns at least 1. */
export function usableCores(parallelism = availableParallelism(), read: ReadText = readText): number {
  const quota = Math.min(quotaOfVersion2(read), quotaOfVersion1(read))
  // A container with one and a half cores can make use of two processes, though not fully.
  return Math.max(1, Math.min(parallelism, Math.ceil(quota)))
}

/** `cpu.max` of our group and of all groups above it. In a container, ours is at the root. https://docs.kernel.org/admin-guide/cgroup-v2.html */
function quotaOfVersion2(read: ReadText): number {
  const group = /^0::(\/.*)$/m.exec(read('/proc/self/cgroup') ?? '')?.[1] ?? '/'
  let least = Infinity
  for (let path = group; ; path = path.slice(0, path.lastIndexOf('/'))) {
    const [quota, period] = (read(`/sys/fs/cgroup${path === '/' ? '' : path}/cpu.max`) ?? '').trim().split(' ')
    if (quota !== 'max') least = Math.min(least, coresOf(Number(quota), Number(period)))
    if (path === '' || path === '/') return least
  }
}

/** https://docs.kernel.org/scheduler/sched-bwc.html */
function quotaOfVersion1(read: ReadText): number {
  const folder = '/sys/fs/cgroup/cpu'
  return coresOf(Number(read(`${folder}/cpu.cfs_quota_us`) ?? ''), Number(read(`${folder}/cpu.cfs_period_us`) ?? ''))
}

/** Infinity if there is no limit, or if it is not known. */
function coresOf(quotaUs: number, periodUs: number): number {
  return quotaUs > 0 && periodUs > 0 ? quotaUs / periodUs : Infinity
}

function readText(path: string): string | null {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    // There is no such file, so it limits nothing.
    return null
  }
}
