import { expect, test } from 'vitest'
import type { Channel, ChannelListener } from '../../../src/net/channel.ts'
import { createMemoryTransport, type MemoryChannel } from '../../../src/net/memory-transport.ts'
import { createTlsContext } from '../../../src/net/tls.ts'
import { CHORE_NEEDS } from '../../../src/server/chore.ts'
import type { ServerEncryption } from '../../../src/server/encryption.ts'
import { type OpeningOwner, ServerOpening } from '../../../src/server/opening.ts'
import { OutsideLease, type OutsideLeaseOwner } from '../../../src/server/outside-lease.ts'
import { Tracked } from '../../../src/server/profile.ts'
import { SchemaVersion } from '../../../src/server/schema-version.ts'
import { ServerSettings } from '../../../src/server/server-settings.ts'
import { StatementRegistry } from '../../../src/server/statement-registry.ts'
import { ServerStatements } from '../../../src/server/statements.ts'
import { Frames } from '../../../src/wire/frames.ts'
import { MAX_CHORE_REPLY_BYTES } from '../../../src/wire/limits.ts'
import { SSL_REQUEST_PACKET } from '../../../src/wire/startup.ts'
import { quiet } from '../../support/flow/inbox.ts'
import {
  authenticationOk,
  backendKeyData,
  complete,
  error,
  join,
  notice,
  parameterStatus,
  ready,
} from '../../support/flow/replies.ts'
import { message } from '../../support/flow/requests.ts'

const ADDRESS = { host: 'db', port: 5432 }
const KEEP_ALIVE = { isOn: false, idleMs: 0 }
const LET_IN = join(
  authenticationOk,
  parameterStatus('TimeZone', 'UTC'),
  backendKeyData(42, Buffer.from('key!')),
  ready(),
)
const ENCRYPTION: ServerEncryption = {
  context: createTlsContext({}, false),
  verifies: 'nothing',
  isRequired: true,
  isDirect: false,
  fingerprint: '',
}

interface Wishes {
  readonly connectQuery?: string
  readonly encryption?: ServerEncryption | null
  /** The test itself says when the opening may begin to send to Postgres. */
  readonly waits?: boolean
}

/** A server that is being opened, as the opening sees it; `told` lists all calls that the opening makes, in order. */
async function prepareOpening({ connectQuery = '', encryption = null, waits = false }: Wishes = {}) {
  const transport = createMemoryTransport()
  const peers: MemoryChannel[] = []
  const heard: Buffer[] = []
  await transport.listen({ ...ADDRESS, backlog: 1, keepAlive: KEEP_ALIVE }, (channel) => {
    peers.push(channel)
    channel.listener = {
      onRead: (buffer, start, end) => void heard.push(Buffer.from(buffer.subarray(start, end))),
      onDrained() {},
      onClosed() {},
    }
  })
  const told: string[] = []
  const frames = new Frames(MAX_CHORE_REPLY_BYTES)
  let current: Channel | null = null
  const owner: OpeningOwner & OutsideLeaseOwner = {
    id: 7,
    isOver: false,
    address: ADDRESS,
    context: {
      transport,
      keepAlive: KEEP_ALIVE,
      identity: {
        user: 'ada',
        database: 'app',
        parameters: new Map([['search_path', 'x']]),
        secret: () => null,
        scramKeys: () => null,
      },
      connectQuery,
    },
    settings: new ServerSettings(new Tracked([])),
    statements: new ServerStatements(new StatementRegistry(), new SchemaVersion()),
    guard(work) {
      try {
        work()
      } catch (problem) {
        told.push(`broken: ${(problem as Error).message}`)
      }
    },
    send: (bytes) => void current?.write(bytes, 0, bytes.length),
    onConnected(channel) {
      told.push('connected')
      current = channel
      channel.listener = owner
      if (!waits) opening.begin(channel, encryption)
    },
    onEncrypted(channel) {
      told.push('encrypted')
      current = channel
      channel.listener = owner
    },
    onLoginNotice: ({ message }) => void told.push(`notice: ${message}`),
    onLoggedIn: ({ pid, parameters }) => void told.push(`logged in: ${pid}, ${parameters.get('TimeZone')}`),
    onOpened: ({ pid }) => void told.push(`opened: ${pid}`),
    onOpeningFailed: (problem) => void told.push(`failed: ${problem.message}`),
    onRead: (buffer, start, end) => void frames.read(buffer, start, end, CHORE_NEEDS, opening),
    onDrained() {},
    onClosed: (problem) => void told.push(`closed: ${problem?.message}`),
    onAsynchronous: (type) => void told.push(`asynchronous ${String.fromCharCode(type)}`),
    onNonsense: (reason) => void told.push(`nonsense: ${reason}`),
    noteTag: () => {},
    close: (reason) => void told.push(`close: ${reason}`),
    giveUp: (reason) => void told.push(`give up: ${reason}`),
  }
  const opening = new ServerOpening(owner, new OutsideLease(owner))
  return {
    opening,
    owner,
    told,
    /** What Postgres has received. */
    heard: () => Buffer.concat(heard),
    peer: () => peers[0] as MemoryChannel,
    channel: () => current as Channel,
    listener: (): ChannelListener => (current as Channel).listener,
    async say(...messages: Buffer[]) {
      const bytes = join(...messages)
      peers[0]?.write(bytes, 0, bytes.length)
      await quiet()
    },
  }
}

/** The same, already connected. */
async function startOpening(wishes: Wishes = {}) {
  const parts = await prepareOpening(wishes)
  parts.opening.dial()
  await quiet()
  return parts
}

