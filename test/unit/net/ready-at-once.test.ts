/**
 * Several sockets that are ready at once: what one of them does in its event must not disturb the others, whose bytes may have been received
 * already, and what was written meanwhile arrives whole and in order.
 */

import { Socket } from 'node:net'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { type Channel, type ChannelListener, READ_BUFFER_BYTES } from '../../../src/net/channel.ts'
import { EpollChannel, WATCHED_FOR } from '../../../src/net/epoll/epoll-channel.ts'
import { createEpollTransport } from '../../../src/net/epoll/epoll-transport.ts'
import { RECEIVED_BYTES } from '../../../src/net/epoll/ring.ts'
import { GATHERED_BYTES, GATHERED_CHANNELS } from '../../../src/net/gathered-writes.ts'
import { NodeChannel } from '../../../src/net/node-channel.ts'
import { nodeGathering } from '../../../src/net/node-gathering.ts'
import { gathering, pattern, Recorder, settle, until } from './rigs.ts'

const { poller, withoutIoUring } = createEpollTransport()
const { calls } = poller
const ADDRESS = { host: '/tmp', port: 0 }

type SocketChannel = EpollChannel | NodeChannel

const KINDS = [
  { name: 'epoll with io_uring', make: () => gathering(true), channelOn: onEpoll },
  { name: 'epoll', make: () => gathering(false), channelOn: onEpoll },
  { name: 'node', make: () => nodeGathering.beginAnew(), channelOn: onNode },
]

