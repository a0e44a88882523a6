/** What the relay can rely on with every transport; each test runs on all transports. */

import { describe, expect, onTestFinished, test, vi } from 'vitest'
import type { Channel } from '../../../src/net/channel.ts'
import { LINGER_MS } from '../../../src/net/channel.ts'
import { pattern, Recorder, RIGS, type Rig, settle, until } from './rigs.ts'

describe.each(RIGS)('a channel ($name)', (rig) => {
  test('hands over the bytes of its peer in order', async () => {
    const { heard, peer } = await open(rig)
    const sent = pattern(300_000)
    for (let at = 0; at < sent.length; at += 7_777) peer.send(sent.subarray(at, at + 7_777))
    await until('all bytes have arrived', () => heard.received.length >= sent.length)
    expect(heard.received.all().equals(sent)).toBe(true)
  })

  test('delivers everything written in order, whatever the lengths', async () => {
    const { channel, peer } = await open(rig)
    const sent = pattern(600_000)
    const lengths = [1, 100, 8_192, 65_536, 65_537, 3, 200_000, 0, 5]
    for (let at = 0, turn = 0; at < sent.length; turn++) {
      const end = Math.min(sent.length, at + (lengths[turn % lengths.length] as number))
      channel.write(sent, at, end)
      at = end
    }
    await until('all bytes have arrived', () => peer.received.length >= sent.length)
    expect(peer.received.all().equals(sent)).toBe(true)
  })

  test('keeps a copy of what the kernel did not take and counts it in owedBytes', async () => {
    const { channel, peer } = await open(rig)
    peer.stopReading()
    const sent = pattern(rig.floodBytes)
    const written = Buffer.from(sent)
    const taken = channel.write(written, 0, written.length)
    expect(taken).toBeLessThan(sent.length)
    if (!rig.isSealed) expect(taken + channel.owedBytes).toBe(sent.length)
    else expect(taken + channel.owedBytes).toBeGreaterThanOrEqual(sent.length)
    written.fill(0)
    peer.startReading()
    await until('all bytes have arrived', () => peer.received.length >= sent.length)
    expect(peer.received.all().equals(sent)).toBe(true)
  })

  test('queues small writes behind the bytes it owes', async () => {
    const { channel, peer } = await open(rig)
    peer.stopReading()
    const sent = pattern(rig.floodBytes)
    const small = Buffer.alloc(16)
    const floodEnd = sent.length - 16_000
    channel.write(sent, 0, floodEnd)
    for (let at = floodEnd; at < sent.length; at += small.length) {
      sent.copy(small, 0, at, at + small.length)
      expect(channel.write(small, 0, small.length)).toBe(0)
    }
    peer.startReading()
    await until('all bytes have arrived', () => peer.received.length >= sent.length)
    expect(peer.received.all().equals(sent)).toBe(true)
  })

  test('reports once that it has drained, and not earlier', async () => {
    const { channel, heard, peer } = await open(rig)
    peer.stopReading()
    const flood = pattern(rig.floodBytes)
    channel.write(flood, 0, flood.length)
    channel.write(flood, 0, 1)
    await settle()
    expect(heard.drains).toBe(0)
    peer.startReading()
    await until('it has drained', () => heard.drains > 0)
    expect(channel.owedBytes).toBe(0)
    await until('all bytes have arrived', () => peer.received.length >= flood.length + 1)
    await settle()
    expect(heard.drains).toBe(1)
  })

  test('reports each time that it has drained', async () => {
    const { channel, heard, peer } = await open(rig)
    const flood = pattern(rig.floodBytes)
    for (let turn = 1; turn <= 2; turn++) {
      peer.stopReading()
      channel.write(flood, 0, flood.length)
      expect(channel.owedBytes).toBeGreaterThan(0)
      peer.startReading()
      await until('it has drained', () => heard.drains === turn)
    }
  })

  test('reads nothing while it is paused, which slows down its peer', async () => {
    const { channel, heard, peer } = await open(rig)
    channel.pause()
    const sent = pattern(rig.floodBytes)
    peer.send(sent)
    await settle()
    expect(heard.received.length).toBe(0)
    expect(peer.unsentBytes).toBeGreaterThan(0)
    channel.resume()
    await until('all bytes have arrived', () => heard.received.length >= sent.length)
    expect(heard.received.all().equals(sent)).toBe(true)
  })

  test('can be paused while it hands over bytes', async () => {
    const { channel, heard, peer } = await open(rig)
    heard.onSpan = () => channel.pause()
    const sent = pattern(1024 * 1024)
    peer.send(sent)
    for (let at = 0; at < sent.length; ) {
      await until('a span has arrived', () => heard.received.length > at)
      at = heard.received.length
      await settle()
      expect(heard.received.length).toBe(at)
      channel.resume()
    }
    expect(heard.received.all().equals(sent)).toBe(true)
  })

  test('hands over nothing synchronously when another channel’s callback resumes it', async () => {
    const { channel, heard, peer } = await open(rig)
    const other = await open(rig)
    channel.pause()
    peer.send(pattern(64))
    await settle()
    other.heard.onSpan = () => {
      channel.resume()
      expect(heard.received.length).toBe(0)
    }
    other.peer.send(pattern(64))
    await until('both have received it', () => heard.received.length === 64 && other.heard.received.length === 64)
  })

  test('can write the span it reads to another channel while the span is valid', async () => {
    const { heard, peer } = await open(rig)
    const other = await open(rig)
    heard.onSpan = (buffer, start, end) => other.channel.write(buffer, start, end)
    const sent = pattern(1024 * 1024)
    peer.send(sent)
    await until('all bytes have arrived', () => other.peer.received.length >= sent.length)
    expect(other.peer.received.all().equals(sent)).toBe(true)
  })

  test('hands bytes to a new listener from the next read on', async () => {
    const { channel, heard, peer } = await open(rig)
    peer.send(Buffer.from('before'))
    await until('the first read has arrived', () => heard.received.length === 6)
    const successor = new Recorder(channel)
    peer.send(Buffer.from('after'))
    await until('the second read has arrived', () => successor.received.length === 5)
    expect(heard.received.all().toString()).toBe('before')
    expect(successor.received.all().toString()).toBe('after')
  })

  test('delivers everything it owes before it closes', async () => {
    const { channel, heard, peer } = await open(rig)
    stopTimers()
    peer.stopReading()
    const sent = pattern(rig.floodBytes)
    channel.write(sent, 0, sent.length)
    heard.silenced(() => channel.close())
    expect(channel.isOpen).toBe(false)
    peer.startReading()
    await until('the peer has seen the end', () => peer.ending !== 'none')
    expect(peer.ending).toBe('fin')
    expect(peer.received.all().equals(sent)).toBe(true)
    await until('it is closed', () => heard.closings.length > 0)
    expect(heard.closings).toEqual([null])
  })

  test('drops what arrives while it closes, so that the peer can read its last bytes', async () => {
    const { channel, heard, peer } = await open(rig)
    stopTimers()
    peer.stopReading()
    peer.send(pattern(100_000))
    channel.write(Buffer.from('last words'), 0, 10)
    heard.silenced(() => channel.close())
    peer.send(pattern(100_000))
    await settle()
    peer.startReading()
    await until('the peer has seen the end', () => peer.ending !== 'none')
    expect(peer.received.all().toString()).toBe('last words')
    expect(peer.ending).toBe('fin')
    await until('it is closed', () => heard.closings.length > 0)
  })

  test('closes without lingering if it is paused too', async () => {
    stopTimers()
    const { channel, heard, peer } = await open(rig)
    channel.pause()
    peer.send(pattern(100_000))
    await settle()
    heard.silenced(() => channel.close())
    await until('it is closed', () => heard.closings.length > 0)
    expect(peer.ending).toBe('fin')
  })

  test('gives up a peer that neither reads nor closes after LINGER_MS', async () => {
    const { channel, heard, peer } = await open(rig)
    stopTimers()
    peer.stopReading()
    const flood = pattern(rig.floodBytes)
    channel.write(flood, 0, flood.length)
    heard.silenced(() => channel.close())
    vi.advanceTimersByTime(LINGER_MS - 1)
    await settle()
    expect(heard.closings).toEqual([])
    vi.advanceTimersByTime(1)
    await until('it is closed', () => heard.closings.length > 0)
    expect(heard.closings).toEqual([null])
    expect(vi.getTimerCount()).toBe(0)
  })

  test('does not linger if its peer closes too', async () => {
    stopTimers()
    const { channel, heard } = await open(rig)
    heard.silenced(() => channel.close())
    await until('it is closed', () => heard.closings.length > 0)
    expect(vi.getTimerCount()).toBe(0)
  })

  test('is destroyed at once, and reports it afterwards', async () => {
    const { channel, heard, peer } = await open(rig)
    heard.silenced(() => channel.destroy())
    expect(channel.isOpen).toBe(false)
    await until('it is closed', () => heard.closings.length > 0)
    expect(heard.closings).toEqual([null])
    await until('its peer has noticed', () => peer.ending !== 'none')
  })

  test('discards what it owes when it is destroyed', async () => {
    const { channel, heard, peer } = await open(rig)
    peer.stopReading()
    const flood = pattern(rig.floodBytes)
    channel.write(flood, 0, flood.length)
    heard.silenced(() => channel.destroy())
    expect(channel.owedBytes).toBe(0)
    peer.startReading()
    await until('its peer has noticed', () => peer.ending !== 'none')
    expect(peer.received.length).toBeLessThan(flood.length)
    expect(heard.closings).toEqual([null])
  })

  test.each([
    ['closed', (channel: Channel) => channel.close()],
    ['destroyed', (channel: Channel) => channel.destroy()],
  ])('calls no callback except onClosed after it is %s while it hands over bytes', async (_how, end) => {
    const { channel, heard, peer } = await open(rig)
    heard.onSpan = () => heard.silenced(() => end(channel))
    peer.send(pattern(1024 * 1024))
    await until('it is closed', () => heard.closings.length > 0)
    expect(heard.closings).toEqual([null])
  })

  test('closes when its peer closes, after all bytes of the peer', async () => {
    const { channel, heard, peer } = await open(rig)
    peer.send(pattern(200_000))
    peer.hangUp()
    await until('it is closed', () => heard.closings.length > 0)
    expect(heard.received.all().equals(pattern(200_000))).toBe(true)
    expect(heard.closings).toEqual([null])
    expect(channel.isOpen).toBe(false)
    await until('it has closed too', () => peer.ending !== 'none')
  })

  test('still delivers what it owes to a peer that has only ended its own side', async () => {
    const { channel, heard, peer } = await open(rig)
    stopTimers()
    peer.stopReading()
    const sent = pattern(rig.floodBytes)
    channel.write(sent, 0, sent.length)
    peer.hangUp()
    await until('it is closed', () => heard.closings.length > 0)
    expect(heard.closings).toEqual([null])
    peer.startReading()
    await until('the peer has seen the end', () => peer.ending !== 'none')
    expect(peer.received.all().equals(sent)).toBe(true)
  })

  test('reports ECONNRESET when its peer resets the connection', async () => {
    const { channel, heard, peer } = await open(rig)
    await settle()
    peer.reset()
    await until('it is closed', () => heard.closings.length > 0)
    expect(heard.closings).toMatchObject([{ code: 'ECONNRESET' }])
    expect(channel.isOpen).toBe(false)
    expect(channel.owedBytes).toBe(0)
  })

  test('is closed by a reset while it owes bytes, even if it is paused', async () => {
    const { channel, heard, peer } = await open(rig)
    peer.stopReading()
    channel.pause()
    const flood = pattern(rig.floodBytes)
    channel.write(flood, 0, flood.length)
    peer.reset()
    await until('it is closed', () => heard.closings.length > 0)
    expect(heard.closings).toMatchObject([{ code: 'ECONNRESET' }])
    expect(heard.drains).toBe(0)
  })

  test('while it is paused, notices only on resume that its peer has closed', async () => {
    const { channel, heard, peer } = await open(rig)
    channel.pause()
    peer.send(pattern(1_000))
    peer.hangUp()
    await settle()
    expect(heard.closings).toEqual([])
    channel.resume()
    await until('it is closed', () => heard.closings.length > 0)
    expect(heard.received.length).toBe(1_000)
    expect(heard.closings).toEqual([null])
  })

  test('while it is paused, notices on a write that its peer is gone', async () => {
    const { channel, heard, peer } = await open(rig)
    channel.pause()
    peer.leave()
    await settle()
    // A socket that reads by events reads ahead, so it may know already.
    const isAware = heard.closings.length > 0
    await until('it is closed', () => {
      channel.write(Buffer.from('anybody there?'), 0, 14)
      return heard.closings.length > 0
    })
    const endings = (heard.closings as (NodeJS.ErrnoException | null)[]).map((problem) => problem?.code ?? 'goodbye')
    expect(endings).toEqual([expect.stringMatching(isAware ? /^(goodbye|ECONNRESET)$/ : /^(EPIPE|ECONNRESET)$/)])
  })

  test('closes only once, however often it is closed, destroyed or reset', async () => {
    const { channel, heard, peer } = await open(rig)
    const flood = pattern(rig.floodBytes)
    channel.write(flood, 0, flood.length)
    peer.reset()
    heard.silenced(() => {
      channel.close()
      channel.close()
      channel.destroy()
      channel.destroy()
      channel.close()
    })
    await until('it is closed', () => heard.closings.length > 0)
    await settle()
    channel.destroy()
    channel.close()
    await settle()
    expect(heard.closings).toHaveLength(1)
  })

  test('accepts and discards writes once it is closed', async () => {
    const { channel, heard, peer } = await open(rig)
    heard.silenced(() => channel.close())
    expect(channel.write(pattern(1_000), 0, 1_000)).toBe(1_000)
    channel.pause()
    channel.resume()
    await until('it is closed', () => heard.closings.length > 0)
    expect(channel.write(pattern(1_000), 0, 1_000)).toBe(1_000)
    channel.pause()
    channel.resume()
    await settle()
    expect(channel.owedBytes).toBe(0)
    expect(peer.received.length).toBe(0)
  })

  test('knows both addresses of the connection, even after its end', async () => {
    const { channel, heard } = await open(rig)
    const before = { peer: channel.peer, local: channel.local }
    heard.silenced(() => channel.destroy())
    await until('it is closed', () => heard.closings.length > 0)
    expect({ peer: channel.peer, local: channel.local }).toEqual(before)
    expect(before.peer).toEqual({ host: '127.0.0.1', port: expect.any(Number) })
    expect(before.local).toEqual({ host: '127.0.0.1', port: expect.any(Number) })
    expect(before.peer.port).not.toBe(before.local.port)
  })

  test('knows what TLS has agreed on, even after its end', async () => {
    const { channel, heard } = await open(rig)
    const { tls } = channel
    expect(tls).toMatch(rig.isSealed ? /^TLSv1\.3\/TLS_/ : /^$/)
    heard.silenced(() => channel.destroy())
    await until('it is closed', () => heard.closings.length > 0)
    expect(channel.tls).toBe(tls)
  })
})

/** Timers run only when the test advances them; the system’s sockets are not affected. */
function stopTimers(): void {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  onTestFinished(() => void vi.useRealTimers())
}

async function open(rig: Rig) {
  const { channel, peer } = await rig.open()
  return { channel, peer, heard: new Recorder(channel) }
}
