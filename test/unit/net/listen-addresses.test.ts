import { expect, onTestFinished, test } from 'vitest'
import type { Transport } from '../../../src/net/channel.ts'
import { listenAll, parseListenAddresses } from '../../../src/net/listen-addresses.ts'
import { createMemoryTransport } from '../../../src/net/memory-transport.ts'
import { createNodeTransport } from '../../../src/net/node-transport.ts'
import { dialed, NO_KEEP_ALIVE } from './rigs.ts'

const COMMON = { backlog: 128, keepAlive: NO_KEEP_ALIVE }

test.each([
  ['', []],
  [' , ', []],
  ['127.0.0.1', ['127.0.0.1']],
  [' 10.0.0.1 , ::1,pooler.internal', ['10.0.0.1', '::1', 'pooler.internal']],
  ['*', ['0.0.0.0', '::']],
  ['*, ::, 10.0.0.1, 10.0.0.1', ['0.0.0.0', '::', '10.0.0.1']],
])('listen_addr = %j means %j', (text, expected) => {
  expect(parseListenAddresses(text)).toEqual(expected)
})

test('all addresses share the port that the system chose for the first one', async () => {
  const listeners = await listenAll(
    createMemoryTransport(),
    { addresses: ['127.0.0.1', '10.0.0.1', '::1'], port: 0, ...COMMON },
    () => {},
  )
  const [first] = listeners
  expect(first?.address.port).toBeGreaterThan(0)
  expect(listeners.map(({ address }) => address)).toEqual(
    ['127.0.0.1', '10.0.0.1', '::1'].map((host) => ({ host, port: first?.address.port })),
  )
})

test('if one address cannot be listened on, none is', async () => {
  const transport = createMemoryTransport()
  await transport.listen({ host: '10.0.0.2', port: 6432, ...COMMON }, () => {})
  const addresses = ['10.0.0.1', '10.0.0.2', '10.0.0.3']
  await expect(listenAll(transport, { addresses, port: 6432, ...COMMON }, () => {})).rejects.toMatchObject({
    code: 'EADDRINUSE',
    message: expect.stringContaining('listen_port: cannot listen on 10.0.0.2:6432: '),
  })
  await expect(dialed(transport, { host: '10.0.0.1', port: 6432 })).rejects.toMatchObject({ code: 'ECONNREFUSED' })
})

test('on a host without IPv6, * listens on IPv4', async () => {
  const transport = withoutIpv6(createMemoryTransport())
  const listeners = await listenAll(transport, { addresses: parseListenAddresses('*'), port: 0, ...COMMON }, () => {})
  expect(listeners.map(({ address }) => address.host)).toEqual(['0.0.0.0'])
})

test('on a host without IPv6, an IPv6 address given explicitly is an error', async () => {
  const transport = withoutIpv6(createMemoryTransport())
  for (const addresses of [['::'], ['127.0.0.1', '::'], ['0.0.0.0', '::1']]) {
    await expect(listenAll(transport, { addresses, port: 0, ...COMMON }, () => {})).rejects.toMatchObject({
      code: 'EAFNOSUPPORT',
    })
  }
})

test('an address that is not of this host is a mistake in listen_addr', async () => {
  const listening = listenAll(createNodeTransport(), { addresses: ['192.0.2.1'], port: 0, ...COMMON }, () => {})
  await expect(listening).rejects.toMatchObject({
    code: 'EADDRNOTAVAIL',
    message: expect.stringContaining('listen_addr: cannot listen on 192.0.2.1'),
  })
})

test('a name stands for the addresses it resolves to', async () => {
  const transport = createNodeTransport()
  const listeners = await listenAll(
    transport,
    { addresses: ['localhost', '127.0.0.1'], port: 0, ...COMMON },
    (channel) => channel.destroy(),
  )
  onTestFinished(() => {
    for (const listener of listeners) listener.close()
  })
  expect(listeners.filter(({ address }) => address.host === '127.0.0.1')).toHaveLength(1)
})

test('an unknown name is an error, and no listener stays open', async () => {
  const transport = createMemoryTransport()
  const addresses = ['10.0.0.1', 'no such name']
  await expect(listenAll(transport, { addresses, port: 6432, ...COMMON }, () => {})).rejects.toThrow(
    'listen_addr: no such name cannot be looked up: ',
  )
  await expect(dialed(transport, { host: '10.0.0.1', port: 6432 })).rejects.toMatchObject({ code: 'ECONNREFUSED' })
})

function withoutIpv6(transport: Transport): Transport {
  return {
    ...transport,
    async listen(options, onAccepted) {
      if (options.host.includes(':')) throw Object.assign(new Error('listen EAFNOSUPPORT'), { code: 'EAFNOSUPPORT' })
      return transport.listen(options, onAccepted)
    },
  }
}
