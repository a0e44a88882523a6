import fc from 'fast-check'
import { expect, test } from 'vitest'
import { InvariantError } from '../../../src/base/invariant.ts'
import { Link, type Linked, List } from '../../../src/base/list.ts'
import { takeInvariantFailures } from '../../support/every-file.ts'

class Item implements Linked<Item> {
  readonly link = new Link<Item>()
  readonly id: number

  constructor(id: number) {
    this.id = id
  }
}

/** Checks that both directions give the same, and that the ends and the length are right. */
function expectSame(list: List<Item>, model: readonly Item[]): void {
  const ids = model.map((item) => item.id)
  expect([...list].map((item) => item.id)).toEqual(ids)
  const backwards: number[] = []
  for (let item = list.last; item; item = item.link.before) backwards.unshift(item.id)
  expect(backwards).toEqual(ids)
  expect(list.length).toBe(model.length)
  expect(list.first).toBe(model[0] ?? null)
  expect(list.last).toBe(model.at(-1) ?? null)
  for (const item of model) expect(list.has(item)).toBe(true)
}

type Operation = readonly [what: 'pushFirst' | 'pushLast' | 'remove', list: number, item: number]

const operations: fc.Arbitrary<Operation[]> = fc.array(
  fc.tuple(fc.constantFrom('pushFirst', 'pushLast', 'remove'), fc.nat(1), fc.nat(4)),
  { maxLength: 60, size: 'max' },
)

test('two lists that share items behave like arrays, and refuse what would corrupt them', () => {
  fc.assert(
    fc.property(operations, (steps) => {
      const items = Array.from({ length: 5 }, (_, id) => new Item(id))
      const lists = [new List<Item>('a'), new List<Item>('b')] as const
      const models: [Item[], Item[]] = [[], []]
      for (const [what, at, id] of steps) {
        const item = items[id] as Item
        const list = lists[at as 0 | 1]
        const model = models[at as 0 | 1]
        const isAllowed = what === 'remove' ? model.includes(item) : !models.some((other) => other.includes(item))
        if (!isAllowed) expect(() => list[what](item)).toThrow(InvariantError)
        else {
          list[what](item)
          if (what === 'pushFirst') model.unshift(item)
          else if (what === 'pushLast') model.push(item)
          else model.splice(model.indexOf(item), 1)
        }
        expectSame(lists[0], models[0])
        expectSame(lists[1], models[1])
      }
      for (const item of items)
        if (!models.flat().includes(item)) expect(item.link).toEqual({ list: null, before: null, after: null })
    }),
    { numRuns: 200 },
  )
  takeInvariantFailures()
})

test('during iteration the current item may be removed or moved to another list', () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom('stay', 'leave', 'move'), { maxLength: 10 }), (plans) => {
      const list = new List<Item>('from')
      const other = new List<Item>('to')
      for (const id of plans.keys()) list.pushLast(new Item(id))
      const walked: number[] = []
      for (const item of list) {
        walked.push(item.id)
        if (plans[item.id] === 'stay') continue
        list.remove(item)
        if (plans[item.id] === 'move') other.pushFirst(item)
      }
      expect(walked).toEqual([...plans.keys()])
      expect([...list].map((item) => item.id)).toEqual(walked.filter((id) => plans[id] === 'stay'))
      expect([...other].map((item) => item.id).reverse()).toEqual(walked.filter((id) => plans[id] === 'move'))
    }),
  )
})

test('the error names the list', () => {
  const item = new Item(1)
  const idle = new List<Item>('idle')
  expect(() => idle.remove(item)).toThrow('an item leaves the list idle without being in it')
  idle.pushLast(item)
  expect(() => new List<Item>('leased').pushLast(item)).toThrow('an item joins the list leased while in another')
  expectSame(idle, [item])
  expect(takeInvariantFailures()).toHaveLength(2)
})
