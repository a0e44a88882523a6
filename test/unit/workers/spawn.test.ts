import { expect, test } from 'vitest'
import { optionsForWorkers } from '../../../src/workers/spawn.ts'

test.each([
  [[], []],
  [['--max-old-space-size=100', '--require=x'], ['--max-old-space-size=100']],
  [
    ['--require', 'x', '--cpu-prof', '--cpu-prof-interval', '200'],
    ['--cpu-prof', '--cpu-prof-interval', '200'],
  ],
  [['--no-warnings', '-r', 'x', '--eval', 'y'], ['--no-warnings']],
])('of the options %j of node, workers have %j', (options, expected) => {
  expect(optionsForWorkers(options)).toEqual(expected)
})