describe.each(KINDS)('$name', ({ make, channelOn }) => {
  test('each socket gets its own bytes', async () => {
    const pairs = await open(GATHERED_CHANNELS + 20)
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
    const parts = [1, 10, GATHERED_BYTES - 5, 3, GATHERED_BYTES, GATHERED_BYTES + 1, 7, 1].map((length, index) =>
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
    ['we close', (channel: Channel) => channel.close()],
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
    make()
    const pairs = Array.from({ length: count }, () => openPair(channelOn))
    await settle()
    return pairs as [Pair, Pair, Pair, ...Pair[]]
  }
})

test.each([true, false])('no bytes are lost if a socket is handed over to Node (io_uring: %s)', async (usesIoUring) => {
  gathering(usesIoUring)
  const [first, second] = [openPair(onEpoll), openPair(onEpoll)]
  await settle()
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

test('where io_uring can be used, bytes for several sockets need no call for each', async () => {
  createEpollTransport()
  const pairs = Array.from({ length: 10 }, () => openPair(onEpoll))
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

test.each([
  ['epoll', () => gathering(false), onEpoll],
  ['node', () => nodeGathering.beginAnew(), onNode],
] as const)('%s: clients get what was written for them before servers do', async (_name, make, channelOn) => {
  make()
  const [toServer, toClient] = [openPair(channelOn, false), openPair(channelOn)]
  await settle()
  const order: string[] = []
  for (const [name, { channel }] of Object.entries({ toServer, toClient })) {
    const onSent = channel.onSent.bind(channel)
    vi.spyOn(channel, 'onSent').mockImplementation((...result) => {
      order.push(name)
      onSent(...result)
    })
  }
  toServer.heard.onSpan = () => {
    for (const { channel } of [toServer, toClient]) channel.write(Buffer.from('x'), 0, 1)
  }
  say(toServer.far, 'go')
  await until('both have theirs', () => order.length === 2)
  expect(order).toEqual(['toClient', 'toServer'])
  for (const { far } of [toClient, toServer]) expect(hear(far)).toBe('x')
})

test('on epoll, only writes within an event are gathered, and only if several sockets have events', async () => {
  createEpollTransport({ usesIoUring: false })
  const pairs = Array.from({ length: 2 * poller.gatherFrom }, () => openPair(onEpoll))
  await settle()
  const gathered: boolean[] = []
  for (const { channel, heard } of pairs)
    heard.onSpan = () => {
      channel.write(Buffer.from('x'), 0, 1)
      gathered.push(channel.gatheredAt !== -1)
    }
  say(pairs[0]?.far ?? -1, 'go')
  await until('it is written', () => gathered.length === 1)
  for (const { far } of pairs) say(far, 'go')
  await until('all have written', () => gathered.length === 1 + pairs.length)
  expect(gathered).toEqual([false, ...pairs.map(() => true)])
  const [{ channel, far }] = pairs as [Pair]
  expect(hear(far)).toBe('xx')
  channel.write(Buffer.from('y'), 0, 1)
  expect(hear(far)).toBe('y')
})

test.each([true, false])(
  'io_uring may be given up or begun with within an event (it is used: %s)',
  async (usesIoUring) => {
    gathering(usesIoUring)
    const pairs = Array.from({ length: 5 }, () => openPair(onEpoll))
    await settle()
    for (const { channel, heard } of pairs)
      heard.onSpan = (buffer, start, end) => {
        channel.write(buffer, start, end)
        createEpollTransport({ usesIoUring: !usesIoUring })
      }
    for (const { far } of pairs) say(far, 'echo')
    await until('all have come', () => pairs.every(({ heard }) => heard.received.length > 0))
    await settle()
    expect(pairs.map(({ far }) => hear(far))).toEqual(pairs.map(() => 'echo'))
  },
)

test('on node, writes are not gathered for a while once only few channels write, again and again', async () => {
  nodeGathering.beginAnew()
  const pairs = Array.from({ length: 4 }, () => openPair(onNode))
  const [{ channel, far }] = pairs as [Pair]
  await settle()
  const isGathered = () => {
    // The kernel has room for some hundred writes that nobody reads.
    hear(far)
    channel.write(Buffer.from('x'), 0, 1)
    return channel.gatheredAt !== -1
  }
  for (let round = 0; round < 20; round++) {
    for (const each of pairs) each.channel.write(Buffer.from('x'), 0, 1)
    expect(isGathered()).toBe(true)
    await settle()
  }
  let gathered = 0
  for (; isGathered(); gathered++) {
    // As many writes as before, but all of one channel.
    for (const _ of pairs) isGathered()
    await settle()
  }
  expect(gathered).toBe(8)
  let ungathered = 1
  for (; !isGathered(); ungathered++);
  expect(ungathered).toBe(256)
})

test('what is gathered for a socket of Node goes out before the socket is handed over', async () => {
  nodeGathering.beginAnew()
  const { channel, far } = openPair(onNode)
  channel.write(Buffer.from('S'), 0, 1)
  const socket = channel.takeSocket()
  onTestFinished(() => void socket?.destroy())
  expect(hear(far)).toBe('S')
})

test('what is gathered for a socket of Node that breaks does not go to the next one with its descriptor', async () => {
  nodeGathering.beginAnew()
  const [first, second, third] = [openPair(onNode), openPair(onNode), openPair(onNode)]
  await settle()
  // With unread bytes at its other end, the connection is reset when that is closed.
  second.channel.write(Buffer.from('unread'), 0, 6)
  await settle()
  let successor = -1
  first.heard.onSpan = () => second.channel.write(Buffer.from('for the second'), 0, 14)
  third.heard.onSpan = () => {
    const [one, other] = calls.socketPair()
    onTestFinished(() => {
      for (const descriptor of [one, other]) calls.close(descriptor)
    })
    if (one === second.channel.descriptor) successor = other
    else if (other === second.channel.descriptor) successor = one
  }
  say(first.far, 'go')
  second.closeFar()
  say(third.far, 'replace!')
  await until('it is closed', () => second.heard.closings.length === 1)
  expect(successor).not.toBe(-1)
  expect(hear(successor)).toBe('')
})

interface Pair {
  readonly channel: SocketChannel
  readonly heard: Recorder
  readonly far: number
  text(): string
  closeFar(): void
}

function openPair(channelOn: (descriptor: number, isAccepted?: boolean) => SocketChannel, isAccepted = true): Pair {
  const [near, far] = calls.socketPair()
  const channel = channelOn(near, isAccepted)
  const heard = new Recorder(channel)
  let isOpen = true
  const closeFar = () => {
    if (isOpen) calls.close(far)
    isOpen = false
  }
  onTestFinished(closeFar)
  return { channel, heard, far, closeFar, text: () => heard.received.all().toString('latin1') }
}

function onEpoll(descriptor: number, isAccepted = true): EpollChannel {
  const channel = new EpollChannel(poller, descriptor, ADDRESS, ADDRESS, isAccepted)
  poller.add(channel, WATCHED_FOR)
  onTestFinished(() => channel.destroy())
  return channel
}

function onNode(descriptor: number, isAccepted = true): NodeChannel {
  const buffer = Buffer.alloc(READ_BUFFER_BYTES)
  const callback = (bytes: number) => {
    channel.receive(buffer, bytes)
    return true
  }
  const how = { fd: descriptor, allowHalfOpen: true, readable: true, writable: true, onread: { buffer, callback } }
  const channel = new NodeChannel(new Socket(how), ADDRESS, ADDRESS, isAccepted)
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
