import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Lru } from '../../../src/base/lru.ts'

type Step = readonly [what: 'get' | 'set' | 'delete', key: number, value: number]

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.tuple(fc.constantFrom('get', 'set', 'set', 'delete'), fc.nat(5), fc.nat(9)),
)

test('the least recently used entry is evicted first, and no other', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 4 }), steps, (capacity, plan) => {
      const lru = new Lru<number, number>(capacity)
      // Least recently used first.
      let model: [number, number][] = []
      for (const [what, key, value] of plan) {
        const known = model.find(([each]) => each === key)
        const others = model.filter(([each]) => each !== key)
        if (what === 'get') {
          expect(lru.get(key)).toBe(known?.[1])
          if (known) model = [...others, known]
        } else if (what === 'set') {
          lru.set(key, value)
          model = [...others, [key, value] as [number, number]].slice(-capacity)
        } else {
          lru.delete(key)
          model = others
        }
        expect(lru.size).toBe(model.length)
      }
      for (const [key, value] of model) expect(lru.get(key)).toBe(value)
      lru.clear()
      expect(lru.size).toBe(0)
    }),
    { numRuns: 300 },
  )
})
