import { expect, test } from 'vitest'
import { Lifetimes } from '../../../src/pool/lifetimes.ts'
import type { PoolSettings } from '../../../src/pool/settings.ts'
import { type ToyServer, toyServers } from './toy-servers.ts'

const SETTINGS = { lifetimeMs: 1_000, idleTimeoutMs: 100, size: 4 } as PoolSettings
const OLD: ToyServer = { state: 'idle', startedMs: 0, usedMs: 990 }
const UNUSED: ToyServer = { state: 'idle', startedMs: 500, usedMs: 500 }

/** Returns what a sweep at 1,000 ms does, with `floor` servers to keep. */
function swept(toys: readonly ToyServer[], floor: number, settings: Partial<PoolSettings> = {}): string[] {
  const heard: string[] = []
  new Lifetimes(toyServers(toys, heard).lists).sweepIdle(floor, 1_000, { ...SETTINGS, ...settings })
  return heard
}

test('idle servers are closed after the idle timeout, until only the minimum is left, which includes busy servers', () => {
  expect(swept([UNUSED, { state: 'leased' }, UNUSED, UNUSED], 2)).toEqual([
    '0 closed: server idle timeout',
    '2 closed: server idle timeout',
  ])
})

test('a recently used server is not closed; with an idle timeout of 0 none is', () => {
  expect(swept([{ ...UNUSED, usedMs: 900 }], 0)).toEqual([])
  expect(swept([UNUSED], 0, { idleTimeoutMs: 0 })).toEqual([])
})

test('a server older than its lifetime is closed even if the pool is at its minimum', () => {
  expect(swept([OLD], 1)).toEqual(['0 closed: server lifetime over'])
})

test('servers of the same age are closed one at a time, spread over the lifetime according to the pool size', () => {
  const heard: string[] = []
  const { lists } = toyServers([OLD, OLD, OLD], heard)
  const lifetimes = new Lifetimes(lists)
  const settings = { ...SETTINGS, idleTimeoutMs: 0 }
  const counts = [1_000, 1_249, 1_250, 1_499, 1_500].map((nowMs) => {
    lifetimes.sweepIdle(0, nowMs, settings)
    return heard.length
  })
  expect(counts).toEqual([1, 1, 2, 2, 3])
})

test('without a limit on the pool size, closings are spread according to the current number of servers', () => {
  const heard: string[] = []
  const { lists } = toyServers([OLD, OLD, { state: 'leased' }, { state: 'leased' }], heard)
  const lifetimes = new Lifetimes(lists)
  const counts = [1_000, 1_333, 1_334].map((nowMs) => {
    lifetimes.sweepIdle(0, nowMs, { ...SETTINGS, idleTimeoutMs: 0, size: 0 })
    return heard.length
  })
  expect(counts).toEqual([1, 1, 2])
})

test('with a lifetime of 0 a server is closed after its first use, not while it waits for that use', () => {
  const heard: string[] = []
  const { lists, servers } = toyServers([OLD], heard)
  const lifetimes = new Lifetimes(lists)
  const settings = { ...SETTINGS, lifetimeMs: 0 }
  lifetimes.sweepIdle(0, 1_000, settings)
  expect([heard, servers.map((server) => lifetimes.isOver(server, 0, settings))]).toEqual([[], [true]])
})
