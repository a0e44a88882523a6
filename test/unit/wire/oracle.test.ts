import fc from 'fast-check'
import { serialize } from 'pg-protocol'
import type { BackendMessage } from 'pg-protocol/dist/messages.js'
import { Parser } from 'pg-protocol/dist/parser.js'
import { expect, test } from 'vitest'
import {
  AUTHENTICATION_CLEARTEXT,
  AUTHENTICATION_OK,
  BIND_COMPLETE,
  CLOSE_COMPLETE,
  EMPTY_QUERY,
  encodeAuthenticationMd5,
  encodeAuthenticationSasl,
  encodeAuthenticationSaslContinue,
  encodeAuthenticationSaslFinal,
  encodeBackendKeyData,
  encodeCommandComplete,
  encodeParameterDescription,
  encodeParameterStatus,
  NO_DATA,
  PARSE_COMPLETE,
  READY_IDLE,
} from '../../../src/wire/backend.ts'
import { Frames, HEADER_BYTES, needsTable, WHOLE } from '../../../src/wire/frames.ts'
import {
  bindStatementStart,
  encodeCloseStatement,
  encodeDescribeStatement,
  encodeParse,
  encodePassword,
  encodeQuery,
  encodeSaslInitial,
  encodeSaslResponse,
  FLUSH,
  PORTAL,
  STATEMENT,
  SYNC,
  TERMINATE,
  textEnd,
} from '../../../src/wire/frontend.ts'
import { encodeError, encodeNotice, type Notice } from '../../../src/wire/notices.ts'
import { encodeDataRow, encodeRowDescription } from '../../../src/wire/rows.ts'
import { encodeCancelRequest, encodeStartup, parseFirstPacket, startupPacketLength } from '../../../src/wire/startup.ts'
import { BACKEND, FRONTEND } from '../../../src/wire/types.ts'
import {
  allBytes,
  BACKEND_NAMES,
  type BackendName,
  backendFrame,
  extendedBatch,
  frontendFrame,
  simpleReply,
  someBytes,
  someName,
  someOid,
  someText,
} from '../../support/random-frames.ts'

// The oracle is node-postgres’ codec, which was written independently of this one.

// The oracle decodes what pgweir encodes.

for (const [bytes, expected] of [
  [AUTHENTICATION_OK, { name: 'authenticationOk' }],
  [AUTHENTICATION_CLEARTEXT, { name: 'authenticationCleartextPassword' }],
  [encodeAuthenticationMd5(Buffer.from('salt')), { name: 'authenticationMD5Password', salt: Buffer.from('salt') }],
  [
    encodeAuthenticationSasl(['X', 'SCRAM-SHA-256']),
    { name: 'authenticationSASL', mechanisms: ['X', 'SCRAM-SHA-256'] },
  ],
  [encodeAuthenticationSaslContinue(Buffer.from('r=1')), { name: 'authenticationSASLContinue', data: 'r=1' }],
  [encodeAuthenticationSaslFinal(Buffer.from('v=2')), { name: 'authenticationSASLFinal', data: 'v=2' }],
  [PARSE_COMPLETE, { name: 'parseComplete' }],
  [BIND_COMPLETE, { name: 'bindComplete' }],
  [CLOSE_COMPLETE, { name: 'closeComplete' }],
  [NO_DATA, { name: 'noData' }],
  [EMPTY_QUERY, { name: 'emptyQuery' }],
  [READY_IDLE, { name: 'readyForQuery', status: 'I' }],
] as const)
  test(`the oracle decodes ${expected.name}`, () => {
    expect(understood(bytes)).toMatchObject([expected])
  })

test('the oracle decodes parameters, keys and tags', () => {
  const pids = fc.integer({ min: -0x8000_0000, max: 0x7fff_ffff })
  fc.assert(
    fc.property(someText, someText, pids, pids, fc.array(someOid), (name, value, pid, key, oids) => {
      const secret = Buffer.alloc(4)
      secret.writeInt32BE(key)
      const bytes = Buffer.concat([
        encodeParameterStatus(name, value, 'UTF8') as Buffer,
        encodeBackendKeyData(pid, secret),
        encodeCommandComplete(value),
        encodeParameterDescription(oids),
      ])
      expect(understood(bytes)).toMatchObject([
        { name: 'parameterStatus', parameterName: name, parameterValue: value },
        { name: 'backendKeyData', processID: pid, secretKey: key },
        { name: 'commandComplete', text: value },
        { name: 'parameterDescription', dataTypeIDs: oids },
      ])
    }),
  )
})

