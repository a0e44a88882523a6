/** Rule 9, and what a client receives when its server ends, breaks, or sends invalid messages; other clients are not affected. */

import { describe, expect, test } from 'vitest'
import { MAX_CHORE_REPLY_BYTES } from '../../src/wire/limits.ts'
import { quiet } from '../support/flow/inbox.ts'
import {
  authenticationOk,
  bindComplete,
  complete,
  copyIn,
  dataRow,
  error,
  notice,
  parseComplete,
  ready,
  rowDescription,
  rows,
} from '../support/flow/replies.ts'
import { batch, bind, execute, flush, message, parse, query } from '../support/flow/requests.ts'
import { type Pair, startPair } from '../support/flow/start.ts'

const SHUTDOWN = error('57P01', 'terminating connection due to administrator command', 'FATAL')
const SHUTDOWN_SHOWN = 'ErrorResponse(FATAL 57P01 terminating connection due to administrator command)'
const CRASHED = 'ErrorResponse(FATAL 08006 server conn crashed?)'

/** Expects that a new client is served by a new server. */
async function expectRecovered({ flow }: Pick<Pair, 'flow'>) {
  const client = await flow.connect()
  client.send(query('afterwards'))
  const server = await flow.postgres.next()
  await server.expect('Query(afterwards)')
  server.send(rows('yes'), ready())
  expect(await client.answer()).toContain('DataRow(yes)')
}

describe('a FATAL error of the server is the only error that the client gets', () => {
  test('while its query runs', async () => {
    const pair = await startPair()
    const { client, postgres } = pair
    client.send(query('select 1'))
    await postgres.expect('Query')
    postgres.send(rowDescription('value'), dataRow('1'), SHUTDOWN)
    postgres.close()
    await client.expect('RowDescription', 'DataRow(1)', SHUTDOWN_SHOWN)
    await client.expectClosed()
    await pair.flow.expectCounts({})
    await expectRecovered(pair)
  })

  test('while it is idle in a transaction', async () => {
    const pair = await startPair()
    const { client, postgres } = pair
    client.send(query('begin'))
    await postgres.expect('Query')
    postgres.send(complete('BEGIN'), ready('T'))
    await client.answer()
    postgres.send(SHUTDOWN)
    postgres.close()
    await client.expect(SHUTDOWN_SHOWN)
    await client.expectClosed()
    await expectRecovered(pair)
  })

  test('in the middle of a batch that includes the pooler’s own answers', async () => {
    const pair = await startPair()
    const { client, postgres } = pair
    client.send(parse('s1', 'select 1'), bind('', 's1'), execute(), parse('s2', 'select 1'), flush)
    await postgres.expect('Parse', 'Bind', 'Execute', 'Flush')
    postgres.send(parseComplete, bindComplete, SHUTDOWN)
    postgres.close()
    await client.expect('ParseComplete', 'BindComplete', SHUTDOWN_SHOWN)
    await client.expectClosed()
    await expectRecovered(pair)
  })

  test('and it is passed on before the server closes the connection', async () => {
    const { client, postgres } = await startPair()
    client.send(query('select 1'))
    await postgres.expect('Query')
    postgres.send(SHUTDOWN)
    await client.expect(SHUTDOWN_SHOWN)
    postgres.close()
    await client.expectClosed()
  })

  test('in session mode, between two queries', async () => {
    const { client, postgres } = await startPair({ settings: { pool_mode: 'session', server_reset_query: '' } })
    client.send(query('one'))
    await postgres.expect('Query')
    postgres.send(rows('1'), ready())
    await client.answer()
    postgres.send(SHUTDOWN)
    postgres.close()
    await client.expect(SHUTDOWN_SHOWN)
    await client.expectClosed()
  })
})

