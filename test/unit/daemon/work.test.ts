import { EventEmitter } from 'node:events'
import { expect, test } from 'vitest'
import { work } from '../../../src/daemon/work.ts'

/** As `process` in a worker whose primary has just gone, though it was not told so yet. */
class BrokenSide extends EventEmitter {
  readonly connected = true
  sent = 0

  send(_message: unknown, done?: (problem: Error) => void): void {
    this.sent++
    const problem = new Error('write EPIPE')
    if (done) done(problem)
    else this.emit('error', problem)
  }
}

test('a worker that can tell its primary nothing any more does not crash, but ends when it learns of it', async () => {
  const side = new BrokenSide()
  const ended = work(side)
  side.emit('message', { name: 'gather', question: 1, body: 'lists' })
  expect(side.sent).toBe(1)
  side.emit('disconnect')
  await ended
})
