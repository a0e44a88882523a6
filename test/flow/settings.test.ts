/** The settings that a client asked for at login, and those that it has changed since, follow it from server to server. */

import { describe, expect, test } from 'vitest'
import { MAX_CHORE_REPLY_BYTES } from '../../src/wire/limits.ts'
import { ANSWER, keep, PARSED_RESULT } from '../support/flow/auto-prepared.ts'
import { quiet } from '../support/flow/inbox.ts'
import { DEFAULTS, type FlowServer } from '../support/flow/postgres.ts'
import {
  authenticationOk,
  backendKeyData,
  bindComplete,
  closeComplete,
  complete,
  copyData,
  copyIn,
  dataRow,
  error,
  join,
  notice,
  notification,
  parameterStatus,
  parseComplete,
  ready,
  rowDescription,
  rows,
} from '../support/flow/replies.ts'
import {
  batch,
  bind,
  cancelRequest,
  copyDone,
  execute,
  flush,
  message,
  parse,
  query,
  startup,
  sync,
} from '../support/flow/requests.ts'
import { type Flow, type FlowOptions, startFlow, startPair } from '../support/flow/start.ts'

/** The answer of Postgres to the statement that changes settings: one row, with the values in its own spelling. */
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

describe('a client that asks for no settings', () => {
  test('gets the parameters that a server reports', async () => {
    const { client } = await startPair()
    expect(Object.fromEntries(client.parameters)).toMatchObject({
      server_version: '17.5',
      client_encoding: 'UTF8',
      DateStyle: 'ISO, MDY',
      TimeZone: 'Etc/UTC',
    })
  })

  test('does not get in_hot_standby, which may have changed since', async () => {
    const flow = await startFlow()
    flow.postgres.login = (server) => server.welcome({ ...DEFAULTS, in_hot_standby: 'on' })
    const client = await flow.connect()
    const { in_hot_standby: _, ...others } = DEFAULTS
    expect(Object.fromEntries(client.parameters)).toEqual(others)
    // A replication client gets the parameters that its own server has just reported.
    const follower = await flow.connect({ parameters: { replication: 'database' } })
    expect(follower.parameters.get('in_hot_standby')).toBe('on')
  })

  test('causes no additional queries', async () => {
    const { flow, client, postgres } = await startPair()
    await run(client, postgres, 'one')
    await run(await flow.connect(), postgres, 'two')
    await postgres.expectNothing()
  })
})

