/**
 * Several sockets that are ready at once: what one of them does in its event must not disturb the others, whose bytes may have been received
 * already, and what was written meanwhile arrives whole and in order. Holds with io_uring and without.
 */

import type { Socket } from 'node:net'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import type { ChannelListener } from '../../../src/net/channel.ts'
import { EpollChannel, WATCHED_FOR } from '../../../src/net/epoll/epoll-channel.ts'
import { createEpollTransport } from '../../../src/net/epoll/epoll-transport.ts'
import { NOT_MADE, RECEIVED_BYTES, RING_CALLS, Ring, SENT_BYTES } from '../../../src/net/epoll/ring.ts'
import { EAGAIN, ECONNRESET } from '../../../src/net/epoll/syscalls.ts'
import { pattern, Recorder, settle, until } from './rigs.ts'

const { poller, withoutIoUring } = createEpollTransport()
const { calls } = poller
const ADDRESS = { host: '/tmp', port: 0 }

describe.each([true, false])('if io_uring may be used: %s', (usesIoUring) => {
  test('each socket gets its own bytes', async () => {
    const pairs = await open(RING_CALLS + 20)
    for (const [index, { far }] of pairs.entries()) say(far, `for ${index}`)
    await until('all have come', () => pairs.every(({ heard }) => heard.received.length > 0))
    expect(pairs.map(({ text }) => text())).toEqual(pairs.map((_, index) => `for ${index}`))
  })

  test('bytes of a socket that another one pauses are not lost, and keep their order', async () => {
    const [first, second, third] = await open(3)
    first.heard.onSpan = () => second.channel.pause()
    say(first.far, 'pause!')
    say(second.far, 'one,')
    await settle()
    say(second.far, 'two,')
    // The same room is used again for the bytes of others.
    for (const { far } of [first, third]) say(far, 'else')
    await settle()
    expect(second.text()).toBe('')
    first.heard.onSpan = () => {}
    second.channel.resume()
    expect(second.text()).toBe('')
    for (const { far } of [first, second]) say(far, 'three')
    await until('all have come', () => second.heard.received.length === 13)
    expect(second.text()).toBe('one,two,three')
  })

  test('a burst that comes while another socket pauses this one is read to its end', async () => {
    const [first, second] = await openTwo()
    const burst = pattern(RECEIVED_BYTES + 100)
    first.heard.onSpan = () => second.channel.pause()
    say(first.far, 'pause!')
    expect(calls.send(second.far, burst, 0, burst.length)).toBe(burst.length)
    await settle()
    second.channel.resume()
    await until('all have come', () => second.heard.received.length === burst.length)
    expect(second.heard.received.all().equals(burst)).toBe(true)
  })

  test('a socket that is paused again before its held bytes are delivered keeps them', async () => {
    const [first, second] = await openTwo()
    first.heard.onSpan = () => second.channel.pause()
    say(first.far, 'pause!')
    say(second.far, 'held')
    await settle()
    second.channel.resume()
    second.channel.pause()
    await settle()
    expect(second.text()).toBe('')
    second.channel.resume()
    await until('they have come', () => second.text() === 'held')
  })

  test('the end of a socket that another one pauses is noticed when it resumes', async () => {
    const [first, second] = await openTwo()
    first.heard.onSpan = () => second.channel.pause()
    say(first.far, 'pause!')
    say(second.far, 'last')
    await settle()
    second.closeFar()
    await settle()
    expect(second.heard.closings).toEqual([])
    second.channel.resume()
    await until('it is closed', () => second.heard.closings.length === 1)
    expect(second.text()).toBe('last')
  })

  test.each(['close', 'destroy'] as const)('a socket to which another one does %s gets no more bytes', async (act) => {
    const [first, second] = await openTwo()
    first.heard.onSpan = () => second.heard.silenced(() => second.channel[act]())
    say(first.far, 'end it!')
    say(second.far, 'too late')
    await until('the first has its bytes', () => first.heard.received.length > 0)
    second.closeFar()
    await until('it is closed', () => second.heard.closings.length === 1)
    expect(second.text()).toBe('')
    expect(second.heard.closings).toEqual([null])
  })

  test('no bytes are lost if a socket is handed over to Node', async () => {
    const [first, second] = await openTwo()
    let taken: Socket | null = null
    first.heard.onSpan = () => {
      taken = second.channel.takeSocket()
    }
    say(first.far, 'take!')
    say(second.far, 'unread')
    await until('it was asked for', () => first.heard.received.length > 0)
    let text = ''
    const socket = taken as Socket | null
    onTestFinished(() => void socket?.destroy())
    socket?.on('data', (bytes) => {
      text += bytes
    })
    await until('the bytes have come', () => text + second.text() === 'unread')
  })

  test('an exception in one listener does not take the bytes of the others', async () => {
    const problems: unknown[] = []
    const others = process.listeners('uncaughtException')
    process.removeAllListeners('uncaughtException')
    process.on('uncaughtException', (problem) => problems.push(problem))
    onTestFinished(() => {
      process.removeAllListeners('uncaughtException')
      for (const other of others) process.on('uncaughtException', other)
    })
    const [first, second, third] = await open(3)
    first.channel.listener = listener(() => {
      throw new Error('a mistake of a listener')
    })
    third.heard.onSpan = () => second.channel.write(Buffer.from('answer'), 0, 6)
    for (const { far } of [first, second, third]) say(far, 'hello')
    await until('the others have theirs', () => second.text() === 'hello' && third.text() === 'hello')
    expect(problems).toEqual([new Error('a mistake of a listener')])
    await until('the answer has come', () => hear(second.far) === 'answer')
  })

  test('a burst that fills the room for one socket is read to its end', async () => {
    const pairs = await open(4)
    const sent = pairs.map((_, index) => pattern(RECEIVED_BYTES * 3 + index, index))
    for (const [index, { far }] of pairs.entries())
      expect(calls.send(far, sent[index] as Buffer, 0, sent[index]?.length ?? 0)).toBe(sent[index]?.length)
    await until('all have come', () => pairs.every(({ heard }, index) => heard.received.length === sent[index]?.length))
    expect(pairs.every(({ heard }, index) => heard.received.all().equals(sent[index] as Buffer))).toBe(true)
    // Exactly as many bytes as there is room for, and then silence.
    const exact = pattern(RECEIVED_BYTES, 9)
    for (const { far } of pairs) calls.send(far, exact, 0, exact.length)
    await until('these have come, too', () =>
      pairs.every(({ heard }, index) => heard.received.length === (sent[index]?.length ?? 0) + exact.length),
    )
  })

  test('small and large writes within one event arrive in order', async () => {
    const [first, second] = await openTwo()
    const parts = [1, 10, SENT_BYTES - 5, 3, SENT_BYTES, SENT_BYTES + 1, 7, 1].map((length, index) =>
      pattern(length, index),
    )
    first.heard.onSpan = () => {
      for (const part of parts) second.channel.write(part, 0, part.length)
    }
    say(first.far, 'go')
    say(second.far, 'go')
    const expected = Buffer.concat(parts)
    const got: Buffer[] = []
    await until('all have come', () => {
      got.push(Buffer.from(hear(second.far), 'latin1'))
      return Buffer.concat(got).length >= expected.length
    })
    expect(Buffer.concat(got).equals(expected)).toBe(true)
  })

  test.each([0, 1, 2])(
    'what the kernel does not take is owed, and paid in order (%i writes before)',
    async (before) => {
      const [first, second] = await openTwo()
      calls.setOption(second.channel.descriptor, 'SO_SNDBUF', 4_096)
      for (let count = 0; count < before; count++) second.channel.write(Buffer.from('.'), 0, 1)
      const length = 1_000
      let written = 0
      let owed = 0
      first.heard.onSpan = () => {
        const part = pattern(length, written)
        second.channel.write(part, 0, 400)
        second.channel.write(part, 400, length)
        written++
      }
      second.heard.onSpan = () => {}
      for (let round = 0; round < 40; round++) {
        say(first.far, 'more')
        say(second.far, '.')
        await until('it is written', () => written === round + 1)
        await settle()
        owed = Math.max(owed, second.channel.owedBytes)
      }
      expect(owed).toBeGreaterThan(length)
      const got: Buffer[] = []
      await until('all have come', () => {
        got.push(Buffer.from(hear(second.far), 'latin1'))
        return Buffer.concat(got).length >= before + written * length
      })
      const expected = Array.from({ length: written }, (_, index) => pattern(length, index))
      expect(Buffer.concat(got).subarray(before).equals(Buffer.concat(expected))).toBe(true)
      expect(second.channel.owedBytes).toBe(0)
      expect(second.heard.drains).toBe(1)
    },
  )

  test.each(['close', 'destroy'] as const)('what was written just before %s arrives', async (act) => {
    const [first, second, third] = await open(3)
    first.heard.onSpan = () => {
      second.channel.write(Buffer.from('goodbye'), 0, 7)
      second.channel[act]()
    }
    // Nothing for the second: with unread bytes, the kernel would reset its connection.
    for (const { far } of [first, third]) say(far, 'go')
    await until('it has arrived', () => hear(second.far) === 'goodbye')
    second.closeFar()
    await until('it is closed', () => second.heard.closings.length === 1)
    expect(second.heard.closings).toEqual([null])
  })

  test.each([
    ['we close', (channel: EpollChannel) => channel.close()],
    ['the peer has closed its side', () => {}],
  ])('if %s, the peer still gets what the kernel did not take', async (_what, end) => {
    const [first, second, third] = await open(3)
    const filler = Buffer.alloc(50_000, 'f')
    let filled = 0
    first.heard.onSpan = () => {
      for (let taken = 1; taken > 0; filled += Math.max(0, taken))
        taken = calls.send(second.channel.descriptor, filler, 0, filler.length)
      second.channel.write(Buffer.from('goodbye'), 0, 7)
      end(second.channel)
    }
    for (const { far } of [first, third]) say(far, 'go')
    calls.shutdown(second.far)
    await until('it is written', () => filled > 0)
    let got = ''
    await until('all have come', () => {
      got += hear(second.far)
      return got.length === filled + 7
    })
    expect(got.endsWith('fgoodbye')).toBe(true)
    await until('it is closed', () => second.heard.closings.length === 1)
  })

  test('a channel may be destroyed right after a write to a peer that has gone', async () => {
    const [first, second, third] = await open(3)
    first.heard.onSpan = () => {
      second.closeFar()
      second.channel.pause()
      second.channel.write(Buffer.from('there?'), 0, 6)
      second.heard.silenced(() => second.channel.destroy())
    }
    for (const { far } of [first, third]) say(far, 'go')
    await until('it is closed', () => second.heard.closings.length === 1)
    expect(third.text()).toBe('go')
  })

  test('a write to a peer that has gone ends only that channel', async () => {
    const [first, second, third] = await open(3)
    first.heard.onSpan = () => {
      second.closeFar()
      for (const { channel } of [second, third]) channel.write(Buffer.from('there?'), 0, 6)
    }
    say(first.far, 'go')
    say(third.far, 'go')
    await until('the end is noticed', () => second.heard.closings.length === 1)
    await until('the other has its bytes', () => hear(third.far) === 'there?')
    expect(third.heard.closings).toEqual([])
  })

  test('what was written before the peer’s end is read arrives behind it', async () => {
    const [first, second] = await openTwo()
    first.heard.onSpan = () => second.channel.write(Buffer.from('answer'), 0, 6)
    say(first.far, 'go')
    calls.shutdown(second.far)
    await until('it is closed', () => second.heard.closings.length === 1)
    expect(hear(second.far)).toBe('answer')
  })

  test('a socket with the descriptor of one that was closed gets nothing of what was received for that', async () => {
    const [first, second] = await openTwo()
    const told: string[] = []
    first.heard.onSpan = () => {
      const { descriptor } = second.channel
      second.channel.destroy()
      const [one, other] = calls.socketPair()
      const near = one === descriptor ? one : other
      expect(near).toBe(descriptor)
      const successor = channelOn(near)
      successor.listener = listener((buffer, start, end) => void told.push(buffer.toString('latin1', start, end)))
      onTestFinished(() => calls.close(near === one ? other : one))
    }
    say(first.far, 'replace!')
    say(second.far, 'for the first')
    await settle()
    expect(told).toEqual([])
    expect(second.text()).toBe('')
  })

  async function openTwo(): Promise<[Pair, Pair]> {
    const [first, second] = await open(2)
    return [first, second]
  }

  /** Opens channels that are all ready in the same look if they are sent something without a pause. */
  async function open(count: number): Promise<[Pair, Pair, Pair, ...Pair[]]> {
    createEpollTransport({ usesIoUring })
    const pairs = Array.from({ length: count }, () => openPair())
    await settle()
    return pairs as [Pair, Pair, Pair, ...Pair[]]
  }
})

