import fc from 'fast-check'
import { expect, test } from 'vitest'
import { PoolerError, type ProblemKind } from '../../../src/problems.ts'
import { MAX_NAME_BYTES, MAX_STARTUP_PACKET_BYTES } from '../../../src/wire/limits.ts'
import {
  encodeCancelRequest,
  encodeStartup,
  type FirstPacket,
  PROTOCOL_3_0,
  parseFirstPacket,
  startupPacketLength,
} from '../../../src/wire/startup.ts'
import { someText } from '../../support/random-frames.ts'
import { everySplit } from '../../support/splits.ts'

const CANCEL = 80_877_102
const SSL = 80_877_103
const GSS = 80_877_104

/** A first packet, with its real length or another one. */
function packet(code: number, body: Uint8Array | string = '', length = 8 + Buffer.from(body).length): Buffer {
  const header = Buffer.alloc(8)
  header.writeInt32BE(length | 0)
  header.writeInt32BE(code | 0, 4)
  return Buffer.concat([header, Buffer.from(body)])
}

/** Returns the result, or the kind of the problem that is thrown; any other error is passed on and fails the test. */
function outcome<T>(run: () => T): T | ProblemKind {
  try {
    return run()
  } catch (error) {
    if (error instanceof PoolerError) return error.kind
    throw error
  }
}

function parametersOf(first: FirstPacket): [string, string][] {
  if (first.kind !== 'startup') throw new Error(`a startup packet was read as ${first.kind}`)
  return [...first.parameters]
}

/** Reads a first packet like the owner of a connection: first the length from the first four bytes, then the whole packet. */
function receive(pieces: readonly Buffer[]): FirstPacket | null {
  let came = Buffer.alloc(0)
  for (const piece of pieces) {
    came = Buffer.concat([came, piece])
    if (came.length >= 4 && came.length >= startupPacketLength(came, 0)) return parseFirstPacket(came)
  }
  return null
}

const ADA = new Map([
  ['user', 'ada'],
  ['database', 'größe'],
  ['options', ''],
])

for (const pieces of everySplit(encodeStartup(ADA)))
  test(`a startup packet that arrives in pieces of ${pieces.map((piece) => piece.length)} bytes is read once it is complete`, () => {
    expect(receive(pieces.slice(0, -1))).toBeNull()
    expect(receive(pieces)).toEqual({ kind: 'startup', minorVersion: 0, parameters: ADA })
  })

test('SSLRequest and GSSENCRequest are told apart', () => {
  expect(parseFirstPacket(packet(SSL))).toEqual({ kind: 'ssl-request' })
  expect(parseFirstPacket(packet(GSS))).toEqual({ kind: 'gss-request' })
})

test('a cancel request is decoded to its process and key, with any key length that protocol 3.2 allows', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: -0x8000_0000, max: 0x7fff_ffff }),
      fc.uint8Array({ minLength: 4, maxLength: 256 }),
      (pid, key) => {
        const bytes = encodeCancelRequest(pid, Buffer.from(key))
        expect(startupPacketLength(bytes, 0)).toBe(bytes.length)
        expect(parseFirstPacket(bytes)).toEqual({ kind: 'cancel', pid, key: Buffer.from(key) })
      },
    ),
  )
})

test('the key of a cancel request does not share memory with the buffer it was read from', () => {
  const bytes = encodeCancelRequest(7, Buffer.from('key!'))
  const first = parseFirstPacket(bytes)
  bytes.fill(0xff)
  expect(first).toMatchObject({ key: Buffer.from('key!') })
})

test('any parameters are read back unchanged and in order', () => {
  const parameters = fc.array(fc.tuple(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 8 }), someText))
  fc.assert(
    fc.property(parameters, (pairs) => {
      const sent = new Map(pairs.filter(([name]) => !name.includes('\0')))
      const bytes = encodeStartup(sent)
      expect(startupPacketLength(bytes, 0)).toBe(bytes.length)
      expect(parametersOf(parseFirstPacket(bytes))).toEqual([...sent])
    }),
  )
})

test('if a parameter comes twice, the last value counts', () => {
  const first = parseFirstPacket(packet(PROTOCOL_3_0, 'user\0ada\0database\0one\0user\0bob\0\0'))
  expect(parametersOf(first)).toEqual([
    ['user', 'bob'],
    ['database', 'one'],
  ])
})

test('the minor version is returned, so that a newer client can be answered', () => {
  for (const minorVersion of [0, 2, 9999, 0xffff])
    expect(parseFirstPacket(packet(PROTOCOL_3_0 + minorVersion, 'user\0ada\0\0'))).toMatchObject({ minorVersion })
})

