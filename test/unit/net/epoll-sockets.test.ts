/** The epoll transport and the system beneath it: last bytes of a peer, lost edges, shortage of descriptors, shared and inherited descriptors. */

import { spawn } from 'node:child_process'
import net from 'node:net'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import type { Address, Channel, ListenOptions, Transport } from '../../../src/net/channel.ts'
import { createEpollTransport, takeOver } from '../../../src/net/epoll/epoll-transport.ts'
import { usualOptions } from '../../../src/net/epoll/socket-options.ts'
import { EMFILE, ENOSPC, systemError } from '../../../src/net/epoll/syscalls.ts'
import { openListeningDescriptors } from '../../../src/net/listen-addresses.ts'
import { createNodeTransport } from '../../../src/net/node-transport.ts'
import { dialed, LOOPBACK, NO_KEEP_ALIVE, pattern, Recorder, SocketPeer, settle, until } from './rigs.ts'

const problems: Error[] = []
const transport = createEpollTransport({ onAcceptFailed: (problem) => problems.push(problem) })
const { calls } = transport.poller

test('a peer’s last bytes are read even if a write has already failed', async () => {
  const { listener, channels } = await listen()
  const far = await dialed(transport, listener.address)
  await until('it is accepted', () => channels.length === 1)
  const [channel] = channels as [Channel]
  const heard = new Recorder(channel)
  const lastWords = Buffer.from('FATAL: going down')
  // All of this happens before any event is handled: the kernel answers our first write with a reset and so refuses the second.
  far.write(lastWords, 0, lastWords.length)
  far.destroy()
  channel.write(Buffer.from('anybody there?'), 0, 14)
  channel.write(Buffer.from('anybody there?'), 0, 14)
  await until('it is closed', () => heard.closings.length > 0)
  expect(heard.received.all().toString()).toBe('FATAL: going down')
})

test.each([1, 2, 3, 4])('no byte and no end is lost, however reading is paused and resumed (seed %i)', async (seed) => {
  const random = randomFrom(seed)
  const length = 400_000
  const pairs = await Promise.all(
    Array.from({ length: 24 }, async (_, index) => {
      const { channel, heard, far } = await accepted()
      const peer = new SocketPeer(far)
      return { channel, heard, peer, sent: pattern(length, index), at: 0, isPaused: false }
    }),
  )
  for (const pair of pairs) {
    pair.heard.onSpan = () => {
      if (random() < 0.3) pauseFor(pair)
    }
  }
  await until('all bytes and the end of each have arrived', () => {
    for (const pair of pairs) {
      if (pair.at < length && random() < 0.7) {
        const end = Math.min(length, pair.at + 1 + Math.floor(random() * random() * 150_000))
        pair.peer.send(pair.sent.subarray(pair.at, end))
        pair.at = end
        if (end === length) pair.peer.hangUp()
      }
      if (random() < 0.2) pauseFor(pair)
    }
    return pairs.every(({ heard }) => heard.closings.length === 1)
  })
  for (const { heard, sent } of pairs) {
    expect(heard.received.length).toBe(length)
    expect(heard.received.all().equals(sent)).toBe(true)
    expect(heard.closings).toEqual([null])
  }

  function pauseFor(pair: { channel: Channel; isPaused: boolean }): void {
    if (pair.isPaused) return
    pair.isPaused = true
    pair.channel.pause()
    let turns = Math.floor(random() * 4)
    const resume = () => {
      if (turns-- > 0) setImmediate(resume)
      else {
        pair.isPaused = false
        pair.channel.resume()
      }
    }
    setImmediate(resume)
  }
})

