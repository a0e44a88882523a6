/** How clients authenticate, and that a client learns nothing about which users exist before it has authenticated (rule 10). */

import { createHash } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { ScramClient } from '../../src/auth/scram-client.ts'
import { generateScramSecret } from '../../src/auth/scram-keys.ts'
import { PlainSecret } from '../../src/auth/secrets.ts'
import type { Channel } from '../../src/net/channel.ts'
import { type FlowClient, saslInitial } from '../support/flow/client.ts'
import { reload } from '../support/flow/commands.ts'
import { Cutter, quiet } from '../support/flow/inbox.ts'
import type { FlowServer, LoginScript } from '../support/flow/postgres.ts'
import { readReply } from '../support/flow/reading.ts'
import { error, int32 } from '../support/flow/replies.ts'
import { message, password, query, startup, terminate } from '../support/flow/requests.ts'
import { type Flow, startFlow } from '../support/flow/start.ts'

const MD5 = `md5${createHash('md5').update('secretada').digest('hex')}`
const AUTH_FILE = ['"ada" "secret"', '"max" ""']

async function refusal(flow: Flow, options: { user?: string; database?: string; password?: string }) {
  const client = await flow.dial()
  const words = await client.login(options).then(
    () => 'was let in',
    (error: Error) => error.message.replace(/^client \d+ could not log in: /, ''),
  )
  return { client, words }
}