test('where io_uring can be used, bytes for several sockets need no call for each', async () => {
  createEpollTransport()
  const pairs = Array.from({ length: 10 }, () => openPair())
  await settle()
  for (const { channel, heard } of pairs) heard.onSpan = (buffer, start, end) => void channel.write(buffer, start, end)
  const received = vi.spyOn(calls, 'recv')
  const sent = vi.spyOn(calls, 'send')
  for (const { far } of pairs) say(far, 'echo')
  sent.mockClear()
  await until('all have come', () => pairs.every(({ heard }) => heard.received.length > 0))
  const made = received.mock.calls.length + sent.mock.calls.length
  vi.restoreAllMocks()
  expect(made).toBe(withoutIoUring === null ? 0 : 2 * pairs.length)
  for (const { far } of pairs) expect(hear(far)).toBe('echo')
})

describe('the ring, with a kernel that does not do its work', () => {
  test('calls that are not made are left to the caller', () => {
    const { ring } = withKernel(() => ({ error: 11 }))
    const places = [ring.addReceive(1), ring.addReceive(2)]
    ring.receive()
    expect(places.map((place) => ring.resultAt(place))).toEqual([NOT_MADE, NOT_MADE])
    expect(sending(ring, ['one', 'two'])).toEqual([
      ['one', NOT_MADE],
      ['two', NOT_MADE],
    ])
  })

  test('a call that a signal interrupts is made again', () => {
    let times = 0
    const { ring } = withKernel((count) => (times++ === 0 ? { error: 4 } : { results: Array(count).fill(5) }))
    const place = ring.addReceive(1)
    ring.receive()
    expect(ring.resultAt(place)).toBe(5)
    expect(times).toBe(2)
  })

  test('if only some calls are made at first, the others are made next', () => {
    const { ring } = withKernel(() => ({ results: [7] }))
    const places = [1, 2, 3].map((descriptor) => ring.addReceive(descriptor))
    ring.receive()
    expect(places.map((place) => ring.resultAt(place))).toEqual([7, 7, 7])
  })

  test('calls that were not made are not made later', () => {
    let isWilling = false
    const { ring, descriptors } = withKernel((count) => (isWilling ? { results: Array(count).fill(1) } : { error: 12 }))
    ring.addReceive(1)
    ring.receive()
    isWilling = true
    ring.addReceive(2)
    ring.receive()
    expect(descriptors).toEqual([2])
  })

  test('results that come late are waited for, or else the error is reported', () => {
    let isBroken = false
    const { ring } = withKernel((count) => {
      if (count > 0) return { results: Array(count).fill(6), isLate: true }
      return isBroken ? { error: 9 } : { results: [] }
    })
    const place = ring.addReceive(1)
    ring.receive()
    expect(ring.resultAt(place)).toBe(6)
    isBroken = true
    ring.addReceive(1)
    expect(() => ring.receive()).toThrow('io_uring_enter EBADF')
  })

  test('results of receiving stay while bytes are sent', () => {
    const { ring } = withKernel((count) => ({ results: Array(count).fill(3) }))
    const place = ring.addReceive(1)
    ring.receive()
    sending(ring, ['x', 'y'])
    expect(ring.resultAt(place)).toBe(3)
  })

  test('more than there is room for is sent in two turns', () => {
    const { ring } = withKernel((count) => ({ results: Array(count).fill(1) }))
    const texts = Array.from({ length: RING_CALLS + 1 }, (_, index) => `${index}`)
    expect(sending(ring, texts).map(([text]) => text)).toEqual(texts)
  })

  test('a sender that throws does not keep the others from their results', () => {
    const { ring } = withKernel((count) => ({ results: Array(count).fill(ECONNRESET) }))
    const told: number[] = []
    const bad = {
      descriptor: 1,
      placeInRing: -1,
      onSent: () => {
        throw new Error('a mistake')
      },
    }
    const good = { descriptor: 2, placeInRing: -1, onSent: (result: number) => void told.push(result) }
    for (const sender of [bad, good]) ring.addSend(sender, Buffer.from('x'), 0, 1)
    expect(() => ring.send()).toThrow('a mistake')
    expect(told).toEqual([ECONNRESET])
  })

  test('a system without io_uring is an error with the system’s name for the reason', () => {
    expect(() => withKernel(() => ({ error: 11 }), { setupError: 38 })).toThrow('io_uring_setup ENOSYS')
  })

  test('a call without bytes to receive says so', () => {
    const { ring } = withKernel(() => ({ results: [EAGAIN] }))
    const place = ring.addReceive(1)
    ring.receive()
    expect(ring.resultAt(place)).toBe(EAGAIN)
  })
})

