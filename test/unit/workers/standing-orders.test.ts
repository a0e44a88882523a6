import { expect, test } from 'vitest'
import type { ControlCall } from '../../../src/workers/control.ts'
import { StandingOrders } from '../../../src/workers/standing-orders.ts'

/** Returns what stands after these commands. `! resume` could not be carried out, and `… resume` is still being carried out. */
function after(...words: string[]): string[] {
  const orders = new StandingOrders()
  for (const word of words) {
    const [, how, name, database = null] = /^([!…]?) ?(\S+) ?(\S+)?$/.exec(word) ?? []
    const call = { name, args: [database] } as unknown as ControlCall
    orders.note(call)
    if (how === '!') orders.forget(call)
    else if (how === '') orders.done(call)
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

test('an order that is given again and again stands once', () => {
  expect(after('disable app', 'pause', 'disable app', 'disable shop', 'pause', 'disable app')).toEqual([
    'disable shop',
    'pause',
    'disable app',
  ])
  expect(after('pause', '! pause', 'pause', 'resume')).toEqual([])
})

test('pauses of all and of one database are ended each by its own RESUME', () => {
  expect(after('pause app', 'kill shop', 'pause', 'kill', 'resume')).toEqual(['pause app', 'kill shop'])
  expect(after('pause', 'pause app', 'pause shop', 'resume app')).toEqual(['pause', 'pause shop'])
})

test('what could not be done is forgotten, and has ended nothing', () => {
  expect(after('! pause nowhere')).toEqual([])
  expect(after('pause app', 'suspend 7', '! resume', '! resume app', '! enable app')).toEqual([
    'pause app',
    'suspend 7',
  ])
})

test('an end that is under way stands beside what it may end; what is said after it is not ended', () => {
  expect(after('pause', '… resume')).toEqual(['pause', 'resume'])
  const orders = new StandingOrders()
  const [pause, resume, again] = ['pause', 'resume', 'pause'].map(
    (name) => ({ name, args: [null] }) as unknown as ControlCall,
  ) as [ControlCall, ControlCall, ControlCall]
  for (const call of [pause, resume, again]) orders.note(call)
  orders.done(resume)
  expect([...orders]).toEqual([again])
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
