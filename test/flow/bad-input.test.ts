/** A client that sends invalid input gets a clear FATAL wherever the protocol allows one, and no other client is affected. */

import { describe, expect, test } from 'vitest'
import { quiet } from '../support/flow/inbox.ts'
import { bindComplete, complete, parseComplete, ready, rows } from '../support/flow/replies.ts'
import {
  gssRequest,
  message,
  PROTOCOL_3_0,
  packet,
  password,
  query,
  sslRequest,
  startup,
  sync,
} from '../support/flow/requests.ts'
import { type Flow, startFlow, startPair } from '../support/flow/start.ts'

const USER = { user: 'ada', database: 'app' }

/** Connects another client and expects that it is served. */
async function expectUndisturbed(flow: Flow) {
  const client = await flow.connect()
  client.send(query('undisturbed'))
  await quiet()
  const server = flow.postgres.open.find((each) => each.inbox.unread.some((request) => request.shown.includes('undis')))
  server?.send(rows('yes'), ready())
  expect(await client.answer()).toContain('DataRow(yes)')
}

describe('instead of a startup packet:', () => {
  const CASES: readonly [what: string, bytes: Buffer, shown: string | null][] = [
    [
      'an HTTP request',
      Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n'),
      '08P01 bad packet header: this looks like an HTTP request',
    ],
    [
      'a TLS handshake',
      Buffer.from('1603010200010001fc0303', 'hex'),
      '08P01 bad packet header: this looks like a TLS handshake',
    ],
    ['an SSH client', Buffer.from('SSH-2.0-OpenSSH_9.6\r\n'), '08P01 bad packet header: this looks like an SSH client'],
    [
      'random bytes',
      Buffer.from('9f3c7a11d0e2b4c6', 'hex'),
      '08P01 bad packet header: the startup packet cannot have the length',
    ],
    ['zeros', Buffer.alloc(64), '08P01 bad packet header: the startup packet cannot have the length 0'],
    ['a startup packet that is too short', packet(PROTOCOL_3_0, Buffer.alloc(0), 4), '08P01 bad packet header'],
    ['a startup packet that is too long', packet(PROTOCOL_3_0, Buffer.alloc(8), 10_001), '08P01 bad packet header'],
    ['a negative length', packet(PROTOCOL_3_0, Buffer.alloc(8), -1), '08P01 bad packet header'],
    ['protocol 2', startup(USER, 0x0002_0000), '08P01 old V2 protocol not supported'],
    ['protocol 4', startup(USER, 0x0004_0000), '08P01 bad packet header: unsupported protocol 4.0'],
    ['nobody', startup({ database: 'app' }), '28000 no username supplied'],
    ['no terminator', packet(PROTOCOL_3_0, Buffer.from('user\0ada')), '08P01 invalid startup packet layout'],
    [
      'a name without a value',
      packet(PROTOCOL_3_0, Buffer.from('user\0ada\0database\0')),
      '08P01 invalid startup packet layout',
    ],
    [
      'bytes after the terminator',
      packet(PROTOCOL_3_0, Buffer.from('user\0ada\0\0x\0')),
      '08P01 invalid startup packet layout',
    ],
    ['a user with a long name', startup({ user: 'u'.repeat(200) }), '08P01 username too long'],
    [
      'a database with a long name',
      startup({ user: 'ada', database: 'd'.repeat(200) }),
      '08P01 database name too long',
    ],
    [
      'an unknown kind of replication',
      startup({ ...USER, replication: 'perhaps' }),
      '22023 invalid value for parameter "replication": "perhaps"',
    ],
    ['an SSLRequest that is too long', packet(80_877_103, Buffer.alloc(4)), '08P01 bad packet header'],
    ['a cancel request without a key', packet(80_877_102, Buffer.alloc(4)), '08P01 bad packet header'],
  ]
  for (const [what, bytes, shown] of CASES) {
    test(`${what} is refused`, async () => {
      const flow = await startFlow()
      const client = await flow.dial()
      client.send(bytes)
      const reply = await client.expect('ErrorResponse')
      expect(reply.shown).toContain(`FATAL ${shown}`)
      await client.expectClosed()
      expect(flow.pooler.parts.sessions.count).toBe(0)
      await expectUndisturbed(flow)
    })

    test(`${what} is refused, byte by byte`, async () => {
      const flow = await startFlow({ cut: 1 })
      const client = await flow.dial()
      client.send(bytes)
      const reply = await client.expect('ErrorResponse')
      expect(reply.shown).toContain(`FATAL ${shown}`)
      await client.expectClosed()
    })
  }

  test('a truncated startup packet and the end of the connection leave no session behind', async () => {
    const flow = await startFlow()
    const whole = startup(USER)
    for (const length of [1, 4, 7, 8, 9, whole.length - 1]) {
      const client = await flow.dial()
      client.send(whole.subarray(0, length))
      await quiet()
      client.hangUp()
      await client.expectClosed()
    }
    expect(flow.pooler.parts.sessions.count).toBe(0)
  })

  test('the end of the connection leaves no session behind', async () => {
    const flow = await startFlow()
    const client = await flow.dial()
    client.hangUp()
    await client.expectClosed()
    expect(flow.pooler.parts.sessions.count).toBe(0)
  })
})

