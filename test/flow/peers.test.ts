/** A cancel request that arrives at another pooler is passed on to the one whose client it is for, and no further. */

import { describe, expect, test } from 'vitest'
import { createMemoryTransport } from '../../src/net/memory-transport.ts'
import { peerIn, stampCancelKey, timeToLiveIn, withTimeToLive, workerIn } from '../../src/wire/cancel-key.ts'
import type { FlowClient } from '../support/flow/client.ts'
import { reload } from '../support/flow/commands.ts'
import { quiet } from '../support/flow/inbox.ts'
import type { FlowServer } from '../support/flow/postgres.ts'
import { error, ready } from '../support/flow/replies.ts'
import { type CancelKey, cancelRequest, query } from '../support/flow/requests.ts'
import { type Flow, type FlowOptions, startFlow } from '../support/flow/start.ts'

const portOf = (peerId: number) => 6_000 + peerId
const lineOf = (peerId: number, at = peerId) => `${peerId} = host=127.0.0.1 port=${portOf(at)}`

interface Network {
  readonly transport: ReturnType<typeof createMemoryTransport>
  start(peerId: number, peers: readonly string[], options?: FlowOptions): Promise<Flow>
}

function createNetwork(): Network {
  const transport = createMemoryTransport()
  return {
    transport,
    start: (peerId, peers, { settings, ...options } = {}) =>
      startFlow({
        transport,
        peers,
        postgres: { host: `db${peerId}`, port: 5432 },
        settings: { listen_port: portOf(peerId), peer_id: peerId, ...settings },
        ...options,
      }),
  }
}

/** Starts two poolers that are peers, and a client of the first whose query runs. */
async function startPeers(options: FlowOptions = {}) {
  const network = createNetwork()
  const lines = [lineOf(1), lineOf(2)]
  const home = await network.start(1, lines, options)
  const other = await network.start(2, lines, options)
  const client = await home.connect()
  const postgres = await home.postgres.next()
  client.send(query('one'))
  await postgres.expect('Query(one)')
  return { network, home, other, client, postgres }
}

/** Opens a connection that asks `flow` to cancel. Once it is closed, the request has been dealt with. */
async function askToCancel(flow: Flow, key: CancelKey): Promise<FlowClient> {
  const canceller = await flow.dial()
  canceller.send(cancelRequest(key))
  await quiet()
  return canceller
}

async function answerAll(client: FlowClient, postgres: FlowServer): Promise<void> {
  postgres.send(error('57014', 'canceling statement due to user request'), ready())
  await client.answer()
}

const counted = (flow: Flow) => flow.pooler.parts.peerCancels.snapshot().map(({ id, cancels }) => ({ id, ...cancels }))
const cancelsTaken = (flow: Flow) => flow.logged('closing because: cancel request').length

test('a cancel request that arrives at another pooler reaches the server of its client', async () => {
  const { home, other, client, postgres } = await startPeers()
  const canceller = await askToCancel(other, client.key)
  const seen = await home.postgres.nextCancel()
  expect(seen).toMatchObject({ pid: postgres.pid, secret: postgres.secret })
  await canceller.expectClosed()
  await other.postgres.expectNoCancel()
  await answerAll(client, postgres)
})

test('a cancel key contains the peer_id of its pooler, in PgBouncer’s format', async () => {
  const { home, other, client, postgres } = await startPeers()
  await answerAll(client, postgres)
  const stranger = await other.connect()
  for (const [peerId, { key }] of [
    [1, client],
    [2, stranger],
  ] as const)
    expect([peerIn(key.pid), workerIn(key.pid), timeToLiveIn(key.secret)]).toEqual([peerId, 0, 3])
  expect(counted(home)).toEqual([{ id: 2, waiting: 0, dialing: 0, sent: 0 }])
})

test('the connection of a cancel request stays open until the peer has handled the request', async () => {
  const { home, other, client, postgres } = await startPeers()
  home.postgres.holdsCancels = true
  const canceller = await askToCancel(other, client.key)
  await home.postgres.nextCancel()
  expect(canceller.isClosed).toBe(false)
  expect(counted(other)).toEqual([{ id: 1, waiting: 0, dialing: 0, sent: 1 }])
  home.postgres.finishCancels()
  await canceller.expectClosed()
  expect(counted(other)).toEqual([{ id: 1, waiting: 0, dialing: 0, sent: 0 }])
  await answerAll(client, postgres)
})

test('a cancel request is passed on even if the client that sent it disconnects at once', async () => {
  const { home, other, client, postgres } = await startPeers()
  const canceller = await other.dial()
  canceller.send(cancelRequest(client.key))
  canceller.leave()
  expect((await home.postgres.nextCancel()).target).toBe(postgres)
  await quiet()
  await answerAll(client, postgres)
})

test('a cancel request for the pooler itself is not passed on, even if its key is unknown', async () => {
  const { home, other, client, postgres } = await startPeers()
  const wrong = Buffer.from(client.key.secret)
  wrong.writeUInt8(wrong.readUInt8(0) ^ 1, 0)
  for (const secret of [client.key.secret, withTimeToLive(client.key.secret, 0), wrong]) {
    const canceller = await askToCancel(home, { pid: client.key.pid, secret })
    await canceller.expectClosed()
  }
  expect(home.postgres.cancels).toHaveLength(2)
  expect(cancelsTaken(other)).toBe(0)
  await answerAll(client, postgres)
})

