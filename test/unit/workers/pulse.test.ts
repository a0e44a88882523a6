import { expect, onTestFinished, test, vi } from 'vitest'
import { Pulse } from '../../../src/workers/pulse.ts'

test('while the system does not tell how much memory there is, it is as much as before', () => {
  const pulse = new Pulse(100)
  const { residentBytes } = pulse.take({ clients: 1, servers: 1 })
  expect(residentBytes).toBeGreaterThan(0)
  // As where no descriptor is left.
  const rss = vi.spyOn(process.memoryUsage, 'rss').mockImplementation(() => {
    throw Object.assign(new Error('EMFILE: too many open files, uv_resident_set_memory'), { code: 'EMFILE' })
  })
  onTestFinished(() => rss.mockRestore())
  expect(pulse.take({ clients: 2, servers: 1 })).toMatchObject({ clients: 2, residentBytes })
})
