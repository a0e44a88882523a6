/** TLS with OpenSSL called directly, on channels in memory: which peers are accepted, and what is known about them. */

import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import tls from 'node:tls'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { afterEvent } from '../../../src/base/after-event.ts'
import { type Channel, READ_BUFFER_BYTES } from '../../../src/net/channel.ts'
import { createEpollTransport } from '../../../src/net/epoll/epoll-transport.ts'
import { handshakes } from '../../../src/net/handshakes.ts'
import { type Cut, createPair } from '../../../src/net/memory-transport.ts'
import { createNodeTransport } from '../../../src/net/node-transport.ts'
import { cipherLists } from '../../../src/net/openssl/contexts.ts'
import { type OpenSsl, openSsl, SSL_ERROR_WANT_READ } from '../../../src/net/openssl/library.ts'
import { TlsChannel } from '../../../src/net/openssl/tls-channel.ts'
import { askedForTls, offeredTls } from '../../../src/net/secured.ts'
import { type ClientSide, createTlsContext, type ServerSide } from '../../../src/net/tls.ts'
import { duplexOf } from '../../support/duplex.ts'
import { certificate } from '../../support/e2e/certificates.ts'
import { dialed, LOOPBACK, Recorder, settle, until } from './rigs.ts'

const read = (name: string) => readFileSync(certificate(name))
const pairOf = (name: string) => ({ key: read(`${name}.key`), cert: read(`${name}.crt`) })
const CA = read('authority.crt')

function offer(name: string, options: object = {}, verifiesPeer = false): ServerSide {
  const pair = pairOf(name)
  const context = createTlsContext({ ...pair, ...options, ...(verifiesPeer ? { ca: CA } : {}) }, true)
  return { context, certificate: new X509Certificate(pair.cert).raw, verifiesPeer }
}

function wish(verifies: ClientSide['verifies'], options: object = {}): ClientSide {
  return { context: createTlsContext(options, false), verifies }
}

interface Meeting {
  readonly near: Channel
  readonly far: Channel
  readonly nearHeard: Recorder
  readonly farHeard: Recorder
}

/** Resolves when both sides have completed the handshake or failed. */
async function meet(
  server: ServerSide,
  client: ClientSide,
  host = 'localhost',
  cut: Cut = 'glued',
  isDirect = false,
): Promise<Meeting> {
  const [one, other] = createPair({ cut })
  onTestFinished(() => {
    one.destroy()
    other.destroy()
  })
  const near = offeredTls(one, server, { isDirect }) as Channel
  const far = askedForTls(other, client, host, { isDirect }) as Channel
  expect([near, far].every((channel) => channel instanceof TlsChannel)).toBe(true)
  const [nearHeard, farHeard] = [new Recorder(near), new Recorder(far)]
  const isOver = ({ closings }: Recorder, { tls }: Channel) => closings.length > 0 || tls !== ''
  await until(
    'both sides have completed the handshake or failed',
    () => isOver(nearHeard, near) && isOver(farHeard, far),
  )
  await settle()
  return { near, far, nearHeard, farHeard }
}

const problemsOf = ({ closings }: Recorder) => closings.map((problem) => problem?.message ?? 'goodbye')

describe('a server’s certificate is checked', () => {
  test.each<[verifies: ClientSide['verifies'], shown: string, host: string, ca: string | null, problem: string | null]>(
    [
      ['nothing', 'elsewhere', 'localhost', null, null],
      ['certificate', 'elsewhere', 'localhost', 'authority.crt', null],
      ['certificate', 'server', 'localhost', 'stranger.crt', 'unable to get local issuer certificate'],
      ['host', 'server', 'localhost', 'authority.crt', null],
      ['host', 'server', '127.0.0.1', 'authority.crt', null],
      ['host', 'elsewhere', 'localhost', 'authority.crt', 'does not match the host localhost'],
      ['host', 'elsewhere', '127.0.0.1', 'authority.crt', 'does not match the host 127.0.0.1'],
      ['host', 'server', '::1', 'authority.crt', 'does not match the host ::1'],
      ['host', 'server', 'localhost', 'stranger.crt', 'unable to get local issuer certificate'],
    ],
  )('by %s: certificate %s, host %s, authorities %s', async (verifies, shown, host, ca, problem) => {
    const client = wish(verifies, ca === null ? {} : { ca: read(ca) })
    const { far, farHeard } = await meet(offer(shown), client, host)
    if (problem === null) {
      expect(far.tls).toMatch(/^TLSv1\.3\/TLS_/)
      expect(far.serverCertificate).toEqual(new X509Certificate(read(`${shown}.crt`)).raw)
    } else expect(problemsOf(farHeard)).toEqual([expect.stringContaining(problem)])
  })
})

