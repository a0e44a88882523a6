/** A lease begins in a separate turn, never within the work that has freed the server. */

import { expect, test } from 'vitest'
import { Link } from '../../src/base/list.ts'
import type { Waiter } from '../../src/pool/lease.ts'
import type { Pool } from '../../src/pool/pool.ts'
import { Profile } from '../../src/server/profile.ts'
import type { Server } from '../../src/server/server.ts'
import { startPair } from '../support/flow/start.ts'

class StubWaiter implements Waiter {
  readonly link = new Link<Waiter>()
  readonly wantedProfile = Profile.of([])
  waitingSinceMs = 0
  wasNotified = false
  promised: Server | null = null
  granted: Server | null = null

  constructor(onGranted: (server: Server) => void = () => {}) {
    this.onGranted = (server) => {
      this.granted = server
      onGranted(server)
    }
  }

  onGranted: (server: Server) => void
  onRefused(): void {}
  onStillWaiting(): void {}
  onWelcomeKnown(): void {}
  onReplies(): void {}
  onServerDrained(): void {}
  onServerGone(): void {}
  onSweep(): void {}
}

async function leaseTheOnlyServer(): Promise<{ pool: Pool; server: Server }> {
  const { pool } = await startPair({ settings: { default_pool_size: 1 } })
  const server = pool.lease(new StubWaiter())
  if (server === null) throw new Error('the pair has an idle server')
  return { pool, server }
}

test('a waiter gets its server after the work that has freed the server', async () => {
  const { pool, server } = await leaseTheOnlyServer()
  const waiter = new StubWaiter()
  expect(pool.lease(waiter)).toBeNull()
  pool.release(server)
  expect(waiter.granted).toBeNull()
  await Promise.resolve()
  expect(waiter.granted).toBe(server)
  pool.release(server)
})

test('a waiter that withdraws in between does not get the server, and the next one does', async () => {
  const { pool, server } = await leaseTheOnlyServer()
  const [leaving, next] = [new StubWaiter(), new StubWaiter()]
  pool.lease(leaving)
  pool.lease(next)
  pool.release(server)
  pool.withdraw(leaving)
  await Promise.resolve()
  await Promise.resolve()
  expect(leaving.granted).toBeNull()
  expect(next.granted).toBe(server)
  pool.release(server)
})

test('thousands of waiters that need the server only briefly are served one after the other, without recursion', async () => {
  const { pool, server } = await leaseTheOnlyServer()
  let depth = 0
  let deepest = 0
  let served = 0
  for (let count = 0; count < 5_000; count++)
    pool.lease(
      new StubWaiter((granted) => {
        deepest = Math.max(deepest, ++depth)
        served++
        pool.release(granted)
        depth--
      }),
    )
  pool.release(server)
  await new Promise(setImmediate)
  expect({ served, deepest }).toEqual({ served: 5_000, deepest: 1 })
})
