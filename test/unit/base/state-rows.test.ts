import { describe, expect, test } from 'vitest'
import { mayFollow, stateRows } from '../../../src/base/state-rows.ts'

describe('rows of states', () => {
  const MOVES = { new: ['open', 'over'], open: ['over'], over: [] } as const
  const rows = stateRows<keyof typeof MOVES>(MOVES)

  test('allow exactly the moves of their table', () => {
    const allowed = Object.values(rows).flatMap((from) =>
      Object.values(rows).flatMap((next) => (mayFollow(from, next) ? [`${from.name} → ${next.name}`] : [])),
    )
    expect(allowed).toEqual(['new → open', 'new → over', 'open → over'])
  })
})