test('without a connect query a server is open once the login has succeeded', async () => {
  const { say, told, heard } = await startOpening()
  await say(LET_IN)
  // Only the startup packet.
  expect(heard().toString('latin1', 8)).toBe('user\0ada\0database\0app\0search_path\0x\0\0')
  expect(told).toEqual(['connected', 'logged in: 42, UTC', 'opened: 42'])
})

test('with a connect query a server is open once that query has run', async () => {
  const { say, told, heard } = await startOpening({ connectQuery: 'set role x' })
  await say(LET_IN)
  expect(told).toEqual(['connected', 'logged in: 42, UTC'])
  expect(heard().toString('latin1')).toMatch(/set role x\0$/)
  await say(complete('SET'), ready())
  expect(told.slice(2)).toEqual(['opened: 42'])
})

test('a server whose connect query fails is not opened', async () => {
  const { say, told } = await startOpening({ connectQuery: 'set role x' })
  await say(LET_IN, error('22023', 'role "x" does not exist'), ready())
  expect(told.slice(1)).toEqual(['logged in: 42, UTC', 'failed: role "x" does not exist'])
})

test('a server that refuses the login is not opened, and its error is passed on', async () => {
  const { say, told } = await startOpening()
  await say(error('28000', 'no entry in pg_hba.conf', 'FATAL'))
  expect(told).toEqual(['connected', 'failed: no entry in pg_hba.conf'])
})

test('a notice during the login is passed on', async () => {
  const { say, told } = await startOpening()
  await say(notice('welcome'), LET_IN)
  expect(told.slice(1, 3)).toEqual(['notice: welcome', 'logged in: 42, UTC'])
})

test('messages after the end of the login go to the server even if they come in the same chunk', async () => {
  const { say, told } = await startOpening()
  await say(LET_IN, notice('welcome'), message('!'))
  expect(told.slice(2)).toEqual([
    'opened: 42',
    'asynchronous N',
    "nonsense: a message of type '!' and length 5 (unknown)",
  ])
})

test('a message of unknown type fails a login in progress', async () => {
  const { say, told } = await startOpening()
  await say(message('!'))
  expect(told).toEqual(['connected', expect.stringMatching(/^failed: .*'!' and length 5 \(unknown\)/)])
})

test('nothing is sent to Postgres before the opening is begun', async () => {
  const { opening, channel, heard, told } = await startOpening({ waits: true })
  expect(told).toEqual(['connected'])
  expect(heard()).toHaveLength(0)
  opening.begin(channel(), null)
  await quiet()
  expect(heard()).not.toHaveLength(0)
})

test('if nothing listens at the address, the error names the address', async () => {
  const { opening, owner, told } = await prepareOpening()
  Object.assign(owner, { address: { host: 'nowhere', port: 1 } })
  opening.dial()
  await quiet()
  expect(told).toEqual([expect.stringContaining('connect to nowhere:1 failed: connect ECONNREFUSED nowhere:1')])
})

test('a dial that was abandoned reports nothing', async () => {
  const { opening, told } = await prepareOpening()
  opening.dial()
  opening.abandon()
  await quiet()
  expect(told).toEqual([])
})

test('a login that was abandoned reports nothing', async () => {
  const { opening, say, told } = await startOpening()
  opening.abandon()
  await say(LET_IN)
  expect(told).toEqual(['connected'])
})

test('if TLS is optional and the server refuses it, the login goes on unencrypted', async () => {
  const { say, told, heard } = await startOpening({ encryption: { ...ENCRYPTION, isRequired: false } })
  expect(heard()).toEqual(SSL_REQUEST_PACKET)
  await say(Buffer.from('N'))
  expect(heard().toString('latin1')).toContain('user\0ada\0')
  await say(LET_IN)
  expect(told).toEqual(['connected', 'encrypted', 'logged in: 42, UTC', 'opened: 42'])
})

test('if TLS is required and the server refuses it, there is no login, and the channel’s listener is the server again', async () => {
  const { owner, say, told, heard, listener } = await startOpening({ encryption: ENCRYPTION })
  await say(Buffer.from('N'))
  expect(told).toEqual(['connected', expect.stringMatching(/^failed: .*server_tls_sslmode requires it/)])
  expect(heard()).toEqual(SSL_REQUEST_PACKET)
  expect(listener()).toBe(owner)
})

test('if the server answers SSLRequest that it cannot start a process, the error says to look at the server’s log', async () => {
  const { say, told } = await startOpening({ encryption: { ...ENCRYPTION, isRequired: false } })
  await say(Buffer.from('Ecould not fork new process for connection: Cannot allocate memory\n\0'))
  expect(told).toEqual(['connected', expect.stringContaining('cannot start a process for a connection; see its log')])
})

test('a connection that ends before the answer to SSLRequest closes the server’s channel', async () => {
  const { peer, told } = await startOpening({ encryption: ENCRYPTION })
  peer().close()
  await quiet()
  expect(told).toEqual(['connected', 'closed: the server closed the connection in answer to SSLRequest'])
})

test('an exception after the answer to SSLRequest is caught by the server’s guard', async () => {
  const { owner, say, told } = await startOpening({ encryption: { ...ENCRYPTION, isRequired: false } })
  owner.onEncrypted = () => {
    throw new Error('a mistake')
  }
  await say(Buffer.from('N'))
  expect(told).toEqual(['connected', 'broken: a mistake'])
})