describe('a setting in the startup packet', () => {
  test('is set in one statement before the login ends, and is reported in Postgres’ spelling', async () => {
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

  test('causes no query for a second client with the same setting', async () => {
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

  test('that equals the server’s own causes no query', async () => {
    const { flow, client, postgres } = await startPair()
    const other = await logIn(flow, { TimeZone: 'Etc/UTC', client_encoding: 'UTF8' })
    await other.answer()
    await run(other, postgres, 'one')
    await run(client, postgres, 'two')
    await postgres.expectNothing()
  })

  test('is set back before another client uses the server, if it differs', async () => {
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

  test('that Postgres rejects is reported with Postgres’ own message', async () => {
    const { flow, postgres } = await startPair()
    const client = await logIn(flow, { TimeZone: 'Nowhere' })
    await postgres.expect('Query')
    postgres.send(error('22023', 'invalid value for parameter "TimeZone": "Nowhere"'), ready())
    await client.expect('ErrorResponse(FATAL 22023 invalid value for parameter "TimeZone": "Nowhere")')
    await client.expectClosed()
    expect(flow.counts()).toEqual({ idle: 1 })
  })

  test('that was rejected leaves the server unchanged', async () => {
    const { flow, client, postgres } = await startPair()
    const other = await logIn(flow, { TimeZone: 'Nowhere', DateStyle: 'German' })
    await postgres.expect('Query')
    postgres.send(error('22023', 'invalid value for parameter "TimeZone": "Nowhere"'), ready())
    await other.expect('ErrorResponse')
    await other.expectClosed()
    await run(client, postgres, 'one')
  })

  test('cannot inject SQL', async () => {
    const { flow, postgres } = await startPair()
    const client = await logIn(flow, { TimeZone: "x', false); drop table t; --\\" })
    const sent = await postgres.expect('Query')
    expect(sent.texts[0]).toBe("select pg_catalog.set_config('TimeZone', E'x'', false); drop table t; --\\\\', false)")
    postgres.send(error('22023', 'no'), ready())
    await client.expect('ErrorResponse')
    await client.expectClosed()
  })
})

describe('any other setting that Postgres accepts in the startup packet', () => {
  const TIMEOUT = { options: '-c statement_timeout=5s' }
  const SET = "select pg_catalog.set_config('statement_timeout', '5s', false)"
  const BACK = "select pg_catalog.set_config('statement_timeout', null, false)"

  test('takes effect, and is reset to its default for the next client', async () => {
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

  test('is set again if a SET may have changed it', async () => {
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

  test('may be written in every way that Postgres accepts', async () => {
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

  test('may not be a command-line option that is no setting', async () => {
    const { flow } = await startPair()
    const client = await logIn(flow, { options: '-d 5' })
    expect((await client.expect('ErrorResponse')).shown).toContain('08P01 unsupported options startup parameter')
    await client.expectClosed()
  })
})

describe('ignore_startup_parameters', () => {
  test('drops the parameters that it names', async () => {
    const flow = await startFlow({ settings: { ignore_startup_parameters: 'extra_float_digits, work_mem' } })
    const client = await logIn(flow, { extra_float_digits: '3', options: '-c work_mem=1GB' })
    const server = await flow.postgres.next()
    await client.answer()
    await run(client, server, 'one')
    await server.expectNothing()
  })

  test('with options drops settings that are not tracked and options that cannot be parsed', async () => {
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

describe('a setting that a client changes itself', () => {
  test('follows the client to another server, if Postgres reports it', async () => {
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

  test('in a transaction that is rolled back does not follow the client', async () => {
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

describe('a client that resets its settings gets the ones of its login again', () => {
  async function startRoman(options: FlowOptions = {}, parameters: Record<string, string> = ROME) {
    const flow = await startFlow(options)
    const connecting = flow.connect({ parameters })
    const postgres = await flow.postgres.next()
    if (options.settings?.['pool_mode'] === 'session') await reset(postgres)
    await postgres.expect('Query')
    postgres.send(parameterStatus('TimeZone', 'Europe/Rome'), aligned('Europe/Rome'))
    await quiet()
    if (options.settings?.['pool_mode'] === 'session') await reset(postgres)
    return { flow, roman: await connecting, postgres }
  }

  /** Answers the reset that follows a session. */
  async function reset(postgres: FlowServer) {
    await postgres.expect('Query(DISCARD ALL)')
    postgres.send(complete('DISCARD ALL'), parameterStatus('TimeZone', 'Etc/UTC'), ready())
  }

  async function expectRestore(postgres: FlowServer) {
    const sent = await postgres.expect('Query')
    expect(sent.texts[0]).toMatch(
      /^select case when .* then pg_catalog.set_config\('TimeZone', 'Europe\/Rome', false\) end/,
    )
  }

  function restored(): Buffer {
    return join(parameterStatus('TimeZone', 'Europe/Rome'), aligned('Europe/Rome'))
  }

  for (const [text, tag] of [
    ['discard all', 'DISCARD ALL'],
    ['reset all', 'RESET'],
    ['reset timezone', 'RESET'],
    ['select 1; reset all; select 2', 'RESET'],
  ] as const)
    test(`(${text}) before its ReadyForQuery`, async () => {
      const { flow, roman, postgres } = await startRoman()
      roman.send(query(text))
      await postgres.expect(`Query(${text})`)
      postgres.send(complete(tag), parameterStatus('TimeZone', 'Etc/UTC'), ready())
      await expectRestore(postgres)
      await roman.expect(`CommandComplete(${tag})`, 'ParameterStatus(TimeZone=Etc/UTC)')
      await roman.expectNothing()
      expect(flow.counts()).toEqual({ restoring: 1 })
      postgres.send(restored())
      await roman.expect('ParameterStatus(TimeZone=Europe/Rome)', 'ReadyForQuery(I)')
      expect(flow.counts()).toEqual({ idle: 1 })
      await run(roman, postgres, 'two')
      await postgres.expectNothing()
    })

  test('after a reset by a batch', async () => {
    const { roman, postgres } = await startRoman()
    roman.send(batch('reset all'))
    await postgres.expect('Parse', 'Bind', 'Execute', 'Sync')
    postgres.send(parseComplete, bindComplete, complete('RESET'), ready())
    await expectRestore(postgres)
    await roman.expect('ParseComplete', 'BindComplete', 'CommandComplete(RESET)')
    await roman.expectNothing()
    postgres.send(restored())
    await roman.expect('ParameterStatus(TimeZone=Europe/Rome)', 'ReadyForQuery(I)')
  })

  test('after a reset by a batch whose Sync comes later', async () => {
    const { roman, postgres } = await startRoman()
    roman.send(parse('', 'reset all'), bind('', ''), execute(), flush)
    await postgres.expect('Parse', 'Bind', 'Execute', 'Flush')
    postgres.send(parseComplete, bindComplete, complete('RESET'))
    await roman.expect('ParseComplete', 'BindComplete', 'CommandComplete(RESET)')
    roman.send(sync, query('two'))
    await postgres.expect('Sync')
    await postgres.expectNothing()
    postgres.send(ready())
    await expectRestore(postgres)
    postgres.send(restored())
    await roman.answer()
    await postgres.expect('Query(two)')
    postgres.send(rows('2'), ready())
    expect(await roman.answer()).toContain('DataRow(2)')
  })

  test('after SET x TO DEFAULT in a batch whose Sync comes later', async () => {
    const { roman, postgres } = await startRoman()
    roman.send(parse('', 'set timezone to default'), bind('', ''), execute(), flush)
    await postgres.expect('Parse', 'Bind', 'Execute', 'Flush')
    postgres.send(parseComplete, bindComplete, complete('SET'))
    await roman.expect('ParseComplete', 'BindComplete', 'CommandComplete(SET)')
    roman.send(sync)
    await postgres.expect('Sync')
    postgres.send(parameterStatus('TimeZone', 'Etc/UTC'), ready())
    await expectRestore(postgres)
    postgres.send(restored())
    await roman.expect('ParameterStatus(TimeZone=Etc/UTC)', 'ParameterStatus(TimeZone=Europe/Rome)', 'ReadyForQuery(I)')
  })

  for (const text of [
    `/* ${'where it comes from '.repeat(5)}*/ set timezone to default`,
    'set session idle_in_transaction_session_timeout to default',
  ])
    test(`after ${text.slice(0, 20)}… that arrives in pieces`, async () => {
      const { roman, postgres } = await startRoman()
      const sent = query(text)
      let start = 0
      for (const end of [50, 62, sent.length]) {
        roman.send(sent.subarray(start, end))
        await quiet()
        start = end
      }
      await postgres.expect('Query')
      postgres.send(complete('SET'), parameterStatus('TimeZone', 'Etc/UTC'), ready())
      await expectRestore(postgres)
      postgres.send(restored())
      await roman.answer()
    })

  test('once the requests of its pipeline have been answered, and later requests wait for that', async () => {
    const { roman, postgres } = await startRoman()
    const text = 'select 1; reset all'
    roman.send(query(text), query('two'))
    await postgres.expect(`Query(${text})`, 'Query(two)')
    postgres.send(rows('1'), complete('RESET'), ready())
    expect((await roman.answer()).slice(-2)).toEqual(['CommandComplete(RESET)', 'ReadyForQuery(I)'])
    postgres.send(rows('2'), ready())
    await expectRestore(postgres)
    roman.send(query('three'))
    await postgres.expectNothing()
    postgres.send(restored())
    expect((await roman.answer()).at(-2)).toBe('ParameterStatus(TimeZone=Europe/Rome)')
    await postgres.expect('Query(three)')
    postgres.send(rows('3'), ready())
    expect(await roman.answer()).toContain('DataRow(3)')
  })

  for (const [how, sent] of [
    ['reset all', query('reset all')],
    ['set timezone to default', query('set timezone to default')],
    ['a batch with reset all', batch('reset all')],
  ] as const)
    test(`before the next request of its pipeline is run (${how})`, async () => {
      const { roman, postgres } = await startRoman()
      const isBatch = how.startsWith('a batch')
      roman.send(sent, query('two'))
      if (isBatch) await postgres.expect('Parse', 'Bind', 'Execute', 'Sync')
      else await postgres.expect(`Query(${how})`)
      await postgres.expectNothing()
      const tag = how.startsWith('set') ? 'SET' : 'RESET'
      if (isBatch) postgres.send(parseComplete, bindComplete)
      postgres.send(complete(tag))
      await quiet()
      await postgres.expectNothing()
      postgres.send(parameterStatus('TimeZone', 'Etc/UTC'), ready())
      await expectRestore(postgres)
      postgres.send(restored())
      await postgres.expect('Query(two)')
      postgres.send(rows('2'), ready())
      const shown = [...(await roman.answer()), ...(await roman.answer())]
      expect(shown.filter((message) => /Parameter|Command|Ready/.test(message))).toEqual([
        `CommandComplete(${tag})`,
        'ParameterStatus(TimeZone=Etc/UTC)',
        'ParameterStatus(TimeZone=Europe/Rome)',
        'ReadyForQuery(I)',
        'CommandComplete(SELECT 1)',
        'ReadyForQuery(I)',
      ])
    })

  test('unless the reset fails; then the next requests go on', async () => {
    const { roman, postgres } = await startRoman()
    roman.send(query('reset nonsense'), query('two'), query('three'))
    await postgres.expect('Query(reset nonsense)')
    await postgres.expectNothing()
    postgres.send(error('42704', 'unrecognized configuration parameter'), ready())
    await postgres.expect('Query(two)', 'Query(three)')
    postgres.send(rows('2'), ready(), rows('3'), ready())
    for (const last of ['42704', 'DataRow(2)', 'DataRow(3)']) expect((await roman.answer()).join()).toContain(last)
  })

  test('and a batch that auto_prepare sends again is not held back', async () => {
    const { roman, postgres } = await startRoman({ settings: { auto_prepare: 1 } })
    roman.send(parse('later', 'reset all'), sync)
    await postgres.expect('Parse', 'Sync')
    postgres.send(parseComplete, ready())
    await roman.answer()
    await keep({ client: roman, postgres }, 'select 1', 2)
    roman.send(batch('select 1'))
    await postgres.expect('Bind(, #2)', 'Execute', 'Sync')
    postgres.send(error('0A000', 'cached plan must not change result type'), ready())
    await postgres.expect('Parse(#3, select 1)', 'Bind(, #3)', 'Execute', 'Sync')
    postgres.send(PARSED_RESULT)
    expect(await roman.answer()).toEqual(ANSWER)
    await run(roman, postgres, 'two')
  })

  test('and a COPY after the reset in the same query gets its data', async () => {
    const { roman, postgres } = await startRoman()
    const text = 'reset all; copy t from stdin'
    roman.send(query(text), copyData('one'))
    await postgres.expect(`Query(${text})`)
    await postgres.expectNothing()
    postgres.send(complete('RESET'), copyIn())
    await roman.expect('CommandComplete(RESET)', 'CopyInResponse')
    await postgres.expect('CopyData')
    roman.send(copyData('two'), copyDone, query('two'))
    await postgres.expect('CopyData', 'CopyDone')
    await postgres.expectNothing()
    postgres.send(complete('COPY 2'), ready())
    await expectRestore(postgres)
    postgres.send(restored())
    await roman.expect('CommandComplete(COPY 2)', 'ParameterStatus(TimeZone=Europe/Rome)', 'ReadyForQuery(I)')
    await postgres.expect('Query(two)')
    postgres.send(rows('2'), ready())
    expect(await roman.answer()).toContain('DataRow(2)')
  })

  for (const ending of ['well', 'with an error'])
    test(`and a COPY by a batch gets its data after a RESET has been parsed, and ends ${ending}`, async () => {
      const { flow, roman, postgres } = await startRoman()
      roman.send(parse('later', 'reset all'), sync)
      await postgres.expect('Parse', 'Sync')
      postgres.send(parseComplete, ready())
      await roman.answer()
      roman.send(batch('copy t from stdin'))
      await postgres.expect('Parse', 'Bind', 'Execute', 'Sync')
      postgres.send(parseComplete, bindComplete, copyIn())
      await roman.expect('ParseComplete', 'BindComplete', 'CopyInResponse')
      roman.send(copyData('one'), copyDone, sync)
      await postgres.expect('CopyData', 'CopyDone', 'Sync')
      if (ending === 'well') postgres.send(complete('COPY 1'), ready())
      else postgres.send(error('22P02', 'invalid input syntax'), ready())
      expect((await roman.answer()).at(-1)).toBe('ReadyForQuery(I)')
      if (ending !== 'well') {
        await postgres.expect('Close(statement, pgweir_fence)', 'Flush')
        postgres.send(closeComplete)
      }
      await flow.expectCounts({ idle: 1 })
      await run(roman, postgres, 'two')
    })

  test('unless Postgres has skipped the reset because of an error, and the Sync is passed on', async () => {
    const { roman, postgres } = await startRoman()
    roman.send(parse('', 'selct'), query('reset all'), sync)
    await postgres.expect('Parse', 'Query(reset all)')
    await postgres.expectNothing()
    postgres.send(error('42601', 'syntax error'))
    await roman.expect('ErrorResponse')
    await postgres.expect('Sync')
    postgres.send(ready())
    await roman.expect('ReadyForQuery(I)')
    await run(roman, postgres, 'two')
  })

  test('at the end of its transaction; until then the next request waits only for the answer to the reset', async () => {
    const { roman, postgres } = await startRoman()
    roman.send(query('begin'))
    await postgres.expect('Query(begin)')
    postgres.send(complete('BEGIN'), ready('T'))
    await roman.answer()
    roman.send(query('reset all'), query('two'))
    await postgres.expect('Query(reset all)')
    await postgres.expectNothing()
    postgres.send(complete('RESET'), ready('T'))
    await postgres.expect('Query(two)')
    postgres.send(rows('2'), ready('T'))
    await roman.answer()
    await roman.answer()
    roman.send(query('commit'))
    await postgres.expect('Query(commit)')
    postgres.send(complete('COMMIT'), ready())
    await expectRestore(postgres)
    postgres.send(restored())
    await roman.expect('CommandComplete(COMMIT)', 'ParameterStatus(TimeZone=Europe/Rome)', 'ReadyForQuery(I)')
  })

  test('when its transaction ends', async () => {
    const { roman, postgres } = await startRoman()
    for (const [text, tag, status] of [
      ['begin', 'BEGIN', 'T'],
      ['reset all', 'RESET', 'T'],
      ['savepoint a', 'SAVEPOINT', 'T'],
    ] as const) {
      roman.send(query(text))
      await postgres.expect(`Query(${text})`)
      postgres.send(complete(tag), ready(status))
      await roman.expect(`CommandComplete(${tag})`, `ReadyForQuery(${status})`)
    }
    roman.send(query('selct'))
    await postgres.expect('Query')
    postgres.send(error('42601', 'syntax error'), ready('E'))
    await roman.answer()
    roman.send(query('rollback'))
    await postgres.expect('Query(rollback)')
    postgres.send(complete('ROLLBACK'), ready())
    await expectRestore(postgres)
    await roman.expect('CommandComplete(ROLLBACK)')
    await roman.expectNothing()
    postgres.send(aligned(''))
    await roman.expect('ReadyForQuery(I)')
    await run(roman, postgres, 'two')
  })

  test('when the transaction ends that the same query has begun after the reset', async () => {
    const { roman, postgres } = await startRoman()
    roman.send(query('reset all; begin; selct'))
    await postgres.expect('Query')
    postgres.send(complete('RESET'), complete('BEGIN'), error('42601', 'syntax error'), ready('E'))
    expect((await roman.answer()).at(-1)).toBe('ReadyForQuery(E)')
    roman.send(query('rollback'))
    await postgres.expect('Query(rollback)')
    postgres.send(complete('ROLLBACK'), ready())
    await expectRestore(postgres)
    postgres.send(restored())
    await roman.expect('CommandComplete(ROLLBACK)', 'ParameterStatus(TimeZone=Europe/Rome)', 'ReadyForQuery(I)')
  })

  test('including settings that Postgres does not report', async () => {
    const flow = await startFlow()
    const client = await logIn(flow, { options: '-c statement_timeout=5s -c app.tenant=ada -c role=eve' })
    const postgres = await flow.postgres.next()
    await postgres.expect('Query')
    postgres.send(aligned('ada', '5s', 'eve'))
    await client.answer()
    client.send(query('reset statement_timeout'))
    await postgres.expect('Query')
    postgres.send(complete('RESET'), ready())
    const sent = (await postgres.expect('Query')).texts[0] as string
    for (const call of [
      "case when 'statement_timeout' operator(pg_catalog.=) any (shown.reset) then pg_catalog.set_config('statement_timeout', '5s', false)",
      "pg_catalog.current_setting('app.tenant', true)",
      "set_config('app.tenant', 'ada', false)",
    ])
      expect(sent).toContain(call)
    // Rights come last, since the new role may not be allowed to set the rest.
    expect(sent.lastIndexOf('set_config(')).toBe(sent.indexOf("set_config('role', 'eve', false)"))
    postgres.send(aligned('', '5s', ''))
    await client.answer()
  })

  test('without an additional query if it asked for no settings at login', async () => {
    const { client, postgres } = await startPair()
    client.send(query('discard all'))
    await postgres.expect('Query(discard all)')
    postgres.send(complete('DISCARD ALL'), ready())
    await client.expect('CommandComplete(DISCARD ALL)', 'ReadyForQuery(I)')
    await postgres.expectNothing()
  })

  test('in session mode, where it keeps its server and gets the notices that arrive meanwhile', async () => {
    const { flow, roman, postgres } = await startRoman({ settings: { pool_mode: 'session' } })
    roman.send(query('two'))
    await postgres.expect('Query')
    postgres.send(restored())
    await postgres.expect('Query(two)')
    postgres.send(rows('2'), ready())
    await roman.answer()
    roman.send(query('reset all'))
    await postgres.expect('Query(reset all)')
    postgres.send(complete('RESET'), parameterStatus('TimeZone', 'Etc/UTC'), ready())
    await expectRestore(postgres)
    postgres.send(notification('news', 'one'), notice('beware'), restored())
    expect(await roman.answer()).toEqual([
      'CommandComplete(RESET)',
      'ParameterStatus(TimeZone=Etc/UTC)',
      'NotificationResponse(news, one)',
      'NoticeResponse(beware)',
      'ParameterStatus(TimeZone=Europe/Rome)',
      'ReadyForQuery(I)',
    ])
    expect(flow.counts()).toEqual({ leased: 1 })
    await run(roman, postgres, 'three')
    postgres.send(notification('news', 'two'))
    await roman.expect('NotificationResponse(news, two)')
    roman.leave()
    await reset(postgres)
    await flow.expectCounts({ idle: 1 })
  })

  describe('and while they are being restored', () => {
    async function startRestoring() {
      const parts = await startRoman()
      const { roman, postgres } = parts
      roman.send(query('reset all'))
      await postgres.expect('Query(reset all)')
      postgres.send(complete('RESET'), ready())
      await expectRestore(postgres)
      await roman.expect('CommandComplete(RESET)')
      return parts
    }

    test('an error disconnects the client with Postgres’ own message', async () => {
      const { flow, roman, postgres } = await startRestoring()
      postgres.send(error('22023', 'invalid value for parameter "TimeZone": "Europe/Rome"'), ready())
      await roman.expect('ErrorResponse(FATAL 22023 invalid value for parameter "TimeZone": "Europe/Rome")')
      await roman.expectClosed()
      await flow.expectCounts({ idle: 1 })
    })

    test('a cancel that was meant for the previous query does no harm', async () => {
      const { roman, postgres } = await startRestoring()
      postgres.endCancelled()
      await expectRestore(postgres)
      postgres.endCancelled()
      await expectRestore(postgres)
      postgres.send(restored())
      await roman.expect('ParameterStatus(TimeZone=Europe/Rome)', 'ReadyForQuery(I)')
    })

    test('they are not retried forever on a server that always cancels', async () => {
      const { roman, postgres } = await startRestoring()
      for (let round = 0; round < 2; round++) {
        postgres.endCancelled()
        await expectRestore(postgres)
      }
      postgres.endCancelled()
      await roman.expect('ErrorResponse(FATAL 57014 canceling statement due to user request)')
      await roman.expectClosed()
    })

    test('retries after an earlier reset do not count', async () => {
      const { roman, postgres } = await startRestoring()
      for (let round = 0; round < 2; round++) {
        postgres.endCancelled()
        await expectRestore(postgres)
      }
      postgres.send(restored())
      await roman.answer()
      roman.send(query('reset all'))
      await postgres.expect('Query(reset all)')
      postgres.send(complete('RESET'), ready())
      await expectRestore(postgres)
      postgres.endCancelled()
      await expectRestore(postgres)
      postgres.send(restored())
      expect((await roman.answer()).at(-1)).toBe('ReadyForQuery(I)')
    })

    test('a server that announces a huge message is closed', async () => {
      const { flow, roman, postgres } = await startRestoring()
      postgres.send(message('N', Buffer.alloc(0), MAX_CHORE_REPLY_BYTES))
      await postgres.expectClosed()
      await roman.expect('ErrorResponse(FATAL 08P01 server conn crashed?)')
      await roman.expectClosed()
      await flow.expectCounts({})
    })

    test('a client that disconnects leaves its server to other clients', async () => {
      const { flow, roman, postgres } = await startRestoring()
      roman.vanish()
      await quiet()
      expect(flow.counts()).toEqual({ restoring: 1 })
      postgres.send(restored())
      await flow.expectCounts({ idle: 1 })
      await run(await flow.connect({ parameters: ROME }), postgres, 'two')
    })

    test('a client that disconnects leaves none of its settings to other clients', async () => {
      const flow = await startFlow()
      const client = await logIn(flow, { options: '-c statement_timeout=5s' })
      const postgres = await flow.postgres.next()
      await postgres.expect('Query')
      postgres.send(aligned('5s'))
      await client.answer()
      client.send(query('discard all'))
      await postgres.expect('Query(discard all)')
      postgres.send(complete('DISCARD ALL'), ready())
      await postgres.expect('Query')
      await client.expect('CommandComplete(DISCARD ALL)')
      client.vanish()
      await quiet()
      postgres.send(aligned('5s'))
      await flow.expectCounts({ idle: 1 })
      const other = await flow.connect()
      other.send(query('two'))
      await postgres.expect("Query(select pg_catalog.set_config('statement_timeout', null, false))")
      postgres.send(aligned('0'))
      await postgres.expect('Query(two)')
      postgres.send(rows('2'), ready())
      await other.answer()
    })

    test('a client that sends Terminate is disconnected after that', async () => {
      const { flow, roman, postgres } = await startRestoring()
      roman.leave()
      postgres.send(restored())
      await roman.expectClosed()
      await flow.expectCounts({ idle: 1 })
      roman.inbox.take()
    })

    test('a FATAL error of the server reaches the client', async () => {
      const { flow, roman, postgres } = await startRestoring()
      postgres.send(error('57P01', 'terminating connection due to administrator command', 'FATAL'))
      postgres.close()
      await roman.expect('ErrorResponse(FATAL 57P01 terminating connection due to administrator command)')
      await roman.expectClosed()
      await flow.expectCounts({})
    })

    test('a server that does not answer is closed', async () => {
      const { flow, roman, postgres } = await startRestoring()
      await flow.advance(16_000)
      await postgres.expectClosed()
      await roman.expect('ErrorResponse')
      await roman.expectClosed()
    })

    test('a cancel request of the client is not sent', async () => {
      const { flow, roman, postgres } = await startRestoring()
      const canceller = await flow.dial()
      canceller.send(cancelRequest(roman.key))
      await canceller.expectClosed()
      await flow.postgres.expectNoCancel()
      postgres.send(restored())
      await roman.answer()
    })

    test('RECONNECT closes the server only afterwards', async () => {
      const { flow, roman, postgres } = await startRestoring()
      flow.pooler.control.reconnect(null)
      await quiet()
      expect(postgres.isClosed).toBe(false)
      postgres.send(restored())
      expect((await roman.answer()).at(-1)).toBe('ReadyForQuery(I)')
      await postgres.expectClosed()
    })
  })
})

describe('a parameter that a server reports in another encoding than the client’s', () => {
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

  test('is converted to the client’s encoding', async () => {
    expect(await startIn('LATIN1', Buffer.from('größe', 'latin1'))).toEqual([
      'ParameterStatus(client_encoding=UTF8)',
      'ParameterStatus(search_path=größe)',
    ])
  })

  test('is not sent if its encoding cannot be converted', async () => {
    expect(await startIn('LATIN9', Buffer.from('größe', 'latin1'))).toEqual(['ParameterStatus(client_encoding=UTF8)'])
  })
})

test('settings whose query is cancelled on behalf of the last client are set on another server', async () => {
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

test('settings that are not answered within server_connect_timeout cost the server, not the client', async () => {
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

test('a client that disconnects while its server is being prepared costs no server', async () => {
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

test('of two idle servers, the one that already has the client’s settings is used', async () => {
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

test('application_name is reported to the client at once, without a query to a server', async () => {
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

test('application_name_add_host adds the client’s address', async () => {
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
