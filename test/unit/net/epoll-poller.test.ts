/** The poller’s loop: in step with libuv, fair to all sockets, and idle when nothing happens. */

import { fork } from 'node:child_process'
import { pbkdf2 } from 'node:crypto'
import { createServer, get } from 'node:http'
import type { AddressInfo } from 'node:net'
import { promisify } from 'node:util'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { describe, expect, onTestFinished, test } from 'vitest'
import { afterEvent } from '../../../src/base/after-event.ts'
import type { Channel } from '../../../src/net/channel.ts'
import { createEpollTransport } from '../../../src/net/epoll/epoll-transport.ts'
import type { Pollable } from '../../../src/net/epoll/poller.ts'
import { EPOLLET, EPOLLIN } from '../../../src/net/epoll/syscalls.ts'
import { dialed, LOOPBACK, Recorder, settle, until } from './rigs.ts'

const transport = createEpollTransport()
const { poller } = transport
const { calls } = poller
const BYTE = Buffer.from('x')

test('an idle open socket costs no polling', async () => {
  await openPair()
  // V8 collects garbage in small libuv tasks, each of which would cause a poll.
  setFlagsFromString('--expose-gc')
  runInNewContext('gc')()
  await settle()
  const looks = poller.looks
  const timers = 30
  for (let count = 0; count < timers; count++) await new Promise((resolve) => setTimeout(resolve, 20))
  // Two polls per timer: one that the timer ends, and one that finds it due.
  expect(poller.looks - looks).toBeLessThan(timers * 4)
})

describe.each([
  ['while sockets are silent', async () => {}],
  ['while sockets are busy', startPingPong],
])('%s', (_when, begin) => {
  test('timers, immediates and promises still run', async () => {
    await begin()
    for (let count = 0; count < 20; count++) {
      await new Promise((resolve) => setTimeout(resolve, 1))
      await new Promise((resolve) => setImmediate(resolve))
      await Promise.resolve()
    }
  })

  test('the thread pool still answers', async () => {
    await begin()
    const keys = await Promise.all([1, 2, 3].map((salt) => promisify(pbkdf2)('secret', `${salt}`, 4096, 32, 'sha256')))
    expect(keys.map((key) => key.length)).toEqual([32, 32, 32])
  })

  test('HTTP requests are still served', async () => {
    await begin()
    const server = createServer((_request, response) => response.end('here'))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void server.close())
    const { port } = server.address() as AddressInfo
    for (let count = 0; count < 10; count++) {
      const text = await new Promise((resolve) => {
        get({ port, host: '127.0.0.1', agent: false }, (response) => response.on('data', (data) => resolve(`${data}`)))
      })
      expect(text).toBe('here')
    }
  })

  test('messages from child processes still arrive', async () => {
    await begin()
    const code = "process.on('message', (n) => n < 20 ? process.send(n + 1) : process.disconnect())"
    const child = fork('-e', [code], { execArgv: [] })
    let last = 0
    child.on('message', (number: number) => {
      last = number
      child.send(number)
    })
    child.send(0)
    const exitCode = await new Promise((resolve) => child.on('exit', resolve))
    expect({ last, exitCode }).toEqual({ last: 20, exitCode: 0 })
  })
})

test('afterEvent followers of one socket’s event run before the next socket’s event, and promises and ticks after all events', async () => {
  const told: string[] = []
  const follower = { onEventOver: (name: string) => void told.push(`what follows from ${name}`) }
  const one = openOne(() => {
    queueMicrotask(() => told.push('microtask of one'))
    process.nextTick(() => told.push('tick of one'))
    afterEvent(follower, 'one')
    told.push('one')
  })
  const other = openOne(() => told.push('other'))
  calls.send(one.far, BYTE, 0, 1)
  calls.send(other.far, BYTE, 0, 1)
  await until('all calls are made', () => told.length === 5)
  expect(told).toEqual(['one', 'what follows from one', 'other', 'tick of one', 'microtask of one'])
})

test('an event for a closed descriptor does not reach a new socket with the same descriptor number', async () => {
  const told: string[] = []
  let successor = -1
  const first = openOne(() => {
    told.push('first')
    second.close()
    const [near, far] = calls.socketPair()
    successor = [near, far].find((descriptor) => descriptor === second.near) ?? -1
    const other = successor === near ? far : near
    const pollable = { descriptor: successor, onEvents: () => told.push('successor') }
    poller.add(pollable, EPOLLIN)
    onTestFinished(() => {
      poller.close(successor)
      calls.close(other)
    })
  })
  const second = openOne(() => told.push('second'))
  calls.send(first.far, BYTE, 0, 1)
  calls.send(second.far, BYTE, 0, 1)
  await until('the first listener got its event', () => told.length > 0)
  await settle()
  expect(successor).toBe(second.near)
  expect(told).toEqual(['first'])
})