describe('a server that closes its connection without a message', () => {
  test('disconnects its client with an error that says so', async () => {
    const pair = await startPair()
    const { client, postgres } = pair
    client.send(query('select 1'))
    await postgres.expect('Query')
    postgres.send(rowDescription('value'))
    postgres.close()
    await client.expect('RowDescription', CRASHED)
    await client.expectClosed()
    await expectRecovered(pair)
  })

  test('disconnects its client also if the connection was reset', async () => {
    const pair = await startPair()
    const { client, postgres } = pair
    client.send(query('select 1'))
    await postgres.expect('Query')
    postgres.reset()
    await client.expect(CRASHED)
    await client.expectClosed()
    await expectRecovered(pair)
  })

  test('in the middle of a row disconnects its client without an error, since none can be sent there', async () => {
    const pair = await startPair()
    const { client, postgres } = pair
    client.send(query('select 1'))
    await postgres.expect('Query')
    postgres.send(rowDescription('value'), dataRow('a long value').subarray(0, 15))
    await client.expect('RowDescription')
    const before = client.receivedBytes
    await quiet()
    postgres.close()
    await client.expectClosed()
    expect(client.receivedBytes).toBe(before)
    await expectRecovered(pair)
  })

  test('in the middle of a message that the client has not received disconnects it with an error', async () => {
    const pair = await startPair()
    const { client, postgres } = pair
    client.send(batch('select 1'))
    await postgres.expect('Parse', 'Bind', 'Execute', 'Sync')
    postgres.send(error('42601', 'syntax error').subarray(0, 10))
    postgres.close()
    await client.expect(CRASHED)
    await client.expectClosed()
    await expectRecovered(pair)
  })

  test('while idle affects no client', async () => {
    const { flow, client, postgres } = await startPair()
    postgres.close()
    await flow.expectCounts({})
    client.send(query('select 1'))
    const next = await flow.postgres.next()
    await next.expect('Query(select 1)')
    next.send(rows('1'), ready())
    expect(await client.answer()).toContain('DataRow(1)')
  })

  test('while being reset affects no client', async () => {
    const { flow, client, postgres } = await startPair({ settings: { pool_mode: 'session' } })
    await postgres.expect('Query(DISCARD ALL)')
    client.send(query('select 1'))
    await flow.expectCounts({ cleaning: 1, waiting: 1 })
    postgres.close()
    const next = await flow.postgres.next()
    await next.expect('Query(select 1)')
    next.send(rows('1'), ready())
    expect(await client.answer()).toContain('DataRow(1)')
  })

  test('because it announces a huge message while being reset affects no client', async () => {
    const { flow, client, postgres } = await startPair({ settings: { pool_mode: 'session' } })
    await postgres.expect('Query(DISCARD ALL)')
    client.send(query('select 1'))
    await flow.expectCounts({ cleaning: 1, waiting: 1 })
    postgres.send(message('N', Buffer.alloc(0), MAX_CHORE_REPLY_BYTES))
    await postgres.expectClosed()
    const next = await flow.postgres.next()
    await next.expect('Query(select 1)')
    next.send(rows('1'), ready())
    expect(await client.answer()).toContain('DataRow(1)')
  })

  test('while being prepared for a client is replaced by another server', async () => {
    const { flow, postgres } = await startPair()
    const other = await flow.connect({ parameters: { application_name: 'other' } })
    other.send(query('select 1'))
    await postgres.expect('Query')
    await flow.expectCounts({ aligning: 1 })
    postgres.close()
    const next = await flow.postgres.next()
    await next.expect('Query')
    next.send(rows('other'), ready())
    await next.expect('Query(select 1)')
    next.send(rows('1'), ready())
    expect(await other.answer()).toContain('DataRow(1)')
  })

  test('disconnects only its own client', async () => {
    const { flow, client, postgres } = await startPair()
    client.send(query('one'))
    await postgres.expect('Query(one)')
    const other = await flow.connect()
    other.send(query('two'))
    const second = await flow.postgres.next()
    await second.expect('Query(two)')
    postgres.close()
    await client.expect(CRASHED)
    await client.expectClosed()
    second.send(rows('2'), ready())
    expect(await other.answer()).toContain('DataRow(2)')
  })
})