test('the oracle decodes errors and notices', () => {
  const notices = fc.record({
    severity: fc.constantFrom<Notice['severity']>('ERROR', 'FATAL', 'NOTICE'),
    sqlstate: fc.constantFrom('42601', '57P01'),
    message: someText,
    detail: fc.option(someText, { nil: undefined }),
    hint: fc.option(someText, { nil: undefined }),
  })
  fc.assert(
    fc.property(notices, (notice) => {
      const { severity, sqlstate: code, message, detail, hint } = notice
      const said = { severity, code, message, detail, hint }
      expect(understood(Buffer.concat([encodeError(notice), encodeNotice(notice)]))).toMatchObject([
        { name: 'error', ...said },
        { name: 'notice', ...said },
      ])
    }),
  )
})

test('the oracle decodes result sets', () => {
  const cells = fc.array(fc.option(fc.oneof(someText, fc.integer())), { maxLength: 5 })
  fc.assert(
    fc.property(someText, cells, (name, row) => {
      const columns = [{ name, type: 'text' } as const, { name: 'n', type: 'int4' } as const]
      expect(understood(Buffer.concat([encodeRowDescription(columns), encodeDataRow(row)]))).toMatchObject([
        {
          fieldCount: 2,
          fields: [
            { name, tableID: 0, columnID: 0, dataTypeID: 25, dataTypeSize: -1, dataTypeModifier: -1, format: 'text' },
            { name: 'n', dataTypeID: 23, dataTypeSize: 4, format: 'text' },
          ],
        },
        { name: 'dataRow', fields: row.map((cell) => (cell === null ? null : String(cell))) },
      ])
    }),
  )
})

// What the oracle encodes, pgweir decodes, or encodes in the same way.

test('a startup packet of the oracle is decoded', () => {
  fc.assert(
    fc.property(someText, someText, (user, database) => {
      const bytes = serialize.startup({ user, database })
      expect(startupPacketLength(bytes, 0)).toBe(bytes.length)
      const parameters = new Map([
        ['user', user],
        ['database', database],
        ['client_encoding', 'UTF8'],
      ])
      expect(parseFirstPacket(bytes)).toEqual({ kind: 'startup', minorVersion: 0, parameters })
      expect(encodeStartup(parameters)).toEqual(bytes)
    }),
  )
})

test('a cancel request and an SSLRequest of the oracle are decoded', () => {
  const key = Buffer.from([0xff, 1, 2, 3])
  const bytes = serialize.cancel(-5, key.readInt32BE())
  expect(startupPacketLength(bytes, 0)).toBe(16)
  expect(parseFirstPacket(bytes)).toEqual({ kind: 'cancel', pid: -5, key })
  expect(encodeCancelRequest(-5, key)).toEqual(bytes)
  expect(startupPacketLength(serialize.requestSsl(), 0)).toBe(8)
  expect(parseFirstPacket(serialize.requestSsl())).toEqual({ kind: 'ssl-request' })
})

test('queries and login messages have the same bytes as the oracle’s', () => {
  fc.assert(
    fc.property(someText, someText, (text, mechanism) => {
      expect(encodeQuery(text)).toEqual(serialize.query(text))
      expect(encodePassword(text)).toEqual(serialize.password(text))
      expect(encodeSaslInitial(mechanism, Buffer.from(text))).toEqual(
        serialize.sendSASLInitialResponseMessage(mechanism, text),
      )
      expect(encodeSaslResponse(Buffer.from(text))).toEqual(serialize.sendSCRAMClientFinalMessage(text))
    }),
  )
  expect([SYNC, FLUSH, TERMINATE]).toEqual([serialize.sync(), serialize.flush(), serialize.end()])
})

test('a Parse of the oracle can be given another statement name', () => {
  fc.assert(
    fc.property(someName, someName, someText, fc.array(someOid), (name, other, text, types) => {
      const bytes = serialize.parse({ name, text, types: types.map((oid) => oid | 0) })
      const nameEnd = textEnd(bytes, HEADER_BYTES, bytes.length)
      expect(bytes.toString('utf8', HEADER_BYTES, nameEnd)).toBe(name)
      expect(encodeParse(other, bytes.subarray(nameEnd + 1))).toEqual(
        serialize.parse({ name: other, text, types: types.map((oid) => oid | 0) }),
      )
    }),
  )
})

test('the statement’s name is found in a Bind of the oracle, even if only the names have arrived', () => {
  fc.assert(
    fc.property(someText, someText, fc.array(fc.option(someText)), (portal, statement, values) => {
      const bytes = serialize.bind({ portal, statement, values })
      const start = bindStatementStart(bytes, 0, bytes.length)
      const end = textEnd(bytes, start, bytes.length)
      expect(bytes.toString('utf8', start, end)).toBe(statement)
      expect(bindStatementStart(bytes, 0, end + 1)).toBe(start)
    }),
  )
})

