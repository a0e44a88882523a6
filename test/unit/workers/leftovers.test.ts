import { expect, test } from 'vitest'
import { createMemoryTransport } from '../../../src/net/memory-transport.ts'
import type { TlsContext } from '../../../src/net/tls.ts'
import { type Kept, Leftovers } from '../../../src/workers/leftovers.ts'
import type { BackendKey } from '../../../src/workers/messages.ts'

const DATABASE = { host: 'db', port: 5432 }
const KEEP_ALIVE = { isOn: false, idleMs: 0 }

/** A connection that its backend closes when the test says so. */
class PlayedConnection implements Kept {
  isFinishing = false
  hasLetGo = false
  leave = () => {}

  finish(left: () => void): void {
    this.isFinishing = true
    this.leave = left
  }

  letGo(): void {
    this.hasLetGo = true
    this.leave()
  }
}

/** @param tls what becomes of a request for TLS; with `unset`, the primary cannot encrypt anything */
async function start(tls: 'refused' | 'unanswered' | 'unset' = 'refused') {
  const transport = createMemoryTransport()
  const requests: string[] = []
  const connections = { closed: 0 }
  await transport.listen({ ...DATABASE, backlog: 10, keepAlive: KEEP_ALIVE }, (channel) => {
    channel.listener = {
      onRead(buffer, from, to) {
        requests.push(buffer.toString('hex', from, to))
        if (tls === 'refused' && requests.at(-1) === SSL_REQUEST) channel.write(Buffer.from('N'), 0, 1)
      },
      onDrained: () => {},
      onClosed: () => connections.closed++,
    }
  })
  const due: { readonly ms: number; work(): void }[] = []
  const leftovers = new Leftovers({
    ...{ transport, keepAlive: KEEP_ALIVE },
    encryption: (how) =>
      tls === 'unset' ? null : { ...how, isRequired: false, fingerprint: '', context: {} as TlsContext },
    later: (ms, work) => due.push({ ms, work }),
  })
  /** Lets `ms` pass. */
  const pass = async (ms: number) => {
    for (const each of due.splice(0)) {
      if (each.ms <= ms) each.work()
      else due.push({ ...each, ms: each.ms - ms })
    }
    for (let turn = 0; turn < 20; turn++) await Promise.resolve()
  }
  const clear = (connection: Kept | null, pid: number | null, tls: BackendKey['tls'] = null) => {
    const state = { isOver: 0 }
    const key = pid === null ? null : { id: pid, address: DATABASE, pid, secret: 'abcdef01', tls }
    leftovers.clear({ pool: 1, connection, key }, () => state.isOver++)
    return state
  }
  return { leftovers, requests, connections, pass, clear }
}

const REQUEST = '0000001004d2162e00000007abcdef01'
const SSL_REQUEST = '0000000804d2162f'

test('a dead worker’s backend gets a Terminate message, and cancel requests until it has ended', async () => {
  const { requests, pass, clear } = await start()
  const connection = new PlayedConnection()
  const state = clear(connection, 7)
  expect(connection.isFinishing).toBe(true)
  await pass(0)
  expect(requests).toEqual([REQUEST])
  await pass(50)
  expect(requests).toEqual([REQUEST, REQUEST])
  await pass(100)
  expect(requests).toEqual([REQUEST, REQUEST, REQUEST])
  expect(state.isOver).toBe(0)
  connection.leave()
  expect(state.isOver).toBe(1)
  await pass(200)
  expect(requests).toHaveLength(3)
  expect(connection.hasLetGo).toBe(false)
})

test('no cancel request goes unencrypted to a backend whose connection was encrypted', async () => {
  const { requests, pass, clear, leftovers } = await start()
  clear(new PlayedConnection(), 7, { host: 'db', verifies: 'nothing', isDirect: false })
  await pass(0)
  expect(requests).toEqual([SSL_REQUEST])
  await pass(50)
  expect(requests).toEqual([SSL_REQUEST, SSL_REQUEST])
  leftovers.stop()
})

test('the connection of a cancel request is closed once it is sent', async () => {
  const { connections, pass, clear, leftovers } = await start()
  clear(new PlayedConnection(), 7)
  await pass(0)
  expect(connections.closed).toBe(1)
  leftovers.stop()
})

test.each([
  ['refuses TLS', 'refused', 0],
  ['should use TLS, but none is set up any more', 'unset', 0],
  ['does not answer for five seconds', 'unanswered', 5_000],
] as const)('a connection for a cancel request is closed if the server %s', async (_, tls, ms) => {
  const { requests, connections, pass, clear, leftovers } = await start(tls)
  const connection = new PlayedConnection()
  clear(connection, 7, { host: 'db', verifies: 'nothing', isDirect: false })
  await pass(0)
  connection.leave()
  if (ms > 0) {
    await pass(ms - 1)
    expect(connections.closed).toBe(0)
    await pass(1)
  }
  expect(connections.closed).toBe(1)
  expect(requests).not.toContain(REQUEST)
  leftovers.stop()
})

test('a backend that was still logging in gets no cancel request', async () => {
  const { requests, pass, clear } = await start()
  const connection = new PlayedConnection()
  const state = clear(connection, null)
  await pass(0)
  await pass(50)
  expect(requests).toEqual([])
  connection.leave()
  expect(state.isOver).toBe(1)
})

test('a backend that neither reacts nor ends is given up after a while', async () => {
  const { pass, clear } = await start()
  const connection = new PlayedConnection()
  const state = clear(connection, 7)
  for (let seconds = 0; seconds < 29; seconds++) await pass(1_000)
  expect(state.isOver).toBe(0)
  for (let seconds = 0; seconds < 8; seconds++) await pass(1_000)
  expect(state.isOver).toBe(1)
  expect(connection.hasLetGo).toBe(true)
})

test('without a connection to watch, a backend gets some time to end', async () => {
  const { requests, pass, clear } = await start()
  const state = clear(null, 7)
  await pass(0)
  for (const ms of [50, 100, 200]) await pass(ms)
  expect(requests).toHaveLength(4)
  expect(state.isOver).toBe(0)
  await pass(400)
  expect(state.isOver).toBe(1)
  expect(requests).toHaveLength(4)
})

test('when the primary stops, it does not wait for backends', async () => {
  const { leftovers, pass, clear } = await start()
  const connection = new PlayedConnection()
  const state = clear(connection, 7)
  leftovers.stop()
  expect(state.isOver).toBe(1)
  expect(connection.hasLetGo).toBe(true)
  await pass(50)
  expect(state.isOver).toBe(1)
})
