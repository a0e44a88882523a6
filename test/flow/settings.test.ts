/** What a client asked for at login, and what it has set since, follows it from server to server. */

import { describe, expect, test } from 'vitest'
import { quiet } from '../support/flow/inbox.ts'
import type { FlowServer } from '../support/flow/postgres.ts'
import {
  authenticationOk,
  backendKeyData,
  bindComplete,
  complete,
  dataRow,
  error,
  join,
  parameterStatus,
  parseComplete,
  ready,
  rowDescription,
  rows,
} from '../support/flow/replies.ts'
import { bind, execute, message, parse, query, startup, sync } from '../support/flow/requests.ts'
import { type Flow, startFlow, startPair } from '../support/flow/start.ts'

/** Answers the statement that sets settings, as Postgres does: one row, in its own spelling, and a word for each that it reports. */
function aligned(...values: readonly string[]): Buffer {
  return join(rowDescription(...values), dataRow(...values), complete('SELECT 1'), ready())
}

const ROME = { TimeZone: 'Europe/Rome' }

async function logIn(flow: Flow, parameters: Record<string, string>) {
  const client = await flow.dial()
  client.send(startup({ user: 'ada', database: 'app', ...parameters }))
  await quiet()
  return client
}

async function run(
  client: { send(...m: Buffer[]): void; answer(): Promise<string[]> },
  server: FlowServer,
  text: string,
) {
  client.send(query(text))
  await server.expect(`Query(${text})`)
  server.send(rows(text), ready())
  await client.answer()
}

describe('a client that asks for nothing', () => {
  test('is told what a server reports', async () => {
    const { client } = await startPair()
    expect(Object.fromEntries(client.parameters)).toMatchObject({
      server_version: '17.5',
      client_encoding: 'UTF8',
      DateStyle: 'ISO, MDY',
      TimeZone: 'Etc/UTC',
    })
  })

  test('costs nothing', async () => {
    const { flow, client, postgres } = await startPair()
    await run(client, postgres, 'one')
    await run(await flow.connect(), postgres, 'two')
    await postgres.expectNothing()
  })
})

