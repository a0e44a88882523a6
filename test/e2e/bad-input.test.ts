import fc from 'fast-check'
import { serialize } from 'pg-protocol'
import { beforeEach, describe, expect, test } from 'vitest'
import { type Pgweir, sharedPgweir, startPgweir } from '../support/e2e/pgweir.ts'
import { extended, message, type RawClient, startup } from '../support/e2e/raw-client.ts'
import { until } from '../support/e2e/until.ts'
import { createDatabase } from '../support/postgres.ts'

const database = await createDatabase()
const HELLO = startup({ user: database.user, database: database.database })

/** Starts a pooler with two clients that must not be affected by what other clients send. */
async function startWithBystander(): Promise<{ pgweir: Pgweir; check(): Promise<void> }> {
  const pgweir = await sharedPgweir({ database, settings: { default_pool_size: 2, max_client_conn: 1_000 } })
  const [bystander, inside] = [await pgweir.client(), await pgweir.client()]
  await inside.query('begin')
  const { rows } = await inside.query('select pg_backend_pid() as pid')
  return {
    pgweir,
    async check() {
      expect((await bystander.query('select $1::text as t', ['calm'])).rows).toEqual([{ t: 'calm' }])
      expect((await inside.query('select pg_backend_pid() as pid')).rows).toEqual(rows)
    },
  }
}

let pgweir: Pgweir
let check: () => Promise<void>

beforeEach(async () => {
  const started = await startWithBystander()
  pgweir = started.pgweir
  check = started.check
})

/** Request codes of https://www.postgresql.org/docs/current/protocol-message-formats.html */
function request(code: number, length = 8): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeInt32BE(length)
  bytes.writeInt32BE(code, 4)
  return bytes
}

const SSL = request(80_877_103)
const GSS = request(80_877_104)

const STRANGERS: Readonly<Record<string, readonly [Uint8Array, string]>> = {
  'an HTTP request': [
    Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n'),
    '08P01 bad packet header: this looks like an HTTP request',
  ],
  'a TLS handshake': [
    Buffer.from('160301020001000100', 'hex'),
    '08P01 bad packet header: this looks like a TLS handshake',
  ],
  'an SSH client': [Buffer.from('SSH-2.0-OpenSSH_9.6\r\n'), '08P01 bad packet header: this looks like an SSH client'],
  'protocol 2': [startup({ user: 'x' }, 0x0002_0000), '08P01 old V2 protocol not supported'],
  'protocol 4': [startup({ user: 'x' }, 0x0004_0000), '08P01 bad packet header: unsupported protocol 4.0'],
  'a length of zero': [request(0x0003_0000, 0), '08P01 bad packet header: the startup packet cannot have the length 0'],
  'a negative length': [
    request(0x0003_0000, -5),
    '08P01 bad packet header: the startup packet cannot have the length -5',
  ],
  'a startup packet of a megabyte': [
    startup({ user: 'x'.repeat(1_000_000) }),
    '08P01 bad packet header: the startup packet cannot have the length 1000015',
  ],
  'a user name that is too long': [startup({ user: 'x'.repeat(200) }), '08P01 username too long'],
  'a startup packet without an end': [
    request(0x0003_0000),
    '08P01 invalid startup packet layout: expected terminator as last byte',
  ],
  'a startup packet without a user': [startup({ database: 'x' }), '28000 no username supplied'],
  'an unknown kind of replication': [
    startup({ user: database.user, replication: 'perhaps' }),
    '22023 invalid value for parameter "replication": "perhaps"',
  ],
  'a password before the startup packet': [serialize.password('secret'), '08P01'],
}

