/** How TLS begins, from its first byte on: directly, or after SSLRequest; and however its bytes are cut into chunks. */

import { once } from 'node:events'
import tls from 'node:tls'
import { describe, expect, test } from 'vitest'
import type { Channel } from '../../src/net/channel.ts'
import type { Cut, MemoryChannel } from '../../src/net/memory-transport.ts'
import { askedForTls } from '../../src/net/secured.ts'
import { createTlsContext } from '../../src/net/tls.ts'
import { duplexOf } from '../support/duplex.ts'
import { OFFERS_TLS } from '../support/e2e/certificates.ts'
import { FlowClient } from '../support/flow/client.ts'
import { quiet, until } from '../support/flow/inbox.ts'
import { ready, rows } from '../support/flow/replies.ts'
import { query, sslRequest } from '../support/flow/requests.ts'
import { type Flow, startFlow } from '../support/flow/start.ts'

const WISH = { context: createTlsContext({}, false), verifies: 'nothing' } as const

/** Returns a client that goes on with TLS on the connection of another one, which may have asked for it. */
async function secured(flow: Flow, before: FlowClient, isDirect: boolean): Promise<FlowClient> {
  const channel = askedForTls(before.channel, WISH, 'localhost', { isDirect })
  const client = new FlowClient(channel as Channel as MemoryChannel)
  flow.clients.push(client)
  return client
}

async function expectServed(flow: Flow, client: FlowClient) {
  await client.login()
  client.send(query('who is there'))
  const postgres = await flow.postgres.next()
  await postgres.expect('Query')
  postgres.send(rows('you'), ready())
  expect(await client.answer()).toContain('DataRow(you)')
}

const CUTS: readonly Cut[] = ['glued', 1, 5, { seed: 11, most: 90 }]

describe.each(CUTS)('TLS, with reads of %j:', (cut) => {
  test('a client that starts TLS directly is served', async () => {
    const flow = await startFlow({ settings: { ...OFFERS_TLS, client_tls_sslmode: 'require' }, cut })
    await expectServed(flow, await secured(flow, await flow.dial(), true))
  })

  test('a client that asks for TLS is served', async () => {
    const flow = await startFlow({ settings: { ...OFFERS_TLS, client_tls_sslmode: 'require' }, cut })
    const asking = await flow.dial()
    expect(await asking.ask(sslRequest)).toBe('S')
    await expectServed(flow, await secured(flow, asking, false))
  })
})

/** Returns the first TLS message of a client, as it is sent. */
async function clientHello(flow: Flow): Promise<Buffer> {
  const client = await flow.dial()
  const sent: Buffer[] = []
  const { channel } = client
  const write = channel.write.bind(channel)
  channel.write = (buffer, start, end) => {
    sent.push(Buffer.from(buffer.subarray(start, end)))
    return write(buffer, start, end)
  }
  askedForTls(channel, WISH, 'localhost', { isDirect: true })?.destroy()
  return Buffer.concat(sent)
}

test('the first TLS message may be cut anywhere, and is answered once it is complete', async () => {
  const flow = await startFlow({ settings: OFFERS_TLS })
  const hello = await clientHello(flow)
  expect(hello[0]).toBe(0x16)
  for (let cut = 1; cut < hello.length; cut++) {
    const client = await flow.dial()
    client.isDeaf = true
    client.send(hello.subarray(0, cut))
    await quiet(1)
    expect(client.receivedBytes, `cut at ${cut}`).toBe(0)
    client.send(hello.subarray(cut))
    await until(
      () => client.receivedBytes > 0,
      () => `nobody answers a message that was cut at ${cut}`,
    )
    client.vanish()
  }
})

