/** What only the memory transport guarantees, for the tests that use it. */

import { expect, test } from 'vitest'
import { InvariantError } from '../../../src/base/invariant.ts'
import type { Channel } from '../../../src/net/channel.ts'
import { type Cut, createMemoryTransport, createPair, type MemoryChannel } from '../../../src/net/memory-transport.ts'
import { takeInvariantFailures } from '../../support/every-file.ts'
import { dialed, LOOPBACK, NO_KEEP_ALIVE, pattern, Recorder, settle } from './rigs.ts'

test.each<[string, Cut, number[]]>([
  ['glued', 'glued', [25]],
  ['one byte at a time', 1, Array(25).fill(1)],
  ['ten bytes at a time', 10, [10, 10, 5]],
])('two writes are read %s', async (_name, cut, expected) => {
  expect(await readLengths(cut)).toEqual(expected)
})

test('a seed always gives the same cuts, and another seed gives others', async () => {
  const cuts = await readLengths({ seed: 1, most: 5 })
  expect(cuts.length).toBeGreaterThan(4)
  expect(Math.max(...cuts)).toBeLessThanOrEqual(5)
  expect(await readLengths({ seed: 1, most: 5 })).toEqual(cuts)
  expect(await readLengths({ seed: 2, most: 5 })).not.toEqual(cuts)
})

test('a span that is kept after the read is overwritten', async () => {
  const [here, there] = createPair()
  let kept: Buffer = Buffer.alloc(0)
  new Recorder(there).onSpan = (buffer, start, end) => {
    kept = buffer.subarray(start, end)
  }
  here.write(Buffer.from('gone'), 0, 4)
  await settle()
  expect(kept).toEqual(Buffer.alloc(4, 0xee))
})

test('nothing is delivered before write() has returned', async () => {
  const [here, there] = createPair()
  const heard = new Recorder(there)
  here.write(pattern(100), 0, 100)
  expect(heard.received.length).toBe(0)
  await settle()
  expect(heard.received.length).toBe(100)
})

test('bytes for a channel without a listener are an invariant failure', () => {
  const [here] = createPair()
  expect(() => here.listener.onRead(Buffer.alloc(1), 0, 1)).toThrow(InvariantError)
  expect(takeInvariantFailures()).toHaveLength(1)
  expect(() => here.listener.onClosed(null)).not.toThrow()
})

test('what does not fit into the window is owed by the writer', async () => {
  const [here, there] = createPair({ windowBytes: 10 })
  const heard = new Recorder(here)
  there.pause()
  expect(here.write(pattern(12), 0, 12)).toBe(10)
  expect(here.write(pattern(8), 0, 8)).toBe(0)
  expect(here.owedBytes).toBe(10)
  await settle()
  expect(heard.drains).toBe(0)
  new Recorder(there)
  there.resume()
  await settle()
  expect(here.owedBytes).toBe(0)
  expect(heard.drains).toBe(1)
})

test('destroying a channel with unread bytes resets the connection, as the kernel does', async () => {
  const [here, there] = createPair()
  const heard = new Recorder(there)
  here.pause()
  there.write(pattern(10), 0, 10)
  here.write(Buffer.from('last words'), 0, 10)
  here.destroy()
  await settle()
  expect(heard.received.length).toBe(0)
  expect(heard.closings).toMatchObject([{ code: 'ECONNRESET' }])
})

test('a peer that has hung up still reads what is answered', async () => {
  const [here, there] = createPair()
  const heard = new Recorder(here)
  there.listener = { onRead() {}, onDrained() {}, onClosed() {} }
  there.write(Buffer.from('answer'), 0, 6)
  here.hangUp()
  await settle()
  expect(heard.received.all().toString()).toBe('answer')
  expect(heard.closings).toEqual([null])
})

test('a dial reaches the listener at its address, and both ends know each other’s address', async () => {
  const transport = createMemoryTransport()
  const accepted: MemoryChannel[] = []
  const { address } = await transport.listen({ ...LOOPBACK, host: 'postgres', port: 5432 }, (channel) => {
    new Recorder(channel)
    accepted.push(channel)
  })
  const channel = await dialed(transport, address)
  expect(channel.peer).toEqual({ host: 'postgres', port: 5432 })
  expect(accepted[0]?.peer).toEqual(channel.local)
  expect(accepted[0]?.local).toEqual(channel.peer)
  const heard = new Recorder(channel)
  accepted[0]?.write(Buffer.from('hello'), 0, 5)
  await settle()
  expect(heard.received.all().toString()).toBe('hello')
})

test('a listener on any address is reached at each address', async () => {
  const transport = createMemoryTransport()
  const { address } = await transport.listen({ ...LOOPBACK, host: '0.0.0.0' }, () => {})
  expect(address.port).toBeGreaterThan(0)
  await expect(dialed(transport, { host: '10.1.2.3', port: address.port })).resolves.toBeDefined()
  await expect(dialed(transport, { host: 'fe80::1', port: address.port })).rejects.toMatchObject({
    code: 'ECONNREFUSED',
  })
})

test('a dial fails if nothing listens at its address', async () => {
  const transport = createMemoryTransport()
  const listener = await transport.listen(LOOPBACK, () => {})
  await expect(transport.listen({ ...LOOPBACK, port: listener.address.port }, () => {})).rejects.toMatchObject({
    code: 'EADDRINUSE',
  })
  listener.close()
  await expect(dialed(transport, listener.address)).rejects.toMatchObject({ code: 'ECONNREFUSED' })
})

test('a dial that is abandoned or silenced reports nothing', async () => {
  const transport = createMemoryTransport()
  const told: string[] = []
  const watcher = { onConnected: (_: Channel) => told.push('connected'), onFailed: () => told.push('failed') }
  const { address } = await transport.listen(LOOPBACK, () => {})
  transport.dial({ address, keepAlive: NO_KEEP_ALIVE }, watcher).abandon()
  transport.silence(address)
  transport.dial({ address, keepAlive: NO_KEEP_ALIVE }, watcher)
  await settle()
  expect(told).toEqual([])
})

/** Returns the lengths in which the 25 bytes of two writes are read at the other end. */
async function readLengths(cut: Cut): Promise<number[]> {
  const [here, there] = createPair({ cut })
  const lengths: number[] = []
  const heard = new Recorder(there)
  heard.onSpan = (_buffer, start, end) => lengths.push(end - start)
  here.write(pattern(20), 0, 20)
  here.write(pattern(5), 0, 5)
  await settle()
  expect(heard.received.length).toBe(25)
  return lengths
}