test('a host that cannot be in a certificate is left to Node', async () => {
  const [one, other] = createPair({})
  expect(askedForTls(other, wish('host', { ca: CA }), '12345', { isDirect: false })).toBe(null)
  expect(one.isOpen).toBe(true)
  one.destroy()
  other.destroy()
})

describe('a client', () => {
  test.each([
    ['client', 'ada', null],
    ['unknown', null, /unable to get|self.signed|unable to verify/],
    [null, null, /presented no certificate/],
  ])('with the certificate %s gets the name %s', async (shown, name, problem) => {
    const client = wish('nothing', shown === null ? {} : pairOf(shown))
    const { near, far, nearHeard } = await meet(offer('server', {}, true), client)
    expect(near.certificateName).toBe(name)
    if (problem === null) expect(near.serverCertificate).toEqual(far.serverCertificate)
    else expect(problemsOf(nearHeard)).toEqual([expect.stringMatching(problem)])
  })
})

test.each([
  [{ maxVersion: 'TLSv1.2' }, /^TLSv1\.2\/TLS_ECDHE_ECDSA_/],
  [{ minVersion: 'TLSv1.3' }, /^TLSv1\.3\//],
  [{ ciphers: 'TLS_CHACHA20_POLY1305_SHA256:DEFAULT' }, /^TLSv1\.3\/TLS_CHACHA20_POLY1305_SHA256$/],
  [{ ecdhCurve: 'P-384' }, /^TLSv1\.3\//],
])('a server with the options %j agrees on %s', async (options, expected) => {
  const { near, far } = await meet(offer('server', options), wish('nothing'))
  expect([near.tls, far.tls]).toEqual([expect.stringMatching(expected), near.tls])
})

test('without a common version the handshake fails on both sides', async () => {
  const { nearHeard, farHeard } = await meet(
    offer('server', { minVersion: 'TLSv1.3' }),
    wish('nothing', { maxVersion: 'TLSv1.2' }),
  )
  expect(problemsOf(nearHeard)).toEqual(['unsupported protocol'])
  expect(problemsOf(farHeard)).toEqual([expect.stringContaining('alert protocol version')])
})

test('bytes written before the handshake are sent after it, and onDrained is called only then', async () => {
  const [one, other] = createPair({ cut: { seed: 3, most: 40 } })
  const near = offeredTls(one, offer('server'), { isDirect: false }) as Channel
  const far = askedForTls(other, wish('nothing'), 'localhost', { isDirect: false }) as Channel
  const [nearHeard, farHeard] = [new Recorder(near), new Recorder(far)]
  for (const text of ['one', ' and', ' more']) far.write(Buffer.from(text), 0, text.length)
  expect(far.owedBytes).toBeGreaterThan(0)
  expect(farHeard.drains).toBe(0)
  await until('the bytes have arrived', () => nearHeard.received.length === 12)
  expect(nearHeard.received.all().toString()).toBe('one and more')
  expect([farHeard.drains, far.owedBytes]).toEqual([1, 0])
  far.destroy()
  near.destroy()
  await until('both have received it', () => nearHeard.closings.length + farHeard.closings.length === 2)
})

test.each(['client', 'server'])(
  'tampered bytes on the way to the %s end the connection and are not handed over',
  async (side) => {
    const [one, other] = createPair({})
    const near = offeredTls(one, offer('server'), { isDirect: false }) as Channel
    const far = askedForTls(other, wish('nothing'), 'localhost', { isDirect: false }) as Channel
    const [nearHeard, farHeard] = [new Recorder(near), new Recorder(far)]
    await until('the handshake is complete', () => near.tls !== '' && far.tls !== '')
    const [from, carrier, heard] =
      side === 'server' ? ([far, other, nearHeard] as const) : ([near, one, farHeard] as const)
    from.write(Buffer.from('good'), 0, 4)
    const forged = Buffer.from('1703030020'.padEnd(74, '7'), 'hex')
    carrier.write(forged, 0, forged.length)
    await until('the channel is closed', () => nearHeard.closings.length > 0 && farHeard.closings.length > 0)
    expect(heard.received.all().toString()).toBe('good')
    expect(problemsOf(heard)).toEqual([expect.stringMatching(/bad record mac|decryption failed/)])
    near.destroy()
    far.destroy()
  },
)

test('connections do not see each other’s leftover bytes', async () => {
  const server = offer('server')
  const meetings = await Promise.all(
    Array.from({ length: 8 }, () => meet(server, wish('nothing'), 'localhost', { seed: 9, most: 30 })),
  )
  const textOf = (n: number) => `${n}`.repeat(500)
  for (const [n, { near, far }] of meetings.entries()) {
    far.write(Buffer.from(textOf(n)), 0, 500)
    if (n % 3 === 0) near.destroy()
  }
  await until('all bytes have arrived', () =>
    meetings.every(({ nearHeard }, n) => n % 3 === 0 || nearHeard.received.length === 500),
  )
  for (const [n, { near, far, nearHeard }] of meetings.entries()) {
    if (n % 3 !== 0) expect(nearHeard.received.all().toString()).toBe(textOf(n))
    near.destroy()
    far.destroy()
  }
})

test('afterEvent followers of one part of a read run before the next part is handed over', async () => {
  const { near, far } = await meet(offer('server'), wish('nothing'))
  const told: string[] = []
  let bytes = 0
  const follower = { onEventOver: (part: string) => told.push(`followed ${part}`) }
  near.listener = {
    onRead(_buffer, start, end) {
      bytes += end - start
      told.push(`${bytes}`)
      afterEvent(follower, `${bytes}`)
    },
    onDrained() {},
    onClosed() {},
  }
  const message = Buffer.alloc(4 * READ_BUFFER_BYTES)
  far.write(message, 0, message.length)
  await until('all bytes have arrived', () => bytes === message.length)
  await settle()
  const parts = told.filter((each) => !each.startsWith('followed'))
  expect(parts.length).toBeGreaterThan(1)
  expect(told).toEqual(parts.flatMap((part) => [part, `followed ${part}`]))
})

test('with direct TLS both sides agree on the ALPN protocol of PostgreSQL', async () => {
  const { near, far, nearHeard, farHeard } = await meet(offer('server'), wish('nothing'), 'localhost', 'glued', true)
  expect([near.tls, far.tls]).toEqual([expect.stringMatching(/^TLS/), near.tls])
  expect([nearHeard, farHeard].flatMap(problemsOf)).toEqual([])
})

describe('a failure of one connection does not affect others:', () => {
  async function goesOn(): Promise<void> {
    const { near, far, nearHeard, farHeard } = await meet(offer('server'), wish('nothing'))
    far.write(Buffer.from('undisturbed'), 0, 11)
    await until('the bytes have arrived', () => nearHeard.received.length === 11)
    expect([nearHeard, farHeard].flatMap(problemsOf)).toEqual([])
    near.destroy()
    far.destroy()
  }

  test.each(['TLSv1.2', 'TLSv1.3'] as const)('a certificate that Node cannot read, with %s', async (maxVersion) => {
    const failedBefore = handshakes.clientHandshakesFailed
    const spy = vi.spyOn(openSsl() as OpenSsl, 'peerCertificate').mockReturnValue(Buffer.from('strange'))
    onTestFinished(() => spy.mockRestore())
    const { near, nearHeard } = await meet(offer('server', { maxVersion }, true), wish('nothing', pairOf('client')))
    expect(problemsOf(nearHeard)).toHaveLength(1)
    expect(nearHeard.closings[0]).toBeInstanceOf(Error)
    expect(near.isOpen).toBe(false)
    expect(handshakes.clientHandshakesFailed).toBe(failedBefore + 1)
    spy.mockRestore()
    await goesOn()
  })

  test('bytes that OpenSSL does not take', async () => {
    const { near, far, nearHeard } = await meet(offer('server'), wish('nothing'))
    const library = openSsl() as OpenSsl
    const spies = [
      vi.spyOn(library, 'open').mockReturnValueOnce(-1),
      vi.spyOn(library, 'errorOf').mockReturnValueOnce(SSL_ERROR_WANT_READ),
    ]
    onTestFinished(() => {
      for (const spy of spies) spy.mockRestore()
    })
    far.write(Buffer.from('unheard'), 0, 7)
    await until('the channel is closed', () => !near.isOpen && nearHeard.closings.length > 0)
    expect(problemsOf(nearHeard)).toEqual(['OpenSSL has not taken all that has come'])
    expect(library.hasFed).toBe(false)
    await goesOn()
  })

  test('an exception while bytes are taken', async () => {
    const { near, far, nearHeard } = await meet(offer('server'), wish('nothing'))
    const library = openSsl() as OpenSsl
    const spy = vi.spyOn(library, 'open').mockImplementationOnce(() => {
      throw new Error('a mistake')
    })
    onTestFinished(() => spy.mockRestore())
    far.write(Buffer.from('unheard'), 0, 7)
    await until('the channel is closed', () => !near.isOpen && nearHeard.closings.length > 0)
    expect(problemsOf(nearHeard)).toEqual(['a mistake'])
    expect(library.hasFed).toBe(false)
    await goesOn()
  })
})

test('what OpenSSL answers by itself goes to the right connection only', async () => {
  const before = await meet(offer('server'), wish('nothing'))
  const [one, other] = createPair({})
  const near = offeredTls(one, offer('server'), { isDirect: false }) as Channel
  const nearHeard = new Recorder(near)
  const socket = tls.connect({ socket: duplexOf(other), rejectUnauthorized: false, maxVersion: 'TLSv1.2' })
  await once(socket, 'secureConnect')
  // The renegotiation is refused with an alert.
  const answered = once(socket, 'error')
  socket.renegotiate({}, () => {})
  await answered
  for (const { near: to, far: from, nearHeard: heard } of [before, await meet(offer('server'), wish('nothing'))]) {
    for (const channel of [to, from]) channel.write(Buffer.from('undisturbed'), 0, 11)
    await until('the bytes have arrived', () => heard.received.length === 11)
    expect(problemsOf(heard)).toEqual([])
    to.destroy()
    from.destroy()
  }
  near.destroy()
  await until('the channel is closed', () => nearHeard.closings.length > 0)
})

describe('a peer that keeps requesting key updates and does not read the answers is disconnected', () => {
  test('by OpenSSL called directly', async () => {
    const connections = vi.spyOn(openSsl() as OpenSsl, 'connect')
    const { near, far, nearHeard } = await meet(offer('server'), wish('nothing'))
    const connection = connections.mock.results.at(-1)?.value
    connections.mockRestore()
    await changeKeys(connection, far, near, 3_000)
    expect([near.isOpen, near.owedBytes]).toEqual([true, 0])
    far.pause()
    await changeKeys(connection, far, near, 10_000)
    expect(problemsOf(nearHeard)).toEqual([IS_DEAF])
  })

  test('by Node', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'pgweir-tls-'))
    onTestFinished(() => rmSync(folder, { recursive: true }))
    // The kernel buffers less for a unix socket than for others.
    const where = { ...LOOPBACK, host: join(folder, '.s.PGSQL.1'), port: 1 }
    const accepted: Channel[] = []
    const listener = await createNodeTransport().listen(where, (channel) =>
      accepted.push(offeredTls(channel, offer('server'), { isDirect: false }) as Channel),
    )
    onTestFinished(() => listener.close())
    const connections = vi.spyOn(openSsl() as OpenSsl, 'connect')
    const carrier = await dialed(createEpollTransport(), where)
    const far = askedForTls(carrier, wish('nothing'), 'localhost', { isDirect: false }) as Channel
    const connection = connections.mock.results.at(-1)?.value
    connections.mockRestore()
    far.listener = new Recorder(far)
    onTestFinished(() => far.destroy())
    await until('the handshake is complete', () => far.tls !== '' && accepted[0]?.tls !== '')
    const [near] = accepted as [Channel]
    const nearHeard = new Recorder(near)
    onTestFinished(() => near.destroy())
    await changeKeys(connection, far, near, 3_000)
    await until('all bytes have arrived', () => nearHeard.received.length === 3_000)
    expect(near.isOpen).toBe(true)
    far.pause()
    await changeKeys(connection, far, near, 40_000)
    await until('the channel is closed', () => nearHeard.closings.length > 0)
    expect(problemsOf(nearHeard)).toEqual([IS_DEAF])
  })

  /** Lets the far end request key updates, each with a byte of data, without which OpenSSL would refuse so many. */
  async function changeKeys(connection: number, far: Channel, near: Channel, times: number): Promise<void> {
    const update = createRequire(import.meta.url)('koffi')
      .load(null)
      .func('SSL_key_update', 'int', ['uint64', 'int'])
    for (let time = 1; time <= times && near.isOpen && far.isOpen; time++) {
      expect(update(connection, UPDATE_REQUESTED)).toBe(1)
      far.write(Buffer.from('x'), 0, 1)
      if (time % 100 === 0) await settle()
    }
    await settle()
  }
})

const IS_DEAF = 'the peer makes TLS send answers but does not read them'
const UPDATE_REQUESTED = 1

test('TLS 1.3 ciphers are separated from others, and some are always present', () => {
  expect(cipherLists('TLS_AES_128_GCM_SHA256:HIGH:!aNULL')).toEqual({
    ...{ ciphers: 'HIGH:!aNULL', ciphers13: 'TLS_AES_128_GCM_SHA256' },
  })
  expect(cipherLists('HIGH').ciphers13).toContain('TLS_AES_256_GCM_SHA384')
})
