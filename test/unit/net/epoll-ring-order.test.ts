/** Bytes in the ring and a kernel that has no room for them: what is written after them stays behind them, and later all goes on as before. */

import { expect, onTestFinished, test, vi } from 'vitest'
import { EpollChannel, WATCHED_FOR } from '../../../src/net/epoll/epoll-channel.ts'
import { createEpollTransport } from '../../../src/net/epoll/epoll-transport.ts'
import { SENT_BYTES } from '../../../src/net/epoll/ring.ts'
import { pattern, Recorder, settle, until, withRing } from './rigs.ts'

const { poller, withoutIoUring } = createEpollTransport()
const { calls } = poller
const ADDRESS = { host: '/tmp', port: 0 }
const FILLING = Buffer.alloc(1_024, '.')

test('bytes that find no more room among those gathered stay behind them, if the kernel has no room either', async () => {
  const { channel, heard, far } = await open()
  const parts = [SENT_BYTES - 100, 101, SENT_BYTES - 100, 200].map((length, index) => pattern(length, index))
  let filled = 0
  heard.onSpan = () => {
    while (calls.send(channel.descriptor, FILLING, 0, FILLING.length) === FILLING.length) filled += FILLING.length
    for (const part of parts) channel.write(part, 0, part.length)
  }
  calls.send(far, Buffer.from('go'), 0, 2)
  await until('it is written', () => filled > 0)
  const expected = Buffer.concat(parts)
  expect(channel.owedBytes).toBe(expected.length)
  const got: Buffer[] = []
  await until('all have come', () => {
    const bytes = calls.recv(far)
    if (bytes > 0) got.push(Buffer.from(calls.readBuffer.subarray(0, bytes)))
    return channel.owedBytes === 0 && bytes < 0
  })
  expect(Buffer.concat(got).subarray(filled).equals(expected)).toBe(true)
})

test('bytes for a channel that ends while those before them are sent go nowhere', async () => {
  const { channel, heard, far, closeFar } = await open()
  const part = pattern(SENT_BYTES - 1, 1)
  let successor: [number, number] | null = null
  heard.onSpan = () => {
    channel.write(part, 0, part.length)
    // A paused channel ends at once if a write fails.
    channel.pause()
    closeFar()
    channel.write(part, 0, part.length)
    successor = calls.socketPair()
  }
  calls.send(far, Buffer.from('go'), 0, 2)
  await until('it is closed', () => heard.closings.length === 1)
  const pair = successor as unknown as [number, number]
  onTestFinished(() => {
    for (const descriptor of pair) calls.close(descriptor)
  })
  expect(pair).toContain(channel.descriptor)
  expect(pair.map((descriptor) => calls.recv(descriptor) > 0)).toEqual([false, false])
})

test('a channel that has paid what it owed is received from with the others again', async () => {
  const { channel, heard, far } = await open()
  const parts = pattern(1_000_000, 1)
  channel.write(parts, 0, parts.length)
  expect(channel.owedBytes).toBeGreaterThan(0)
  await until('it is paid', () => {
    calls.recv(far)
    return channel.owedBytes === 0
  })
  while (calls.recv(far) > 0) {}
  await settle()
  const received = vi.spyOn(calls, 'recv')
  calls.send(far, Buffer.from('go'), 0, 2)
  await until('it has come', () => heard.received.length === 2)
  const times = received.mock.calls.length
  vi.restoreAllMocks()
  expect(times).toBe(withoutIoUring === null ? 0 : 1)
})

async function open() {
  withRing()
  const [near, far] = calls.socketPair()
  const channel = new EpollChannel(poller, near, ADDRESS, ADDRESS)
  poller.add(channel, WATCHED_FOR)
  let isOpen = true
  const closeFar = () => {
    if (isOpen) calls.close(far)
    isOpen = false
  }
  onTestFinished(() => {
    channel.destroy()
    closeFar()
  })
  const heard = new Recorder(channel)
  await settle()
  return { channel, heard, far, closeFar }
}