describe('an unknown cancel key', () => {
  test('is passed on at most three times, however the peers are configured', async () => {
    const network = createNetwork()
    const one = await network.start(1, [lineOf(9, 2)])
    const two = await network.start(2, [lineOf(9, 1)])
    const key = stampCancelKey(Buffer.alloc(8, 0x55), { peerId: 9, worker: 0 })
    const canceller = await askToCancel(one, key)
    await canceller.expectClosed()
    expect([cancelsTaken(one), cancelsTaken(two)]).toEqual([2, 2])
  })

  test('of an unknown peer is dropped at once', async () => {
    const { other, client, postgres } = await startPeers()
    const canceller = await askToCancel(other, stampCancelKey(Buffer.alloc(8, 0x55), { peerId: 3, worker: 0 }))
    await canceller.expectClosed()
    await answerAll(client, postgres)
  })

  test('is not passed on if peer_id is 0', async () => {
    const network = createNetwork()
    const home = await network.start(1, [lineOf(1), lineOf(2)])
    const other = await network.start(2, [lineOf(1), lineOf(2)], { settings: { peer_id: 0 } })
    const client = await home.connect()
    const canceller = await askToCancel(other, client.key)
    await canceller.expectClosed()
    expect(cancelsTaken(home)).toBe(0)
    expect(counted(other)).toEqual([])
  })
})

describe('a peer that cannot be reached', () => {
  test('because it refuses connections ends the cancel request, and the log says why', async () => {
    const network = createNetwork()
    const other = await network.start(2, [lineOf(1)])
    const canceller = await askToCancel(other, stampCancelKey(Buffer.alloc(8, 0x55), { peerId: 1, worker: 0 }))
    await canceller.expectClosed()
    expect(other.logged('could not be passed on to peer 1')).toEqual([
      expect.stringContaining('WARNING a cancel request could not be passed on to peer 1: connect ECONNREFUSED'),
    ])
  })

  test('because it does not answer ends the cancel request after cancel_wait_timeout', async () => {
    const network = createNetwork()
    network.transport.silence({ host: '127.0.0.1', port: portOf(1) })
    const other = await network.start(2, [lineOf(1)], { settings: { cancel_wait_timeout: 10 } })
    const canceller = await askToCancel(other, stampCancelKey(Buffer.alloc(8, 0x55), { peerId: 1, worker: 0 }))
    await other.advance(10_000)
    expect(canceller.isClosed).toBe(false)
    expect(counted(other)).toEqual([{ id: 1, waiting: 0, dialing: 1, sent: 0 }])
    await other.advance(1)
    await canceller.expectClosed()
    expect(counted(other)).toEqual([{ id: 1, waiting: 0, dialing: 0, sent: 0 }])
  })
})

test('a pooler that stops finishes the cancel requests that it has passed on', async () => {
  const { home, other, client, postgres } = await startPeers()
  home.postgres.holdsCancels = true
  const canceller = await askToCancel(other, client.key)
  await home.postgres.nextCancel()
  const stopped = other.pooler.stop()
  await canceller.expect('ErrorResponse(FATAL 57P01 pooler is shutting down)')
  await canceller.expectClosed()
  expect(other.pooler.parts.peerCancels.count).toBe(1)
  home.postgres.finishCancels()
  await stopped
  await answerAll(client, postgres)
})

describe('pool_size of a peer', () => {
  test('limits how many cancel requests are passed on at a time; the others wait', async () => {
    const { home, other, client, postgres } = await startPeers({ settings: { default_pool_size: 2 } })
    home.postgres.holdsCancels = true
    const cancellers: FlowClient[] = []
    for (let number = 0; number < 3; number++) cancellers.push(await askToCancel(other, client.key))
    expect(counted(other)).toEqual([{ id: 1, waiting: 1, dialing: 0, sent: 2 }])
    expect(home.postgres.cancels).toHaveLength(2)
    home.postgres.finishCancels()
    for (const canceller of cancellers) await canceller.expectClosed()
    expect(home.postgres.cancels).toHaveLength(3)
    await answerAll(client, postgres)
  })

  test('does not make a cancel request wait for longer than cancel_wait_timeout', async () => {
    const network = createNetwork()
    const settings = { cancel_wait_timeout: 10, default_pool_size: 5 }
    network.transport.silence({ host: '127.0.0.1', port: portOf(1) })
    const other = await network.start(2, [`${lineOf(1)} pool_size=1`], { settings })
    const key = stampCancelKey(Buffer.alloc(8, 0x55), { peerId: 1, worker: 0 })
    await askToCancel(other, key)
    await other.advance(5_000)
    const second = await askToCancel(other, key)
    expect(counted(other)).toEqual([{ id: 1, waiting: 1, dialing: 1, sent: 0 }])
    await other.advance(5_001)
    expect(counted(other)).toEqual([{ id: 1, waiting: 0, dialing: 1, sent: 0 }])
    await other.advance(10_001)
    await second.expectClosed()
  })
})

describe('after a reload of [peers]', () => {
  test('cancel requests go to the new addresses', async () => {
    const { home, other, client, postgres } = await startPeers()
    await reload(other, { peers: [lineOf(2)] })
    const early = await askToCancel(other, client.key)
    await early.expectClosed()
    await home.postgres.expectNoCancel()
    await reload(other, { peers: [lineOf(1)] })
    const late = await askToCancel(other, client.key)
    await late.expectClosed()
    expect((await home.postgres.nextCancel()).target).toBe(postgres)
    await answerAll(client, postgres)
  })

  test('earlier cancel keys stay valid at their pooler, and new keys have the new peer_id', async () => {
    const { home, client, postgres } = await startPeers()
    await reload(home, { settings: { listen_port: portOf(1), peer_id: 7 } })
    const canceller = await askToCancel(home, client.key)
    await canceller.expectClosed()
    expect((await home.postgres.nextCancel()).target).toBe(postgres)
    await answerAll(client, postgres)
    expect(peerIn((await home.connect()).key.pid)).toBe(7)
  })
})