describe('before the login,', () => {
  for (const [name, [bytes, error]] of Object.entries(STRANGERS))
    test(`${name} gets a clear error, and the connection is closed`, async () => {
      const stranger = await pgweir.stranger()
      stranger.send(bytes)
      const lines = await stranger.rest()
      expect(lines).toHaveLength(1)
      expect(lines[0]?.startsWith(`ErrorResponse FATAL ${error}`), lines[0]).toBe(true)
      await check()
    })

  test('half a startup packet may be followed by the rest or by the end of the connection', async () => {
    const [leaving, staying] = [await pgweir.stranger(), await pgweir.stranger()]
    leaving.send(HELLO.subarray(0, 20))
    staying.send(HELLO.subarray(0, 20))
    leaving.socket.end()
    expect(await leaving.rest()).toEqual([])
    await check()
    staying.send(HELLO.subarray(20))
    expect((await staying.lines()).at(-1)).toBe('ReadyForQuery I')
  })

  test('a login and queries that arrive byte by byte are answered', async () => {
    const slow = await pgweir.stranger()
    for (const byte of Buffer.concat([HELLO, serialize.query('select 1'), extended('select $1', ['2'])])) {
      slow.send(Buffer.of(byte))
      await new Promise(setImmediate)
    }
    expect((await slow.lines(3)).filter((line) => line.startsWith('DataRow'))).toEqual(['DataRow 1', 'DataRow 2'])
  })

  test('encryption requests are declined, and the login continues without encryption', async () => {
    for (const requests of [[SSL], [GSS], [GSS, SSL], [SSL, GSS]]) {
      const client = await pgweir.stranger()
      for (const asked of requests) {
        client.send(asked)
        expect(await client.byte()).toBe('N')
      }
      client.send(HELLO)
      expect((await client.lines()).at(-1)).toBe('ReadyForQuery I')
    }
  })

  test('data in the same packet as an encryption request is refused', async () => {
    for (const [asked, error] of [
      [SSL, 'received unencrypted data after SSL request'],
      [GSS, 'received unencrypted data after GSSAPI encryption request'],
    ] as const) {
      const client = await pgweir.stranger()
      client.send(asked, HELLO)
      expect(await client.rest()).toEqual([`ErrorResponse FATAL 08P01 ${error}`])
    }
    const twice = await pgweir.stranger()
    twice.send(SSL)
    expect(await twice.byte()).toBe('N')
    twice.send(SSL)
    expect(await twice.rest()).toEqual([
      'ErrorResponse FATAL 08P01 the client asked for encryption again after it was answered',
    ])
    await check()
  })
})

const MISTAKES: Readonly<Record<string, readonly [Uint8Array, string]>> = {
  'a message of an unknown type': [message('y'), "08P01 unknown pkt: invalid frontend message type 'y'"],
  'a message of the server': [message('Z', Buffer.from('I')), "08P01 unknown pkt: invalid frontend message type 'Z'"],
  'a length that is too short': [
    Buffer.from('Q\0\0\0\x03'),
    "08P01 bad packet header: a message of type 'Q' cannot have the length 3",
  ],
  'a negative length': [
    Buffer.from('510000000051ffffffff', 'hex').subarray(5),
    "08P01 bad packet header: a message of type 'Q' cannot have the length -1",
  ],
  'a password': [serialize.password('secret'), "08P01 a message of type 'p' is out of turn after the login"],
  'a Parse without an end': [message('P', Buffer.from('s1')), '08P01 broken Parse packet'],
  'a Bind without an end': [message('B', Buffer.from('p1')), '08P01 broken Bind packet'],
  'a Describe of nothing': [message('D', Buffer.from('S')), '08P01 broken Describe packet'],
  'a Close without an end': [message('C', Buffer.from('Sx')), '08P01 broken Close packet'],
}

