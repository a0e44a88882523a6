import net from 'node:net'
import { describe, expect, test } from 'vitest'
import { decodeAddress, encodeAddress } from '../../../src/net/epoll/addresses.ts'

describe('an address', () => {
  test.each([
    ['127.0.0.1', '020019307f000001'],
    ['255.254.0.9', '02001930fffe0009'],
  ])('%s is encoded as the kernel expects', (host, hex) => {
    expect(encodeAddress({ host, port: 0x1930 }).toString('hex').slice(0, 16)).toBe(hex)
  })

  test.each([
    '0.0.0.0',
    '10.1.2.3',
    '::',
    '::1',
    '1::',
    'fe80::1',
    '2001:db8::8:800:200c:417a',
    '1:2:3:4:5:6:7:8',
    '1:0:3:4:5:6:7:8',
    '1:0:0:4:0:0:0:8',
    '0:0:0:4::',
    '::ffff:10.0.0.1',
  ])('%s is decoded to the notation that Node uses', (host) => {
    const canonical = net.isIPv6(host) ? new URL(`http://[${host}]`).hostname.slice(1, -1) : host
    const decoded = decodeAddress(encodeAddress({ host, port: 5432 }))
    // URLs write the IPv4 part of a mapped address in hexadecimal groups.
    expect(decoded?.port).toBe(5432)
    expect(decoded?.host).toBe(host.startsWith('::ffff:') ? host : canonical)
  })

  test('may end in IPv4 notation', () => {
    expect(decodeAddress(encodeAddress({ host: '64:ff9b::1.2.3.4', port: 1 }))?.host).toBe('64:ff9b::102:304')
  })

  test('may have a zone', () => {
    expect(encodeAddress({ host: 'fe80::1%3', port: 1 }).readUInt32LE(24)).toBe(3)
    expect(() => encodeAddress({ host: 'fe80::1%nowhere0', port: 1 })).toThrow('no network interface nowhere0')
  })

  test('that is a path ends in a zero byte and has a maximum length', () => {
    const encoded = encodeAddress({ host: '/tmp/.s.PGSQL.5432', port: 5432 })
    expect(encoded.toString('latin1', 2)).toBe('/tmp/.s.PGSQL.5432\0')
    expect(encodeAddress({ host: `/${'x'.repeat(106)}`, port: 1 })).toHaveLength(110)
    expect(() => encodeAddress({ host: `/${'x'.repeat(107)}`, port: 1 })).toThrow('too long for a unix socket')
    expect(decodeAddress(encoded)).toEqual({ host: '/tmp/.s.PGSQL.5432', port: 5432 })
    expect(decodeAddress(encodeAddress({ host: '@pooler', port: 1 }))).toEqual({ host: '@pooler', port: 0 })
    expect(decodeAddress(encoded.subarray(0, 2)), 'a client’s end of a unix socket has no path').toBeNull()
  })

  test('cannot be a name', () => {
    expect(() => encodeAddress({ host: 'localhost', port: 1 })).toThrow('neither an address nor a path')
  })
})
