/** Bytes in the ring and a kernel that has no room for them: what is written after them stays behind them, and later all goes on as before. */

import { expect, onTestFinished, test, vi } from 'vitest'
import { EpollChannel, WATCHED_FOR } from '../../../src/net/epoll/epoll-channel.ts'
import { createEpollTransport } from '../../../src/net/epoll/epoll-transport.ts'
import { RECEIVED_BYTES } from '../../../src/net/epoll/ring.ts'
import { GATHERED_BYTES } from '../../../src/net/gathered-writes.ts'
import { gathering, pattern, Recorder, settle, until } from './rigs.ts'

const { poller, withoutIoUring } = createEpollTransport()
const { calls } = poller
const ADDRESS = { host: '/tmp', port: 0 }
const FILLING = Buffer.alloc(1_024, '.')

test('bytes that find no more room among those gathered stay behind them, if the kernel has no room either', async () => {
  const { channel, heard, far } = await open()
  const parts = [GATHERED_BYTES - 100, 101, GATHERED_BYTES - 100, 200].map((length, index) => pattern(length, index))
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
  const part = pattern(GATHERED_BYTES - 1, 1)
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

test.each([1, 2, 3, 4])(
  'all bytes arrive, and in order, whatever channels do to each other within their events (seed %i)',
  async (seed) => {
    let state = seed
    const random = (below: number) => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fff_ffff
      return Math.floor((state / 0x8000_0000) * below)
    }
    const length = 400_000
    const ends = await Promise.all(
      Array.from({ length: 12 }, async (_, index) => {
        const { channel, heard, far } = await open()
        calls.setOption(channel.descriptor, 'SO_SNDBUF', 4_096)
        return {
          channel,
          heard,
          far,
          toFar: pattern(length, index),
          toNear: pattern(length, -index),
          at: 0,
          farAt: 0,
          got: 0,
        }
      }),
    )
    type End = (typeof ends)[number]
    const spans: Buffer[][] = ends.map(() => [])
    const write = (end: End) => {
      for (let times = 1 + random(6); times > 0 && end.channel.owedBytes < 100_000; times--) {
        const to = Math.min(length, end.at + random(random(8) === 0 ? 3 * RECEIVED_BYTES : GATHERED_BYTES))
        end.channel.write(end.toFar, end.at, to)
        end.at = to
      }
    }
    const readFar = (end: End, index: number) => {
      const bytes = calls.recv(end.far)
      if (bytes > 0) spans[index]?.push(Buffer.from(calls.readBuffer.subarray(0, bytes)))
      end.got += Math.max(0, bytes)
    }
    for (const { heard } of ends)
      heard.onSpan = () => {
        for (let times = random(4); times > 0; times--) {
          const other = ends[random(ends.length)] as End
          const act = random(4)
          if (act === 0) other.channel.pause()
          else if (act === 1) other.channel.resume()
          else write(other)
        }
      }
    await until('all bytes have arrived', () => {
      for (const [index, end] of ends.entries()) {
        const next = Math.min(length, end.farAt + random(2 * RECEIVED_BYTES))
        if (random(2) === 0 && next > end.farAt)
          end.farAt += Math.max(0, calls.send(end.far, end.toNear, end.farAt, next))
        if (random(3) === 0) readFar(end, index)
        if (random(3) === 0) end.channel.resume()
        if (end.farAt === length) write(end)
      }
      return ends.every(({ got, heard }) => got === length && heard.received.length === length)
    })
    for (const [index, { heard, toFar, toNear }] of ends.entries()) {
      expect(Buffer.concat(spans[index] ?? []).equals(toFar)).toBe(true)
      expect(heard.received.all().equals(toNear)).toBe(true)
    }
  },
)

async function open() {
  gathering(true)
  const [near, far] = calls.socketPair()
  const channel = new EpollChannel(poller, near, ADDRESS, ADDRESS, true)
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