describe('after the login,', () => {
  async function loggedIn(): Promise<RawClient> {
    return pgweir.raw()
  }

  for (const [name, [bytes, error]] of Object.entries(MISTAKES))
    test(`${name} gets a clear error, and the connection is closed`, async () => {
      for (const before of [[], [serialize.query('select 1')], [serialize.query('begin')]]) {
        const client = await loggedIn()
        if (before.length > 0) await client.ask(...before)
        client.send(bytes)
        expect(await client.rest()).toEqual([`ErrorResponse FATAL ${error}`])
      }
      await check()
    })

  test('malformed messages that pgweir passes on get PostgreSQL’s own errors, and the connection stays usable', async () => {
    const client = await loggedIn()
    for (const bytes of [
      message('Q', Buffer.from('select 1')),
      message('E', Buffer.from('p1')),
      message('B', Buffer.from('\0\0\0')),
      message('P', Buffer.from('\0select 1\0')),
      message('F', Buffer.from('\0')),
    ]) {
      const isBatch = bytes[0] !== 0x51 && bytes[0] !== 0x46
      const [error, ready] = await client.ask(bytes, ...(isBatch ? [serialize.sync()] : []))
      expect(error).toMatch(/^ErrorResponse (08P01|26000) /)
      expect(ready).toBe('ReadyForQuery I')
    }
    expect(await client.ask(serialize.query('select 1'))).toContain('DataRow 1')
    await check()
  })

  test('messages larger than max_packet_size are refused, from clients and from servers', async () => {
    const small = await startPgweir({ database, settings: { max_packet_size: 10_000 } })
    const client = await small.raw()
    client.send(serialize.query(`select '${'x'.repeat(10_000)}'`))
    expect(await client.rest()).toEqual([
      'ErrorResponse FATAL 54000 a message of 10015 bytes is over the limit of 10000 bytes',
    ])
    const other = await small.raw()
    other.send(serialize.query(`select repeat('x', 20000)`))
    expect((await other.rest()).at(-1)).toMatch(/^ErrorResponse FATAL 08P01 server conn crashed\?/)
    expect(await (await small.raw()).ask(serialize.query('select 1'))).toContain('DataRow 1')
  })

  test('COPY messages outside a COPY are dropped', async () => {
    const client = await loggedIn()
    const rest = [
      serialize.copyData(Buffer.from('x')),
      serialize.copyDone(),
      serialize.copyFail('no'),
      serialize.flush(),
    ]
    expect(await client.ask(...rest, serialize.query('select 1'), ...rest)).toContain('DataRow 1')
    expect(await client.ask(...rest, extended('select 2'), ...rest)).toContain('DataRow 2')
  })

  test('COPY messages outside a COPY are dropped before a request that has to wait', async () => {
    const busy = await startPgweir({ database })
    const [blocker, client] = [await busy.client(), await busy.raw()]
    await blocker.query('begin')
    client.send(serialize.flush(), serialize.copyDone(), serialize.query('select 1'))
    await until('it waits', async () => (await busy.counts()).waiting === 1)
    await blocker.query('commit')
    expect(await client.lines()).toContain('DataRow 1')
  })
})

describe('connections that send random input are closed, and other clients are not affected:', () => {
  test('random bytes, before and after the login', async () => {
    const nonsense = fc.sample(fc.uint8Array({ minLength: 1, maxLength: 300 }), { numRuns: 80, seed: 42 })
    const clients = nonsense.map(async (bytes, index) => {
      const client = index % 2 ? await pgweir.stranger() : await pgweir.raw()
      client.send(bytes)
      client.socket.end()
      await until('the client is disconnected', () => client.hasEnded)
    })
    await Promise.all(clients)
    await check()
  })

  test('messages of known types with random bodies', async () => {
    const types = fc.constantFrom(...'QPBDECSHFdcfX')
    const messages = fc.sample(
      fc.array(fc.tuple(types, fc.uint8Array({ maxLength: 30 })), { minLength: 1, maxLength: 8 }),
      {
        numRuns: 80,
        seed: 43,
      },
    )
    const clients = messages.map(async (sent) => {
      const client = await pgweir.raw()
      client.send(...sent.map(([type, body]) => message(type, body)))
      client.socket.end()
      await until('the client is disconnected', () => client.hasEnded)
    })
    await Promise.all(clients)
    await check()
  })
})
