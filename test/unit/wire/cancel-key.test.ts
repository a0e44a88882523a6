import { expect, test } from 'vitest'
import {
  CANCEL_KEY_BYTES,
  type CancelKey,
  isSecret,
  type KeyOwner,
  peerIn,
  stampCancelKey,
  timeToLiveIn,
  WITHOUT_TIME_TO_LIVE,
  withTimeToLive,
  workerIn,
} from '../../../src/wire/cancel-key.ts'

const ones = () => Buffer.alloc(CANCEL_KEY_BYTES, 0xff)
const zeros = () => Buffer.alloc(CANCEL_KEY_BYTES, 0)

function bytesOf({ pid, secret }: CancelKey): string {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(pid)
  return Buffer.concat([bytes, secret]).toString('hex')
}

/** Returns, as a 64-bit number, the bits of the key that do not depend on the random bytes. */
function fixedBits(owner: KeyOwner): bigint {
  const [high, low] = [ones(), zeros()].map((bytes) => BigInt(`0x${bytesOf(stampCancelKey(bytes, owner))}`))
  return (high as bigint) ^ (low as bigint) ^ 0xffff_ffff_ffff_ffffn
}

const countBits = (bits: bigint) => bits.toString(2).replaceAll('0', '').length

test('as in PgBouncer, bytes 1 and 2 hold the peer, low byte first, and the last two bits the time to live', () => {
  expect(bytesOf(stampCancelKey(zeros(), { peerId: 0x0102, worker: 0 }))).toBe('0002010000000003')
  expect(bytesOf(stampCancelKey(ones(), { peerId: 0x0102, worker: 0 }))).toBe('7f020100ffffffff')
})

test('byte 3 holds the worker, with and without peers', () => {
  expect(bytesOf(stampCancelKey(zeros(), { peerId: 0, worker: 255 }))).toBe('000000ff00000000')
  expect(bytesOf(stampCancelKey(zeros(), { peerId: 1, worker: 7 }))).toBe('0001000700000003')
})

test('all other bits are random: 55, or 37 with peers', () => {
  expect(fixedBits({ peerId: 0, worker: 0 }).toString(16)).toBe('800000ff00000000')
  expect(fixedBits({ peerId: 5, worker: 9 }).toString(16)).toBe('80ffffff00000003')
  expect(64 - countBits(fixedBits({ peerId: 0, worker: 3 }))).toBe(55)
  expect(64 - countBits(fixedBits({ peerId: 16_383, worker: 255 }))).toBe(37)
})

test('peer, worker and time to live are read back, whatever the sign of the pid', () => {
  for (const owner of [
    { peerId: 1, worker: 0 },
    { peerId: 255, worker: 1 },
    { peerId: 256, worker: 254 },
    { peerId: 16_383, worker: 255 },
  ]) {
    const { pid, secret } = stampCancelKey(ones(), owner)
    for (const read of [pid, pid | 0x8000_0000]) expect({ peerId: peerIn(read), worker: workerIn(read) }).toEqual(owner)
    expect(timeToLiveIn(secret)).toBe(3)
  }
})

test('withTimeToLive returns a copy in which only the time to live differs', () => {
  const { secret } = stampCancelKey(Buffer.from('0011223344556677', 'hex'), { peerId: 1, worker: 0 })
  const left = withTimeToLive(secret, 1)
  expect([secret.toString('hex'), left.toString('hex')]).toEqual(['44556677', '44556675'])
  expect(timeToLiveIn(left)).toBe(1)
  const difference = secret.readInt32BE(0) ^ left.readInt32BE(0)
  expect([difference !== 0, difference & WITHOUT_TIME_TO_LIVE]).toEqual([true, 0])
})

test('only secrets of 4 bytes are pgweir’s', () => {
  expect([0, 3, 4, 5, 256].filter((length) => isSecret(Buffer.alloc(length)))).toEqual([4])
})
