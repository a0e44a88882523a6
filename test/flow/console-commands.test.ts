/** Each command and SHOW of the console, in both protocols: columns, answers, who may use it, and refusals. The data is in test/cases. */

import { describe, expect, test } from 'vitest'
import { COMMANDS } from '../../src/admin/commands.ts'
import { TOPICS } from '../../src/admin/show/topics.ts'
import { COLUMNS, DONE, EXPORTER, REFUSED, TYPES } from '../cases/console.ts'
import type { FlowClient } from '../support/flow/client.ts'
import { bind, describeStatement, execute, parse, query, sync } from '../support/flow/requests.ts'
import { type Flow, startFlow, startPair } from '../support/flow/start.ts'

const ADMIN = { user: 'ada', password: 'a', database: 'pgweir' }
const STATS = { user: 'bob', password: 'b', database: 'pgbouncer' }

const OPTIONS = {
  settings: { auth_type: 'plain', admin_users: 'ada', stats_users: 'bob' },
  authFile: ['"ada" "a"', '"bob" "b"', '"eve" "e"'],
}

/** The messages by which a client sends a text, in each protocol. */
const PROTOCOLS = {
  simple: (text: string) => [query(text)],
  extended: (text: string) => [parse('', text), bind('', ''), execute(), sync],
} as const

const BOTH = Object.entries(PROTOCOLS)

/** Sends the messages and returns the answer, without the replies that come in the extended protocol only, and without ReadyForQuery. */
async function answerTo(client: FlowClient, messages: readonly Buffer[]): Promise<string[]> {
  client.send(...messages)
  const answer = await client.answer()
  return answer.filter((reply) => !['ParseComplete', 'BindComplete', 'ReadyForQuery(I)'].includes(reply))
}

interface Field {
  readonly name: string
  readonly dataTypeID: number
}

/** Names and types of the last RowDescription. */
function columnsTold(client: FlowClient): string[] | null {
  const told = client.inbox.all.findLast(({ name }) => name === 'RowDescription')
  const fields = told?.read?.['fields'] as readonly Field[] | undefined
  return fields?.map(({ name, dataTypeID }) => `${name} ${dataTypeID}`) ?? null
}

describe.each(Object.entries(COLUMNS))('SHOW %s', (topic, facts) => {
  const expected = facts.split(',').map((fact) => {
    const [name = '', type = ''] = fact.trim().split(' ')
    return `${name} ${TYPES[type]?.oid}`
  })

  test.each(BOTH)('has the columns of PgBouncer, for admins and stats users (%s protocol)', async (protocol, send) => {
    const { flow } = await startPair({ ...OPTIONS, login: { user: 'eve', password: 'e' } })
    for (const who of [ADMIN, STATS]) {
      const console = await flow.connect(who)
      if (protocol === 'extended') {
        console.send(parse('', `show ${topic}`), describeStatement(''), sync)
        await console.answer()
        expect(columnsTold(console)).toEqual(expected)
      }
      const answer = await answerTo(console, send(`show ${topic}`))
      if (protocol === 'simple') expect(columnsTold(console)).toEqual(expected)
      const rows = answer.filter((reply) => reply.startsWith('DataRow('))
      expect(answer.at(-1)).toBe('CommandComplete(SHOW)')
      expect(answer).toHaveLength(rows.length + (protocol === 'simple' ? 2 : 1))
      console.leave()
    }
  })
})

/** Starts a pooler with one client and a console. The command `first` is run on another console, which stays connected. */
async function start(first: string | undefined): Promise<{ flow: Flow; console: FlowClient }> {
  const { flow, client } = await startPair({ ...OPTIONS, login: { user: 'eve', password: 'e' } })
  const console = await flow.connect(ADMIN)
  const before = await flow.connect(ADMIN)
  if (first !== undefined) expect((await answerTo(before, [query(first)])).join()).toContain('CommandComplete')
  client.isDeaf = true
  return { flow, console }
}

describe.each(DONE)('$command', ({ command, tag, first }) => {
  test.each(BOTH)('is answered with its command tag (%s protocol)', async (_protocol, send) => {
    const { console } = await start(first)
    expect(await answerTo(console, send(command))).toEqual([`CommandComplete(${tag})`])
  })

  test('returns no rows, and is for admins only', async () => {
    const { flow, console } = await start(first)
    console.send(parse('', command), describeStatement(''), sync)
    expect(await console.answer()).toContain('NoData')
    const stats = await flow.connect(STATS)
    for (const [, send] of BOTH)
      expect(await answerTo(stats, send(command))).toEqual(['ErrorResponse(ERROR 42501 admin access needed)'])
  })
})

