import { expect, test } from 'vitest'
import { PoolerError } from '../../../src/problems.ts'
import { type Answers, Line, LineDown } from '../../../src/workers/line.ts'

type Left = { readonly add: { readonly sent: readonly number[]; readonly answer: number } }
type Right = { readonly note: { readonly sent: string; readonly answer: null } }

/** Two lines whose messages wait until they are delivered. */
function pair(answers: Partial<Answers<Left>> = {}) {
  const waiting: (() => void)[] = []
  const noted: string[] = []
  let isBroken = false
  const carry = (deliver: (message: unknown) => void) => ({
    send(message: unknown) {
      if (isBroken) return false
      const copy = structuredClone(message)
      waiting.push(() => deliver(copy))
      return true
    },
  })
  const left: Line<Left, Right> = new Line<Left, Right>(
    carry((message) => right.receive(message)),
    {
      note: (text) => {
        noted.push(text)
        return null
      },
    },
  )
  const right: Line<Right, Left> = new Line<Right, Left>(
    carry((message) => left.receive(message)),
    { add: (numbers) => numbers.reduce((sum, number) => sum + number, 0), ...answers },
  )
  const deliver = async () => {
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      next()
      await Promise.resolve()
    }
  }
  return { left, right, noted, deliver, cut: () => (isBroken = true) }
}

test('questions are answered in both directions', async () => {
  const { left, right, deliver, noted } = pair()
  const sum = left.ask('add', [1, 2, 3])
  const done = right.ask('note', 'here')
  await deliver()
  expect(await sum).toBe(6)
  expect(await done).toBe(null)
  expect(noted).toEqual(['here'])
})

test('answers reach their questions in whatever order they come', async () => {
  const finish: ((sum: number) => void)[] = []
  const { left, deliver } = pair({ add: () => new Promise<number>((resolve) => finish.push(resolve)) })
  const first = left.ask('add', [1])
  const second = left.ask('add', [2])
  await deliver()
  finish[1]?.(2)
  await deliver()
  await Promise.resolve()
  await deliver()
  expect(await second).toBe(2)
  finish[0]?.(1)
  await Promise.resolve()
  await deliver()
  expect(await first).toBe(1)
})

test('an error of the other process reaches the asker, with its SQLSTATE if it has one', async () => {
  const { left, deliver } = pair({
    add: async ([kind]) => {
      if (kind === 1) throw new PoolerError('no-such-database', { database: 'shop' })
      throw new Error('no idea')
    },
  })
  const refused = expect(left.ask('add', [1])).rejects.toMatchObject({
    sqlstate: '3D000',
    message: 'no such database: shop',
  })
  const failed = expect(left.ask('add', [2])).rejects.toThrow('no idea')
  for (let round = 0; round < 4; round++) await deliver()
  await refused
  await failed
})

test('an error thrown synchronously reaches the asker too', async () => {
  const { left, deliver } = pair({
    add: () => {
      throw new PoolerError('too-many-clients')
    },
  })
  const refused = expect(left.ask('add', [1])).rejects.toMatchObject({ sqlstate: '53300' })
  await deliver()
  await refused
})

test('a question fails with LineDown if the other process is gone', async () => {
  const { left } = pair()
  const lost = expect(left.ask('add', [1])).rejects.toBeInstanceOf(LineDown)
  left.hangUp()
  await lost
  await expect(left.ask('add', [1])).rejects.toBeInstanceOf(LineDown)
})

test('the line is down once its carrier accepts no more messages', async () => {
  const { left, cut } = pair()
  cut()
  await expect(left.ask('add', [1])).rejects.toBeInstanceOf(LineDown)
  expect(left.isUp).toBe(false)
})

test('a line ignores messages that are not its own', () => {
  const { left } = pair()
  for (const message of [null, 'hello', 7, {}, { name: 'add' }, { question: 9, body: 1 }]) left.receive(message)
  expect(left.isUp).toBe(true)
})