test('Describe and Close have the same bytes as the oracle’s', () => {
  for (const name of ['', 's1', 'größer']) {
    expect(encodeDescribeStatement(name)).toEqual(serialize.describe({ type: 'S', name }))
    expect(encodeCloseStatement(name)).toEqual(serialize.close({ type: 'S', name }))
    expect(serialize.close({ type: 'P', name })[HEADER_BYTES]).toBe(PORTAL)
    expect(serialize.describe({ type: 'S', name })[HEADER_BYTES]).toBe(STATEMENT)
  }
})

test('each message of the oracle is one frame of the right type', () => {
  const named: [keyof typeof FRONTEND, Buffer][] = [
    ['bind', serialize.bind({ values: ['1', null, Buffer.from('x')] })],
    ['close', serialize.close({ type: 'S', name: 'a' })],
    ['copyData', serialize.copyData(Buffer.from('1\t2\n'))],
    ['copyDone', serialize.copyDone()],
    ['copyFail', serialize.copyFail('no more')],
    ['describe', serialize.describe({ type: 'P' })],
    ['execute', serialize.execute({ portal: 'p', rows: 10 })],
    ['flush', serialize.flush()],
    ['parse', serialize.parse({ text: 'select' })],
    ['password', serialize.password('secret')],
    ['query', serialize.query('select')],
    ['sync', serialize.sync()],
    ['terminate', serialize.end()],
  ]
  expect(framesIn(Buffer.concat(named.map(([, bytes]) => bytes)), FRONTEND)).toEqual(
    named.map(([name, bytes]) => [FRONTEND[name], bytes.toString('latin1')]),
  )
})

// The random messages that other tests use are valid.

/** Messages that node-postgres does not know, because no server sends them to it. */
const UNHEARD_OF: readonly BackendName[] = ['functionCallResponse', 'negotiateProtocolVersion']
const HEARD_OF = BACKEND_NAMES.filter((name) => !UNHEARD_OF.includes(name))

/** Names that differ in the oracle. */
const ITS_NAMES: Partial<Record<BackendName, RegExp>> = {
  authentication: /^authentication/,
  copyBoth: /^replicationStart$/,
  copyIn: /^copyInResponse$/,
  copyOut: /^copyOutResponse$/,
}

test('the oracle decodes random server messages under the same names', () => {
  fc.assert(
    fc.property(fc.array(backendFrame(...HEARD_OF), { maxLength: 20 }), (frames) => {
      const names = understood(allBytes(frames)).map((message) => message.name)
      expect(names).toHaveLength(frames.length)
      for (const [index, { name }] of frames.entries())
        expect(names[index]).toMatch(ITS_NAMES[name] ?? new RegExp(`^${name}$`))
    }),
  )
})

test('random messages of both directions are frames of known types; batches end with Sync and replies with ReadyForQuery', () => {
  fc.assert(
    fc.property(
      fc.array(frontendFrame()),
      extendedBatch,
      fc.array(backendFrame()),
      simpleReply,
      (a, batch, b, reply) => {
        for (const [frames, types] of [
          [[...a, ...batch], FRONTEND],
          [[...b, ...reply], BACKEND],
        ] as const)
          expect(framesIn(allBytes(frames), types)).toEqual(
            frames.map(({ name, bytes }) => [types[name as keyof typeof types], bytes.toString('latin1')]),
          )
        expect(batch.at(-1)?.name).toBe('sync')
        expect(reply.map(({ name }) => name).indexOf('readyForQuery')).toBe(reply.length - 1)
      },
    ),
  )
})

test('CopyData messages of the oracle are separated as they were sent', () => {
  fc.assert(
    fc.property(fc.array(someBytes), (chunks) => {
      const bytes = Buffer.concat(chunks.map((chunk) => serialize.copyData(chunk)))
      expect(framesIn(bytes, FRONTEND).map(([, frame]) => (frame as string).slice(HEADER_BYTES))).toEqual(
        chunks.map((chunk) => chunk.toString('latin1')),
      )
    }),
  )
})

function understood(bytes: Buffer): BackendMessage[] {
  const messages: BackendMessage[] = []
  new Parser().parse(bytes, (message) => messages.push(message))
  return messages
}

/** Returns the type and bytes of each frame, as `Frames` cuts them when every type of the table is seen whole. */
function framesIn(bytes: Buffer, types: Readonly<Record<string, number>>): [number, string][] {
  const needs = needsTable(Object.fromEntries(Object.values(types).map((type) => [String.fromCharCode(type), WHOLE])))
  const frames = new Frames(bytes.length)
  const seen: [number, string][] = []
  frames.read(bytes, 0, bytes.length, needs, {
    pass: () => expect.unreachable(),
    frame: (type, buffer, start, end) => seen.push([type, buffer.toString('latin1', start, end)]) > 0,
    rest: () => expect.unreachable(),
    refuse: (type, length, why) => expect.unreachable(`type ${type} of length ${length}: ${why}`),
  })
  expect(frames.isAtBoundary).toBe(true)
  return seen
}