test('a packet without parameters is well formed; the missing user is reported elsewhere', () => {
  expect(parametersOf(parseFirstPacket(packet(PROTOCOL_3_0, '\0')))).toEqual([])
})

test('a parameter with a name that JavaScript uses is an ordinary parameter', () => {
  expect(parametersOf(parseFirstPacket(packet(PROTOCOL_3_0, '__proto__\0x\0constructor\0y\0\0')))).toEqual([
    ['__proto__', 'x'],
    ['constructor', 'y'],
  ])
})

for (const [length, kind] of [
  [-0x8000_0000, 'bad-startup-packet'],
  [-1, 'bad-startup-packet'],
  [0, 'bad-startup-packet'],
  [4, 'bad-startup-packet'],
  [7, 'bad-startup-packet'],
  [8, 8],
  [MAX_STARTUP_PACKET_BYTES, MAX_STARTUP_PACKET_BYTES],
  [MAX_STARTUP_PACKET_BYTES + 1, 'bad-startup-packet'],
  [0x7fff_ffff, 'bad-startup-packet'],
] as const)
  test(`a first packet with the length ${length} gives ${kind}`, () => {
    expect(outcome(() => startupPacketLength(packet(PROTOCOL_3_0, '', length), 0))).toBe(kind)
  })

test('the length is read at the start of the packet, not of the buffer', () => {
  expect(startupPacketLength(Buffer.concat([Buffer.alloc(3), packet(SSL)]), 3)).toBe(8)
})

for (const [opening, what] of [
  ['GET / HTTP/1.1\r\n', 'an HTTP request'],
  ['POST /metrics', 'an HTTP request'],
  ['HEAD /', 'an HTTP request'],
  ['OPTIONS *', 'an HTTP request'],
  ['CONNECT x:1', 'an HTTP request'],
  ['PRI * HTTP/2.0', 'an HTTP request'],
  ['\x16\x03\x01\x02\x00', 'a TLS handshake'],
  ['SSH-2.0-OpenSSH', 'an SSH client'],
] as const)
  test(`a client that begins with ${JSON.stringify(opening)} learns that this is not Postgres`, () => {
    const opened = () => startupPacketLength(Buffer.from(opening, 'latin1'), 0)
    expect(outcome(opened)).toBe('not-postgres')
    expect(opened).toThrow(what)
  })

const LONGEST = `${'é'.repeat(63)}e`

for (const [name, bytes, expected] of [
  ['the protocol of Postgres 7.3', packet(0x0002_0000, '\0'), 'old-protocol'],
  ['protocol 1', packet(0x0001_0000, '\0'), 'bad-startup-packet'],
  ['protocol 4', packet(0x0004_0000, '\0'), 'bad-startup-packet'],
  ['a negative version', packet(-1, '\0'), 'bad-startup-packet'],
  ['an SSL request with a body', packet(SSL, '\0'), 'bad-startup-packet'],
  ['a GSS request with a body', packet(GSS, 'user\0ada\0\0'), 'bad-startup-packet'],
  ['a code next to those of the requests', packet(GSS + 1, '\0'), 'bad-startup-packet'],
  ['an empty cancel request', packet(CANCEL), 'bad-startup-packet'],
  ['a cancel request without a key', packet(CANCEL, Buffer.alloc(4)), 'bad-startup-packet'],
  ['a cancel key of 3 bytes', packet(CANCEL, Buffer.alloc(7)), 'bad-startup-packet'],
  ['a cancel key of 257 bytes', packet(CANCEL, Buffer.alloc(261)), 'bad-startup-packet'],
  ['nothing after the version', packet(PROTOCOL_3_0), 'startup-without-terminator'],
  ['a last byte that is not zero', packet(PROTOCOL_3_0, 'user\0ada\0x'), 'startup-without-terminator'],
  ['no zero byte at all', packet(PROTOCOL_3_0, 'user'), 'startup-without-terminator'],
  ['no terminator after the last value', packet(PROTOCOL_3_0, 'user\0ada\0'), 'startup-without-terminator'],
  ['a name without a value', packet(PROTOCOL_3_0, 'user\0'), 'startup-without-terminator'],
  ['a name with the terminator as its value', packet(PROTOCOL_3_0, 'user\0\0'), 'startup-without-terminator'],
  ['bytes after the terminator', packet(PROTOCOL_3_0, 'user\0ada\0\0x\0\0'), 'startup-without-terminator'],
  ['two terminators', packet(PROTOCOL_3_0, 'user\0ada\0\0\0'), 'startup-without-terminator'],
  ['a user of 128 bytes', packet(PROTOCOL_3_0, `user\0${LONGEST}e\0\0`), 'name-too-long'],
  ['a database of 128 bytes', packet(PROTOCOL_3_0, `user\0ada\0database\0${LONGEST}e\0\0`), 'name-too-long'],
] as const)
  test(`${name} gives ${expected}`, () => {
    expect(outcome(() => parseFirstPacket(bytes))).toBe(expected)
  })

