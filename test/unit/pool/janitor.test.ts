import { expect, onTestFinished, test, vi } from 'vitest'
import { startJanitor } from '../../../src/pool/janitor.ts'

test('the janitor notices that it runs late, but never reports it twice in a row', () => {
  vi.useFakeTimers()
  onTestFinished(() => void vi.useRealTimers())
  let nowMs = 0
  const heard: boolean[] = []
  const janitor = startJanitor(
    (isLate) => heard.push(isLate),
    () => nowMs,
  )
  for (const passedMs of [100, 180, 1_000, 100, 300, 300, 300]) {
    nowMs += passedMs
    vi.advanceTimersByTime(100)
  }
  expect(heard).toEqual([false, false, true, false, true, false, true])
  janitor.stop()
  vi.advanceTimersByTime(1_000)
  expect(heard).toHaveLength(7)
})
