/** DISABLE keeps new clients of a database out; KILL_CLIENT ends one client. */

import { describe, expect, test } from 'vitest'
import { ask, command, ROOT, run } from '../support/flow/commands.ts'
import { quiet } from '../support/flow/inbox.ts'
import { Others } from '../support/flow/member.ts'
import { error, ready } from '../support/flow/replies.ts'
import { bind, execute, parse, startup, sync } from '../support/flow/requests.ts'
import { startFlow, startPair } from '../support/flow/start.ts'

describe('DISABLE', () => {
  test('refuses new clients of the database until ENABLE; connected clients go on', async () => {
    const { flow, client } = await startPair({ databases: ['app=host=db', 'other=host=db'] })
    expect(await command(flow, 'disable app')).toEqual(['CommandComplete(DISABLE)', 'ReadyForQuery(I)'])
    await expect(flow.connect()).rejects.toThrow('FATAL 57P03 database "app" is disabled')
    await flow.connect({ database: 'other' })
    await ask(client, flow)
    expect(await command(flow, 'enable app')).toContain('CommandComplete(ENABLE)')
    await flow.connect()
  })

  test('is not revealed to a client that has not logged in', async () => {
    const flow = await startFlow({ settings: { auth_type: 'plain' }, authFile: ['"ada" "a"'] })
    await flow.pooler.control.disable('app')
    await expect(flow.connect({ password: 'wrong' })).rejects.toThrow('28P01')
    await expect(flow.connect({ password: 'a' })).rejects.toThrow('57P03')
  })

  test('stays in effect after a reload', async () => {
    const { flow } = await startPair()
    await command(flow, 'disable app')
    await command(flow, 'reload')
    await expect(flow.connect()).rejects.toThrow('57P03')
  })

  test('is shown by SHOW DATABASES', async () => {
    const { flow } = await startPair({ databases: ['app=host=db', 'other=host=db'] })
    await command(flow, 'disable app')
    const databases = await flow.pooler.parts.fleet.databases()
    expect(databases.map(({ name, isDisabled }) => [name, isDisabled])).toEqual([
      ['app', true],
      ['other', false],
      ['pgbouncer', false],
    ])
  })
})

describe('KILL_CLIENT', () => {
  test('disconnects the client with the given id and cancels its query', async () => {
    const { flow, client, postgres } = await startPair()
    await run(client, flow)
    const [{ id = 0 } = {}] = await flow.pooler.parts.fleet.clients()
    expect(await command(flow, `kill_client ${id}`)).toEqual(['CommandComplete(KILL_CLIENT)', 'ReadyForQuery(I)'])
    expect((await client.inbox.next()).shown).toBe('ErrorResponse(FATAL 57P01 admin forced disconnect)')
    await client.expectClosed()
    expect((await flow.postgres.nextCancel()).target).toBe(postgres)
    postgres.send(error('57014', 'canceling statement due to user request'), ready())
    await flow.expectCounts({})
  })

  test('also accepts the ptr shown by SHOW CLIENTS, in both protocols', async () => {
    const { flow, client } = await startPair()
    const [{ id = 0 } = {}] = await flow.pooler.parts.fleet.clients()
    const console = await flow.connect(ROOT)
    console.send(parse('', `KILL_CLIENT 0x${id.toString(16)}`), bind('', ''), execute(), sync)
    expect(await console.answer()).toContain('CommandComplete(KILL_CLIENT)')
    await client.inbox.next()
    await client.expectClosed()
  })

  test('does not find the same client again while its error message is still being sent', async () => {
    const { flow, client } = await startPair()
    const [{ id = 0 } = {}] = await flow.pooler.parts.fleet.clients()
    const { control } = flow.pooler
    expect(await Promise.all([control.killClient(id), control.killClient(id)])).toEqual([true, false])
    await client.expect('ErrorResponse(FATAL 57P01 admin forced disconnect)')
    await client.expectClosed()
  })

  test('is an error for an unknown client and for an invalid id', async () => {
    const { flow } = await startPair()
    expect((await command(flow, 'kill_client 99999999'))[0]).toBe('ErrorResponse(ERROR 42704 client not found)')
    for (const text of ['kill_client ada', 'kill_client 0x', 'kill_client 1.5'])
      expect((await command(flow, text))[0], text).toBe('ErrorResponse(ERROR 22023 invalid client pointer supplied)')
  })
})

test.each([
  ['how it is to log in', 0],
  ['which pool it uses', 1],
])(
  'a client that is killed while other workers decide on its place, before it is known %s, does not count',
  async (_, answered) => {
    const others = new Others()
    const flow = await startFlow({ others })
    others.holdsClaims = true
    const client = await flow.dial()
    client.send(startup({ user: 'ada', database: 'app' }))
    await quiet()
    for (let answer = 0; answer < answered; answer++) others.claims.shift()?.()
    const [session] = flow.pooler.parts.sessions
    expect(await flow.pooler.control.killClient(session?.id as number)).toBe(true)
    others.claims.shift()?.()
    expect(others.claims).toEqual([])
    await client.expect('ErrorResponse(FATAL 57P01 admin forced disconnect)')
    await client.expectClosed()
    await quiet()
    expect(others.counts.used('max_client_conn', '')).toBe(0)
  },
)

test('commands that need a database say what is wrong with the one that is given', async () => {
  const { flow } = await startPair()
  for (const [text, words] of [
    ['disable', 'ERROR 42601 a database is required'],
    ['enable', 'ERROR 42601 a database is required'],
    ['disable nowhere', 'ERROR 3D000 no such database: nowhere'],
    ['reconnect nowhere', 'ERROR 3D000 no such database: nowhere'],
    ['wait_close nowhere', 'ERROR 3D000 no such database: nowhere'],
    ['disable pgbouncer', 'ERROR 0A000 cannot disable admin db: pgbouncer'],
    ['enable pgweir', 'ERROR 0A000 cannot enable admin db: pgweir'],
    ['reconnect pgbouncer', 'ERROR 0A000 cannot reconnect admin db: pgbouncer'],
    ['wait_close pgbouncer', 'ERROR 0A000 cannot wait in admin db: pgbouncer'],
  ] as const)
    expect((await command(flow, text))[0], text).toBe(`ErrorResponse(${words})`)
})
