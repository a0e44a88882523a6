import { expect, test } from 'vitest'
import { later } from '../../../src/base/timers.ts'

test('what is due later is done, and no process stays for it alone', async () => {
  const timersThatKeepUs = () => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length
  const before = timersThatKeepUs()
  const done = new Promise<void>((resolve) => later(0, resolve))
  expect(timersThatKeepUs()).toBe(before)
  await done
})