describe('a setting in the startup packet', () => {
  test('is set in one statement before the client is let in, and reported as Postgres spells it', async () => {
    const { flow, postgres } = await startPair()
    const client = await logIn(flow, { TimeZone: 'europe/rome', client_encoding: 'utf-8', DateStyle: 'German' })
    const sent = await postgres.expect('Query')
    expect(sent.texts[0]).toBe(
      "select pg_catalog.set_config('DateStyle', null, false); select pg_catalog.set_config('client_encoding', 'utf-8', false), pg_catalog.set_config('DateStyle', 'German', false), pg_catalog.set_config('TimeZone', 'europe/rome', false)",
    )
    await client.expectNothing()
    postgres.send(parameterStatus('DateStyle', 'German, DMY'), parameterStatus('TimeZone', 'Europe/Rome'))
    postgres.send(aligned('UTF8', 'German, DMY', 'Europe/Rome'))
    const said = await client.answer()
    expect(said).toContain('ParameterStatus(TimeZone=Europe/Rome)')
    expect(said).toContain('ParameterStatus(DateStyle=German, DMY)')
    expect(said).toContain('ParameterStatus(client_encoding=UTF8)')
    await run(client, postgres, 'one')
  })

  test('costs equal clients nothing: its spelling is known, and the server has it already', async () => {
    const { flow, postgres } = await startPair()
    const first = await logIn(flow, { TimeZone: 'europe/rome' })
    await postgres.expect('Query')
    postgres.send(parameterStatus('TimeZone', 'Europe/Rome'), aligned('Europe/Rome'))
    await first.answer()
    const second = await logIn(flow, { TimeZone: 'europe/rome' })
    expect(await second.answer()).toContain('ParameterStatus(TimeZone=Europe/Rome)')
    await run(first, postgres, 'one')
    await run(second, postgres, 'two')
    await postgres.expectNothing()
  })

  test('that is what the server has anyway costs nothing', async () => {
    const { flow, client, postgres } = await startPair()
    const other = await logIn(flow, { TimeZone: 'Etc/UTC', client_encoding: 'UTF8' })
    await other.answer()
    await run(other, postgres, 'one')
    await run(client, postgres, 'two')
    await postgres.expectNothing()
  })

  test('is set back before another client uses the server, only the difference', async () => {
    const { flow, client, postgres } = await startPair()
    const other = await logIn(flow, { ...ROME, DateStyle: 'ISO, MDY' })
    await postgres.expect('Query')
    postgres.send(parameterStatus('TimeZone', 'Europe/Rome'), aligned('ISO, MDY', 'Europe/Rome'))
    await other.answer()
    client.send(query('one'))
    const back = await postgres.expect('Query')
    expect(back.texts[0]).toBe("select pg_catalog.set_config('TimeZone', 'Etc/UTC', false)")
    postgres.send(parameterStatus('TimeZone', 'Etc/UTC'), aligned('Etc/UTC'))
    await postgres.expect('Query(one)')
    postgres.send(rows('1'), ready())
    expect(await client.answer()).toEqual([
      'RowDescription(value)',
      'DataRow(1)',
      'CommandComplete(SELECT 1)',
      'ReadyForQuery(I)',
    ])
  })

  test('that Postgres rejects is told in Postgres’ own words', async () => {
    const { flow, postgres } = await startPair()
    const client = await logIn(flow, { TimeZone: 'Nowhere' })
    await postgres.expect('Query')
    postgres.send(error('22023', 'invalid value for parameter "TimeZone": "Nowhere"'), ready())
    await client.expect('ErrorResponse(FATAL 22023 invalid value for parameter "TimeZone": "Nowhere")')
    await client.expectClosed()
    expect(flow.counts()).toEqual({ idle: 1 })
  })

  test('that was rejected leaves nothing behind', async () => {
    const { flow, client, postgres } = await startPair()
    const other = await logIn(flow, { TimeZone: 'Nowhere', DateStyle: 'German' })
    await postgres.expect('Query')
    postgres.send(error('22023', 'invalid value for parameter "TimeZone": "Nowhere"'), ready())
    await other.expect('ErrorResponse')
    await other.expectClosed()
    await run(client, postgres, 'one')
  })

  test('cannot break out of its quotes', async () => {
    const { flow, postgres } = await startPair()
    const client = await logIn(flow, { TimeZone: "x', false); drop table t; --\\" })
    const sent = await postgres.expect('Query')
    expect(sent.texts[0]).toBe("select pg_catalog.set_config('TimeZone', E'x'', false); drop table t; --\\\\', false)")
    postgres.send(error('22023', 'no'), ready())
    await client.expect('ErrorResponse')
    await client.expectClosed()
  })
})

