import { expect, test } from 'vitest'
import { type ConnectionState, whoMakesWay } from '../../../src/metrics/http-connections.ts'

test.each<[readonly ConnectionState[], number]>([
  [['streamed', 'answered', 'asking', 'idle', 'idle'], 3],
  [['streamed', 'answered', 'asking', 'asking'], 2],
  [['streamed', 'answered', 'answered'], 1],
  [['streamed', 'streamed'], -1],
  [[], -1],
])('of %j number %i makes way', (states, which) => {
  expect(whoMakesWay(states)).toBe(which)
})
