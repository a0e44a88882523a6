/** Notices, notifications and changed settings may arrive at any time, and reach the right client. */

import { describe, expect, test } from 'vitest'
import { ANSWER, startKept } from '../support/flow/auto-prepared.ts'
import { quiet } from '../support/flow/inbox.ts'
import { Others } from '../support/flow/member.ts'
import { RESULT, startPrepared } from '../support/flow/prepared.ts'
import {
  bindComplete,
  complete,
  copyIn,
  dataRow,
  notice,
  notification,
  parameterStatus,
  parseComplete,
  ready,
  rowDescription,
  rows,
} from '../support/flow/replies.ts'
import { batch, closeStatement, copyDone, query } from '../support/flow/requests.ts'
import { type Pair, startPair } from '../support/flow/start.ts'

const WORDS = [
  ['a notice', notice('look'), 'NoticeResponse(look)'],
  ['a notification', notification('channel', 'payload'), 'NotificationResponse(channel, payload)'],
  ['a setting that is not tracked', parameterStatus('in_hot_standby', 'on'), 'ParameterStatus(in_hot_standby=on)'],
  ['a setting', parameterStatus('DateStyle', 'SQL, DMY'), 'ParameterStatus(DateStyle=SQL, DMY)'],
] as const

describe.each(WORDS)('%s', (_, message, shown) => {
  test('in the middle of a reply is passed on in its place', async () => {
    const { flow, client, postgres } = await startPair()
    client.send(query('select 1'))
    await postgres.expect('Query')
    postgres.send(message, rowDescription('value'), message, dataRow('1'), complete('SELECT 1'), message, ready())
    await client.expect(shown, 'RowDescription', shown, 'DataRow(1)', 'CommandComplete(SELECT 1)', shown)
    await client.expect('ReadyForQuery(I)')
    expect(flow.counts()).toEqual({ idle: 1 })
  })

  test('between the replies of a batch is passed on in its place', async () => {
    const { flow, client, postgres } = await startPair()
    client.send(batch('select 1'))
    await postgres.expect('Parse', 'Bind', 'Execute', 'Sync')
    postgres.send(message, parseComplete, message, bindComplete, message, complete('SELECT 0'), message, ready())
    await client.expect(shown, 'ParseComplete', shown, 'BindComplete', shown, 'CommandComplete', shown)
    await client.expect('ReadyForQuery(I)')
    expect(flow.counts()).toEqual({ idle: 1 })
  })

  test('during an idle transaction is passed on at once', async () => {
    const { client, postgres } = await startPair()
    client.send(query('begin'))
    await postgres.expect('Query')
    postgres.send(complete('BEGIN'), ready('T'))
    await client.answer()
    postgres.send(message)
    await client.expect(shown)
    client.send(query('commit'))
    await postgres.expect('Query')
    postgres.send(complete('COMMIT'), ready())
    await client.answer()
  })

  test('during COPY is passed on', async () => {
    const { client, postgres } = await startPair()
    client.send(query('copy t from stdin'))
    await postgres.expect('Query')
    postgres.send(copyIn(), message)
    await client.expect('CopyInResponse', shown)
    client.send(copyDone)
    await postgres.expect('CopyDone')
    postgres.send(message, complete('COPY 0'), ready())
    await client.expect(shown, 'CommandComplete(COPY 0)', 'ReadyForQuery(I)')
  })

  test('in the same chunk as ReadyForQuery still goes to the client that held the server', async () => {
    const { flow, client, postgres } = await startPair()
    client.send(query('select 1'))
    await postgres.expect('Query')
    postgres.send(rows('1'), ready(), message)
    await client.answer()
    await client.expect(shown)
    expect(flow.counts()).toEqual({ idle: 1 })
  })

  test('from an idle server reaches no client, and the server is kept', async () => {
    const { flow, client, postgres } = await startPair()
    postgres.send(message)
    await client.expectNothing()
    expect(flow.counts()).toEqual({ idle: 1 })
    expect(postgres.isClosed).toBe(false)
  })
})

test.each(WORDS.filter(([what]) => what !== 'a notification'))(
  '%s during the login of a server does no harm',
  async (_, message) => {
    const { flow, client, postgres } = await startPair()
    flow.postgres.login = (server) => {
      server.send(message)
      server.welcome()
      server.send(message)
    }
    client.send(query('begin'))
    await postgres.expect('Query')
    const other = await flow.connect()
    other.send(query('select 1'))
    const second = await flow.postgres.next()
    await quiet()
    // Settings that the server reported at its login may have to be set back before it is used.
    if (second.inbox.unread[0]?.shown.includes('set_config')) {
      await second.expect('Query')
      second.send(parameterStatus('DateStyle', 'ISO, MDY'), rows('ISO, MDY'), ready())
    }
    await second.expect('Query(select 1)')
    second.send(rows('1'), ready())
    expect(await other.answer()).toContain('DataRow(1)')
    postgres.send(rows('1'), ready())
    await client.answer()
  },
)

test('a setting that an idle server reports is set back before the next client uses the server', async () => {
  const { client, postgres } = await startPair()
  postgres.send(parameterStatus('TimeZone', 'Europe/Rome'))
  await quiet()
  client.send(query('select 1'))
  const align = await postgres.expect('Query')
  expect(align.texts[0]).toBe("select pg_catalog.set_config('TimeZone', 'Etc/UTC', false)")
  postgres.send(parameterStatus('TimeZone', 'Etc/UTC'), rows('Etc/UTC'), ready())
  await postgres.expect('Query(select 1)')
  postgres.send(rows('1'), ready())
  expect(await client.answer()).toContain('DataRow(1)')
})

