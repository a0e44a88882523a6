/** What `verbose` adds to the log for debugging. Without `verbose` none of it is logged. It never contains a secret. */

import { describe, expect, test } from 'vitest'
import type { NameService } from '../../src/net/names/look-up.ts'
import { LOOKUP, LOOKUP_BEGUN } from '../support/flow/lookup.ts'
import { bindComplete, complete, dataRow, error, join, parseComplete, ready } from '../support/flow/replies.ts'
import { cancelRequest, query, startup } from '../support/flow/requests.ts'
import { type Flow, startFlow, startPair } from '../support/flow/start.ts'

const told = (flow: Flow) => flow.logged(' DEBUG ').map((line) => line.replace(/^.* DEBUG /, ''))

describe('verbose logs how a client has to authenticate:', () => {
  const OPTIONS = { settings: { auth_type: 'md5' }, authFile: ['"ada" "secret"'] }

  test.each([
    ['ada', 'md5, user has a secret of kind plain'],
    ['eve', 'md5, user is unknown'],
  ])('%s by %s', async (user, sentence) => {
    const flow = await startFlow(OPTIONS)
    const client = await flow.dial()
    client.send(startup({ user, database: 'app' }))
    await client.expect('AuthenticationMD5Password')
    expect(told(flow)).toEqual([expect.stringMatching(`^C-0x\\w+: app/${user}@\\S+ must authenticate: ${sentence}$`)])
  })
})

test('verbose logs which PostgreSQL process a server is, and that a cancel request is sent to it', async () => {
  const { flow, client, postgres } = await startPair()
  client.send(query('select pg_sleep(60)'))
  await postgres.expect('Query')
  const canceller = await flow.dial()
  canceller.send(cancelRequest(client.key))
  await flow.postgres.nextCancel()
  await canceller.expectClosed()
  postgres.send(error('57014', 'canceling statement due to user request'), ready())
  await client.answer()
  expect(told(flow).filter((line) => line.startsWith('S-'))).toEqual([
    expect.stringMatching(`^S-0x\\w+: app/ada@\\S+ logged in: process ${postgres.pid} of PostgreSQL, tls=no, \\d+ ms`),
    expect.stringMatching(/^S-0x\w+: app\/ada@\S+ a cancel request is sent client=C-0x\w+$/),
  ])
})

test('verbose logs what auth_query has found, except for the secret', async () => {
  const settings = { auth_type: 'plain', auth_user: 'asker', default_pool_size: 1, server_reset_query: '' }
  const flow = await startFlow({ settings, authFile: ['"asker" "secret"'] })
  const client = await flow.dial()
  client.send(startup({ user: 'eve', database: 'app' }))
  const postgres = await flow.postgres.next()
  await postgres.expect(...LOOKUP)
  const row = join(parseComplete, bindComplete, dataRow('eve', 'hers'), complete('SELECT 1'), ready())
  postgres.send(LOOKUP_BEGUN, row)
  await client.authenticate('eve', 'hers')
  await flow.postgres.next()
  await client.answer()
  expect(told(flow)).toContain('auth_query of asker in database app for user eve: plain secret')
  expect(flow.logged('hers')).toEqual([])
})

test('verbose logs the answers of name servers', async () => {
  let isKnown = true
  const names: NameService = {
    async lookUp() {
      if (!isKnown) throw new Error('nobody answers')
      return { addresses: ['10.0.0.1', '10.0.0.2'], lifetimeMs: null }
    },
    serialOf: () => Promise.reject(new Error('nobody is asked')),
    namesOf: () => Promise.reject(new Error('nobody is asked')),
  }
  const postgres = { host: '10.0.0.1', port: 5432 }
  const flow = await startFlow({ names, postgres, databases: ['app=host=db.test'] })
  await flow.connect()
  isKnown = false
  await flow.advance(15_000)
  expect(told(flow).filter((line) => line.includes('db.test'))).toEqual([
    'the host db.test has the addresses 10.0.0.1, 10.0.0.2',
    'the host db.test could not be looked up: nobody answers',
  ])
})