describe('any other setting that Postgres takes', () => {
  const TIMEOUT = { options: '-c statement_timeout=5s' }
  const SET = "select pg_catalog.set_config('statement_timeout', '5s', false)"
  const BACK = "select pg_catalog.set_config('statement_timeout', null, false)"

  test('takes effect, and is back at its default for the next client', async () => {
    const { flow, client, postgres } = await startPair()
    const other = await logIn(flow, TIMEOUT)
    expect((await postgres.expect('Query')).texts[0]).toBe(SET)
    postgres.send(aligned('5s'))
    await other.answer()
    await run(other, postgres, 'one')
    client.send(query('two'))
    expect((await postgres.expect('Query')).texts[0]).toBe(BACK)
    postgres.send(aligned('0'))
    await postgres.expect('Query(two)')
    postgres.send(rows('2'), ready())
    await client.answer()
    other.send(query('three'))
    expect((await postgres.expect('Query')).texts[0]).toBe(SET)
    postgres.send(aligned('5s'))
    await postgres.expect('Query(three)')
    postgres.send(rows('3'), ready())
    await other.answer()
  })

  test('is set again where somebody may have changed it with SET', async () => {
    const { flow, postgres } = await startPair()
    const client = await logIn(flow, TIMEOUT)
    await postgres.expect('Query')
    postgres.send(aligned('5s'))
    await client.answer()
    client.send(query('set statement_timeout = 0'))
    await postgres.expect('Query')
    postgres.send(complete('SET'), ready())
    await client.answer()
    client.send(query('two'))
    expect((await postgres.expect('Query')).texts[0]).toBe(SET)
    postgres.send(aligned('5s'))
    await postgres.expect('Query(two)')
    postgres.send(rows('2'), ready())
    await client.answer()
  })

  test('may be written in all the ways that Postgres knows', async () => {
    const { flow, postgres } = await startPair()
    const client = await logIn(flow, {
      options: '-c search_path=a\\ b,c --statement-timeout=5s -cwork_mem=4MB',
      extra_float_digits: '3',
    })
    const sent = await postgres.expect('Query')
    for (const call of [
      "set_config('search_path', 'a b,c', false)",
      "set_config('statement_timeout', '5s', false)",
      "set_config('work_mem', '4MB', false)",
      "set_config('extra_float_digits', '3', false)",
    ])
      expect(sent.texts[0]).toContain(call)
    postgres.send(aligned('"a b", c', '5s', '4MB', '3'))
    await client.answer()
  })

  test('in options that are not settings is refused', async () => {
    const { flow } = await startPair()
    const client = await logIn(flow, { options: '-d 5' })
    expect((await client.expect('ErrorResponse')).shown).toContain('08P01 unsupported options startup parameter')
    await client.expectClosed()
  })
})

describe('ignore_startup_parameters', () => {
  test('drops what it names', async () => {
    const flow = await startFlow({ settings: { ignore_startup_parameters: 'extra_float_digits, work_mem' } })
    const client = await logIn(flow, { extra_float_digits: '3', options: '-c work_mem=1GB' })
    const server = await flow.postgres.next()
    await client.answer()
    await run(client, server, 'one')
    await server.expectNothing()
  })

  test('with options drops what is not followed, and what cannot be read', async () => {
    const flow = await startFlow({ settings: { ignore_startup_parameters: 'options' } })
    const first = await logIn(flow, { options: '-c work_mem=1GB -c TimeZone=Europe/Rome' })
    const server = await flow.postgres.next()
    expect((await server.expect('Query')).texts[0]).toBe(
      "select pg_catalog.set_config('TimeZone', 'Europe/Rome', false)",
    )
    server.send(parameterStatus('TimeZone', 'Europe/Rome'), aligned('Europe/Rome'))
    await first.answer()
    const second = await logIn(flow, { options: '-d 5' })
    await second.answer()
  })
})