interface Pair {
  readonly channel: EpollChannel
  readonly heard: Recorder
  readonly far: number
  text(): string
  closeFar(): void
}

function openPair(): Pair {
  const [near, far] = calls.socketPair()
  const channel = channelOn(near)
  const heard = new Recorder(channel)
  let isOpen = true
  const closeFar = () => {
    if (isOpen) calls.close(far)
    isOpen = false
  }
  onTestFinished(closeFar)
  return { channel, heard, far, closeFar, text: () => heard.received.all().toString('latin1') }
}

function channelOn(descriptor: number): EpollChannel {
  const channel = new EpollChannel(poller, descriptor, ADDRESS, ADDRESS)
  poller.add(channel, WATCHED_FOR)
  onTestFinished(() => channel.destroy())
  return channel
}

function listener(onRead: ChannelListener['onRead']): ChannelListener {
  return { onRead, onDrained() {}, onClosed() {} }
}

function say(descriptor: number, text: string): void {
  expect(calls.send(descriptor, Buffer.from(text), 0, text.length)).toBe(text.length)
}

/** Returns what has arrived at this end. */
function hear(descriptor: number): string {
  const bytes = calls.recv(descriptor)
  return bytes > 0 ? calls.readBuffer.toString('latin1', 0, bytes) : ''
}