describe('TLS is refused', () => {
  test('if anything, even TLS, follows SSLRequest in the same chunk', async () => {
    const flow = await startFlow({ settings: OFFERS_TLS })
    const hello = await clientHello(flow)
    const client = await flow.dial()
    client.send(sslRequest, hello)
    await client.expect('ErrorResponse(FATAL 08P01 received unencrypted data after SSL request)')
    await client.expectClosed()
  })

  test('if anything but TLS follows the first message in the same chunk', async () => {
    const flow = await startFlow({ settings: OFFERS_TLS })
    const client = await flow.dial()
    client.isDeaf = true
    client.send(await clientHello(flow), Buffer.from('select 1'))
    await client.expectClosed()
  })

  test('in place of a startup packet, once an SSLRequest has been answered with N', async () => {
    const flow = await startFlow({ settings: { ...OFFERS_TLS, client_tls_sslmode: 'disable' } })
    const client = await flow.dial()
    expect(await client.ask(sslRequest)).toBe('N')
    client.send(Buffer.from('1603010200010001fc0303', 'hex'))
    expect((await client.expect('ErrorResponse')).shown).toContain('this looks like a TLS handshake')
    await client.expectClosed()
  })

  test('if a client that has started TLS directly asks for it again', async () => {
    const flow = await startFlow({ settings: OFFERS_TLS })
    const client = await secured(flow, await flow.dial(), true)
    client.send(sslRequest)
    await client.expect('ErrorResponse(FATAL 08P01 the client asked for encryption again after it was answered)')
    await client.expectClosed()
  })

  test.each([
    [['http/1.1'], 'no application protocol'],
    [['postgres', 'postgresq', 'postgresqlx'], 'no application protocol'],
    [[], 'did not agree on the protocol postgresql'],
  ])('if a client that starts TLS directly offers the application protocols %j', async (ALPNProtocols, told) => {
    const flow = await startFlow({ settings: OFFERS_TLS })
    const { channel } = await flow.dial()
    const socket = tls.connect({ socket: duplexOf(channel), rejectUnauthorized: false, ALPNProtocols })
    socket.on('error', () => {}).resume()
    await until(
      () => flow.logged(told).length > 0,
      () => `it was not told: ${flow.log.join('\n')}`,
    )
    await until(
      () => !channel.isOpen,
      () => 'it is not closed',
    )
  })

  test.each([[['postgresql']], [['h2', 'postgresql']], [[]]])(
    'not if a client that has sent SSLRequest offers the application protocols %j',
    async (ALPNProtocols) => {
      const flow = await startFlow({ settings: OFFERS_TLS })
      const asking = await flow.dial()
      expect(await asking.ask(sslRequest)).toBe('S')
      const socket = tls.connect({ socket: duplexOf(asking.channel), rejectUnauthorized: false, ALPNProtocols })
      await once(socket, 'secureConnect')
      expect(socket.alpnProtocol).toBe(ALPNProtocols.length > 0 ? 'postgresql' : false)
      socket.destroy()
    },
  )
})

test.each([
  [1, 1],
  [2, 2],
  [0, 6],
])(
  'with client_tls_handshakes_at_once = %i, of six handshakes that arrive together at most %i are answered per turn of the event loop',
  async (limit, most) => {
    const flow = await startFlow({ settings: { ...OFFERS_TLS, client_tls_handshakes_at_once: limit } })
    const hello = await clientHello(flow)
    await quiet()
    const clients = await Promise.all(Array.from({ length: 6 }, () => flow.dial()))
    for (const client of clients) {
      client.isDeaf = true
      client.send(hello)
    }
    const answered = () => clients.filter(({ receivedBytes }) => receivedBytes > 0).length
    const steps: number[] = []
    for (let before = 0; before < clients.length; before = answered()) {
      await quiet(1)
      if (answered() > before) steps.push(answered() - before)
    }
    expect(Math.max(...steps)).toBe(most)
    for (const client of clients) client.vanish()
  },
)

test('clients that ask for TLS and do not start it are disconnected after client_login_timeout, and keep no other client waiting', async () => {
  const flow = await startFlow({ settings: { ...OFFERS_TLS, client_login_timeout: 5 } })
  const idle = await Promise.all(Array.from({ length: 20 }, () => flow.dial()))
  for (const client of idle) expect(await client.ask(sslRequest)).toBe('S')
  await expectServed(flow, await secured(flow, await flow.dial(), true))
  await flow.advance(6_000)
  for (const client of idle) {
    await client.expect('ErrorResponse(FATAL 08006 client_login_timeout)')
    await client.expectClosed()
  }
})