describe('what a client sets itself', () => {
  test('follows it to another server, if Postgres reports it', async () => {
    const { flow, client, postgres } = await startPair()
    client.send(query("set timezone = 'Europe/Rome'"))
    await postgres.expect('Query')
    postgres.send(complete('SET'), parameterStatus('TimeZone', 'Europe/Rome'), ready())
    expect(await client.answer()).toContain('ParameterStatus(TimeZone=Europe/Rome)')
    const holder = await flow.connect()
    holder.send(query('begin'))
    const back = await postgres.expect('Query')
    expect(back.texts[0]).toBe("select pg_catalog.set_config('TimeZone', 'Etc/UTC', false)")
    postgres.send(parameterStatus('TimeZone', 'Etc/UTC'), aligned('Etc/UTC'))
    await postgres.expect('Query(begin)')
    postgres.send(complete('BEGIN'), ready('T'))
    await holder.answer()
    client.send(query('two'))
    const second = await flow.postgres.next()
    expect((await second.expect('Query')).texts[0]).toBe(
      "select pg_catalog.set_config('TimeZone', 'Europe/Rome', false)",
    )
    second.send(parameterStatus('TimeZone', 'Europe/Rome'), aligned('Europe/Rome'))
    await second.expect('Query(two)')
    second.send(rows('2'), ready())
    await client.answer()
    postgres.send(ready())
    await quiet()
    holder.inbox.take()
  })

  test('within a transaction that is rolled back does not follow it', async () => {
    const { client, postgres } = await startPair()
    client.send(query("begin; set timezone = 'Europe/Rome'"))
    await postgres.expect('Query')
    postgres.send(complete('BEGIN'), complete('SET'), parameterStatus('TimeZone', 'Europe/Rome'), ready('T'))
    await client.answer()
    client.send(query('rollback'))
    await postgres.expect('Query')
    postgres.send(complete('ROLLBACK'), parameterStatus('TimeZone', 'Etc/UTC'), ready())
    await client.answer()
    await run(client, postgres, 'one')
    await postgres.expectNothing()
  })
})

test('after DISCARD ALL a client has what it asked for at login, and is told so', async () => {
  const { flow, client, postgres } = await startPair()
  const roman = await logIn(flow, ROME)
  await postgres.expect('Query')
  postgres.send(parameterStatus('TimeZone', 'Europe/Rome'), aligned('Europe/Rome'))
  await roman.answer()
  roman.send(query("set timezone = 'Etc/UTC'"))
  await postgres.expect('Query')
  postgres.send(complete('SET'), parameterStatus('TimeZone', 'Etc/UTC'), ready())
  await roman.answer()
  roman.send(query('discard all'))
  await postgres.expect('Query')
  // The server is at its own default already, and so reports nothing.
  postgres.send(complete('DISCARD ALL'), ready())
  expect(await roman.answer()).toEqual([
    'CommandComplete(DISCARD ALL)',
    'ParameterStatus(TimeZone=Europe/Rome)',
    'ReadyForQuery(I)',
  ])
  await run(client, postgres, 'one')
  roman.send(query('two'))
  expect((await postgres.expect('Query')).texts[0]).toContain("'Europe/Rome'")
  postgres.send(parameterStatus('TimeZone', 'Europe/Rome'), aligned('Europe/Rome'))
  await postgres.expect('Query(two)')
  postgres.send(rows('2'), ready())
  await roman.answer()
})

describe('what a server reports in another encoding than its client’s', () => {
  async function startIn(encoding: string, ...reported: Buffer[]) {
    const flow = await startFlow()
    flow.postgres.login = (server) =>
      server.send(
        authenticationOk,
        parameterStatus('client_encoding', encoding),
        message('S', Buffer.concat([Buffer.from('search_path\0'), ...reported, Buffer.of(0)])),
        backendKeyData(server.pid, server.secret),
        ready(),
      )
    const client = await logIn(flow, { client_encoding: 'UTF8' })
    const server = await flow.postgres.next()
    await server.expect('Query')
    server.send(parameterStatus('client_encoding', 'UTF8'), aligned('UTF8'))
    return (await client.answer()).filter((shown) => shown.startsWith('ParameterStatus'))
  }

  test('is told in the client’s, where that is known', async () => {
    expect(await startIn('LATIN1', Buffer.from('größe', 'latin1'))).toEqual([
      'ParameterStatus(client_encoding=UTF8)',
      'ParameterStatus(search_path=größe)',
    ])
  })

  test('and is not told otherwise', async () => {
    expect(await startIn('LATIN9', Buffer.from('größe', 'latin1'))).toEqual(['ParameterStatus(client_encoding=UTF8)'])
  })
})

