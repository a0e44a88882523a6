/** RECONNECT renews servers without clients noticing; WAIT_CLOSE answers once that is done. */

import { expect, test } from 'vitest'
import { ask, command, ROOT, run } from '../support/flow/commands.ts'
import { quiet } from '../support/flow/inbox.ts'
import { ready, rows } from '../support/flow/replies.ts'
import { cancelRequest, query } from '../support/flow/requests.ts'
import { startFlow, startPair } from '../support/flow/start.ts'

test('RECONNECT closes idle servers at once and busy ones as they become free, and opens new ones meanwhile', async () => {
  const flow = await startFlow({ settings: { default_pool_size: 3 } })
  const [one, two] = [await flow.connect(), await flow.connect()]
  const [first, second] = [await run(one, flow), await run(two, flow)]
  await first.finish()
  await flow.expectCounts({ idle: 1, leased: 1 })
  expect(await command(flow, 'reconnect')).toContain('CommandComplete(RECONNECT)')
  await first.server.expect('Terminate')
  await flow.expectCounts({ leased: 1 })
  const fresh = await ask(one, flow)
  expect([first.server, second.server]).not.toContain(fresh)
  await second.finish()
  await second.server.expect('Terminate')
  await flow.expectCounts({ idle: 1 })
})

test('WAIT_CLOSE answers when the last server from before RECONNECT is closed', async () => {
  const { flow, client } = await startPair({ settings: { default_pool_size: 2 } })
  const { server, finish } = await run(client, flow)
  await command(flow, 'reconnect app')
  const console = await flow.connect(ROOT)
  console.send(query('wait_close app; select 1'))
  await quiet()
  await console.expectNothing()
  const other = await flow.connect()
  await ask(other, flow)
  await console.expectNothing()
  await finish()
  await server.expect('Terminate')
  await console.expect('CommandComplete(WAIT_CLOSE)')
  expect(await console.answer()).toContain('DataRow(1)')
})

test('WAIT_CLOSE answers at once if no server is to be closed', async () => {
  const { flow, client } = await startPair()
  const { finish } = await run(client, flow)
  expect(await command(flow, 'wait_close')).toEqual(['CommandComplete(WAIT_CLOSE)', 'ReadyForQuery(I)'])
  await finish()
})

test('a cancel request ends WAIT_CLOSE, and so does the end of the console connection', async () => {
  const { flow, client } = await startPair()
  const { server, finish } = await run(client, flow)
  await command(flow, 'reconnect')
  const [one, two] = [await flow.connect(ROOT), await flow.connect(ROOT)]
  for (const console of [one, two]) console.send(query('wait_close'))
  await quiet()
  const canceller = await flow.dial()
  canceller.send(cancelRequest(one.key))
  await canceller.expectClosed()
  expect(await one.answer()).toEqual([
    'ErrorResponse(ERROR 57014 canceling statement due to user request)',
    'ReadyForQuery(I)',
  ])
  two.vanish()
  await finish()
  await server.expect('Terminate')
})

test('a database that RECONNECT does not name keeps its servers', async () => {
  const flow = await startFlow({ databases: ['app=host=db', 'other=host=db'] })
  const [one, two] = [await flow.connect(), await flow.connect({ database: 'other' })]
  const [before, kept] = [await ask(one, flow), await ask(two, flow)]
  expect(await command(flow, 'RECONNECT app;')).toContain('CommandComplete(RECONNECT)')
  await before.expect('Terminate')
  expect(await ask(one, flow)).not.toBe(before)
  expect(await ask(two, flow)).toBe(kept)
})

test.each([
  ['RECONNECT makes', ['reconnect']],
  ['PAUSE and RESUME make', ['pause', 'resume']],
])('%s the pool try again at once after a failed login', async (_, commands) => {
  const { flow, client, postgres } = await startPair({ settings: { server_login_retry: 60 } })
  flow.postgres.refuse()
  await flow.advance(0)
  postgres.channel.reset()
  await quiet()
  client.send(query('one'))
  expect((await client.inbox.next()).shown).toContain('connect to db:5432 failed')
  await client.expectClosed()
  await flow.postgres.listen()
  await expect(flow.connect({ parameters: { work_mem: '7MB' } })).rejects.toThrow('connect to db:5432 failed')
  for (const text of commands) await command(flow, text)
  const other = await flow.connect()
  other.send(query('two'))
  const server = await flow.postgres.next()
  await server.expect('Query(two)')
  server.send(rows('2'), ready())
  await other.answer()
})
