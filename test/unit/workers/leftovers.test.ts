import { expect, test } from 'vitest'
import { createMemoryTransport } from '../../../src/net/memory-transport.ts'
import { Leftovers } from '../../../src/workers/leftovers.ts'

const DATABASE = { host: 'db', port: 5432 }
const KEEP_ALIVE = { isOn: false, idleMs: 0 }

async function start() {
  const transport = createMemoryTransport()
  const requests: string[] = []
  await transport.listen({ ...DATABASE, backlog: 10, keepAlive: KEEP_ALIVE }, (channel) => {
    channel.listener = {
      onRead: (buffer, from, to) => requests.push(buffer.toString('hex', from, to)),
      onDrained: () => {},
      onClosed: () => {},
    }
  })
  const due: { readonly ms: number; work(): void }[] = []
  const leftovers = new Leftovers({ transport, keepAlive: KEEP_ALIVE, later: (ms, work) => due.push({ ms, work }) })
  /** Lets so much time go by. */
  const pass = async (ms: number) => {
    for (const each of due.splice(0)) {
      if (each.ms <= ms) each.work()
      else due.push({ ...each, ms: each.ms - ms })
    }
    for (let turn = 0; turn < 20; turn++) await Promise.resolve()
  }
  return { leftovers, requests, pass }
}

const backend = (id: number, pid: number) => ({ id, address: DATABASE, pid, secret: 'abcdef01' })

test('each backend is told twice to cancel what it does, and then has had time to end', async () => {
  const { leftovers, requests, pass } = await start()
  let isOver = false
  leftovers.clear([backend(1, 7), backend(2, 8)], () => {
    isOver = true
  })
  await pass(0)
  const both = ['0000001004d2162e00000007abcdef01', '0000001004d2162e00000008abcdef01']
  expect(requests).toEqual(both)
  await pass(200)
  expect(requests).toEqual([...both, ...both])
  expect(isOver).toBe(false)
  await pass(200)
  expect(isOver).toBe(true)
})

test('a server that does not answer any more is not waited for', async () => {
  const { leftovers, pass } = await start()
  let isOver = false
  leftovers.clear([{ ...backend(1, 7), address: { host: 'gone', port: 1 } }], () => {
    isOver = true
  })
  await pass(0)
  await pass(200)
  await pass(200)
  expect(isOver).toBe(true)
})
