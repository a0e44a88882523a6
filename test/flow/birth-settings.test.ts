/** Startup-only settings, which Postgres accepts only when a connection begins: a client that asks for one gets servers that were opened with it. */

import { describe, expect, test } from 'vitest'
import { arrive, askOn, openedWith } from '../support/flow/commands.ts'
import { quiet } from '../support/flow/inbox.ts'
import type { FlowServer } from '../support/flow/postgres.ts'
import { complete, error, ready, rows } from '../support/flow/replies.ts'
import { query } from '../support/flow/requests.ts'
import { startFlow, startPair } from '../support/flow/start.ts'

const WISH = { options: '-c ignore_system_indexes=on' }
const BORN_SO = { ignore_system_indexes: 'on' }

test('a server opened with a startup-only setting is used only by clients that ask for the same value', async () => {
  const { flow, client, postgres } = await startPair()
  const first = await flow.connect({ parameters: WISH })
  const born = await flow.postgres.next()
  expect([openedWith(postgres), openedWith(born)]).toEqual([{}, BORN_SO])
  const second = await flow.connect({ parameters: { ignore_system_indexes: 'on' } })
  await askOn(first, born, 'first')
  await askOn(second, born, 'second')
  await askOn(client, postgres, 'other')
  const third = await flow.connect({ parameters: { ignore_system_indexes: 'off' } })
  const bornOtherwise = await flow.postgres.next()
  await askOn(third, bornOtherwise, 'third')
  await flow.postgres.expectNoMore()
})

test('the other settings that the client asked for are set on its servers as usual', async () => {
  const flow = await startFlow()
  const client = await arrive(flow, { ...WISH, statement_timeout: '7s' })
  const born = await flow.postgres.next()
  expect(openedWith(born)).toEqual(BORN_SO)
  await born.expect("Query(select pg_catalog.set_config('statement_timeout', '7s', false))")
  born.send(rows('7s'), ready())
  await client.inbox.through('ReadyForQuery')
})

test('in a full pool, an idle server with other startup-only settings is closed to make room, and the other way round', async () => {
  const { flow, client, postgres } = await startPair({ settings: { default_pool_size: 1 } })
  const wishing = await flow.connect({ parameters: WISH })
  await postgres.expectClosed()
  const born = await flow.postgres.next()
  await askOn(wishing, born, 'wishing')
  client.send(query('other'))
  await born.expectClosed()
  const next = await flow.postgres.next()
  expect(openedWith(next)).toEqual({})
  await next.expect('Query(other)')
  next.send(rows('x'), ready())
  await client.answer()
})

test('the client that waits longest is served first, even if a server has to be replaced for it', async () => {
  const { flow, client, postgres } = await startPair({ settings: { default_pool_size: 1 } })
  client.send(query('begin'))
  await postgres.expect('Query(begin)')
  postgres.send(complete('BEGIN'), ready('T'))
  await client.answer()
  const later = await flow.connect()
  const wishing = await arrive(flow, WISH)
  await flow.advance(1)
  later.send(query('later'))
  await quiet()
  client.send(query('commit'))
  await postgres.expect('Query(commit)')
  postgres.send(complete('COMMIT'), ready())
  await client.answer()
  await postgres.expectClosed()
  await wishing.inbox.through('ReadyForQuery')
  const born = await flow.postgres.next()
  expect(openedWith(born)).toEqual(BORN_SO)
  await born.expectClosed()
  const last = await flow.postgres.next()
  await last.expect('Query(later)')
  last.send(rows('x'), ready())
  await later.answer()
})

describe('if a server cannot be opened with a startup-only setting, pgweir', () => {
  test('refuses the clients that asked for it, with the server’s own message, and no others', async () => {
    const { flow, client, postgres } = await startPair()
    flow.postgres.login = (server) => {
      server.send(error('42501', 'permission denied to set parameter "log_connections"', 'FATAL'))
      server.close()
    }
    const REFUSAL = 'ErrorResponse(FATAL 42501 permission denied to set parameter "log_connections")'
    for (let tries = 0; tries < 2; tries++) {
      const refused = await arrive(flow, { log_connections: 'on' })
      await refused.expect(REFUSAL)
      await refused.expectClosed()
    }
    expect(flow.postgres.servers).toHaveLength(2)
    await askOn(client, postgres, 'unharmed')
    await askOn(await flow.connect(), postgres, 'neither')
  })
})

