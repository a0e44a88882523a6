import { PassThrough } from 'node:stream'
import { expect, test } from 'vitest'
import { type ConnectionState, HttpConnections, whoMakesWay } from '../../../src/metrics/http-connections.ts'

test.each<[readonly ConnectionState[], number]>([
  [['streamed', 'answered', 'asking', 'idle', 'idle'], 3],
  [['streamed', 'answered', 'asking', 'asking'], 2],
  [['streamed', 'answered', 'answered'], 1],
  [['streamed', 'streamed'], -1],
  [[], -1],
])('of connections in the states %j, number %i is closed for a new one', (states, which) => {
  expect(whoMakesWay(states)).toBe(which)
})

/** Room for three connections, two of which may be streams. */
function crowd() {
  const connections = new HttpConnections({ connections: 3, streams: 2 })
  const add = () => {
    const socket = new PassThrough()
    connections.add(socket)
    return socket
  }
  return { connections, add }
}

function answer(connections: HttpConnections, socket: PassThrough): void {
  connections.onRequest(socket)
  connections.onAnswered(socket)
}

test('one connection too many closes the one that has been idle longest, at once, and no other', () => {
  const { connections, add } = crowd()
  const held = [add(), add(), add()]
  for (const socket of held) answer(connections, socket)
  const [first] = held
  if (first) answer(connections, first)
  held.push(add())
  expect(held.map(({ destroyed }) => destroyed)).toEqual([false, true, false, false])
  held.push(add())
  expect(held.map(({ destroyed }) => destroyed)).toEqual([false, true, true, false, false])
})

test('no connection is closed for a new one if another has closed by itself', async () => {
  const { add } = crowd()
  const held = [add(), add(), add()]
  await new Promise((resolve) => held[0]?.once('close', resolve).destroy())
  held.push(add())
  expect(held.map(({ destroyed }) => destroyed)).toEqual([true, false, false, false])
})

test('the number of streams is limited, and streams are not closed for new connections', () => {
  const { connections, add } = crowd()
  const streams = [add(), add()]
  for (const socket of streams) {
    connections.onRequest(socket)
    expect(connections.takeStream(socket)).toBe(true)
  }
  const third = add()
  connections.onRequest(third)
  expect(connections.takeStream(third)).toBe(false)
  add()
  expect([...streams, third].map(({ destroyed }) => destroyed)).toEqual([false, false, true])
})

test('a connection has at most one stream, even if it requests several without waiting', () => {
  const { connections, add } = crowd()
  const socket = add()
  for (const isTaken of [true, false, false]) {
    connections.onRequest(socket)
    expect(connections.takeStream(socket)).toBe(isTaken)
  }
})