describe('encryption requests', () => {
  for (const [what, request] of [
    ['SSLRequest', sslRequest],
    ['GSSENCRequest', gssRequest],
  ] as const) {
    test(`${what} is answered N, and the startup packet may follow`, async () => {
      const flow = await startFlow()
      const client = await flow.dial()
      expect(await client.ask(request)).toBe('N')
      await client.login()
    })

    for (const [glued, bytes] of [
      ['a startup packet', startup(USER)],
      ['a single byte', Buffer.of(0)],
      ['another encryption request', gssRequest],
    ] as const)
      test(`${glued} in the same chunk as ${what} is refused, because it was sent before our answer could be known`, async () => {
        const flow = await startFlow()
        const client = await flow.dial()
        client.send(Buffer.concat([request, bytes]))
        expect((await client.expect('ErrorResponse')).shown).toMatch(/FATAL 08P01 received unencrypted data after/)
        await client.expectClosed()
      })

    test(`a second ${what} is refused`, async () => {
      const flow = await startFlow()
      const client = await flow.dial()
      await client.ask(request)
      client.send(request)
      await client.expect('ErrorResponse(FATAL 08P01 the client asked for encryption again after it was answered)')
      await client.expectClosed()
    })
  }

  test('of both kinds are answered one after the other, as libpq sends them', async () => {
    const flow = await startFlow()
    const client = await flow.dial()
    expect(await client.ask(gssRequest)).toBe('N')
    expect(await client.ask(sslRequest)).toBe('N')
    await client.login()
  })
})

describe('a client with a newer protocol', () => {
  const NEGOTIATE = 'NegotiateProtocolVersion'

  test('gets NegotiateProtocolVersion 3.0 if its minor version is higher', async () => {
    const flow = await startFlow()
    const client = await flow.dial()
    client.send(startup(USER, PROTOCOL_3_0 + 2))
    const reply = await client.expect(NEGOTIATE)
    expect(reply.bytes).toEqual(message('v', Buffer.from([0, 3, 0, 0, 0, 0, 0, 0])))
    await client.inbox.through('ReadyForQuery')
  })

  test('gets the list of the protocol parameters that are unknown', async () => {
    const flow = await startFlow()
    const client = await flow.dial()
    client.send(startup({ ...USER, '_pq_.test_protocol_negotiation': '', '_pq_.other': 'x' }, PROTOCOL_3_0 + 9999))
    const reply = await client.expect(NEGOTIATE)
    expect(reply.bytes.readInt32BE(9)).toBe(2)
    expect(reply.bytes.toString('latin1')).toContain('_pq_.test_protocol_negotiation\0_pq_.other\0')
    await client.inbox.through('ReadyForQuery')
  })
})

