import { expect, onTestFinished, test } from 'vitest'
import { ManualClock } from '../../../src/base/clock.ts'
import { createLog } from '../../../src/base/log.ts'
import { createMemoryTransport, type MemoryChannel } from '../../../src/net/memory-transport.ts'
import { type Peer, PeerCancels } from '../../../src/workers/peer-cancels.ts'
import { quiet } from '../../support/flow/inbox.ts'

const SECRET = Buffer.from('a1a2a3a4', 'hex')

/** What a peer has received, and its end of the connection. */
interface Seen {
  readonly channel: MemoryChannel
  bytes: string
}

async function start({ timeoutMs = 10_000, poolSize = 1, host = 'b' } = {}) {
  const transport = createMemoryTransport()
  const clock = new ManualClock()
  const peers = new Map<number, Peer>([[2, { id: 2, host, port: 6432, poolSize }]])
  const logged: string[] = []
  const over: string[] = []
  const seen: Seen[] = []
  const write = (line: string) => logged.push(line.replace(/^.*\] /, ''))
  const log = createLog({ format: 'text', level: 'debug', wallMs: () => 0, write })
  const keepAlive = { isOn: false, idleMs: 0 }
  const cancels = new PeerCancels({
    ...{ transport, clock, log, keepAlive },
    peers: () => peers,
    timeoutMs: () => timeoutMs,
  })
  async function listen(host: string): Promise<void> {
    const listener = await transport.listen({ host, port: 6432, backlog: 1, keepAlive }, (channel) => {
      const one: Seen = { channel, bytes: '' }
      seen.push(one)
      channel.listener = {
        onRead: (buffer, from, to) => {
          one.bytes += buffer.toString('hex', from, to)
        },
        onDrained: () => {},
        onClosed: () => {},
      }
    })
    onTestFinished(() => listener.close())
  }
  return {
    ...{ transport, clock, peers, logged, over, seen, cancels, listen },
    async send(name: string, peerId = 2) {
      cancels.send(peerId, 0x0102_0304, SECRET, () => over.push(name))
      await quiet()
    },
    async advance(ms: number) {
      clock.advance(ms)
      cancels.sweep()
      await quiet()
    },
    counts: () => cancels.snapshot().map(({ cancels: { waiting, dialing, sent } }) => [waiting, dialing, sent]),
  }
}

test('a cancel request is sent unchanged and is over when the peer closes the connection', async () => {
  const { listen, send, seen, over, counts } = await start()
  await listen('b')
  await send('one')
  expect(seen.map(({ bytes }) => bytes)).toEqual(['0000001004d2162e01020304a1a2a3a4'])
  expect(counts()).toEqual([[0, 0, 1]])
  expect(over).toEqual([])
  seen[0]?.channel.close()
  await quiet()
  expect([over, counts()]).toEqual([['one'], [[0, 0, 0]]])
})

test('a cancel request is over when the peer resets the connection', async () => {
  const { listen, send, seen, over } = await start()
  await listen('b')
  await send('one')
  seen[0]?.channel.reset()
  await quiet()
  expect(over).toEqual(['one'])
})

test('anything that the peer sends is ignored', async () => {
  const { listen, send, seen, over } = await start()
  await listen('b')
  await send('one')
  seen[0]?.channel.write(Buffer.from('Esomething'), 0, 10)
  await quiet()
  expect(over).toEqual([])
  seen[0]?.channel.close()
  await quiet()
  expect(over).toEqual(['one'])
})

test('a host that is a path is the directory of a unix socket', async () => {
  const { listen, send, seen, cancels } = await start({ host: '/tmp/pooler2' })
  await listen('/tmp/pooler2/.s.PGSQL.6432')
  await send('one')
  expect(seen).toHaveLength(1)
  expect(cancels.snapshot()).toMatchObject([{ host: '/tmp/pooler2', port: 6432 }])
})

test('pool_size cancel requests are sent to a peer at once, and the others wait their turn', async () => {
  const { listen, send, seen, over, counts } = await start({ poolSize: 2 })
  await listen('b')
  for (const name of ['one', 'two', 'three', 'four']) await send(name)
  expect(counts()).toEqual([[2, 0, 2]])
  seen[1]?.channel.close()
  await quiet()
  expect([over, counts(), seen.length]).toEqual([['two'], [[1, 0, 2]], 3])
  for (const { channel } of seen.splice(0)) channel.close()
  await quiet()
  expect([over, counts(), seen.length]).toEqual([['two', 'one', 'three'], [[0, 0, 1]], 1])
})

