import { expect, test } from 'vitest'
import type { ControlCall } from '../../../src/workers/control.ts'
import { StandingOrders } from '../../../src/workers/standing-orders.ts'

function after(...words: string[]): string[] {
  const orders = new StandingOrders()
  for (const word of words) {
    const [name, database = null] = word.split(' ')
    orders.note({ name, args: [database] } as unknown as ControlCall)
  }
  return [...orders].map(({ name, args }) => [name, ...args].filter((part) => part !== null).join(' '))
}

test('what is disabled or paused stays so for workers that come later', () => {
  expect(after('disable app', 'pause shop')).toEqual(['disable app', 'pause shop'])
})

test('what was taken back is forgotten', () => {
  expect(after('disable app', 'pause shop', 'enable app', 'resume shop')).toEqual([])
  expect(after('disable app', 'disable shop', 'enable app')).toEqual(['disable shop'])
  expect(after('kill app', 'resume app')).toEqual([])
})

test('RESUME of all ends each PAUSE', () => {
  expect(after('pause app', 'pause shop', 'pause', 'resume')).toEqual([])
})

test('RESUME of one database follows a PAUSE of all', () => {
  expect(after('pause', 'resume app')).toEqual(['pause', 'resume app'])
})

test('what could not be done is forgotten', () => {
  const orders = new StandingOrders()
  const call = { name: 'pause', args: ['nowhere'] } as unknown as ControlCall
  orders.note(call)
  orders.forget(call)
  expect([...orders]).toEqual([])
})

test('whatever is done once is of no concern for those who come later', () => {
  expect(after('reconnect app', 'killClient 7')).toEqual([])
})

test('SUSPEND ends with RESUME, or with the console that has said it', () => {
  expect(after('suspend 7', 'resume')).toEqual([])
  expect(after('suspend 7', 'endSuspension 7')).toEqual([])
  expect(after('suspend 7', 'endSuspension 8')).toEqual(['suspend 7'])
  expect(after('suspend 7', 'resume app')).toEqual(['suspend 7'])
})