describe('after the login:', () => {
  const CASES: readonly [what: string, bytes: Buffer, shown: string][] = [
    ['an unknown message', message('z', Buffer.from('what')), "08P01 unknown pkt: invalid frontend message type 'z'"],
    ['a zero byte', Buffer.alloc(8), '08P01 unknown pkt: invalid frontend message type 0x00'],
    ['an impossible length', message('Q', Buffer.alloc(4), 3), "08P01 bad packet header: a message of type 'Q'"],
    ['a negative length', message('Q', Buffer.alloc(4), -3), "08P01 bad packet header: a message of type 'Q'"],
    ['a startup packet', startup(USER), '08P01 unknown pkt'],
    ['a password', password('secret'), "08P01 a message of type 'p' is out of turn after the login"],
    ['an HTTP request', Buffer.from('GET / HTTP/1.1\r\n\r\n'), "08P01 unknown pkt: invalid frontend message type 'G'"],
    ['a Parse without an end to its name', message('P', Buffer.from('name')), '08P01 broken Parse packet'],
    ['a Parse without an end to its text', message('P', Buffer.from('n\0select')), '08P01 broken Parse packet'],
    ['a Bind without names', message('B', Buffer.from('portal')), '08P01 broken Bind packet'],
    ['a Describe without an end', message('D', Buffer.from('Sname')), '08P01 broken Describe packet'],
    ['a Close without an end', message('C', Buffer.from('Sname')), '08P01 broken Close packet'],
  ]
  for (const [what, bytes, shown] of CASES)
    for (const cut of ['glued', 1] as const)
      test(`${what}${cut === 1 ? ', byte by byte,' : ''} ends the connection`, async () => {
        const flow = await startFlow({ cut })
        const client = await flow.connect()
        client.send(bytes)
        expect((await client.expect('ErrorResponse')).shown).toContain(`FATAL ${shown}`)
        await client.expectClosed()
        await expectUndisturbed(flow)
      })

  test('an invalid message after a query: the query may run, no client gets its answer, and the server is not reused', async () => {
    const { flow, client, postgres } = await startPair()
    client.send(query('select 1'), message('z'))
    expect((await client.expect('ErrorResponse')).shown).toContain('08P01')
    await client.expectClosed()
    await flow.postgres.nextCancel()
    postgres.inbox.take()
    postgres.send(rows('1'), ready())
    await postgres.expectClosed()
    await flow.expectCounts({})
  })

  test('an invalid message in a transaction costs the server', async () => {
    const { flow, client, postgres } = await startPair()
    client.send(query('begin'))
    await postgres.expect('Query')
    postgres.send(complete('BEGIN'), ready('T'))
    await client.answer()
    client.send(message('z'))
    await client.expect('ErrorResponse')
    await client.expectClosed()
    await postgres.expectClosed()
    await flow.expectCounts({})
  })

  test('nothing after an invalid message is processed', async () => {
    const { client, postgres } = await startPair()
    client.send(message('z'), query('drop table t'))
    await client.expect('ErrorResponse')
    await client.expectClosed()
    await postgres.expectNothing()
  })

  test('a client that sends byte by byte is answered', async () => {
    const { client, postgres } = await startPair()
    await client.sendPieces([...query('select 1')].map((byte) => Buffer.of(byte)))
    await postgres.expect('Query(select 1)')
    await postgres.sendPieces([...Buffer.concat([rows('1'), ready()])].map((byte) => Buffer.of(byte)))
    expect(await client.answer()).toHaveLength(4)
  })

  test('portal and statement names of thousands of bytes are accepted', async () => {
    const { client, postgres } = await startPair()
    const portal = 'p'.repeat(3_000)
    const name = 's'.repeat(3_000)
    client.send(
      message('P', Buffer.from(`${name}\0select 1\0\0\0`)),
      message('B', Buffer.from(`${portal}\0${name}\0\0\0\0\0\0\0`)),
      sync,
    )
    await postgres.expect('Parse', 'Bind', 'Sync')
    postgres.send(parseComplete, bindComplete, ready())
    await client.answer()
  })
})