describe('LISTEN', () => {
  const listen = async ({ client, postgres }: Pair) => {
    client.send(query('listen news'))
    await postgres.expect('Query(listen news)')
    postgres.send(complete('LISTEN'), ready())
    await client.answer()
  }

  test.each(['transaction', 'statement'])(
    'in %s mode is undone before the next client gets the server',
    async (mode) => {
      const pair = await startPair({ settings: { pool_mode: mode, default_pool_size: 1 } })
      const { flow, client, postgres } = pair
      const other = await flow.connect()
      await listen(pair)
      await postgres.expect('Query(UNLISTEN *)')
      other.send(query('select 1'))
      postgres.send(notification('news', 'for the first client'), complete('UNLISTEN'), ready())
      await postgres.expect('Query(select 1)')
      postgres.send(rows('1'), ready())
      expect((await other.answer()).join()).not.toContain('NotificationResponse')
      await client.expectNothing()
      // Only once.
      client.send(query('select 2'))
      await postgres.expect('Query(select 2)')
      postgres.send(rows('2'), ready())
      await client.answer()
      await postgres.expectNothing()
      expect(flow.counts()).toEqual({ idle: 1 })
      expect(flow.logged('LISTEN has no effect')).toEqual([
        expect.stringMatching(
          `WARNING C-0x\\w+: app/ada@\\S+ LISTEN has no effect in ${mode} mode: the client gets no notifications HINT: `,
        ),
      ])
    },
  )

  test('in session mode is left to server_reset_query', async () => {
    const pair = await startPair({ settings: { pool_mode: 'session', server_reset_query: 'DISCARD ALL' } })
    const { flow, client, postgres } = pair
    // The login has taken the server to learn the client's settings.
    await postgres.expect('Query(DISCARD ALL)')
    postgres.send(complete('DISCARD ALL'), ready())
    await flow.expectCounts({ idle: 1 })
    await listen(pair)
    postgres.send(notification('news', 'one'))
    await client.expect('NotificationResponse(news, one)')
    client.leave()
    await postgres.expect('Query(DISCARD ALL)')
    postgres.send(complete('DISCARD ALL'), ready())
    await flow.expectCounts({ idle: 1 })
    expect(flow.logged('LISTEN has no effect')).toEqual([])
  })

  test('of a transaction that goes on is undone when the server is given back', async () => {
    const { client, postgres } = await startPair()
    client.send(query('begin; listen news'))
    await postgres.expect('Query')
    postgres.send(complete('BEGIN'), complete('LISTEN'), ready('T'))
    await client.answer()
    await postgres.expectNothing()
    client.send(query('commit'))
    await postgres.expect('Query(commit)')
    postgres.send(complete('COMMIT'), ready())
    await client.answer()
    await postgres.expect('Query(UNLISTEN *)')
    postgres.send(complete('UNLISTEN'), ready())
    await postgres.expectNothing()
  })
})

describe('a notification that arrives in pieces reaches the client whole, before an answer that the pooler gives itself:', () => {
  const news = notification('news', 'x'.repeat(100))
  const [first, second] = [news.subarray(0, 50), news.subarray(50)]

  test('to a Parse of a statement that the server keeps', async () => {
    const { client, postgres } = await startKept({ settings: { pool_mode: 'session', server_reset_query: '' } })
    postgres.send(first)
    await quiet()
    client.send(batch('select 1'))
    await postgres.expect('Bind(, #1)', 'Execute', 'Sync')
    postgres.send(second, RESULT)
    await client.expect('NotificationResponse')
    expect(await client.answer()).toEqual(ANSWER)
  })

  for (const [how, sent, ...answer] of [
    ['a Close', closeStatement('s1'), 'CloseComplete'],
    ['a DEALLOCATE', query('deallocate s1'), 'CommandComplete(DEALLOCATE)', 'ReadyForQuery(T)'],
  ] as const)
    test(`to ${how} of a shared statement`, async () => {
      const { client, postgres } = await startPrepared()
      client.send(query('begin'))
      await postgres.expect('Query(begin)')
      postgres.send(complete('BEGIN'), ready('T'))
      await client.answer()
      postgres.send(first)
      await quiet()
      client.send(sent)
      await postgres.expectNothing()
      postgres.send(second)
      await client.expect('NotificationResponse', ...answer)
    })

  test('to a schema change that other workers have to confirm', async () => {
    const others = new Others()
    const { client, postgres } = await startPair({ others, settings: { pool_mode: 'session', server_reset_query: '' } })
    client.send(query('create table a ()'))
    await postgres.expect('Query')
    postgres.send(complete('CREATE TABLE'), ready())
    await client.expect('CommandComplete(CREATE TABLE)')
    postgres.send(first)
    await quiet()
    others.answer()
    await quiet()
    postgres.send(second)
    await client.expect('NotificationResponse', 'ReadyForQuery(I)')
    client.send(query('two'))
    await postgres.expect('Query(two)')
    postgres.send(rows('2'), ready())
    expect(await client.answer()).toContain('DataRow(2)')
  })
})