/** What an unauthenticated client sees of the exchange, without the random parts. */
function shape(names: readonly string[]): string[] {
  return names.map((name) => name.replace(/\(.*/s, ''))
}

describe.each([
  ['plain', 'AuthenticationCleartextPassword', 'ErrorResponse(FATAL 28P01 password authentication failed)'],
  ['md5', 'AuthenticationMD5Password', 'ErrorResponse(FATAL 28P01 password authentication failed)'],
  ['scram-sha-256', 'AuthenticationSASL', 'ErrorResponse(FATAL 28P01 SASL authentication failed)'],
])('auth_type = %s', (auth_type, asked, refused) => {
  const OPTIONS = { settings: { auth_type, scram_iterations: 8 }, authFile: AUTH_FILE }

  test('lets in a client with the right password', async () => {
    const flow = await startFlow(OPTIONS)
    const client = await flow.connect({ password: 'secret' })
    expect(client.inbox.all[0]?.name).toBe(asked)
    client.send(query('one'))
    await (await flow.postgres.next()).expect('Query(one)')
    client.vanish()
    await flow.postgres.nextCancel()
  })

  test('refuses a client with a wrong password', async () => {
    const flow = await startFlow(OPTIONS)
    const { client, words } = await refusal(flow, { password: 'wrong' })
    expect(words).toBe(refused)
    await client.expectClosed()
    expect(flow.postgres.servers).toHaveLength(0)
  })

  for (const [what, options] of [
    ['a user that does not exist', { user: 'nobody' }],
    ['a user without a password', { user: 'max' }],
    ['a database that does not exist', { database: 'nowhere' }],
    ['a user and a database that do not exist', { user: 'nobody', database: 'nowhere' }],
  ] as const)
    test(`${what} cannot be distinguished from a wrong password`, async () => {
      const flow = await startFlow(OPTIONS)
      const known = await refusal(flow, { password: 'wrong' })
      const unknown = await refusal(flow, { ...options, password: 'wrong' })
      expect(unknown.words).toBe(known.words)
      expect(shape(unknown.client.inbox.all.map((reply) => reply.shown))).toEqual(
        shape(known.client.inbox.all.map((reply) => reply.shown)),
      )
      await unknown.client.expectClosed()
    })

  test('a hint about a failed login is in the log only', async () => {
    const flow = await startFlow(OPTIONS)
    const { client } = await refusal(flow, { password: 'wrong' })
    await client.expectClosed()
    expect(flow.logged('pooler error: ').at(-1)).toMatch(
      /authentication failed HINT: The password is wrong, or there is no such user/,
    )
    expect(client.inbox.all.map((reply) => reply.shown).join()).not.toContain('SHOW USERS')
  })

  test('an empty password is refused', async () => {
    const flow = await startFlow(OPTIONS)
    for (const user of ['ada', 'max', 'nobody']) {
      const { client, words } = await refusal(flow, { user, password: '' })
      expect(words).toContain('FATAL 28P01')
      await client.expectClosed()
    }
  })

  test('a missing database is reported only after the client has authenticated', async () => {
    const flow = await startFlow(OPTIONS)
    const { client, words } = await refusal(flow, { database: 'nowhere', password: 'secret' })
    expect(words).toBe('ErrorResponse(FATAL 3D000 no such database: nowhere)')
    await client.expectClosed()
  })

  test('lets in a client whose messages arrive byte by byte', async () => {
    const flow = await startFlow({ ...OPTIONS, cut: 1 })
    await flow.connect({ password: 'secret' })
  })

  test('a client may send Terminate instead of its answer', async () => {
    const flow = await startFlow(OPTIONS)
    const client = await flow.dial()
    client.send(startup({ user: 'ada', database: 'app' }))
    await client.expect(asked)
    client.send(terminate)
    await client.expectClosed()
    expect(flow.logged('client close request')).toHaveLength(1)
  })

  test('a client that disconnects while its answer is being checked leaves no session behind', async () => {
    const flow = await startFlow(OPTIONS)
    const client = await flow.dial()
    client.send(startup({ user: 'ada', database: 'app' }))
    await client.expect(asked)
    client.send(
      auth_type === 'scram-sha-256' ? saslInitial('SCRAM-SHA-256', Buffer.from('n,,n=,r=abc')) : password('secret'),
    )
    client.vanish()
    await quiet(20)
    expect(flow.pooler.parts.sessions.count).toBe(0)
  })

  for (const [what, bytes] of [
    ['a query', query('select 1')],
    ['an unknown message', message('z')],
    ['a password that is too long', message('p', Buffer.alloc(100), 100_000)],
    ['an empty password message', message('p')],
    ['an impossible length', message('p', Buffer.alloc(4), 2)],
  ] as const)
    test(`${what} is refused instead of the answer`, async () => {
      const flow = await startFlow(OPTIONS)
      const client = await flow.dial()
      client.send(startup({ user: 'ada', database: 'app' }))
      await client.expect(asked)
      client.send(bytes)
      expect((await client.expect('ErrorResponse')).shown).toContain('FATAL')
      await client.expectClosed()
    })
})

/** What the log says about clients, but for what is there for debugging. */
const story = (flow: Flow) => flow.log.flatMap((line) => / (?:LOG|WARNING) C-\S+ \S+ ([^:]+):/.exec(line)?.[1] ?? [])

describe('the line of a login', () => {
  test('is written behind the welcome', async () => {
    const flow = await startFlow()
    ;(await flow.connect()).leave()
    await quiet()
    const client = await flow.dial()
    const { channel } = [...flow.pooler.parts.sessions].at(-1) as { channel: Channel }
    const write = channel.write.bind(channel)
    let linesBefore = -1
    channel.write = (buffer, start, end) => {
      linesBefore = flow.logged('login attempt').length
      return write(buffer, start, end)
    }
    await client.login()
    expect(linesBefore).toBe(1)
    expect(flow.logged('login attempt')).toHaveLength(2)
  })

  test('is there while the client waits for a server', async () => {
    const flow = await startFlow()
    flow.postgres.login = () => {}
    const client = await flow.dial()
    client.send(startup({ user: 'ada', database: 'app' }))
    const server = await flow.postgres.next()
    expect(story(flow)).toEqual(['login attempt'])
    server.welcome()
    await client.answer()
    expect(story(flow)).toEqual(['login attempt'])
  })

  test('precedes an error', async () => {
    const flow = await startFlow()
    // Learned by the first login, so that the second one is refused at once.
    flow.postgres.login = (server) => {
      server.send(error('28000', 'role "ada" is not permitted to log in', 'FATAL'))
      server.close()
    }
    await refusal(flow, {})
    flow.log.length = 0
    await refusal(flow, {})
    expect(story(flow)).toEqual(['login attempt', 'pooler error', 'closing because'])
  })
})

describe('the last message of SCRAM', () => {
  const OPTIONS = {
    settings: { auth_type: 'scram-sha-256', scram_iterations: 8, max_user_client_connections: 1 },
    authFile: AUTH_FILE,
  }

  /** Dials, and answers until the proof is sent. Returns what the pooler writes from then on: the names of the messages in each write. */
  async function prove(flow: Flow, ...behind: Buffer[]): Promise<{ client: FlowClient; writes: string[][] }> {
    const client = await flow.dial()
    const session = [...flow.pooler.parts.sessions].at(-1)
    const writes: string[][] = []
    const { channel } = session as { channel: Channel }
    const write = channel.write.bind(channel)
    channel.write = (buffer, start, end) => {
      const names: string[] = []
      new Cutter((frame) => names.push(readReply(frame).name)).add(Buffer.from(buffer.subarray(start, end)))
      writes.push(names)
      return write(buffer, start, end)
    }
    const scram = new ScramClient(new PlainSecret('secret'))
    client.send(startup({ user: 'ada', database: 'app' }))
    await client.expect('AuthenticationSASL')
    client.send(saslInitial('SCRAM-SHA-256', scram.first()))
    const { read } = await client.expect('AuthenticationSASLContinue')
    writes.length = 0
    client.send(message('p', await scram.final(Buffer.from(String(read?.['data'])))), ...behind)
    return { client, writes }
  }

  test('comes in one write with the welcome', async () => {
    const flow = await startFlow(OPTIONS)
    const first = await flow.connect({ password: 'secret' })
    first.leave()
    await quiet()
    const { client, writes } = await prove(flow)
    await client.answer()
    expect(writes).toHaveLength(1)
    expect(writes[0]?.slice(0, 2)).toEqual(['AuthenticationSASLFinal', 'AuthenticationOk'])
    expect(writes[0]?.at(-1)).toBe('ReadyForQuery')
  })

  test('is logged before what the client has sent behind it', async () => {
    const flow = await startFlow(OPTIONS)
    const first = await flow.connect({ password: 'secret' })
    first.leave()
    await quiet()
    flow.log.length = 0
    const { client } = await prove(flow, query('select 1'), terminate)
    await client.answer()
    await client.expectClosed()
    expect(story(flow)).toEqual(['login attempt', 'closing because'])
  })

  test('does not wait for a server that has to be opened for the welcome', async () => {
    const flow = await startFlow(OPTIONS)
    flow.postgres.login = () => {}
    const { client } = await prove(flow)
    const server = await flow.postgres.next()
    await client.expect('AuthenticationSASLFinal')
    server.welcome()
    await client.answer()
  })

  test('precedes the error for a client that may not enter', async () => {
    const flow = await startFlow(OPTIONS)
    await flow.connect({ password: 'secret' })
    const { client } = await prove(flow)
    await client.expect('AuthenticationSASLFinal')
    await client.expect('ErrorResponse')
    await client.expectClosed()
  })
})

test('an md5 secret works with auth_type = md5', async () => {
  const flow = await startFlow({ settings: { auth_type: 'md5' }, authFile: [`"ada" "${MD5}"`] })
  await flow.connect({ password: 'secret' })
  const { client } = await refusal(flow, { password: 'wrong' })
  await client.expectClosed()
  const empty = await flow.dial()
  empty.send(startup({ user: 'ada', database: 'app' }))
  await empty.expect('AuthenticationMD5Password')
  empty.send(password(''))
  await empty.expect('ErrorResponse(FATAL 28P01 empty password returned by client)')
})

test('with auth_type = md5, a user with a rare kind of secret cannot be distinguished from one that does not exist', async () => {
  const scram = await generateScramSecret('secret', 8)
  const flow = await startFlow({ settings: { auth_type: 'md5' }, authFile: [`"ada" "${MD5}"`, `"bob" "${scram}"`] })
  const asked = new Set<string>()
  for (let n = 0; n < 60; n++) {
    const client = await flow.dial()
    client.send(startup({ user: `nobody${n}`, database: 'app' }))
    asked.add((await client.inbox.next()).name)
    client.vanish()
  }
  expect([...asked].sort()).toEqual(['AuthenticationMD5Password', 'AuthenticationSASL'])
})

test('a user that does not exist has the same SCRAM iterations as existing users, whatever scram_iterations is', async () => {
  const shown: string[] = []
  const authFile = [`"ada" "${await generateScramSecret('secret', 8)}"`]
  const flow = await startFlow({ settings: { auth_type: 'scram-sha-256', scram_iterations: 16 }, authFile })
  for (const user of ['ada', 'nobody']) {
    const client = await flow.dial()
    client.send(startup({ user, database: 'app' }))
    await client.expect('AuthenticationSASL')
    client.send(saslInitial('SCRAM-SHA-256', Buffer.from('n,,n=,r=abc')))
    shown.push(
      (await client.expect('AuthenticationSASLContinue')).bytes.toString('latin1').replace(/.*(i=\d+).*/s, '$1'),
    )
    client.vanish()
  }
  expect(shown).toEqual(['i=8', 'i=8'])
})

test('auth_type = trust lets in every user in auth_file, and no others', async () => {
  const flow = await startFlow({ settings: { auth_type: 'trust' }, authFile: AUTH_FILE })
  await flow.connect()
  const { client, words } = await refusal(flow, { user: 'nobody' })
  expect(words).toBe('ErrorResponse(FATAL 28000 "trust" authentication failed)')
  await client.expectClosed()
})

test('auth_type = any lets in any user', async () => {
  const flow = await startFlow()
  await flow.connect({ user: 'whoever' })
})

test('a query that follows the startup packet at once is run after the login', async () => {
  const flow = await startFlow()
  const client = await flow.dial()
  client.send(startup({ user: 'ada', database: 'app' }), query('ahead'))
  const server = await flow.postgres.next()
  await server.expect('Query(ahead)')
  client.inbox.take()
  client.vanish()
  await flow.postgres.nextCancel()
})

describe('when a server asks for a password', () => {
  const asks = (words: Buffer, check: (server: FlowServer) => void): LoginScript => {
    return (server) => {
      server.send(words)
      check(server)
    }
  }
  const expectAnswer = (expected: string) => async (server: FlowServer) => {
    await server.expect('Password')
    expect(server.inbox.all[0]?.texts[0]).toBe(expected)
    server.welcome()
  }
  const salted = (hash: string) => `md5${createHash('md5').update(hash).update(Buffer.from('salt')).digest('hex')}\0`

  test('in cleartext, it gets the plain secret', async () => {
    const flow = await startFlow({ settings: { auth_type: 'trust' }, authFile: ['"ada" "secret"'] })
    flow.postgres.login = asks(message('R', int32(3)), expectAnswer('secret\0'))
    await flow.connect()
  })

  for (const [how, words] of [
    ['in cleartext', int32(3)],
    ['as md5', Buffer.concat([int32(5), Buffer.from('salt')])],
    ['by SCRAM', Buffer.concat([int32(10), Buffer.from('SCRAM-SHA-256\0\0')])],
  ] as const)
    test(`${how}, it does not get the user’s secret with auth_type = any, since the client has not proved to be that user`, async () => {
      const flow = await startFlow({ authFile: ['"ada" "secret"'] })
      flow.postgres.login = (server) => server.send(message('R', words))
      expect((await refusal(flow, {})).words).toBe('ErrorResponse(FATAL F0000 bouncer config error)')
      expect(flow.logged('auth_type=any requires forced user')).not.toEqual([])
      expect(flow.postgres.servers[0]?.inbox.all).toEqual([])
    })

  test('it gets the secret of the forced user with auth_type = any', async () => {
    const flow = await startFlow({ databases: ['app=host=db user=eve'], authFile: ['"eve" "hers"'] })
    flow.postgres.login = asks(message('R', int32(3)), expectAnswer('hers\0'))
    await flow.connect()
  })

  test('and auth_type then becomes any, servers opened with a user’s secret are closed', async () => {
    const settings = { auth_type: 'trust', admin_users: 'root' }
    const flow = await startFlow({ settings, authFile: ['"ada" "secret"', '"root" "its"'] })
    flow.postgres.login = asks(message('R', int32(3)), expectAnswer('secret\0'))
    await flow.connect()
    await flow.expectCounts({ idle: 1 })
    await reload(flow, { settings: { auth_type: 'any' } })
    await flow.expectCounts({})
  })

  for (const [what, secret] of [
    ['a plain', 'secret'],
    ['an md5', MD5],
  ] as const)
    test(`as md5, ${what} secret is enough`, async () => {
      const flow = await startFlow({ settings: { auth_type: 'trust' }, authFile: [`"ada" "${secret}"`] })
      flow.postgres.login = asks(
        message('R', Buffer.concat([int32(5), Buffer.from('salt')])),
        expectAnswer(salted(MD5.slice(3))),
      )
      await flow.connect()
    })

  test('it gets the password of the database entry for the forced user', async () => {
    const flow = await startFlow({ databases: ['app=host=db user=forced password=theirs'] })
    flow.postgres.login = asks(message('R', int32(3)), expectAnswer('theirs\0'))
    await flow.connect()
  })

  test('and auth_file has the user’s SCRAM secret, a client with another password is refused', async () => {
    const scram =
      'SCRAM-SHA-256$8:c2FsdHNhbHRzYWx0c2FsdA==$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA='
    const flow = await startFlow({ settings: { auth_type: 'plain' }, authFile: [`"ada" "${scram}"`] })
    const { client, words } = await refusal(flow, { password: 'secret' })
    expect(words).toContain('28P01')
    await client.expectClosed()
  })
})
