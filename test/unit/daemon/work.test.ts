import { EventEmitter } from 'node:events'
import { expect, onTestFinished, test, vi } from 'vitest'
import { tellConnected, work } from '../../../src/daemon/work.ts'

/** Like `process` in a worker whose primary is gone, before the worker has been notified. */
class BrokenSide extends EventEmitter {
  readonly connected: boolean = true
  sent = 0

  send(_message: unknown, done?: (problem: Error) => void): void {
    this.sent++
    const problem = new Error('write EPIPE')
    if (done) done(problem)
    else this.emit('error', problem)
  }
}

test('a worker that can no longer reach its primary does not crash, and ends on disconnect', async () => {
  const side = new BrokenSide()
  const ended = work(side)
  side.emit('message', { name: 'gather', question: 1, body: 'lists' })
  expect(side.sent).toBe(1)
  side.emit('disconnect')
  await ended
})

test('a worker whose primary is gone ends even without disconnect, which does not come while a handle is on its way', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
  onTestFinished(() => void vi.useRealTimers())
  const side = new BrokenSide()
  const ended = work(side)
  Object.assign(side, { connected: false })
  vi.advanceTimersByTime(1_000)
  await ended
})

test('a worker whose primary was already gone ends at once', async () => {
  await work(Object.assign(new BrokenSide(), { connected: false }))
})

test('the primary is told of a server both without and with a handle, because a message with a handle may be lost', () => {
  const told: string[] = []
  const side = {
    ...{ connected: true, on: () => {} },
    send(message: unknown, ...others: unknown[]) {
      told.push(`${JSON.stringify(message)}${others.length > 1 ? ` with ${others[0]}` : ''}`)
      const done = others.at(-1) as (problem: Error | null) => void
      done(null)
    },
  }
  const second = { handle: 'a handle', close: () => told.push('closed here') }
  tellConnected(side, { connected: { id: 5, pool: 2 } }, second, () => told.push('begun'))
  const message = '{"connected":{"id":5,"pool":2}}'
  expect(told).toEqual([message, `${message} with a handle`, 'closed here', 'begun'])
  told.length = 0
  tellConnected(side, { connected: { id: 5, pool: 2 } }, null, () => told.push('begun'))
  expect(told).toEqual([message, 'begun'])
})
