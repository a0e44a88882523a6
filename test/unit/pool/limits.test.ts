import { expect, test } from 'vitest'
import { Limit, type Member } from '../../../src/pool/limits.ts'
import { takeInvariantFailures } from '../../support/every-file.ts'

interface Given {
  oldestWaitSinceMs?: number
  oldestIdleSinceMs?: number
  onRoom?: () => void
  evict?: () => void
}

function member({ oldestWaitSinceMs = Infinity, oldestIdleSinceMs = Infinity, onRoom, evict }: Given = {}): Member {
  return { oldestWaitSinceMs, oldestIdleSinceMs, onRoom: onRoom ?? (() => {}), evict: evict ?? (() => {}) }
}

test('a limit of 0 is never full', () => {
  const limit = new Limit('max_db_connections', 0)
  for (let claims = 0; claims < 1_000; claims++) limit.claim()
  expect(limit.isFull).toBe(false)
})

test('a limit cannot be claimed beyond its number', () => {
  const limit = new Limit('max_db_connections', 1)
  limit.claim()
  expect(limit.isFull).toBe(true)
  expect(() => limit.claim()).toThrow('beyond its limit')
  takeInvariantFailures()
})

test('room goes to the pool that has been blocked for longest', () => {
  const limit = new Limit('max_db_connections', 1)
  limit.claim()
  const served: string[] = []
  const first = member({
    onRoom: () => {
      served.push('first')
      limit.claim()
    },
  })
  const second = member({ onRoom: () => served.push('second') })
  for (const each of [first, second]) limit.block(each)
  limit.release()
  expect(served).toEqual(['first'])
})

test('room that the first has no use for goes to the next', () => {
  const limit = new Limit('max_db_connections', 1)
  limit.claim()
  const served: string[] = []
  limit.block(member({ onRoom: () => served.push('gone') }))
  limit.block(
    member({
      onRoom: () => {
        served.push('waiting')
        limit.claim()
      },
    }),
  )
  limit.release()
  expect(served).toEqual(['gone', 'waiting'])
})

test('room is made by the pool whose idle server was used longest ago, and never by the one that asks', () => {
  const limit = new Limit('max_db_connections', 3)
  const evicted: string[] = []
  const asking = member({ oldestIdleSinceMs: 1, evict: () => evicted.push('asking') })
  limit.join(asking)
  limit.join(member({ oldestIdleSinceMs: 30, evict: () => evicted.push('young') }))
  limit.join(member({ oldestIdleSinceMs: 20, evict: () => evicted.push('old') }))
  expect(limit.makeRoom(asking)).toBe(true)
  expect(evicted).toEqual(['old'])
})

test('no room can be made where nothing is idle', () => {
  const limit = new Limit('max_db_connections', 1)
  limit.join(member())
  expect(limit.makeRoom(member())).toBe(false)
})