test('an exception in a listener is reported as uncaught, and other listeners still get their events', async () => {
  const problems = await uncaughtWhile(async () => {
    const heard: string[] = []
    // Both are edge-triggered, so an event that is lost because of the exception never comes again.
    const bad = openOne(() => {
      bad.close()
      throw new Error('a mistake of a listener')
    }, EPOLLIN | EPOLLET)
    const good = openOne(() => heard.push('good'), EPOLLIN | EPOLLET)
    calls.send(bad.far, BYTE, 0, 1)
    calls.send(good.far, BYTE, 0, 1)
    await until('the other listener got its event', () => heard.length > 0)
  })
  expect(problems.map(({ message }) => message)).toEqual(['a mistake of a listener'])
})

test('thousands of sockets that become ready at once all get their events, in the order they became ready', async () => {
  const told: number[] = []
  const many = Array.from({ length: 3_000 }, (_, index) => openOne(() => told.push(index)))
  for (const { far } of many) calls.send(far, BYTE, 0, 1)
  await until('all listeners got their events', () => told.length >= many.length)
  expect(told).toEqual(many.map((_, index) => index))
})

test('a flood on one socket delays other sockets by a few polls at most', async () => {
  const flooded = await openPair()
  const flood = Buffer.alloc(1024 * 1024)
  flooded.far.listener = { onRead() {}, onDrained: () => pour(), onClosed() {} }
  const pour = () => {
    while (flooded.near.isOpen && flooded.near.owedBytes === 0) flooded.near.write(flood, 0, flood.length)
  }
  flooded.near.listener = { onRead() {}, onDrained: pour, onClosed() {} }
  pour()
  const { near, far } = await openPair()
  const heard = new Recorder(far)
  for (let count = 1; count <= 50; count++) {
    const looks = poller.looks
    near.write(BYTE, 0, 1)
    await until('the bytes have arrived', () => heard.received.length === count)
    expect(poller.looks - looks).toBeLessThan(20)
  }
})

test('the poller sleeps when the last socket is gone and wakes with the next one', async () => {
  await settle()
  expect(poller.count).toBe(0)
  const looks = poller.looks
  await settle()
  expect(poller.looks).toBe(looks)
  const { near, far } = await openPair()
  const heard = new Recorder(far)
  near.write(BYTE, 0, 1)
  await until('the bytes have arrived', () => heard.received.length === 1)
})

/** A socket that reads its bytes as they come and is closed after the test. */
function openOne(tell: () => void, interest = EPOLLIN): { near: number; far: number; close(): void } {
  const [near, far] = calls.socketPair()
  let isOpen = true
  const pollable: Pollable = {
    descriptor: near,
    onEvents() {
      calls.recv(near)
      tell()
    },
  }
  poller.add(pollable, interest)
  const close = () => {
    if (isOpen) poller.close(near)
    isOpen = false
  }
  onTestFinished(() => {
    close()
    calls.close(far)
  })
  return { near, far, close }
}

async function openPair(): Promise<{ near: Channel; far: Channel }> {
  const accepted: Channel[] = []
  const listener = await transport.listen(LOOPBACK, (channel) => accepted.push(channel))
  const near = await dialed(transport, listener.address)
  await until('it is accepted', () => accepted.length === 1)
  listener.close()
  const far = accepted[0] as Channel
  onTestFinished(() => {
    near.destroy()
    far.destroy()
  })
  return { near, far }
}

/** Opens two pairs whose ends answer each other without a pause. */
async function startPingPong(): Promise<void> {
  for (let pairs = 0; pairs < 2; pairs++) {
    const { near, far } = await openPair()
    for (const channel of [near, far]) {
      channel.listener = {
        onRead: (buffer, start, end) => void channel.write(buffer, start, end),
        onDrained() {},
        onClosed() {},
      }
    }
    near.write(BYTE, 0, 1)
  }
}

async function uncaughtWhile(work: () => Promise<void>): Promise<Error[]> {
  const problems: Error[] = []
  const others = process.listeners('uncaughtException')
  process.removeAllListeners('uncaughtException')
  process.on('uncaughtException', (problem) => problems.push(problem))
  try {
    await work()
  } finally {
    process.removeAllListeners('uncaughtException')
    for (const other of others) process.on('uncaughtException', other)
  }
  return problems
}
