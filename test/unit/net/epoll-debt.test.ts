/** What a channel owes: large pieces of memory are used again, and never by two debts at once. */

import { expect, test, vi } from 'vitest'
import { Debt } from '../../../src/net/epoll/debt.ts'
import type { SystemCalls } from '../../../src/net/epoll/syscalls.ts'
import { pattern } from './rigs.ts'

test('a debt that follows a paid one needs no new memory', () => {
  const bytes = pattern(20_000)
  paid(owing(bytes))
  const allocated = vi.spyOn(Buffer, 'allocUnsafeSlow')
  for (let round = 0; round < 5; round++) {
    const debt = owing(bytes)
    expect(paid(debt).equals(bytes)).toBe(true)
  }
  expect(allocated).not.toHaveBeenCalled()
  vi.restoreAllMocks()
})

test('debts that are owed at the same time, in any number, do not share memory', () => {
  const texts = Array.from({ length: 30 }, (_, index) => pattern(10_000 + index * 2_000, index))
  for (let round = 0; round < 2; round++) {
    const debts = texts.map((text) => owing(text))
    expect(debts.every((debt, index) => paid(debt).equals(texts[index] as Buffer))).toBe(true)
  }
})

test('a debt of many pieces is paid in order, also while it grows', () => {
  const parts = Array.from({ length: 60 }, (_, index) => pattern(5_000 + index * 700, index))
  const debt = new Debt()
  const got: Buffer[] = []
  for (const part of parts) {
    debt.add(part, 0, part.length)
    got.push(paid(debt, 30_000))
  }
  while (debt.bytes > 0) got.push(paid(debt, 30_000))
  expect(Buffer.concat(got).equals(Buffer.concat(parts))).toBe(true)
})

function owing(bytes: Buffer): Debt {
  const debt = new Debt()
  debt.add(bytes, 0, bytes.length)
  return debt
}

/** Pays as much as a kernel takes that has room for so many bytes, and returns what it got. */
function paid(debt: Debt, room = Number.POSITIVE_INFINITY): Buffer {
  const got: Buffer[] = []
  let left = room
  const send = (_descriptor: number, buffer: Buffer, start: number, end: number) => {
    const taken = Math.min(left, end - start)
    left -= taken
    got.push(Buffer.from(buffer.subarray(start, start + taken)))
    return taken
  }
  expect(debt.pay({ send } as unknown as SystemCalls, 1)).toBe(0)
  return Buffer.concat(got)
}