describe.each(REFUSED)('$command', ({ command, sqlstate, message, first }) => {
  test.each(BOTH)(`is refused: ${message} (%s protocol)`, async (_protocol, send) => {
    const { console } = await start(first)
    expect(await answerTo(console, send(command))).toEqual([`ErrorResponse(ERROR ${sqlstate} ${message})`])
    expect(await answerTo(console, [query('show version')]), 'the console is still usable').toContain(
      'CommandComplete(SHOW)',
    )
  })
})

test('KILL_CLIENT accepts the id and the ptr of SHOW CLIENTS', async () => {
  for (const column of ['id', 'ptr']) {
    const { flow, client } = await startPair()
    const console = await flow.connect({ database: 'pgweir' })
    console.send(query('show clients'))
    await console.answer()
    const shown = console.inbox.all
      .filter(({ name }) => name === 'DataRow')
      .map(({ read }) => read?.['fields'] as string[])
    const names = columnsTold(console)?.map((each) => each.split(' ')[0]) ?? []
    const row = shown.find((cells) => cells[names.indexOf('database')] === 'app') ?? []
    expect(await answerTo(console, [query(`kill_client ${row[names.indexOf(column)]}`)])).toEqual([
      'CommandComplete(KILL_CLIENT)',
    ])
    await client.expect('ErrorResponse(FATAL 57P01 admin forced disconnect)')
    await client.expectClosed()
  }
})

test.each(['kill_client 1', 'restart workers', 'show fds'])('%s is for admins only', async (command) => {
  const flow = await startFlow(OPTIONS)
  const stats = await flow.connect(STATS)
  for (const [, send] of BOTH)
    expect(await answerTo(stats, send(command))).toEqual(['ErrorResponse(ERROR 42501 admin access needed)'])
})

test('RELOAD fails if anything in the files is invalid', async () => {
  const { flow } = await startPair()
  flow.change({ users: ['ada = nonsense'] })
  const console = await flow.connect({ database: 'pgweir' })
  for (const [, send] of BOTH)
    expect(await answerTo(console, send('reload'))).toEqual([
      'ErrorResponse(ERROR F0000 RELOAD failed, see logs for additional details)',
    ])
})

test('SHOW HELP sends a notice, for admins and stats users', async () => {
  const flow = await startFlow(OPTIONS)
  for (const who of [ADMIN, STATS])
    for (const [, send] of BOTH)
      expect(await answerTo(await flow.connect(who), send('show help'))).toEqual([
        'NoticeResponse(Console usage)',
        'CommandComplete(SHOW)',
      ])
})

test('other users may not connect to the console', async () => {
  const flow = await startFlow(OPTIONS)
  await expect(flow.connect({ user: 'eve', password: 'e', database: 'pgbouncer' })).rejects.toThrow(
    'ErrorResponse(FATAL 42501 not allowed)',
  )
})

test('each command and each SHOW of the console is covered here', () => {
  /** Commands that PgBouncer does not have, or that have their own tests above. */
  const elsewhere = new Set(['show', 'select', 'kill_client', 'restart'])
  const done = new Set(DONE.map(({ command }) => command.split(' ')[0]))
  expect([...COMMANDS.keys()].filter((name) => !done.has(name) && !elsewhere.has(name))).toEqual([])
  expect([...TOPICS.keys()].filter((name) => !(name in COLUMNS) && name !== 'latencies' && name !== 'workers')).toEqual(
    [],
  )
})

test('pgbouncer_exporter can log in as lib/pq does, ping, and read every column that it needs', async () => {
  const { flow } = await startPair()
  const parameters = { extra_float_digits: '2', client_encoding: 'UTF8', datestyle: 'ISO, MDY' }
  const exporter = await flow.connect({ database: 'pgbouncer', parameters })
  expect(await answerTo(exporter, [query(';')])).toEqual(['EmptyQueryResponse'])
  for (const [text, columns] of Object.entries(EXPORTER))
    for (const [protocol, send] of BOTH) {
      const messages =
        protocol === 'simple' ? send(text) : [parse('', text), describeStatement(''), bind('', ''), execute(), sync]
      expect((await answerTo(exporter, messages)).at(-1)).toBe('CommandComplete(SHOW)')
      const told = columnsTold(exporter)?.map((each) => each.split(' ')[0])
      expect(told).toEqual(expect.arrayContaining([...columns]))
    }
  expect(await answerTo(exporter, [query('SET extra_float_digits = 2')])).toContain('CommandComplete(SET)')
})