test('with pool_size = 0 any number of cancel requests are sent at once', async () => {
  const { listen, send, counts } = await start({ poolSize: 0 })
  await listen('b')
  for (let number = 0; number < 50; number++) await send(String(number))
  expect(counts()).toEqual([[0, 0, 50]])
})

test('a larger pool_size applies to cancel requests that are already waiting', async () => {
  const { listen, send, peers, counts } = await start()
  await listen('b')
  await send('one')
  await send('two')
  expect(counts()).toEqual([[1, 0, 1]])
  peers.set(2, { id: 2, host: 'b', port: 6432, poolSize: 3 })
  await send('three')
  expect(counts()).toEqual([[0, 0, 3]])
})

test('when a peer is removed, waiting cancel requests end and those already sent are finished', async () => {
  const { listen, send, peers, seen, over, cancels } = await start()
  await listen('b')
  await send('one')
  await send('two')
  peers.delete(2)
  await send('three')
  expect(over).toEqual(['three'])
  seen[0]?.channel.close()
  await quiet()
  expect(over).toEqual(['three', 'one', 'two'])
  expect([cancels.count, seen.length]).toEqual([0, 1])
})

test('a cancel request waits at most cancel_wait_timeout for its turn, and as long for the peer', async () => {
  const { listen, send, advance, over, counts, seen, logged } = await start()
  await listen('b')
  await send('one')
  await advance(4_000)
  await send('two')
  await advance(6_000)
  expect(over).toEqual([])
  await advance(1)
  expect([over, counts(), seen[0]?.channel.isOpen]).toEqual([['one'], [[0, 0, 1]], false])
  await send('three')
  await advance(9_999)
  expect([over, counts()]).toEqual([['one'], [[1, 0, 1]]])
  await advance(2)
  expect([over, counts()]).toEqual([['one', 'two', 'three'], [[0, 0, 0]]])
  expect(logged).toEqual([
    'WARNING a cancel request could not be passed on to peer 2: cancel_wait_timeout (1 requests)',
    'WARNING a cancel request could not be passed on to peer 2: cancel_wait_timeout (2 requests)',
  ])
})

test('with cancel_wait_timeout = 0 a cancel request waits forever', async () => {
  const { send, advance, transport, over, counts } = await start({ timeoutMs: 0 })
  transport.silence({ host: 'b', port: 6432 })
  await send('one')
  await advance(1e9)
  expect([over, counts()]).toEqual([[], [[0, 1, 0]]])
})

test('a cancel request that cannot be sent makes room for the next one', async () => {
  const { send, over, counts, logged } = await start()
  for (const name of ['one', 'two', 'three']) await send(name)
  expect([over, counts()]).toEqual([['one', 'two', 'three'], [[0, 0, 0]]])
  expect(logged).toHaveLength(3)
})

test('at most 1,000 cancel requests wait for one peer', async () => {
  const { send, transport, over, counts, logged } = await start()
  transport.silence({ host: 'b', port: 6432 })
  for (let number = 0; number < 1_001; number++) await send(String(number))
  expect([over, counts()]).toEqual([[], [[1_000, 1, 0]]])
  await send('one too many')
  expect([over, counts()]).toEqual([['one too many'], [[1_000, 1, 0]]])
  expect(logged.at(-1)).toContain('1000 others are already waiting')
})

test('a cancel request for an unknown peer is logged at debug level', async () => {
  const { send, over, logged } = await start()
  await send('one', 3)
  expect([over, logged]).toEqual([['one'], ['DEBUG a cancel request is for peer 3, which is not in [peers]']])
})

test('when the process stops, all cancel requests are given up', async () => {
  const { listen, send, cancels, over, seen } = await start()
  await listen('b')
  await send('one')
  await send('two')
  cancels.stop()
  await quiet()
  expect([over, cancels.count, seen.length, seen[0]?.channel.isOpen]).toEqual([['one', 'two'], 0, 1, false])
})

test('a cancel request whose connection is still being opened when the process stops reaches no peer', async () => {
  const { listen, send, cancels, over, seen } = await start()
  await listen('b')
  const sending = send('one')
  cancels.stop()
  await sending
  expect([over, seen]).toEqual([['one'], []])
})
