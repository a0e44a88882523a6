import { describe, expect, test } from 'vitest'
import { onInvariantFailure } from '../../../src/base/invariant.ts'
import { CancelKeys } from '../../../src/client/cancel-keys.ts'
import { peerIn, withTimeToLive, workerIn } from '../../../src/wire/cancel-key.ts'

const PEER = { peerId: 7, worker: 0 }

describe.each([
  ['without peers', { peerId: 0, worker: 0 }],
  ['with peers', PEER],
  ['in a worker', { peerId: 0, worker: 200 }],
  ['in a worker with peers', { peerId: 16_383, worker: 255 }],
])('%s', (_, owner) => {
  test('a key finds its holder until it is removed', () => {
    const keys = new CancelKeys<string>(() => owner)
    const key = keys.create('ada')
    expect(keys.find(key.pid, key.secret)).toBe('ada')
    keys.remove(key.pid, 'ada')
    expect(keys.find(key.pid, key.secret)).toBeNull()
  })

  test('a wrong secret of any length finds no holder', () => {
    const keys = new CancelKeys<string>(() => owner)
    const { pid, secret } = keys.create('ada')
    const wrong = Buffer.from(secret)
    wrong.writeUInt8(secret.readUInt8(3) ^ 4, 3)
    for (const guess of [wrong, Buffer.alloc(0), Buffer.concat([secret, secret])])
      expect(keys.find(pid, guess)).toBeNull()
  })

  test('pids are positive and unique, and each key finds its own holder', () => {
    const keys = new CancelKeys<number>(() => owner)
    const made = Array.from({ length: 2_000 }, (_, holder) => keys.create(holder))
    for (const { pid } of made) {
      expect(pid).toBeGreaterThan(0)
      expect(pid).toBeLessThan(2 ** 31)
      expect(workerIn(pid)).toBe(owner.worker)
      if (owner.peerId > 0) expect(peerIn(pid)).toBe(owner.peerId)
    }
    expect(made.map(({ pid, secret }) => keys.find(pid, secret))).toEqual([...made.keys()])
    const [gone, left] = [made.slice(0, 1_000), made.slice(1_000)]
    for (const [holder, { pid }] of gone.entries()) keys.remove(pid, holder)
    expect(gone.filter(({ pid, secret }) => keys.find(pid, secret) !== null)).toEqual([])
    expect(left.map(({ pid, secret }) => keys.find(pid, secret))).toEqual(left.map((_, index) => index + 1_000))
  })
})

test('with peers the bits of the time to live are not compared; without peers every bit of the secret is', () => {
  for (const [owner, found] of [
    [PEER, 'ada'],
    [{ peerId: 0, worker: 0 }, null],
  ] as const) {
    const keys = new CancelKeys<string>(
      () => owner,
      () => Buffer.from('0102030405060707', 'hex'),
    )
    const { pid, secret } = keys.create('ada')
    expect([0, 1, 2].map((timeToLive) => keys.find(pid, withTimeToLive(secret, timeToLive)))).toEqual(
      Array(3).fill(found),
    )
    expect(keys.find(pid, secret)).toBe('ada')
  }
})

test('keys stay valid when peer_id changes', () => {
  let owner = { peerId: 0, worker: 0 }
  const keys = new CancelKeys<string>(() => owner)
  const before = keys.create('before')
  owner = PEER
  const after = keys.create('after')
  expect([before, after].map(({ pid, secret }) => keys.find(pid, secret))).toEqual(['before', 'after'])
})

test('a key that is taken or has the pid 0 is drawn again', () => {
  const draws = ['0000000000000000', '0100000000000001', '0100000000000002', '0100000000000004']
  const keys = new CancelKeys<string>(
    () => ({ peerId: 0, worker: 0 }),
    () => Buffer.from(draws.shift() as string, 'hex'),
  )
  expect(keys.create('ada').secret.toString('hex')).toBe('00000001')
  // 2 differs from 1 only in the bits of the time to live, so with peers these would be the same key.
  expect(keys.create('bob').secret.toString('hex')).toBe('00000004')
})

test('if no key is free, the search ends with an error and existing keys stay valid', () => {
  const told = onInvariantFailure(null)
  try {
    const keys = new CancelKeys<string>(
      () => PEER,
      () => Buffer.alloc(8, 1),
    )
    const { pid, secret } = keys.create('ada')
    expect(() => keys.create('bob')).toThrow('no free cancel key')
    expect(keys.find(pid, secret)).toBe('ada')
  } finally {
    onInvariantFailure(told)
  }
})