test.each([1, 2, 3])('everything written reaches readers that pause and resume (seed %i)', async (seed) => {
  const random = randomFrom(seed)
  const length = 6_000_000
  const pairs = await Promise.all(
    Array.from({ length: 8 }, async (_, index) => {
      const { channel, far } = await accepted()
      return { channel, peer: new SocketPeer(far), sent: pattern(length, index), at: 0 }
    }),
  )
  await until('all bytes have arrived', () => {
    for (const pair of pairs) {
      if (random() < 0.5) pair.peer.stopReading()
      else pair.peer.startReading()
      if (pair.at === length) continue
      const end = Math.min(length, pair.at + Math.floor(random() * random() * 700_000))
      pair.channel.write(pair.sent, pair.at, end)
      pair.at = end
      if (end === length) pair.channel.close()
    }
    return pairs.every(({ peer }) => peer.received.length === length)
  })
  for (const { peer, sent } of pairs) expect(peer.received.all().equals(sent)).toBe(true)
  await until('each peer has seen the end', () => pairs.every(({ peer }) => peer.ending === 'fin'))
})

test('while the process has no free descriptor, connections wait, which is reported once', async () => {
  const { listener, channels } = await listen()
  problems.length = 0
  const accept = vi.spyOn(calls, 'accept').mockReturnValue(EMFILE)
  onTestFinished(() => accept.mockRestore())
  const peers = [1, 2, 3].map(() => new SocketPeer(net.connect(listener.address)))
  await until('two accepts were tried', () => accept.mock.calls.length >= 2)
  accept.mockRestore()
  await until('all are accepted', () => channels.length === peers.length)
  expect(problems).toMatchObject([{ code: 'EMFILE', syscall: 'accept' }])
})

describe('while the system cannot watch more sockets', () => {
  /** Makes epoll_ctl fail until the returned function is called. */
  function watchNoMore() {
    const watch = vi.spyOn(calls, 'watch').mockImplementation(() => {
      throw systemError('epoll_ctl', ENOSPC)
    })
    onTestFinished(() => watch.mockRestore())
    return () => watch.mockRestore()
  }

  test('an accepted connection is closed, which is reported once, and the others wait', async () => {
    const { listener, channels } = await listen()
    problems.length = 0
    const goOn = watchNoMore()
    const peers = [1, 2, 3].map(() => new SocketPeer(net.connect(listener.address)))
    await until('one was accepted', () => problems.length > 0)
    goOn()
    await until('each is accepted or left', () => channels.length + peers.filter(hasEnded).length === peers.length)
    expect(channels.length).toBeGreaterThan(0)
    expect(problems).toMatchObject([{ code: 'ENOSPC', syscall: 'epoll_ctl' }])
  })

  test('a resumed listener accepts as soon as it can', async () => {
    const { listener, channels } = await listen()
    listener.pause()
    const goOn = watchNoMore()
    listener.resume()
    new SocketPeer(net.connect(listener.address))
    await settle()
    goOn()
    await until('it is accepted', () => channels.length === 1)
  })

  test('a dial fails with the system’s error and leaves nothing behind', async () => {
    const { listener } = await listen()
    const { count } = transport.poller
    const goOn = watchNoMore()
    await expect(dialed(transport, listener.address)).rejects.toMatchObject({ code: 'ENOSPC' })
    goOn()
    expect(transport.poller.count).toBe(count)
    ;(await dialed(transport, listener.address)).destroy()
  })

  test('a connection that Node has accepted is closed', async () => {
    const taken: boolean[] = []
    const server = net.createServer({ pauseOnConnect: true }, (socket) => {
      const goOn = watchNoMore()
      taken.push(takeOver(socket, LOOPBACK, () => expect.unreachable()))
      goOn()
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void server.close())
    const peer = new SocketPeer(net.connect({ host: '127.0.0.1', port: (server.address() as net.AddressInfo).port }))
    await until('it is closed', () => hasEnded(peer))
    expect(taken).toEqual([true])
  })

  function hasEnded({ ending }: SocketPeer): boolean {
    return ending !== 'none'
  }
})

test('a listener that finishes while the process has no free descriptor does not try again', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  onTestFinished(() => void vi.useRealTimers())
  const { listener } = await listen()
  const accept = vi.spyOn(calls, 'accept').mockReturnValue(EMFILE)
  onTestFinished(() => accept.mockRestore())
  const peer = net.connect(listener.address)
  onTestFinished(() => void peer.destroy())
  peer.on('error', () => {})
  await until('one accept was tried', () => accept.mock.calls.length === 1)
  listener.finish(() => {})
  expect([accept.mock.calls.length, vi.getTimerCount()]).toEqual([2, 0])
})

