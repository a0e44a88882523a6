import { expect, test } from 'vitest'
import { selfTimes } from '../../../bench/profile.ts'

function node(id: number, functionName: string, url: string, lineNumber: number) {
  return { id, callFrame: { functionName, url, lineNumber } }
}

test('a profile gives the time of each function itself, longest first, without idle time', () => {
  const profile = {
    nodes: [
      node(1, '(idle)', '', -1),
      node(2, 'read', 'file:///home/ada/pgweir/dist/parts/start.js', 79),
      // The same function, called from elsewhere.
      node(3, 'read', 'file:///home/ada/pgweir/dist/parts/start.js', 79),
      node(4, '', 'node:net', 99),
      node(5, 'writeBuffer', '', -1),
    ],
    samples: [1, 2, 3, 4, 5, 5],
    timeDeltas: [500_000, 10_000, 20_000, 10_000, 30_000, 30_000],
  }
  const lines = Array.from({ length: 100 }, (_, index) => (index === 70 ? '// src/client/relay.ts' : 'x()'))
  expect(selfTimes(profile, (url) => (url.endsWith('/start.js') ? lines : null))).toEqual([
    { name: 'writeBuffer', place: '', ms: 60, share: 0.6 },
    { name: 'read', place: 'client/relay:9', ms: 30, share: 0.3 },
    { name: '(anonymous)', place: 'node:net:100', ms: 10, share: 0.1 },
  ])
})