describe('an idle server', () => {
  for (const [what, word] of [
    ['a FATAL', SHUTDOWN],
    ['an ERROR', error('XX000', 'out of nowhere')],
    ['a row', dataRow('1')],
    ['a ReadyForQuery', ready()],
    ['a CommandComplete', complete('SELECT 1')],
    ['an AuthenticationOk', authenticationOk],
    ['an unknown message', message('?', Buffer.from('what'))],
    ['a wrong length', message('Z', Buffer.from('I'), 3)],
    ['the first bytes of a row', dataRow('1').subarray(0, 9)],
    ['the first bytes of a notice', notice('look').subarray(0, 3)],
  ] as const)
    test(`that sends ${what} is closed, and clients do not notice`, async () => {
      const { flow, client, postgres } = await startPair()
      postgres.send(word)
      await postgres.expectClosed()
      await flow.expectCounts({})
      client.send(query('select 1'))
      const next = await flow.postgres.next()
      await next.expect('Query(select 1)')
      next.send(rows('1'), ready())
      expect(await client.answer()).toContain('DataRow(1)')
    })

  test('that sent a FATAL right after ReadyForQuery is not given to the next client', async () => {
    const { flow, client, postgres } = await startPair({ settings: { default_pool_size: 1 } })
    client.send(query('one'))
    await postgres.expect('Query(one)')
    const other = await flow.connect()
    other.send(query('two'))
    await flow.expectCounts({ leased: 1, waiting: 1 })
    postgres.send(rows('1'), ready(), SHUTDOWN)
    expect(await client.answer()).toContain('DataRow(1)')
    await quiet()
    postgres.close()
    const next = await flow.postgres.next()
    await next.expect('Query(two)')
    next.send(rows('2'), ready())
    expect(await other.answer()).toContain('DataRow(2)')
    // Either the first client has received the FATAL error and its connection has ended, or it has not, and is still connected.
    const told = client.inbox.take().map((reply) => reply.shown)
    if (told.length === 0) {
      expect(client.isClosed).toBe(false)
      return
    }
    expect(told).toEqual([SHUTDOWN_SHOWN])
    await client.expectClosed()
  })
})

describe('a server that sends an invalid message disconnects its client with an error, and no other client:', () => {
  for (const [what, ...words] of [
    ['an unknown message', message('?', Buffer.from('what'))],
    ['an impossible length', message('D', Buffer.alloc(4), 2)],
    ['a negative length', message('D', Buffer.alloc(4), -5)],
    ['a reply to another request', parseComplete],
    ['two completions of one command', complete('SELECT 1'), bindComplete],
    ['an authentication request', authenticationOk],
    ['a CopyInResponse that no query asked for', ready('T'), copyIn()],
    ['a ReadyForQuery without a status', message('Z')],
    ['a superfluous ReadyForQuery', ready('T'), ready('T')],
    ['a broken setting', message('S', Buffer.from('TimeZone'))],
    ['a tag without an end', message('C', Buffer.alloc(100_000, 'x'))],
  ] as const)
    test(what, async () => {
      const pair = await startPair()
      const { client, postgres } = pair
      const other = await pair.flow.connect()
      client.send(query('select 1'))
      await postgres.expect('Query')
      postgres.send(...words, dataRow('this row must not be believed'))
      const said = await client.inbox.through('ErrorResponse')
      expect(said.at(-1)).toBe('ErrorResponse(FATAL 08P01 server conn crashed?)')
      expect(said.join()).not.toContain('believed')
      await client.expectClosed()
      await postgres.expectClosed()
      other.send(query('two'))
      const next = await pair.flow.postgres.next()
      await next.expect('Query(two)')
      next.send(rows('2'), ready())
      expect(await other.answer()).toContain('DataRow(2)')
    })

  test('an unsolicited error in a transaction', async () => {
    const { client, postgres } = await startPair()
    client.send(query('begin'))
    await postgres.expect('Query')
    postgres.send(complete('BEGIN'), ready('T'))
    await client.answer()
    postgres.send(error('XX000', 'out of nowhere'), notice('more'))
    await client.expect('ErrorResponse(FATAL 08P01 server conn crashed?)')
    await client.expectClosed()
    await postgres.expectClosed()
  })
})
