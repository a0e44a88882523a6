import { expect, test } from 'vitest'
import { parseInstructions } from '../../../bench/instructions.ts'

test('the number of instructions is read from the output of perf', () => {
  expect(parseInstructions('15182931,,instructions,90124801,100.00,,\n')).toBe(15_182_931)
  expect(parseInstructions('15182931,,instructions:u,90124801,100.00,,\n')).toBe(15_182_931)
})

test('counts of different kinds of cores are added', () => {
  const text = '100,,cpu_core/instructions/,9,50.00,,\n11,,cpu_atom/instructions/,9,50.00,,\n'
  expect(parseInstructions(text)).toBe(111)
})

test.each([
  '<not supported>,,instructions,0,100.00,,',
  '<not counted>,,instructions,0,100.00,,',
  'Error:\nAccess to performance monitoring and observability operations is limited.',
  '',
])('there is no number if perf could not count: %s', (text) => {
  expect(parseInstructions(text)).toBeNull()
})
