import { expect, test } from 'vitest'
import { CancelKeys } from '../../../src/client/cancel-keys.ts'

test('a key finds its holder, until it is removed', () => {
  const keys = new CancelKeys<string>()
  const key = keys.create('ada')
  expect(keys.find(key.pid, key.secret)).toBe('ada')
  keys.remove(key)
  expect(keys.find(key.pid, key.secret)).toBeNull()
})

test('a wrong secret finds nobody, whatever its length', () => {
  const keys = new CancelKeys<string>()
  const { pid, secret } = keys.create('ada')
  const wrong = Buffer.from(secret)
  wrong[3] = (wrong[3] as number) ^ 1
  for (const guess of [wrong, Buffer.alloc(0), Buffer.concat([secret, secret])])
    expect(keys.find(pid, guess)).toBeNull()
})

test('ids are positive and differ', () => {
  const keys = new CancelKeys<number>()
  const pids = Array.from({ length: 2_000 }, (_, holder) => keys.create(holder).pid)
  expect(new Set(pids).size).toBe(pids.length)
  expect(Math.min(...pids)).toBeGreaterThan(0)
  expect(Math.max(...pids)).toBeLessThan(2 ** 31)
})
