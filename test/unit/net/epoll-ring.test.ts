/** The ring, with a kernel that does not do its work, or does it late. */

import { describe, expect, test } from 'vitest'
import { RING_CALLS, Ring } from '../../../src/net/epoll/ring.ts'
import { EAGAIN, ECONNRESET } from '../../../src/net/epoll/syscalls.ts'
import { NOT_MADE } from '../../../src/net/gathered-writes.ts'

describe('the ring, with a kernel that does not do its work', () => {
  test('calls that are not made are left to the caller', () => {
    const { ring } = withKernel(() => ({ error: 11 }))
    const places = [ring.addReceive(1), ring.addReceive(2)]
    ring.receive()
    expect(places.map((place) => ring.resultAt(place))).toEqual([NOT_MADE, NOT_MADE])
    expect(sending(ring, ['one', 'two'])).toEqual([
      ['one', NOT_MADE],
      ['two', NOT_MADE],
    ])
  })

  test('a call that a signal interrupts is made again', () => {
    let times = 0
    const { ring } = withKernel((count) => (times++ === 0 ? { error: 4 } : { results: Array(count).fill(5) }))
    const place = ring.addReceive(1)
    ring.receive()
    expect(ring.resultAt(place)).toBe(5)
    expect(times).toBe(2)
  })

  test('if only some calls are made at first, the others are made next', () => {
    const { ring } = withKernel(() => ({ results: [7] }))
    const places = [1, 2, 3].map((descriptor) => ring.addReceive(descriptor))
    ring.receive()
    expect(places.map((place) => ring.resultAt(place))).toEqual([7, 7, 7])
  })

  test('calls that were not made are not made later', () => {
    let isWilling = false
    const { ring, descriptors } = withKernel((count) => (isWilling ? { results: Array(count).fill(1) } : { error: 12 }))
    ring.addReceive(1)
    ring.receive()
    isWilling = true
    ring.addReceive(2)
    ring.receive()
    expect(descriptors).toEqual([2])
  })

  test('results that come late are waited for, or else the error is reported', () => {
    let isBroken = false
    const { ring } = withKernel((count) => {
      if (count > 0) return { results: Array(count).fill(6), isLate: true }
      return isBroken ? { error: 9 } : { results: [] }
    })
    const place = ring.addReceive(1)
    ring.receive()
    expect(ring.resultAt(place)).toBe(6)
    isBroken = true
    ring.addReceive(1)
    expect(() => ring.receive()).toThrow('io_uring_enter EBADF')
  })

  test('results of receiving stay while bytes are sent', () => {
    const { ring } = withKernel((count) => ({ results: Array(count).fill(3) }))
    const place = ring.addReceive(1)
    ring.receive()
    sending(ring, ['x', 'y'])
    expect(ring.resultAt(place)).toBe(3)
  })

  test('more than there is room for is sent in two turns', () => {
    const { ring } = withKernel((count) => ({ results: Array(count).fill(1) }))
    const texts = Array.from({ length: RING_CALLS + 1 }, (_, index) => `${index}`)
    expect(sending(ring, texts).map(([text]) => text)).toEqual(texts)
  })

  test('a sender that throws does not keep the others from their results', () => {
    const { ring } = withKernel((count) => ({ results: Array(count).fill(ECONNRESET) }))
    const told: number[] = []
    const bad = {
      descriptor: 1,
      isAccepted: true,
      gatheredAt: -1,
      onSent: () => {
        throw new Error('a mistake')
      },
    }
    const good = { descriptor: 2, isAccepted: true, gatheredAt: -1, onSent: (result: number) => void told.push(result) }
    for (const sender of [bad, good]) ring.gathered.add(sender, Buffer.from('x'), 0, 1)
    expect(() => ring.gathered.send()).toThrow('a mistake')
    expect(told).toEqual([ECONNRESET])
  })

  test('a system without io_uring is an error with the system’s name for the reason', () => {
    expect(() => withKernel(() => ({ error: 11 }), { setupError: 38 })).toThrow('io_uring_setup ENOSYS')
  })

  test('a call without bytes to receive says so', () => {
    const { ring } = withKernel(() => ({ results: [EAGAIN] }))
    const place = ring.addReceive(1)
    ring.receive()
    expect(ring.resultAt(place)).toBe(EAGAIN)
  })
})

