/** With `*`, unauthenticated clients may name any number of databases: enough of PostgreSQL's connections must be left for others. */

import { expect, test } from 'vitest'
import type { FlowClient } from '../support/flow/client.ts'
import { quiet } from '../support/flow/inbox.ts'
import { LOOKUP, LOOKUP_BEGUN } from '../support/flow/lookup.ts'
import type { FlowServer } from '../support/flow/postgres.ts'
import { bindComplete, complete, dataRow, error, parseComplete, ready } from '../support/flow/replies.ts'
import { startup } from '../support/flow/requests.ts'
import { type Flow, startFlow } from '../support/flow/start.ts'

const AT_ONCE = 10

function start(settings: Record<string, string | number> = {}): Promise<Flow> {
  return startFlow({
    settings: { auth_type: 'plain', auth_user: 'asker', server_reset_query: '', ...settings },
    databases: ['*=host=db', 'app=host=db'],
    authFile: ['"asker" "secret"', '"ada" "secret"'],
  })
}

async function ask(flow: Flow, user: string, database: string): Promise<FlowClient> {
  const client = await flow.dial()
  client.send(startup({ user, database }))
  await quiet()
  return client
}

async function answer(postgres: FlowServer, user: string): Promise<void> {
  await postgres.expect(...LOOKUP)
  const row = [parseComplete, bindComplete, dataRow(user, 'hers'), complete('SELECT 1'), ready()]
  postgres.send(LOOKUP_BEGUN, ...row)
}

function refuse(postgres: FlowServer): void {
  postgres.send(error('3D000', 'database does not exist', 'FATAL'))
  postgres.channel.hangUp()
}

test('auth_query runs in only a few unknown databases at a time; other clients wait in turn, and those that leave are skipped', async () => {
  const flow = await start()
  flow.postgres.login = () => {}
  const strangers: FlowClient[] = []
  for (let n = 0; n < AT_ONCE + 3; n++) strangers.push(await ask(flow, 'eve', `invented${n}`))
  expect(flow.postgres.servers).toHaveLength(AT_ONCE)
  // A database that is named in the settings does not wait for these.
  const known = await ask(flow, 'eve', 'app')
  expect(flow.postgres.servers).toHaveLength(AT_ONCE + 1)
  strangers[AT_ONCE]?.vanish()
  await quiet()
  flow.postgres.servers.slice(0, AT_ONCE).forEach(refuse)
  for (const stranger of strangers.slice(0, AT_ONCE)) await stranger.expect('ErrorResponse')
  await quiet()
  const databases = flow.postgres.servers.map(({ parameters }) => parameters.get('database'))
  expect(databases.slice(AT_ONCE)).toEqual(['app', `invented${AT_ONCE + 1}`, `invented${AT_ONCE + 2}`])
  flow.postgres.servers.slice(AT_ONCE).forEach(refuse)
  for (const client of [known, ...strangers.slice(AT_ONCE + 1)]) await client.expect('ErrorResponse')
})

test('a client that names a database which does not exist is no error of the configuration', async () => {
  const flow = await start()
  flow.postgres.login = refuse
  for (const database of ['invented', 'app']) await (await ask(flow, 'eve', database)).expect('ErrorResponse')
  const levels = flow
    .logged('auth_query of')
    .map((line) => / (WARNING|ERROR) (.*) failed: .* HINT: (\S+ \S+)/.exec(line))
  expect(levels.map((found) => found?.slice(1))).toEqual([
    ['WARNING', 'auth_query of asker in database invented', 'A client'],
    ['ERROR', 'auth_query of asker in database app', 'Until this'],
  ])
})

test('the names of databases that do not exist take no place in the metrics, and what was counted before a server was opened stays with other', async () => {
  const flow = await start({ metrics_max_pools: 2, server_login_retry: 1 })
  const names = () =>
    flow.pooler.parts.pools
      .tallies()
      .map(({ database, user, totals }) => `${database}/${user} ${totals.serverFailures}`)
  const { login } = flow.postgres
  flow.postgres.login = refuse
  for (const database of ['invented1', 'invented2', 'late'])
    await (await ask(flow, 'eve', database)).expect('ErrorResponse')
  expect(names()).toEqual(['other/other 3'])
  await flow.advance(10_000)
  expect(names()).toEqual(['other/other 3'])
  flow.postgres.login = login
  const client = await ask(flow, 'eve', 'late')
  await answer(flow.postgres.servers.at(-1) as FlowServer, 'eve')
  await client.expect('AuthenticationCleartextPassword')
  expect(names()).toEqual(['other/other 3', 'late/asker 0'])
  flow.postgres.login = refuse
  await (await ask(flow, 'eve', 'invented3')).expect('ErrorResponse')
  flow.postgres.login = login
  await flow.connect({ user: 'ada', password: 'secret' })
  expect(names()).toEqual(['other/other 4', 'late/asker 0', 'app/ada 0'])
})

test('an auth_query server of such a database is kept only once a client has logged in', async () => {
  const flow = await start({ auth_query_lifetime: 0 })
  const stranger = await ask(flow, 'eve', 'maybe')
  const first = await flow.postgres.next()
  await answer(first, 'eve')
  await stranger.expect('AuthenticationCleartextPassword')
  await first.expect('Terminate')
  await first.expectClosed()
  stranger.vanish()

  const client = await ask(flow, 'eve', 'maybe')
  await answer(await flow.postgres.next(), 'eve')
  await client.authenticate('eve', 'hers')
  await flow.postgres.next()
  expect((await client.answer()).at(-1)).toBe('ReadyForQuery(I)')
  await ask(flow, 'max', 'maybe').then((other) => other.vanish())
  await answer(await flow.postgres.next(), 'max')
  await quiet()
  expect(flow.counts(flow.pool('maybe', 'asker'))).toEqual({ idle: 1 })
})
