/** A client that has authenticated by certificate or through the kernel must still name a user that exists. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { FlowClient } from '../support/flow/client.ts'
import { LOOKUP, LOOKUP_BEGUN } from '../support/flow/lookup.ts'
import type { FlowServer } from '../support/flow/postgres.ts'
import { bindComplete, complete, dataRow, int32, parseComplete, ready } from '../support/flow/replies.ts'
import { message, startup } from '../support/flow/requests.ts'
import { type Flow, startFlow } from '../support/flow/start.ts'

const { uid, username } = userInfo()

function hbaFile(rules = 'local all all peer'): string {
  const directory = mkdtempSync(join(tmpdir(), 'pgweir-flow-'))
  onTestFinished(() => rmSync(directory, { recursive: true }))
  writeFileSync(join(directory, 'hba.conf'), `${rules}\n`)
  return join(directory, 'hba.conf')
}

/** Connects a client that seems to come through a unix socket, as our own system user. */
async function come(flow: Flow): Promise<FlowClient> {
  const client = await flow.dial()
  const session = [...flow.pooler.parts.sessions].find(({ channel }) => channel.peer.port === client.channel.local.port)
  const process = { pid: 1, uid, gid: 0 }
  Object.assign(session?.channel ?? {}, { peer: { host: '/tmp', port: client.channel.local.port, process } })
  client.send(startup({ user: username, database: 'app' }))
  return client
}

const start = (authFile: readonly string[], settings: Record<string, string> = {}) =>
  startFlow({ settings: { auth_type: 'hba', auth_hba_file: hbaFile(), ...settings }, authFile })

/** A server that asks for a cleartext password, and expects this one. */
const asksFor = (expected: string) => async (server: FlowServer) => {
  server.send(message('R', int32(3)))
  await server.expect('Password')
  expect(server.inbox.all[0]?.texts[0]).toBe(`${expected}\0`)
  server.welcome()
}

describe('the auth method peer', () => {
  test('lets in a user in auth_file, whose secret is used to log in to servers', async () => {
    const flow = await start([`"${username}" "its"`])
    flow.postgres.login = asksFor('its')
    const client = await come(flow)
    expect((await client.answer()).at(-1)).toBe('ReadyForQuery(I)')
  })

  test('refuses a user that does not exist', async () => {
    const flow = await start(['"ada" "secret"'])
    const client = await come(flow)
    await client.expect('ErrorResponse(FATAL 28000 unix socket login rejected)')
    await client.expectClosed()
    expect(flow.postgres.servers).toHaveLength(0)
  })

  test('lets in a user that auth_query finds, whose secret is used to log in to servers', async () => {
    const flow = await start(['"asker" "secret"'], { auth_user: 'asker', server_reset_query: '' })
    const client = await come(flow)
    const asked = await flow.postgres.next()
    await asked.expect(...LOOKUP)
    flow.postgres.login = asksFor('its')
    const row = [parseComplete, bindComplete, dataRow(username, 'its'), complete('SELECT 1'), ready()]
    asked.send(LOOKUP_BEGUN, ...row)
    expect((await client.answer()).at(-1)).toBe('ReadyForQuery(I)')
  })

  test('lets in a user that auth_query finds without a password', async () => {
    const flow = await start(['"asker" "secret"'], { auth_user: 'asker', server_reset_query: '' })
    const client = await come(flow)
    const asked = await flow.postgres.next()
    await asked.expect(...LOOKUP)
    const row = [parseComplete, bindComplete, dataRow(username, null), complete('SELECT 1'), ready()]
    asked.send(LOOKUP_BEGUN, ...row)
    expect((await client.answer()).at(-1)).toBe('ReadyForQuery(I)')
  })
})

test.each(['pgweir', 'pgbouncer'])(
  'an auth_hba_file rule that rejects a user for the console %s applies to both names of the console',
  async (named) => {
    const auth_hba_file = hbaFile(`host ${named} root all reject\nhost all all all trust`)
    const flow = await startFlow({
      settings: { auth_type: 'hba', auth_hba_file, admin_users: 'root,ada' },
      authFile: ['"root" "r"', '"ada" "a"'],
    })
    for (const database of ['pgweir', 'pgbouncer']) {
      await expect(flow.connect({ database, user: 'root' })).rejects.toThrow('FATAL 28000')
      await flow.connect({ database, user: 'ada' })
    }
  },
)

test('an invalid answer to the query for role memberships refuses the client, and the query is repeated for the next one', async () => {
  const flow = await startFlow({
    settings: { auth_type: 'hba', auth_hba_file: hbaFile('host all +staff all trust'), auth_user: 'asker' },
    authFile: ['"asker" "secret"', '"ada" "a"'],
  })
  for (const answer of ['["staff"', '7']) {
    const client = await flow.dial()
    client.send(startup({ user: 'ada', database: 'app' }))
    const server = flow.postgres.open[0] ?? (await flow.postgres.next())
    await server.expect(...LOOKUP)
    const row = [parseComplete, bindComplete, dataRow(answer), complete('SELECT 1'), ready()]
    server.send(LOOKUP_BEGUN, ...row)
    await client.expect('ErrorResponse(FATAL F0000 bouncer config error)')
    await client.expectClosed()
  }
})
