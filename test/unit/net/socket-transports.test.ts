/** What only the system’s sockets can show; each test runs on every transport that uses them. */

import dns from 'node:dns'
import { mkdtemp, rm } from 'node:fs/promises'
import net from 'node:net'
import { networkInterfaces, tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import type { Address, Channel } from '../../../src/net/channel.ts'
import { createEpollTransport } from '../../../src/net/epoll/epoll-transport.ts'
import { isInUse } from '../../../src/net/in-use.ts'
import { createNodeTransport } from '../../../src/net/node-transport.ts'
import { dialed, LOOPBACK, NO_KEEP_ALIVE, pattern, Recorder, SocketPeer, until } from './rigs.ts'

const SOCKETS = 200

const hasIpv6 = Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => address === '::1'))

describe.each([createNodeTransport(), createEpollTransport()])('$name', (transport) => {
  test('200 sockets that share one read buffer each get their own bytes back', async () => {
    const address = await startEcho()
    const rounds = 20
    const clients = await Promise.all(
      Array.from({ length: SOCKETS }, async (_, index) => {
        const channel = await dial(address)
        return { channel, heard: new Recorder(channel), sent: pattern(rounds * 1_000, index) }
      }),
    )
    for (let round = 0; round < rounds; round++) {
      for (const { channel, sent } of clients) channel.write(sent, round * 1_000, (round + 1) * 1_000)
      await until('all bytes are back', () =>
        clients.every(({ heard }) => heard.received.length === (round + 1) * 1_000),
      )
    }
    for (const { heard, sent } of clients) expect(heard.received.all().equals(sent)).toBe(true)
  })

  test('spans relayed to readers of every speed arrive intact', async () => {
    const address = await startEcho({ slowsDown: true })
    const length = 3 * 1024 * 1024
    const peers = Array.from({ length: 16 }, (_, index) => {
      const peer = new SocketPeer(net.connect({ ...address, allowHalfOpen: true }))
      peer.stopReading()
      peer.send(pattern(length, index))
      return peer
    })
    // The readers take turns, so that the echo owes bytes to most of them most of the time.
    let turn = 0
    await until('all bytes are back', () => {
      for (const [index, peer] of peers.entries()) {
        if ((turn + index) % 4 === 0) peer.startReading()
        else peer.stopReading()
      }
      turn++
      return peers.every((peer) => peer.received.length === length)
    })
    for (const [index, peer] of peers.entries()) {
      expect(peer.received.all().equals(pattern(length, index)), `peer ${index}`).toBe(true)
    }
  })

  test('closing a listener leaves its accepted channels open', async () => {
    const accepted: Channel[] = []
    const listener = await transport.listen(LOOPBACK, (channel) => {
      channel.listener = new Recorder(channel)
      accepted.push(channel)
    })
    const peer = new SocketPeer(net.connect({ ...listener.address, allowHalfOpen: true }))
    await until('it is accepted', () => accepted.length === 1)
    const [channel] = accepted as [Channel]
    onTestFinished(() => channel.destroy())
    listener.close()
    channel.write(Buffer.from('still here'), 0, 10)
    await until('the bytes have arrived', () => peer.received.length === 10)
    await expect(dial(listener.address)).rejects.toMatchObject({ code: 'ECONNREFUSED' })
  })

  test('listening on a port in use fails with the system’s error', async () => {
    const listener = await listen()
    await expect(transport.listen({ ...LOOPBACK, port: listener.address.port }, () => {})).rejects.toMatchObject({
      code: 'EADDRINUSE',
    })
  })

  test.runIf(hasIpv6)('IPv4 and IPv6 can listen on one port', async () => {
    const first = await listen({ ...LOOPBACK, host: '0.0.0.0' })
    const second = await listen({ ...LOOPBACK, host: '::', port: first.address.port })
    expect(second.address.port).toBe(first.address.port)
    const channel = await dial({ host: '::1', port: second.address.port })
    expect(channel.peer).toEqual({ host: '::1', port: second.address.port })
  })

  test('a dialed channel has the address it reached, not the name it was given', async () => {
    const listener = await listen()
    const channel = await dial({ host: 'localhost', port: listener.address.port })
    expect(channel.peer).toEqual({ host: '127.0.0.1', port: listener.address.port })
  })

  test('a unix socket is listened on and dialed by its path', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'pgweir-'))
    onTestFinished(() => rm(folder, { recursive: true }))
    const host = join(folder, '.s.PGSQL.5432')
    const accepted: Channel[] = []
    const listener = await transport.listen({ ...LOOPBACK, host, port: 5432 }, (channel) => accepted.push(channel))
    onTestFinished(() => listener.close())
    const channel = await dial({ host, port: 5432 })
    await until('it is accepted', () => accepted.length === 1)
    const heard = new Recorder(accepted[0] as Channel)
    channel.write(Buffer.from('hello'), 0, 5)
    await until('the bytes have arrived', () => heard.received.length === 5)
    expect(channel.peer).toEqual({ host, port: 5432 })
    const { pid } = process
    const [uid, gid] = [process.getuid?.(), process.getgid?.()]
    expect(accepted[0]?.peer, 'the peer must be this process').toEqual({ host, port: 5432, process: { pid, uid, gid } })
    accepted[0]?.destroy()
  })

  test.each([createNodeTransport(), createEpollTransport()])(
    'an abstract socket name has its exact length, so that $name finds it',
    async (other) => {
      const host = `@pgweir-${process.pid}/.s.PGSQL.5432`
      const accepted: Channel[] = []
      const listener = await transport.listen({ ...LOOPBACK, host, port: 5432 }, (channel) => accepted.push(channel))
      onTestFinished(() => listener.close())
      const channel = await dialed(other, { host, port: 5432 })
      onTestFinished(() => channel.destroy())
      await until('it is accepted', () => accepted.length === 1)
      onTestFinished(() => accepted[0]?.destroy())
      const [near, far] = [new Recorder(channel), new Recorder(accepted[0] as Channel)]
      channel.write(Buffer.from('hello'), 0, 5)
      await until('the bytes have arrived', () => far.received.length === 5)
      accepted[0]?.write(Buffer.from('world'), 0, 5)
      await until('the bytes are back', () => near.received.length === 5)
      expect(await isInUse({ host, port: 5432 })).toBe(true)
      expect(await isInUse({ host: `${host}0`, port: 5432 })).toBe(false)
    },
  )

  test('a path that is too long is refused, not truncated', async () => {
    const host = join(tmpdir(), 'x'.repeat(100), '.s.PGSQL.5432')
    const reason = { code: 'ENAMETOOLONG', message: expect.stringContaining('too long for a unix socket') }
    await expect(transport.listen({ ...LOOPBACK, host, port: 5432 }, () => {})).rejects.toMatchObject(reason)
    await expect(dialed(transport, { host, port: 5432 })).rejects.toMatchObject(reason)
  })

  test('a refused dial fails with the system’s error, one for each address of a name', async () => {
    const listener = await listen()
    listener.close()
    const { port } = listener.address
    const refused = `connect ECONNREFUSED 127.0.0.1:${port}`
    await expect(dial({ host: '127.0.0.1', port })).rejects.toMatchObject({ code: 'ECONNREFUSED', message: refused })
    resolveNamesTo('127.0.0.1', '127.0.0.2')
    await expect(dial({ host: 'postgres', port })).rejects.toMatchObject({
      code: 'ECONNREFUSED',
      message: `${refused}, connect ECONNREFUSED 127.0.0.2:${port}`,
    })
  })

  test('a dial tries the next address of a name if one does not answer', async () => {
    const address = await startEcho()
    resolveNamesTo('::1', '127.0.0.1')
    const channel = await dial({ host: 'postgres', port: address.port })
    expect(channel.peer).toEqual(address)
    const heard = new Recorder(channel)
    channel.write(Buffer.from('hello'), 0, 5)
    await until('the bytes are back', () => heard.received.length === 5)
  })

  test('connections that are reset at once do no harm', async () => {
    const heard: Recorder[] = []
    const listener = await transport.listen(LOOPBACK, (channel) => {
      onTestFinished(() => channel.destroy())
      heard.push(new Recorder(channel))
    })
    onTestFinished(() => listener.close())
    let gone = 0
    for (let count = 0; count < 100; count++) {
      const socket = net.connect(listener.address)
      socket.on('connect', () => socket.resetAndDestroy())
      socket.on('close', () => gone++)
    }
    await until('all are gone', () => gone === 100)
    const channel = await dial(listener.address)
    await until('it is accepted', () => heard.some(({ closings }) => closings.length === 0))
    channel.destroy()
    await until('all are closed', () => heard.every(({ closings }) => closings.length === 1))
  })

  test('an abandoned dial reports nothing', async () => {
    const told: string[] = []
    let isAccepted = false
    const listener = await transport.listen(LOOPBACK, (channel) => {
      isAccepted = true
      channel.destroy()
    })
    onTestFinished(() => listener.close())
    const watcher = { onConnected: () => told.push('connected'), onFailed: () => told.push('failed') }
    transport.dial({ address: listener.address, keepAlive: NO_KEEP_ALIVE }, watcher).abandon()
    await dial(listener.address)
    await until('another connection is accepted', () => isAccepted)
    expect(told).toEqual([])
  })

  test('abandoning a dial that has already connected does no harm', async () => {
    const listener = await listen()
    let channel: Channel | null = null
    const watcher = { onConnected: (connected: Channel) => (channel = connected), onFailed: () => {} }
    const attempt = transport.dial({ address: listener.address, keepAlive: NO_KEEP_ALIVE }, watcher)
    await until('it is connected', () => channel !== null)
    attempt.abandon()
    expect(channel).toMatchObject({ isOpen: true })
    ;(channel as Channel | null)?.destroy()
  })

  async function startEcho({ slowsDown = false } = {}): Promise<Address> {
    const listener = await transport.listen({ ...LOOPBACK, backlog: 512 }, (channel) => {
      onTestFinished(() => channel.destroy())
      channel.listener = {
        onRead(buffer, start, end) {
          channel.write(buffer, start, end)
          if (slowsDown && channel.owedBytes > 0) channel.pause()
        },
        onDrained: () => channel.resume(),
        onClosed() {},
      }
    })
    onTestFinished(() => listener.close())
    return listener.address
  }

  /** A listener whose channels are not used. */
  async function listen(options = LOOPBACK) {
    const listener = await transport.listen(options, (channel) => {
      onTestFinished(() => channel.destroy())
    })
    onTestFinished(() => listener.close())
    return listener
  }

  async function dial(address: Address): Promise<Channel> {
    const channel = await dialed(transport, address)
    onTestFinished(() => channel.destroy())
    return channel
  }
})

function resolveNamesTo(...addresses: string[]): void {
  const found = addresses.map((address) => ({ address, family: net.isIP(address) }))
  const lookup = vi.spyOn(dns, 'lookup').mockImplementation(((
    _name: string,
    _options: object,
    tell: (...found: unknown[]) => void,
  ) => {
    queueMicrotask(() => tell(null, found))
  }) as typeof dns.lookup)
  onTestFinished(() => lookup.mockRestore())
}