describe('a startup-only setting of an extension', () => {
  const REFUSAL = error('55P02', 'parameter "plan.debug" cannot be set after connection start')

  test('is recognized by Postgres’ error, and remembered', async () => {
    const { flow, postgres } = await startPair()
    const wishing = await arrive(flow, { 'plan.debug': '1' })
    await postgres.expect("Query(select pg_catalog.set_config('plan.debug', '1', false))")
    postgres.send(REFUSAL, ready())
    await wishing.inbox.through('ReadyForQuery')
    expect(openedWith(flow.postgres.servers[1] as FlowServer)).toEqual({ 'plan.debug': '1' })
    await flow.connect({ parameters: { 'plan.debug': '2' } })
    expect(openedWith(flow.postgres.servers[2] as FlowServer)).toEqual({ 'plan.debug': '2' })
    expect(flow.counts()).toEqual({ idle: 1 })
  })

  test('is recognized if the error is in another language', async () => {
    const { flow, postgres } = await startPair()
    const wishing = await arrive(flow, { 'plan.debug': '1' })
    await postgres.expect("Query(select pg_catalog.set_config('plan.debug', '1', false))")
    postgres.send(
      error('55P02', 'Parameter »plan.debug« kann nach Start der Verbindung nicht geändert werden'),
      ready(),
    )
    await wishing.inbox.through('ReadyForQuery')
    expect(openedWith(flow.postgres.servers[1] as FlowServer)).toEqual({ 'plan.debug': '1' })
  })

  test('ends the login if it cannot be set at startup either', async () => {
    const { flow, postgres } = await startPair()
    flow.postgres.login = (server) => {
      server.send(error('55P02', 'Parameter »plan.debug« kann jetzt nicht geändert werden', 'FATAL'))
      server.close()
    }
    const wishing = await arrive(flow, { 'plan.debug': '1' })
    await postgres.expect("Query(select pg_catalog.set_config('plan.debug', '1', false))")
    postgres.send(error('55P02', 'Parameter »plan.debug« kann jetzt nicht geändert werden'), ready())
    await wishing.expect('ErrorResponse(FATAL 55P02 Parameter »plan.debug« kann jetzt nicht geändert werden)')
    await wishing.expectClosed()
  })
})

test('a setting that requires a restart of Postgres is refused, and no server is opened to try it', async () => {
  const { flow, postgres } = await startPair()
  const words = 'parameter "max_connections" cannot be changed without restarting the server'
  const wishing = await arrive(flow, { max_connections: '7' })
  await postgres.expect("Query(select pg_catalog.set_config('max_connections', '7', false))")
  postgres.send(error('55P02', words), ready())
  await wishing.expect(`ErrorResponse(FATAL 55P02 ${words})`)
  await wishing.expectClosed()
  await flow.postgres.expectNoMore()
})

test('the console shows one pool, which includes servers with startup-only settings', async () => {
  const { flow } = await startPair()
  await flow.connect({ parameters: WISH })
  const { fleet } = flow.pooler.parts
  const pools = (await fleet.pools()).filter(({ database }) => database === 'app')
  expect(pools).toMatchObject([{ user: 'ada', clients: { idle: 2 }, servers: { idle: 2 } }])
  expect((await fleet.latencies()).filter(({ database }) => database === 'app')).toHaveLength(1)
  expect(await fleet.lists()).toMatchObject({ pools: 2, servers: 2 })
  expect((await fleet.databases()).find(({ name }) => name === 'app')).toMatchObject({ servers: 2 })
})

test('servers with startup-only settings do not count towards min_pool_size', async () => {
  const { flow, client } = await startPair({ settings: { min_pool_size: 2, server_idle_timeout: 60 } })
  const wishing = await flow.connect({ parameters: WISH })
  await flow.advance(400)
  wishing.leave()
  await flow.advance(120_000)
  await flow.advance(400)
  expect(flow.postgres.open.map(openedWith)).toEqual([{}, {}])
  client.leave()
})