function sending(ring: Ring, texts: readonly string[]): [string, number][] {
  const told: [string, number][] = []
  for (const [index, text] of texts.entries()) {
    const sender = {
      descriptor: index,
      isAccepted: true,
      gatheredAt: -1,
      onSent: (result: number, buffer: Buffer, start: number, end: number) =>
        void told.push([buffer.toString('latin1', start, end), result]),
    }
    ring.gathered.add(sender, Buffer.from(text), 0, text.length)
  }
  ring.gathered.send()
  return told
}

/**
 * What the kernel does when it is entered with `count` calls: fails, or makes as many of them as there are results, which it shows at once
 * or, if they are late, when it is entered again.
 */
type Behavior = (count: number) => { error: number } | { results: readonly number[]; isLate?: boolean }

const MASK = 127
const [HEAD, TAIL, SQ_MASK, CQ_HEAD, CQ_TAIL, CQ_MASK, ARRAY, CQES] = [0, 4, 8, 12, 16, 20, 64, 1_024] as const

function withKernel(behavior: Behavior, { setupError = 0 } = {}) {
  const [rings, entries] = [new ArrayBuffer(16_384), new ArrayBuffer(16_384)]
  const [ring, sqes] = [new Int32Array(rings), new Int32Array(entries)]
  const descriptors: number[] = []
  let params: Buffer = Buffer.alloc(0)
  let errno = 0
  /** Results that are not shown yet. */
  let late = 0
  const syscall = (number: number, ...rest: number[]) => (number === 425 ? setUp() : enter(rest[1] as number))
  const kernel = new Ring({
    call: (name) => {
      if (name === 'mmap') return (...numbers) => (numbers[5] === 0 ? 1 : 2)
      return name === 'syscall' ? (number, ...rest) => syscall(number as number, ...rest) : () => 0
    },
    addressOf: (buffer) => {
      params = buffer
      return 4_096
    },
    view: (address) => (address === 1 ? rings : entries),
    errno: () => errno,
  })
  return { ring: kernel, descriptors }

  function setUp(): number {
    if (setupError !== 0) {
      errno = setupError
      return -1
    }
    params.writeUInt32LE(256, 4)
    params.writeUInt32LE(1, 20)
    for (const [at, value] of [
      [40, HEAD],
      [44, TAIL],
      [48, SQ_MASK],
      [64, ARRAY],
      [80, CQ_HEAD],
      [84, CQ_TAIL],
      [88, CQ_MASK],
      [100, CQES],
    ] as const)
      params.writeUInt32LE(value, at)
    ring[SQ_MASK / 4] = MASK
    ring[CQ_MASK / 4] = 2 * MASK + 1
    return 9
  }

  function enter(count: number): number {
    const done = behavior(count)
    if ('error' in done) {
      errno = done.error
      return -1
    }
    ring[CQ_TAIL / 4] = (ring[CQ_TAIL / 4] as number) + late
    late = 0
    for (const result of done.results) {
      const at = ((ring[HEAD / 4] as number) & MASK) * 16
      descriptors.push(sqes[at + 1] as number)
      const cqe = CQES / 4 + (((ring[CQ_TAIL / 4] as number) + late) & (2 * MASK + 1)) * 4
      ring[cqe] = sqes[at + 8] as number
      ring[cqe + 2] = result
      ring[HEAD / 4] = (ring[HEAD / 4] as number) + 1
      late++
    }
    if (done.isLate !== true) {
      ring[CQ_TAIL / 4] = (ring[CQ_TAIL / 4] as number) + late
      late = 0
    }
    return done.results.length
  }
}