test('a listener that finishes accepts the connections already made, and no others', async () => {
  const { listener, channels } = await listen()
  // The kernel has completed these connections; we accept them when we poll for events.
  const early = Array.from({ length: 10 }, () => net.connect(listener.address))
  onTestFinished(() => early.forEach((socket) => void socket.destroy()))
  await new Promise((resolve) => process.nextTick(resolve))
  expect(channels).toHaveLength(0)
  let isFinished = false
  listener.finish(() => {
    isFinished = true
  })
  expect([channels.length, isFinished]).toEqual([10, true])
  const heard = channels.map((channel) => new Recorder(channel))
  for (const socket of early) socket.end('hello')
  await until('each has received its bytes', () => heard.every(({ received }) => received.all().toString() === 'hello'))
  await expect(dialed(transport, listener.address)).rejects.toMatchObject({ code: 'ECONNREFUSED' })
})

test('connections to a paused listener wait in the kernel', async () => {
  const { listener, channels } = await listen()
  expect(listener.pause()).toBe(true)
  const client = new SocketPeer(net.connect(listener.address))
  client.send(Buffer.from('hello'))
  await settle()
  expect(channels).toHaveLength(0)
  listener.resume()
  await until('it is accepted', () => channels.length === 1)
})

describe.each<Transport>([transport, createNodeTransport()])('$name', (transport) => {
  test('accepts from descriptors that were opened elsewhere', async () => {
    const [opened] = await openListeningDescriptors({
      addresses: ['127.0.0.1'],
      port: 0,
      backlog: 16,
      keepAlive: NO_KEEP_ALIVE,
    })
    if (!opened) throw new Error('nothing was opened')
    onTestFinished(() => opened.close())
    const channels: Channel[] = []
    const descriptors = [calls.duplicate(opened.descriptor), calls.duplicate(opened.descriptor)]
    const listeners = await Promise.all(
      descriptors.map((descriptor) =>
        transport.listen({ ...LOOPBACK, descriptor }, (channel) => {
          onTestFinished(() => channel.destroy())
          channels.push(channel)
        }),
      ),
    )
    for (const listener of listeners) onTestFinished(() => listener.close())
    expect(listeners.map(({ address }) => address)).toEqual([opened.address, opened.address])
    const clients = [1, 2, 3, 4].map(() => new SocketPeer(net.connect(opened.address)))
    await until('all are accepted', () => channels.length === clients.length)
    listeners[0]?.close()
    clients.push(new SocketPeer(net.connect(opened.address)))
    await until('the other listener accepts it', () => channels.length === clients.length)
  })
})

test('a closed listener gets no events of a socket that others still have open', async () => {
  const [opened] = await openListeningDescriptors({
    addresses: ['127.0.0.1'],
    port: 0,
    backlog: 16,
    keepAlive: NO_KEEP_ALIVE,
  })
  if (!opened) throw new Error('nothing was opened')
  onTestFinished(() => opened.close())
  const { listener } = await listen({ descriptor: calls.duplicate(opened.descriptor) })
  listener.close()
  await accepted()
  const client = net.connect(opened.address)
  onTestFinished(() => void client.destroy())
  await until('a connection waits to be accepted', () => !client.connecting)
  const { looks } = transport.poller
  const timers = 15
  for (let count = 0; count < timers; count++) await new Promise((resolve) => setTimeout(resolve, 20))
  expect(transport.poller.looks - looks).toBeLessThan(timers * 4)
})

test('a child process accepts from a socket that its parent has opened', async () => {
  const [opened] = await openListeningDescriptors({
    addresses: ['127.0.0.1'],
    port: 0,
    backlog: 16,
    keepAlive: NO_KEEP_ALIVE,
  })
  if (!opened) throw new Error('nothing was opened')
  const code = "require('net').createServer((s) => { s.end('from the child'); process.exitCode = 0 }).listen({ fd: 3 })"
  const child = spawn(process.execPath, ['-e', code], { stdio: ['ignore', 'ignore', 'ignore', opened.descriptor] })
  onTestFinished(() => void child.kill())
  const peer = new SocketPeer(net.connect(opened.address))
  await until('the child has answered', () => peer.received.length > 0)
  expect(peer.received.all().toString()).toBe('from the child')
  opened.close()
})

