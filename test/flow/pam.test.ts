/** Clients whose passwords PAM checks: the answers that they get, and the passwords with which pgweir logs in to servers. */

import { expect, test } from 'vitest'
import type { PamQuestion } from '../../src/net/pam-library.ts'
import { quiet } from '../support/flow/inbox.ts'
import type { LoginScript } from '../support/flow/postgres.ts'
import { int32 } from '../support/flow/replies.ts'
import { message, password, startup } from '../support/flow/requests.ts'
import { type FlowOptions, startFlow } from '../support/flow/start.ts'

const REFUSED = 'ErrorResponse(FATAL 28000 PAM authentication failed)'

/** PAM holds its answers back until the test gives them. */
async function start(options: FlowOptions = {}) {
  const asked: PamQuestion[] = []
  const answers: ((isRight: boolean) => void)[] = []
  const pamHelpers = {
    isRight(question: PamQuestion) {
      asked.push(question)
      return new Promise<boolean>((resolve) => answers.push(resolve))
    },
    close: () => {},
  }
  const flow = await startFlow({ ...options, settings: { auth_type: 'pam', ...options.settings }, pamHelpers })
  return { flow, asked, answers }
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

test('a client is let in when PAM accepts its password, which is also used to log in to servers', async () => {
  const { flow, asked, answers } = await start({ settings: { auth_pam_service: 'postgresql' } })
  flow.postgres.login = asksFor('secret')
  const client = await askedFor(flow)
  client.send(password('secret'))
  await quiet()
  await client.expectNothing()
  expect(asked).toEqual([{ service: 'postgresql', user: 'ada', password: 'secret', host: expect.any(String) }])
  answers[0]?.(true)
  await client.expect('AuthenticationOk')
  expect((await client.answer()).at(-1)).toBe('ReadyForQuery(I)')
  expect(flow.log.join()).not.toContain('secret')
})

test('a client that PAM refuses is not let in, whether or not its user is in auth_file', async () => {
  const { flow, answers } = await start({ authFile: ['"ada" "secret"'] })
  for (const user of ['ada', 'nobody']) {
    const client = await askedFor(flow, user)
    client.send(password('secret'))
    await quiet()
    answers.pop()?.(false)
    await client.expect(REFUSED)
    await client.expectClosed()
  }
  expect(flow.postgres.servers).toHaveLength(0)
})

test('PAM is not asked about an empty password or one that is not valid text', async () => {
  const { flow, asked } = await start()
  const empty = await askedFor(flow)
  empty.send(password(''))
  await empty.expect('ErrorResponse(FATAL 28P01 empty password returned by client)')
  for (const body of [Buffer.from([0xff, 0xfe, 0]), Buffer.from('a\0b\0')]) {
    const broken = await askedFor(flow)
    broken.send(message('p', body))
    await broken.expect(REFUSED)
  }
  expect(asked).toEqual([])
})

test('a client that times out while PAM is asked gets an error and costs no server', async () => {
  const { flow, answers } = await start({ settings: { client_login_timeout: 5 } })
  const client = await askedFor(flow)
  client.send(password('secret'))
  await flow.advance(6_000)
  await client.expect('ErrorResponse(FATAL 08006 client_login_timeout)')
  answers[0]?.(true)
  await quiet()
  expect(flow.postgres.servers).toHaveLength(0)
})
