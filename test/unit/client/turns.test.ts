import { expect, test } from 'vitest'
import { Turns } from '../../../src/client/turns.ts'

const everybodyElse = () => new Promise((resolve) => setImmediate(resolve))

/** Returns how many of seven tasks have started: at once, and after each of three turns of the event loop. */
async function begun(limit: number): Promise<number[]> {
  const turns = new Turns(() => limit)
  let count = 0
  for (let number = 0; number < 7; number++) turns.take(() => count++)
  const counts = [count]
  for (let turn = 0; turn < 3; turn++) {
    await everybodyElse()
    counts.push(count)
  }
  return counts
}

test('client_tls_handshakes_at_once tasks start at once, and the next ones after other work has had its turn', async () => {
  expect(await begun(2)).toEqual([2, 4, 6, 7])
})

test('0 is no limit', async () => {
  expect(await begun(0)).toEqual([7, 7, 7, 7])
})

test('tasks start in the order they came', async () => {
  const turns = new Turns(() => 1)
  const order: number[] = []
  for (const number of [1, 2, 3]) turns.take(() => order.push(number))
  for (let turn = 0; turn < 3; turn++) await everybodyElse()
  expect(order).toEqual([1, 2, 3])
})
