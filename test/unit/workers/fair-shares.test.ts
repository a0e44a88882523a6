import { describe, expect, test } from 'vitest'
import { chooseBetweenPools, chooseWithinPool, NOBODY_SPARED, type Share } from '../../../src/workers/fair-shares.ts'

const share = (held: number, waiting: number, more: Partial<Share> = {}): Share => ({
  ...{ held, demand: held + waiting, waitingSinceMs: waiting > 0 ? 100 : Infinity, turnSinceMs: 0 },
  ...more,
})

describe('workers that share a pool:', () => {
  test('a permit moves to the worker with more waiting clients per permit', () => {
    const poor = share(2, 18)
    const rich = share(8, 2)
    expect(chooseWithinPool(poor, [poor, rich])).toEqual({ victim: rich, isTurn: false, sparedSinceMs: NOBODY_SPARED })
  })

  test('no permit moves while every worker has about its share', () => {
    const one = share(5, 15)
    expect(chooseWithinPool(one, [one, share(5, 15), share(5, 14)])).toBe(null)
    const other = share(4, 16)
    expect(chooseWithinPool(other, [other, share(5, 14)])).toBe(null)
  })

  test('a worker with more clients keeps more permits, in proportion', () => {
    const fewer = share(2, 60)
    expect(chooseWithinPool(fewer, [fewer, share(6, 114)])).toBe(null)
  })

  test('of several workers, the one furthest above its share gives up a permit', () => {
    const poor = share(0, 18)
    const [rich, richest] = [share(4, 2), share(8, 2)]
    expect(chooseWithinPool(poor, [rich, richest])?.victim).toBe(richest)
    expect(chooseWithinPool(poor, [richest, rich])?.victim).toBe(richest)
  })

  test('workers take turns with a single permit: the longest turn ends, and clients that already waited when it began are spared', () => {
    const asking = share(0, 3)
    const idleLonger = share(1, 5, { turnSinceMs: 40 })
    const later = share(1, 5, { turnSinceMs: 60 })
    expect(chooseWithinPool(asking, [later, idleLonger])).toEqual({
      victim: idleLonger,
      isTurn: true,
      sparedSinceMs: 40,
    })
    expect(chooseWithinPool(asking, [idleLonger, later])?.victim).toBe(idleLonger)
  })

  test('a worker that holds a permit does not take another worker’s only one', () => {
    const asking = share(1, 30)
    expect(chooseWithinPool(asking, [asking, share(1, 1)])).toBe(null)
  })

  test('nothing can be taken from workers without permits', () => {
    expect(chooseWithinPool(share(0, 3), [share(0, 9)])).toBe(null)
  })

  test.each([
    [1, 2],
    [3, 4],
    [20, 4],
    [7, 3],
  ])('%i permits end up spread evenly over %i workers with equal demand and stay there', (permits, workers) => {
    const shares = Array.from({ length: workers }, (_, index) => ({
      ...share(index === 0 ? permits : 0, 50),
      demand: 55,
      index,
    }))
    let moves = 0
    for (let round = 0; round < 50; round++) {
      const asking = shares.toSorted((one, other) => one.held - other.held)[0] as (typeof shares)[number]
      const decision = chooseWithinPool(asking, shares)
      if (decision === null) break
      const victim = shares[decision.victim.index] as { held: number }
      victim.held--
      Object.assign(shares[asking.index] as object, { held: asking.held + 1, turnSinceMs: round })
      moves++
    }
    const held = shares.map((each) => each.held)
    expect(Math.max(...held) - Math.min(...held)).toBeLessThanOrEqual(1)
    // With fewer permits than workers, the permits go around forever.
    if (permits >= workers) expect(moves).toBeLessThan(permits)
    else expect(moves).toBe(50)
  })
})

describe('pools that share a limit:', () => {
  test('the pool whose clients have waited least gives up a server if they have waited clearly less', () => {
    const asking = share(0, 2, { waitingSinceMs: 1_000 })
    const young = share(2, 2, { waitingSinceMs: 4_000 })
    const old = share(2, 2, { waitingSinceMs: 2_000 })
    expect(chooseBetweenPools(asking, [old, young], 500)).toEqual({
      victim: young,
      isTurn: false,
      sparedSinceMs: 1_500,
    })
    expect(chooseBetweenPools(asking, [young, old], 500)?.victim).toBe(young)
  })

  test('a pool without waiting clients gives up a server first', () => {
    const asking = share(0, 2)
    const unused = share(1, 0)
    expect(chooseBetweenPools(asking, [share(3, 4), unused], 500)?.victim).toBe(unused)
  })

  test('nothing can be taken if no other pool holds a permit', () => {
    const asking = share(2, 2)
    expect(chooseBetweenPools(asking, [asking, share(0, 5)], 500)).toBe(null)
  })
})
