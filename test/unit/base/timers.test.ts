import { expect, test } from 'vitest'
import { later } from '../../../src/base/timers.ts'

test('later() runs its work, but does not keep the process running', async () => {
  const timersThatKeepUs = () => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length
  const before = timersThatKeepUs()
  const done = new Promise<void>((resolve) => later(0, resolve))
  expect(timersThatKeepUs()).toBe(before)
  await done
})
