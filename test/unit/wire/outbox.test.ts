import fc from 'fast-check'
import { expect, test } from 'vitest'
import { InvariantError } from '../../../src/base/invariant.ts'
import { Outbox, type Writable } from '../../../src/wire/outbox.ts'
import { takeInvariantFailures } from '../../support/every-file.ts'

/** Keeps a copy of each write. */
class Peer implements Writable {
  readonly writes: string[] = []

  write(buffer: Buffer, start: number, end: number): number {
    this.writes.push(buffer.toString('latin1', start, end))
    return end - start
  }
}

const CHUNK = Buffer.from('0123456789abcdef')

type Step =
  | readonly [what: 'add' | 'addCopy', start: number, end: number]
  | readonly [what: 'addAll' | 'byte' | 'int32', value: number]
  | readonly [what: 'huge', length: number]
  | readonly [what: 'flush']

const somePlan: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    fc
      .tuple(fc.constantFrom('add', 'add', 'addCopy'), fc.nat(16), fc.nat(16))
      .map(([what, a, b]) => [what, Math.min(a, b), Math.max(a, b)] as const),
    fc.tuple(fc.constantFrom('addAll', 'byte', 'int32'), fc.nat(127)),
    fc.tuple(fc.constant('huge' as const), fc.constantFrom(60_000, 131_072, 131_073, 200_000)),
    fc.tuple(fc.constant('flush' as const)),
  ),
  { maxLength: 12 },
)

test('everything added reaches the peer once and in order, even if copied bytes change after they were added', () => {
  const outbox = new Outbox()
  fc.assert(
    fc.property(somePlan, (plan) => {
      const peer = new Peer()
      let expected = ''
      outbox.open(peer)
      for (const [what, first, second] of plan) {
        if (what === 'add') {
          outbox.add(CHUNK, first, second)
          expected += CHUNK.toString('latin1', first, second)
        } else if (what === 'addCopy') {
          const passing = Buffer.from(CHUNK)
          outbox.addCopy(passing, first, second)
          passing.fill('?')
          expected += CHUNK.toString('latin1', first, second)
        } else if (what === 'addAll') {
          outbox.addAll(Buffer.of(first))
          expected += String.fromCharCode(first)
        } else if (what === 'byte') {
          outbox.byte(first)
          expected += String.fromCharCode(first)
        } else if (what === 'int32') {
          outbox.int32(first)
          expected += `\0\0\0${String.fromCharCode(first)}`
        } else if (what === 'huge') {
          outbox.add(Buffer.alloc(first, 'x'), 0, first)
          expected += 'x'.repeat(first)
        } else {
          outbox.flush()
          expect(peer.writes.join('') === expected).toBe(true)
        }
      }
      expect(outbox.isOpenFor(peer)).toBe(true)
      outbox.close()
      expect(outbox.isOpenFor(peer)).toBe(false)
      // Compared with ===, because a difference in so many bytes is not worth printing.
      expect(peer.writes.join('') === expected).toBe(true)
    }),
  )
})

test('adjacent spans are written at once without a copy', () => {
  const written: unknown[] = []
  const outbox = new Outbox()
  outbox.open({ write: (...span) => written.push(span) })
  outbox.add(CHUNK, 2, 5)
  outbox.add(CHUNK, 5, 9)
  outbox.close()
  expect(written).toEqual([[CHUNK, 2, 9]])
  expect((written[0] as unknown[])[0]).toBe(CHUNK)
})

test('spans with a gap and pgweir’s own bytes between them are still one write', () => {
  const peer = new Peer()
  const outbox = new Outbox()
  outbox.open(peer)
  outbox.add(CHUNK, 0, 2)
  outbox.byte(0x2d)
  outbox.add(CHUNK, 4, 6)
  outbox.close()
  expect(peer.writes).toEqual(['01-45'])
})

test('an empty outbox writes nothing, and flushed bytes are not written again', () => {
  const peer = new Peer()
  const outbox = new Outbox()
  outbox.open(peer)
  outbox.close()
  outbox.open(peer)
  outbox.addAll(CHUNK)
  outbox.flush()
  outbox.flush()
  outbox.close()
  expect(peer.writes).toEqual([CHUNK.toString()])
})

const ADDS: readonly ((outbox: Outbox) => void)[] = [
  (outbox) => outbox.add(CHUNK, 0, 4),
  (outbox) => outbox.addCopy(CHUNK, 0, 4),
  (outbox) => outbox.byte(1),
  (outbox) => outbox.int32(1),
]

test('discarded bytes reach neither their peer nor the next one', () => {
  for (const add of ADDS) {
    const [first, second] = [new Peer(), new Peer()]
    const outbox = new Outbox()
    outbox.open(first)
    add(outbox)
    outbox.discard()
    expect(outbox.isOpenFor(first)).toBe(false)
    outbox.open(second)
    outbox.add(CHUNK, 8, 10)
    outbox.close()
    expect(first.writes).toEqual([])
    expect(second.writes).toEqual(['89'])
  }
})

test('opening an outbox that is already open is an invariant failure', () => {
  const outbox = new Outbox()
  outbox.open(new Peer())
  expect(() => outbox.open(new Peer())).toThrow(InvariantError)
  expect(takeInvariantFailures()).toHaveLength(1)
})

test('bytes added while no peer is bound do not reach the next peer', () => {
  for (const add of ADDS) {
    const peer = new Peer()
    const outbox = new Outbox()
    add(outbox)
    expect(() => outbox.open(peer)).toThrow('an outbox was filled for nobody')
    outbox.discard()
    outbox.open(peer)
    outbox.close()
    expect(peer.writes).toEqual([])
  }
  expect(takeInvariantFailures()).toHaveLength(ADDS.length)
})
