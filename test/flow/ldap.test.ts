/** Clients whose passwords are in an LDAP directory: the answers that they get, and the passwords with which pgweir logs in to servers. */

import { expect, test } from 'vitest'
import type { DialLdap } from '../../src/net/ldap-connection.ts'
import { quiet } from '../support/flow/inbox.ts'
import type { LoginScript } from '../support/flow/postgres.ts'
import { int32 } from '../support/flow/replies.ts'
import { message, password, startup } from '../support/flow/requests.ts'
import { type FlowOptions, startFlow } from '../support/flow/start.ts'

const OPTIONS = 'ldapserver=h ldapprefix=uid= ldapsuffix=,dc=x'
const REFUSED = 'ErrorResponse(FATAL 28000 LDAP authentication failed)'

/** Starts a pooler with a directory whose answers are given by the test. */
async function start(options: FlowOptions = {}) {
  const binds: string[] = []
  const answers: ((isRight: boolean | Error) => void)[] = []
  const dialLdap: DialLdap = async () => ({
    bind: (name, secret) => {
      binds.push(`${name} ${secret}`)
      return new Promise((resolve, reject) =>
        answers.push((answer) => (answer instanceof Error ? reject(answer) : resolve(answer))),
      )
    },
    search: async () => [],
    close: () => {},
  })
  const settings = { auth_type: 'ldap', auth_ldap_options: OPTIONS, ...options.settings }
  const flow = await startFlow({ ...options, settings, dialLdap })
  return { flow, binds, answers }
}

/** A Postgres that asks for a password and accepts this one. */
function asksFor(secret: string): LoginScript {
  return async (server) => {
    server.send(message('R', int32(3)))
    await server.expect('Password')
    expect(server.inbox.all[0]?.texts[0]).toBe(`${secret}\0`)
    server.welcome()
  }
}

async function askedFor(flow: Awaited<ReturnType<typeof start>>['flow'], user = 'ada') {
  const client = await flow.dial()
  client.send(startup({ user, database: 'app' }))
  await client.expect('AuthenticationCleartextPassword')
  return client
}

test('a client is let in when the directory accepts its password, which is also used to log in to servers', async () => {
  const { flow, binds, answers } = await start()
  flow.postgres.login = asksFor('secret')
  const client = await askedFor(flow)
  client.send(password('secret'))
  await quiet()
  await client.expectNothing()
  expect(binds).toEqual(['uid=ada,dc=x secret'])
  answers[0]?.(true)
  await client.expect('AuthenticationOk')
  expect((await client.answer()).at(-1)).toBe('ReadyForQuery(I)')
  expect(flow.log.join()).not.toContain('secret')
})

test('while the directory checks a password, the client does not count as one that keeps the pooler waiting', async () => {
  const { flow, answers } = await start()
  const client = await askedFor(flow)
  const [session] = flow.pooler.parts.sessions
  expect(session?.isAwaited).toBe(true)
  client.send(password('wrong'))
  await quiet()
  expect(session?.isAwaited).toBe(false)
  answers[0]?.(false)
  await client.expect(REFUSED)
})

test.each([
  ['servers get the password of auth_file if the user has one there', 'of the server', 'of the server'],
  ['servers get the password of the directory if the user is in auth_file without a password', '', 'of the directory'],
])('%s', async (_, inFile, asked) => {
  const { flow, answers } = await start({ authFile: [`"ada" "${inFile}"`] })
  flow.postgres.login = asksFor(asked)
  const client = await askedFor(flow)
  client.send(password('of the directory'))
  await quiet()
  answers[0]?.(true)
  await client.expect('AuthenticationOk')
  expect((await client.answer()).at(-1)).toBe('ReadyForQuery(I)')
})

test('a client gets the same error whether the directory refuses its password or cannot be asked', async () => {
  const { flow, answers } = await start()
  for (const answer of [false, new Error('it is down')]) {
    const client = await askedFor(flow)
    client.send(password('wrong'))
    await quiet()
    answers.pop()?.(answer)
    await client.expect(REFUSED)
    await client.expectClosed()
  }
  expect(flow.logged('the LDAP server ldap://h:389 could not verify a password: it is down')).toHaveLength(1)
})

test('the directory is not asked about an empty password or one that is not valid text', async () => {
  const { flow, binds } = await start()
  const empty = await askedFor(flow)
  empty.send(password(''))
  await empty.expect('ErrorResponse(FATAL 28P01 empty password returned by client)')
  const broken = await askedFor(flow)
  broken.send(message('p', Buffer.from([0xff, 0xfe, 0])))
  await broken.expect(REFUSED)
  const cut = await askedFor(flow)
  cut.send(message('p', Buffer.from('a\0b\0')))
  await cut.expect(REFUSED)
  expect(binds).toEqual([])
})

test('a client that disconnects or times out while the directory is asked costs no server', async () => {
  const { flow, answers } = await start({ settings: { client_login_timeout: 5 } })
  const gone = await askedFor(flow)
  gone.send(password('secret'))
  await quiet()
  gone.vanish()
  const slow = await askedFor(flow)
  slow.send(password('secret'))
  await flow.advance(6_000)
  await slow.expect('ErrorResponse(FATAL 08006 client_login_timeout)')
  for (const answer of answers) answer(true)
  await quiet()
  expect(flow.postgres.servers).toHaveLength(0)
})

test('the log does not show the password of the directory, and auth_type = ldap without auth_ldap_options is refused', async () => {
  const options = `${OPTIONS.replace('ldapprefix=uid= ldapsuffix=,dc=x', 'ldapbasedn=dc=x')} ldapbinddn=cn=a ldapbindpasswd=`
  const { flow } = await start({ settings: { auth_ldap_options: `${options}hunter2` } })
  await flow.pooler.control.set('auth_ldap_options', `${options}hunter3`)
  expect(flow.logged('auth_ldap_options: ')).toHaveLength(1)
  flow.change({ settings: { auth_type: 'ldap' } })
  await expect(flow.pooler.control.reload()).rejects.toThrow('RELOAD failed')
  expect(flow.logged('auth_type = ldap needs auth_ldap_options')).toHaveLength(1)
  expect(flow.log.join()).not.toContain('hunter')
})
