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

test('DISABLE, PAUSE and the like apply to workers that start later', () => {
  expect(after('disable app', 'pause shop')).toEqual(['disable app', 'pause shop'])
})

test('an order that was taken back no longer stands', () => {
  expect(after('disable app', 'pause shop', 'enable app', 'resume shop')).toEqual([])
  expect(after('disable app', 'disable shop', 'enable app')).toEqual(['disable shop'])
  expect(after('kill app', 'resume app')).toEqual([])
})

test('an order that is repeated stands once', () => {
  expect(after('disable app', 'pause', 'disable app', 'disable shop', 'pause', 'disable app')).toEqual([
    'disable shop',
    'pause',
    'disable app',
  ])
  expect(after('pause', '! pause', 'pause', 'resume')).toEqual([])
})

test('RESUME without a database does not end the pause of one database, and the other way round', () => {
  expect(after('pause app', 'kill shop', 'pause', 'kill', 'resume')).toEqual(['pause app', 'kill shop'])
  expect(after('pause', 'pause app', 'pause shop', 'resume app')).toEqual(['pause', 'pause shop'])
})

test('a command that failed neither stands nor ends another one', () => {
  expect(after('! pause nowhere')).toEqual([])
  expect(after('pause app', 'suspend 7', '! resume', '! resume app', '! enable app')).toEqual([
    'pause app',
    'suspend 7',
  ])
})

test('while RESUME is still running it stands next to the orders it may end; orders given after it are not ended by it', () => {
  expect(after('pause', '… resume')).toEqual(['pause', 'resume'])
  const orders = new StandingOrders()
  const [pause, resume, again] = ['pause', 'resume', 'pause'].map(
    (name) => ({ name, args: [null] }) as unknown as ControlCall,
  ) as [ControlCall, ControlCall, ControlCall]
  for (const call of [pause, resume, again]) orders.note(call)
  orders.done(resume)
  expect([...orders]).toEqual([again])
})

test('commands that act once do not apply to workers that start later', () => {
  expect(after('reconnect app', 'killClient 7')).toEqual([])
})

test('SUSPEND ends with RESUME, or with the console that issued it', () => {
  expect(after('suspend 7', 'resume')).toEqual([])
  expect(after('suspend 7', 'endSuspension 7')).toEqual([])
  expect(after('suspend 7', 'endSuspension 8')).toEqual(['suspend 7'])
  expect(after('suspend 7', 'resume app')).toEqual(['suspend 7'])
})