test('a connection that Node has accepted can be taken over', async () => {
  const channels: Channel[] = []
  let listening: Address = { host: '', port: 0 }
  const server = net.createServer({ pauseOnConnect: true, allowHalfOpen: true }, (socket) => {
    expect(takeOver(socket, listening, (channel) => channels.push(channel))).toBe(true)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close())
  const { port } = server.address() as net.AddressInfo
  listening = { host: '127.0.0.1', port }
  const socket = net.connect(listening)
  const peer = new SocketPeer(socket)
  peer.send(pattern(100_000))
  await until('it was taken over', () => channels.length === 1)
  const [channel] = channels as [Channel]
  onTestFinished(() => channel.destroy())
  const heard = new Recorder(channel)
  heard.onSpan = (buffer, start, end) => void channel.write(buffer, start, end)
  await until('all bytes are back', () => peer.received.length === 100_000)
  expect(peer.received.all().equals(pattern(100_000))).toBe(true)
  expect(channel.peer).toEqual({ host: '127.0.0.1', port: socket.localPort })
  expect(channel.local).toEqual(listening)
})

test('socket options are set on accepted and dialed connections, and follow the settings', async () => {
  const keepAlive = {
    isOn: true,
    idleMs: 70_500,
    intervalMs: 11_000,
    probes: 4,
    userTimeoutMs: 12_345,
    bufferBytes: 100_000,
  }
  const accepted: Channel[] = []
  const listener = await transport.listen({ ...LOOPBACK, keepAlive }, (channel) => accepted.push(channel))
  onTestFinished(() => listener.close())
  expect(await bothEnds()).toEqual([OPTIONS, OPTIONS])
  Object.assign(keepAlive, { isOn: false, userTimeoutMs: 54_321 })
  const changed = { ...OPTIONS, SO_KEEPALIVE: 0, TCP_USER_TIMEOUT: 54_321 }
  expect(await bothEnds()).toMatchObject([{ SO_KEEPALIVE: 0, TCP_USER_TIMEOUT: 54_321 }, changed])
  expect((await bothEnds())[1]).toEqual(changed)
  Object.assign(keepAlive, { isOn: true, idleMs: 0, intervalMs: 0, probes: 0, userTimeoutMs: 0 })
  const [atOnce, later] = [await bothEnds(), await bothEnds()]
  const usual = usualOptions(calls)
  expect([...atOnce, ...later]).toEqual(Array(4).fill(expect.objectContaining({ ...usual, SO_KEEPALIVE: 1 })))

  async function bothEnds() {
    accepted.length = 0
    const near = await new Promise<Channel>((resolve, reject) => {
      transport.dial({ address: listener.address, keepAlive }, { onConnected: resolve, onFailed: reject })
    })
    await until('it is accepted', () => accepted.length === 1)
    return [near, accepted[0] as Channel].map((channel) => {
      onTestFinished(() => channel.destroy())
      const names = Object.keys(OPTIONS) as (keyof typeof OPTIONS)[]
      return Object.fromEntries(names.map((name) => [name, calls.getOption(descriptorOf(channel), name)]))
    })
  }
})

test('a channel goes on if its socket cannot be handed over for lack of a descriptor', async () => {
  const { channel, heard, far } = await accepted()
  const duplicate = vi.spyOn(calls, 'duplicate').mockImplementation(() => {
    throw systemError('fcntl', EMFILE)
  })
  onTestFinished(() => duplicate.mockRestore())
  expect(channel.takeSocket()).toBeNull()
  far.write('hello')
  await until('the bytes are read', () => heard.received.all().toString() === 'hello')
  channel.destroy()
  await until('it is closed', () => heard.closings.length > 0)
})

test('socket options beyond the system’s limits are set to those limits', async () => {
  const most = 2_147_483_647
  const keepAlive = {
    ...{ isOn: true, idleMs: most * 1_000, intervalMs: most * 1_000, probes: most },
    ...{ userTimeoutMs: most, bufferBytes: most, deferMs: most * 1_000 },
  }
  const { listener } = await listen({ keepAlive })
  const near = await new Promise<Channel>((resolve, reject) => {
    transport.dial({ address: listener.address, keepAlive }, { onConnected: resolve, onFailed: reject })
  })
  onTestFinished(() => near.destroy())
  const names = ['TCP_KEEPIDLE', 'TCP_KEEPINTVL', 'TCP_KEEPCNT'] as const
  expect(names.map((name) => calls.getOption(descriptorOf(near), name))).toEqual([32_767, 32_767, 127])
})

test('options that another process has set on a shared listening socket are not inherited by connections', async () => {
  const [opened] = await openListeningDescriptors({
    addresses: ['127.0.0.1'],
    port: 0,
    backlog: 16,
    keepAlive: NO_KEEP_ALIVE,
  })
  if (!opened) throw new Error('nothing was opened')
  onTestFinished(() => opened.close())
  const keepAlive = { isOn: true, idleMs: 70_000 }
  const descriptor = calls.duplicate(opened.descriptor)
  const { listener, channels } = await listen({ descriptor, keepAlive })
  // Another process accepts under other settings; we do not learn of that, nor when it ends.
  calls.setOption(opened.descriptor, 'SO_KEEPALIVE', 0)
  const client = net.connect(listener.address)
  onTestFinished(() => void client.destroy())
  await until('it is accepted', () => channels.length === 1)
  expect(calls.getOption(descriptorOf(channels[0] as Channel), 'SO_KEEPALIVE')).toBe(1)
})

test('a process that starts to accept from a shared socket after a change applies the current options', async () => {
  const keepAlive = { isOn: true, idleMs: 70_000, userTimeoutMs: 12_345 }
  const [opened] = await openListeningDescriptors({ addresses: ['127.0.0.1'], port: 0, backlog: 16, keepAlive })
  if (!opened) throw new Error('nothing was opened')
  onTestFinished(() => opened.close())
  Object.assign(keepAlive, { idleMs: 0, userTimeoutMs: 0 })
  opened.keepUp()
  const { listener, channels } = await listen({ descriptor: calls.duplicate(opened.descriptor), keepAlive })
  const client = net.connect(listener.address)
  onTestFinished(() => void client.destroy())
  await until('it is accepted', () => channels.length === 1)
  const descriptor = descriptorOf(channels[0] as Channel)
  const { TCP_KEEPIDLE, TCP_USER_TIMEOUT } = usualOptions(calls)
  expect(calls.getOption(descriptor, 'TCP_KEEPIDLE')).toBe(TCP_KEEPIDLE)
  expect(calls.getOption(descriptor, 'TCP_USER_TIMEOUT')).toBe(TCP_USER_TIMEOUT)
})

const OPTIONS = {
  TCP_NODELAY: 1,
  SO_KEEPALIVE: 1,
  TCP_KEEPIDLE: 71,
  TCP_KEEPINTVL: 11,
  TCP_KEEPCNT: 4,
  TCP_USER_TIMEOUT: 12_345,
  // Linux doubles the value that is set.
  SO_SNDBUF: 200_000,
  SO_RCVBUF: 200_000,
}

test('two listeners can share a port if both say so', async () => {
  const { listener } = await listen({ sharesPort: true })
  await expect(listen({ port: listener.address.port })).rejects.toMatchObject({ code: 'EADDRINUSE' })
  const second = await listen({ port: listener.address.port, sharesPort: true })
  expect(second.listener.address).toEqual(listener.address)
})

test('a listener that finishes leaves a shared port to its successor before it stops accepting', async () => {
  // An address that nobody else uses: another program that shares this port at 127.0.0.1 would get some of the connections.
  const shared = { host: '127.64.0.1', sharesPort: true }
  const first = await listen(shared)
  const { address } = first.listener
  const early = await dialed(transport, address)
  const second = await listen({ ...shared, port: address.port })
  let isFinished = false
  first.listener.finish(() => {
    isFinished = true
  })
  expect(isFinished, 'a connection may be on its way to it').toBe(false)
  const late = await Promise.all(Array.from({ length: 40 }, () => dialed(transport, address)))
  /** Counts only connections of this test, because other programs may connect to a port that has been given away. */
  const accepted = ({ channels }: typeof first) =>
    channels.filter(({ peer }) => [early, ...late].some(({ local }) => local.port === peer.port)).length
  await until('all are accepted', () => accepted(second) === 40)
  await until('it has stopped', () => isFinished)
  expect(accepted(first)).toBe(1)
  // The remaining listeners share the port as before.
  const third = await listen({ ...shared, port: address.port })
  for (let count = 0; count < 40; count++) late.push(await dialed(transport, address))
  await until('the later ones are accepted', () => accepted(second) + accepted(third) === 80)
  expect(accepted(second)).toBeGreaterThan(40)
  expect(accepted(third)).toBeGreaterThan(0)
  for (const channel of [early, ...late]) channel.destroy()
})

test('a deferred connection is accepted when its first bytes arrive', async () => {
  const { listener, channels } = await listen({ keepAlive: { ...NO_KEEP_ALIVE, deferMs: 60_000 } })
  const far = net.connect(listener.address)
  const peer = new SocketPeer(far)
  await until('it is connected', () => !far.connecting)
  await settle()
  expect(channels).toHaveLength(0)
  peer.send(Buffer.from('hello'))
  await until('it is accepted', () => channels.length === 1)
})

test('a change of tcp_defer_accept takes effect after the next accepted connection', async () => {
  const keepAlive = { ...NO_KEEP_ALIVE, deferMs: 0 }
  const { listener, channels } = await listen({ keepAlive })
  const come = async (bytes: string) => {
    const far = net.connect(listener.address)
    const peer = new SocketPeer(far)
    await until('it is connected', () => !far.connecting)
    if (bytes !== '') peer.send(Buffer.from(bytes))
    await settle()
    return peer
  }
  keepAlive.deferMs = 60_000
  await come('')
  await until('it is accepted', () => channels.length === 1)
  const silent = await come('')
  expect(channels).toHaveLength(1)
  silent.send(Buffer.from('hello'))
  await until('it is accepted with its first bytes', () => channels.length === 2)
  keepAlive.deferMs = 0
  await come('hello')
  await until('the third is accepted', () => channels.length === 3)
  await come('')
  await until('it is accepted although it is silent', () => channels.length === 4)
})

test('child processes do not inherit the sockets', async () => {
  const { channel } = await accepted()
  const descriptor = descriptorOf(channel)
  const child = spawn('ls', ['/proc/self/fd'])
  let text = ''
  child.stdout.on('data', (data) => {
    text += data
  })
  await new Promise((resolve) => child.on('close', resolve))
  expect(text.split('\n')).not.toContain(`${descriptor}`)
})

function descriptorOf(channel: Channel): number {
  return (channel as unknown as { descriptor: number }).descriptor
}

async function listen(options: Partial<ListenOptions> = {}) {
  const channels: Channel[] = []
  const listener = await transport.listen({ ...LOOPBACK, ...options }, (channel) => {
    onTestFinished(() => channel.destroy())
    new Recorder(channel)
    channels.push(channel)
  })
  onTestFinished(() => listener.close())
  return { listener, channels }
}

/** An accepted channel, and Node’s socket at the other end. */
async function accepted() {
  const { listener, channels } = await listen()
  const far = net.connect({ ...listener.address, allowHalfOpen: true })
  far.on('error', () => {})
  onTestFinished(() => void far.destroy())
  await until('it is accepted', () => channels.length === 1 && !far.connecting)
  listener.close()
  const channel = channels[0] as Channel
  return { channel, far, heard: new Recorder(channel) }
}

/** Mulberry32. */
function randomFrom(seed: number): () => number {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