test('settings that fail because of a cancel or a timeout of the last client are tried on another server', async () => {
  const { flow, client, postgres } = await startPair()
  const other = await logIn(flow, ROME)
  await postgres.expect('Query')
  postgres.send(error('57014', 'canceling statement due to user request'), ready())
  await postgres.expectClosed()
  const next = await flow.postgres.next()
  await next.expect('Query')
  next.send(parameterStatus('TimeZone', 'Europe/Rome'), aligned('Europe/Rome'))
  await other.answer()
  expect(client.isClosed).toBe(false)
})

test('settings that are not answered in server_connect_timeout cost the server, not the client', async () => {
  const { flow, postgres } = await startPair({ settings: { server_connect_timeout: 15 } })
  const other = await logIn(flow, ROME)
  await postgres.expect('Query')
  await flow.advance(15_100)
  await postgres.expectClosed()
  const next = await flow.postgres.next()
  await next.expect('Query')
  next.send(parameterStatus('TimeZone', 'Europe/Rome'), aligned('Europe/Rome'))
  await other.answer()
})

test('a client that goes while its server is made ready costs nothing', async () => {
  const { flow, client, postgres } = await startPair()
  const other = await logIn(flow, ROME)
  await postgres.expect('Query')
  other.vanish()
  await quiet()
  postgres.send(parameterStatus('TimeZone', 'Europe/Rome'), aligned('Europe/Rome'))
  await flow.expectCounts({ idle: 1 })
  client.send(query('one'))
  await postgres.expect('Query')
  postgres.send(parameterStatus('TimeZone', 'Etc/UTC'), aligned('Etc/UTC'))
  await postgres.expect('Query(one)')
  postgres.send(rows('1'), ready())
  await client.answer()
})

test('of two idle servers the one that needs no change is taken', async () => {
  const { flow, client, postgres } = await startPair()
  await run(client, postgres, 'one')
  client.send(query('begin'))
  await postgres.expect('Query(begin)')
  postgres.send(complete('BEGIN'), ready('T'))
  await client.answer()
  const roman = await logIn(flow, ROME)
  const second = await flow.postgres.next()
  await second.expect('Query')
  second.send(parameterStatus('TimeZone', 'Europe/Rome'), aligned('Europe/Rome'))
  await roman.answer()
  await run(client, postgres, 'commit')
  await run(roman, second, 'two')
  await run(client, postgres, 'three')
  await run(roman, second, 'four')
  await flow.expectCounts({ idle: 2 })
})

test('application_name follows without a word from a server', async () => {
  const { flow, postgres } = await startPair()
  const client = await flow.connect({ parameters: { application_name: 'report' } })
  expect(client.parameters.get('application_name')).toBe('report')
  client.send(query('one'))
  expect((await postgres.expect('Query')).texts[0]).toBe(
    "select pg_catalog.set_config('application_name', 'report', false)",
  )
  postgres.send(parameterStatus('application_name', 'report'), aligned('report'))
  await postgres.expect('Query(one)')
  postgres.send(rows('1'), ready())
  await client.answer()
})

test('application_name_add_host adds where the client is', async () => {
  const { flow } = await startPair({ settings: { application_name_add_host: 1 } })
  const client = await flow.connect({ parameters: { application_name: 'report' } })
  expect(client.parameters.get('application_name')).toMatch(/^report - 127\.0\.0\.1:\d+$/)
})

test('a statement that was prepared under another search_path is another statement', async () => {
  const { flow, postgres } = await startPair()
  const names: string[] = []
  for (const path of ['a', 'b']) {
    const client = await logIn(flow, { options: `-c search_path=${path}` })
    await postgres.expect('Query')
    postgres.send(aligned(path))
    await client.answer()
    client.send(parse('s1', 'select * from t'), bind('', 's1'), execute(), sync)
    const sent = await postgres.expect('Parse')
    names.push(sent.texts[0] as string)
    await postgres.expect('Bind', 'Execute', 'Sync')
    postgres.send(parseComplete, bindComplete, complete('SELECT 0'), ready())
    await client.answer()
  }
  expect(names[0]).not.toBe(names[1])
})