test('user and database may have up to MAX_NAME_BYTES, and other values may be longer', () => {
  expect(Buffer.byteLength(LONGEST)).toBe(MAX_NAME_BYTES)
  const parameters = new Map([
    ['user', LONGEST],
    ['database', LONGEST],
    ['application_name', 'x'.repeat(5000)],
  ])
  expect(parseFirstPacket(encodeStartup(parameters))).toMatchObject({ parameters })
})

test('the error about a long name says which name and the limit, but does not repeat the name', () => {
  const long = () => parseFirstPacket(packet(PROTOCOL_3_0, `user\0${'x'.repeat(200)}\0\0`))
  expect(long).toThrow(
    expect.objectContaining({ message: 'username too long', hint: `The limit is ${MAX_NAME_BYTES} bytes.` }),
  )
})

/** The loop of Postgres’ ProcessStartupPacket, which reads strings in place and then checks that it stopped on the last byte. */
function parametersAsPostgres(body: Buffer): [string, string][] | null {
  const textAt = (at: number) => body.toString('latin1', at).split('\0', 1)[0] as string
  const parameters = new Map<string, string>()
  let at = 0
  while (at < body.length) {
    const name = textAt(at)
    const valueAt = at + name.length + 1
    if (name === '' || valueAt >= body.length) break
    const value = textAt(valueAt)
    parameters.set(name, value)
    at = valueAt + value.length + 1
  }
  // Postgres accepts any byte in the terminator’s place; here it must be zero.
  return at === body.length - 1 && body[at] === 0 ? [...parameters] : null
}

test('a packet layout is accepted exactly when Postgres accepts it', () => {
  const bodies = fc.array(fc.constantFrom(0, 0, 0x61, 0x62), { maxLength: 14 }).map((bytes) => Buffer.from(bytes))
  fc.assert(
    fc.property(bodies, (body) => {
      expect(outcome(() => parametersOf(parseFirstPacket(packet(PROTOCOL_3_0, body))))).toEqual(
        parametersAsPostgres(body) ?? 'startup-without-terminator',
      )
    }),
    { numRuns: 1000 },
  )
})

const KINDS: readonly ProblemKind[] = [
  'bad-startup-packet',
  'name-too-long',
  'not-postgres',
  'old-protocol',
  'startup-without-terminator',
]

function isExpected(result: unknown): boolean {
  return typeof result !== 'string' || KINDS.includes(result as ProblemKind)
}

test('random bytes are a packet or a problem of the table, never another error', () => {
  const codes = fc.oneof(fc.constantFrom(PROTOCOL_3_0, PROTOCOL_3_0 + 2, 0x0002_0000, CANCEL, SSL, GSS), fc.integer())
  fc.assert(
    fc.property(codes, fc.uint8Array({ maxLength: 300 }), (code, body) => {
      expect(isExpected(outcome(() => parseFirstPacket(packet(code, body))))).toBe(true)
    }),
  )
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 4, maxLength: 12 }), (bytes) => {
      const length = outcome(() => startupPacketLength(Buffer.from(bytes), 0))
      if (typeof length === 'number') expect(length >= 8 && length <= MAX_STARTUP_PACKET_BYTES).toBe(true)
      else expect(['bad-startup-packet', 'not-postgres']).toContain(length)
    }),
  )
})

test('a good packet with some bytes changed or cut off is a packet or a problem of the table', () => {
  const good = encodeStartup(new Map([...ADA, ['application_name', 'x'.repeat(120)]]))
  const changes = fc.array(fc.tuple(fc.nat(good.length - 1), fc.oneof(fc.constant(0), fc.nat(255))), { maxLength: 4 })
  fc.assert(
    fc.property(changes, fc.integer({ min: 8, max: good.length }), (changed, length) => {
      const bytes = Buffer.from(good)
      for (const [at, value] of changed) bytes[at] = value
      expect(isExpected(outcome(() => parseFirstPacket(bytes.subarray(0, length))))).toBe(true)
    }),
    { numRuns: 300 },
  )
})