function sending(ring: Ring, texts: readonly string[]): [string, number][] {
  const told: [string, number][] = []
  for (const [index, text] of texts.entries()) {
    const sender = {
      descriptor: index,
      placeInRing: -1,
      onSent: (result: number, buffer: Buffer, start: number, end: number) =>
        void told.push([buffer.toString('latin1', start, end), result]),
    }
    ring.addSend(sender, Buffer.from(text), 0, text.length)
  }
  ring.send()
  return told
}

/**
 * What the kernel does when it is entered with `count` calls: fails, or makes as many of them as there are results, which it shows at once
 * or, if they are late, when it is entered again.
 */
type Behavior = (count: number) => { error: number } | { results: readonly number[]; isLate?: boolean }

const MASK = 127
const [HEAD, TAIL, SQ_MASK, CQ_HEAD, CQ_TAIL, CQ_MASK, ARRAY, CQES] = [0, 4, 8, 12, 16, 20, 64, 1_024] as const

function withKernel(behavior: Behavior, { setupError = 0 } = {}) {
  const [rings, entries] = [new ArrayBuffer(16_384), new ArrayBuffer(16_384)]
  const [ring, sqes] = [new Int32Array(rings), new Int32Array(entries)]
  const descriptors: number[] = []
  let params: Buffer = Buffer.alloc(0)
  let errno = 0
  /** Results that are not shown yet. */
  let late = 0
  const syscall = (number: number, ...rest: number[]) => (number === 425 ? setUp() : enter(rest[1] as number))
  const kernel = new Ring({
    call: (name) => {
      if (name === 'mmap') return (...numbers) => (numbers[5] === 0 ? 1 : 2)
      return name === 'syscall' ? (number, ...rest) => syscall(number as number, ...rest) : () => 0
    },
    addressOf: (buffer) => {
      params = buffer
      return 4_096
    },
    view: (address) => (address === 1 ? rings : entries),
    errno: () => errno,
  })
  return { ring: kernel, descriptors }

  function setUp(): number {
    if (setupError !== 0) {
      errno = setupError
      return -1
    }
    params.writeUInt32LE(256, 4)
    params.writeUInt32LE(1, 20)
    for (const [at, value] of [
      [40, HEAD],
      [44, TAIL],
      [48, SQ_MASK],
      [64, ARRAY],
      [80, CQ_HEAD],
      [84, CQ_TAIL],
      [88, CQ_MASK],
      [100, CQES],
    ] as const)
      params.writeUInt32LE(value, at)
    ring[SQ_MASK / 4] = MASK
    ring[CQ_MASK / 4] = 2 * MASK + 1
    return 9
  }

  function enter(count: number): number {
    const done = behavior(count)
    if ('error' in done) {
      errno = done.error
      return -1
    }
    ring[CQ_TAIL / 4] = (ring[CQ_TAIL / 4] as number) + late
    late = 0
    for (const result of done.results) {
      const at = ((ring[HEAD / 4] as number) & MASK) * 16
      descriptors.push(sqes[at + 1] as number)
      const cqe = CQES / 4 + (((ring[CQ_TAIL / 4] as number) + late) & (2 * MASK + 1)) * 4
      ring[cqe] = sqes[at + 8] as number
      ring[cqe + 2] = result
      ring[HEAD / 4] = (ring[HEAD / 4] as number) + 1
      late++
    }
    if (done.isLate !== true) {
      ring[CQ_TAIL / 4] = (ring[CQ_TAIL / 4] as number) + late
      late = 0
    }
    return done.results.length
  }
}
