/** Complete conversations between clients and servers, for tests that deliver them cut into different pieces. */

import { FlowClient } from './client.ts'
import type { FlowServer } from './postgres.ts'
import * as replies from './replies.ts'
import * as requests from './requests.ts'
import { Flow, type FlowOptions } from './start.ts'

export interface Conversation {
  readonly name: string
  readonly options: FlowOptions
  hold(flow: Flow): Promise<void>
}

const { bindComplete, closeComplete, complete, copyData, copyIn, dataRow, error, join, noData, notice } = replies
const { notification, parameterDescription, parameterStatus, parseComplete, ready, rowDescription, rows } = replies
const { bind, closeStatement, copyDone, describePortal, describeStatement, execute, flush, parse, query, sync } =
  requests

export const CONVERSATIONS: readonly Conversation[] = [
  {
    name: 'simple queries in a transaction',
    options: {},
    async hold(flow) {
      const client = await flow.connect()
      const server = await flow.postgres.next()
      client.send(query('begin'), query('select 1'))
      await server.expect('Query(begin)', 'Query(select 1)')
      server.send(notice('a word'), complete('BEGIN'), ready('T'), rows('1', '2'), ready('T'))
      await client.answer()
      await client.answer()
      client.send(query('selct'))
      await server.expect('Query(selct)')
      server.send(error('42601', 'syntax error'), ready('E'))
      await client.answer()
      client.send(query('rollback'))
      await server.expect('Query(rollback)')
      server.send(complete('ROLLBACK'), notification('channel', 'payload'), ready())
      await client.answer()
    },
  },
  {
    name: 'named statements, answers of our own, and a server that does not have them',
    options: { settings: { max_prepared_statements: 1 } },
    async hold(flow) {
      const client = await flow.connect()
      const server = await flow.postgres.next()
      client.send(
        parse('s1', 'select $1', [23]),
        describeStatement('s1'),
        bind('', 's1', '5'),
        describePortal(),
        execute(),
        sync,
      )
      await server.expect('Parse', 'Describe', 'Bind', 'Describe', 'Execute', 'Sync')
      server.send(parseComplete, parameterDescription(23), rowDescription('value'))
      server.send(bindComplete, rowDescription('value'), dataRow('5'), complete('SELECT 1'), ready())
      await client.answer()
      client.send(parse('s2', 'select $1', [23]), bind('', 's2', '6'), closeStatement('s2'), execute(), sync)
      await server.expect('Bind', 'Execute', 'Sync')
      server.send(bindComplete, dataRow('6'), complete('SELECT 1'), ready())
      await client.answer()
      client.send(parse('s3', 'select 3'), bind('', 's1', '7'), execute(), sync)
      await server.expect('Close', 'Parse', 'Close', 'Parse', 'Describe', 'Flush')
      server.send(closeComplete, parseComplete, closeComplete, parseComplete)
      server.send(parameterDescription(23), rowDescription('value'))
      await server.expect('Bind', 'Execute', 'Sync')
      server.send(bindComplete, dataRow('7'), complete('SELECT 1'), ready())
      await client.answer()
    },
  },
  {
    name: 'errors in batches, and duplicate and unknown names',
    options: {},
    async hold(flow) {
      const client = await flow.connect()
      const server = await flow.postgres.next()
      client.send(parse('s1', 'selct'), bind('', 's1'), execute(), sync, parse('s1', 'select 1'), sync)
      await server.expect('Parse', 'Bind', 'Execute', 'Sync')
      server.send(error('42601', 'syntax error'), ready())
      await client.answer()
      const seen = await server.inbox.through('Sync')
      if (seen.length === 3) server.send(closeComplete)
      server.send(seen.at(-2)?.startsWith('Parse') ? parseComplete : error('26000', 'never'), ready())
      await client.answer()
      client.send(bind('', 'nobody'), execute(), flush, sync)
      await server.expect('Bind', 'Execute', 'Flush', 'Sync')
      server.send(error('26000', 'unknown'), ready())
      await client.answer()
    },
  },
  {
    name: 'COPY in both directions',
    options: {},
    async hold(flow) {
      const client = await flow.connect()
      const server = await flow.postgres.next()
      client.send(query('copy t from stdin'), copyData('1\n'), copyData('2\n'), copyDone)
      await server.expect('Query', 'CopyData', 'CopyData', 'CopyDone')
      server.send(copyIn(), complete('COPY 2'), ready())
      await client.answer()
      client.send(parse('', 'copy t from stdin'), bind('', ''), execute(), sync)
      await server.expect('Parse', 'Bind', 'Execute', 'Sync')
      server.send(parseComplete, bindComplete, copyIn())
      await client.expect('ParseComplete', 'BindComplete', 'CopyInResponse')
      client.send(copyData('3\n'), copyDone, sync)
      await server.expect('CopyData', 'CopyDone', 'Sync')
      server.send(complete('COPY 1'), ready())
      await client.answer()
      client.send(query('copy t to stdout'))
      await server.expect('Query')
      server.send(replies.copyOut(), copyData('1\n'), copyData('2\n'), replies.copyDone, complete('COPY 2'), ready())
      await client.answer()
    },
  },
  {
    name: 'replication that streams both ways, and goes on after it',
    options: {},
    async hold(flow) {
      const client = await flow.connect({ parameters: { replication: 'database', options: '-c datestyle=ISO' } })
      const server = await flow.postgres.next()
      await run(client, server, 'IDENTIFY_SYSTEM')
      client.send(query('START_REPLICATION SLOT s LOGICAL 0/0'))
      await server.expect('Query')
      server.send(replies.copyBoth(), copyData('w1'), copyData('w2'))
      await client.expect('CopyBothResponse', 'CopyData(w1)', 'CopyData(w2)')
      client.send(copyData('r1'), copyData('r2'))
      await server.expect('CopyData(r1)', 'CopyData(r2)')
      server.send(copyData('w3'), replies.copyDone)
      await client.expect('CopyData(w3)', 'CopyDone')
      client.send(copyData('r3'), copyDone)
      await server.expect('CopyData(r3)', 'CopyDone')
      server.send(rows('2'), complete('START_STREAMING'), ready())
      await client.answer()
      client.send(query('START_REPLICATION SLOT s LOGICAL 0/0'))
      await server.expect('Query')
      server.send(replies.copyBoth(), copyData('w4'), error('XX000', 'lost'), ready())
      await client.expect('CopyBothResponse', 'CopyData(w4)')
      await client.answer()
      client.send(copyData('late'), copyDone, query('select 1'))
      await server.expect('CopyData(late)', 'CopyDone', 'Query(select 1)')
      server.send(rows('1'), ready())
      await client.answer()
      client.leave()
      await server.expectClosed()
    },
  },
  {
    name: 'settings that follow their client',
    options: {},
    async hold(flow) {
      const first = await flow.connect()
      const server = await flow.postgres.next()
      const dialed = await flow.dial()
      const second = dialed.login({ parameters: { TimeZone: 'europe/rome', options: '-c statement_timeout=5s' } })
      await server.expect('Query')
      server.send(parameterStatus('TimeZone', 'Europe/Rome'), aligned('Europe/Rome', '5s'))
      const roman = await second
      await run(first, server, 'one', aligned('0', 'Etc/UTC'))
      await run(roman, server, 'two', aligned('Europe/Rome', '5s'))
    },
  },
  {
    name: 'session mode, with a reset between two clients',
    options: { settings: { pool_mode: 'session', default_pool_size: 1 } },
    async hold(flow) {
      const first = await flow.connect()
      const server = await flow.postgres.next()
      await server.expect('Query(DISCARD ALL)')
      server.send(complete('DISCARD ALL'), ready())
      await run(first, server, 'one')
      const second = await flow.connect()
      second.send(query('two'))
      first.leave()
      await server.expect('Query(DISCARD ALL)')
      server.send(complete('DISCARD ALL'), ready())
      await server.expect('Query(two)')
      server.send(rows('2'), ready())
      await second.answer()
    },
  },
  {
    name: 'a login with SCRAM',
    options: { settings: { auth_type: 'scram-sha-256', scram_iterations: 2 }, authFile: ['"ada" "secret"'] },
    async hold(flow) {
      const client = await flow.dial()
      await client.ask(requests.sslRequest)
      await client.login({ password: 'secret' })
      const server = await flow.postgres.next()
      await run(client, server, 'one')
    },
  },
  {
    name: 'a cancel',
    options: {},
    async hold(flow) {
      const client = await flow.connect()
      const server = await flow.postgres.next()
      client.send(query('select pg_sleep(60)'))
      await server.expect('Query')
      const canceller = await flow.dial()
      canceller.send(requests.cancelRequest(client.key))
      await flow.postgres.nextCancel()
      server.send(error('57014', 'canceling statement due to user request'), ready())
      await client.answer()
    },
  },
  {
    name: 'the end of a server in the midst of a reply',
    options: {},
    async hold(flow) {
      const client = await flow.connect()
      const server = await flow.postgres.next()
      client.send(query('one'))
      await server.expect('Query')
      server.send(rowDescription('value'), dataRow('1'), error('57P01', 'shutting down', 'FATAL'))
      server.close()
      await client.expect('RowDescription', 'DataRow(1)', 'ErrorResponse(FATAL 57P01 shutting down)')
      await client.expectClosed()
    },
  },
  {
    name: 'the end of a server right behind its last answer, which concerns nobody',
    options: {},
    async hold(flow) {
      const client = await flow.connect()
      const server = await flow.postgres.next()
      client.send(query('one'))
      await server.expect('Query')
      server.send(rows('1'), ready(), error('57P01', 'shutting down', 'FATAL'))
      await client.answer()
      await flow.expectCounts({})
      client.send(query('two'))
      const next = await flow.postgres.next()
      await next.expect('Query(two)')
      next.send(rows('2'), ready())
      await client.answer()
    },
  },
  {
    name: 'describing what has no rows, and an empty query',
    options: {},
    async hold(flow) {
      const client = await flow.connect()
      const server = await flow.postgres.next()
      client.send(parse('', ''), describeStatement(''), bind('', ''), describePortal(), execute(), sync, query(''))
      await server.expect('Parse', 'Describe', 'Bind', 'Describe', 'Execute', 'Sync', 'Query')
      server.send(parseComplete, parameterDescription(), noData, bindComplete, noData, replies.emptyQuery, ready())
      server.send(replies.emptyQuery, ready())
      await client.answer()
      await client.answer()
    },
  },
]

function aligned(...values: readonly string[]): Buffer {
  return join(rowDescription(...values), dataRow(...values), complete('SELECT 1'), ready())
}

/** Runs a query and answers it; before that, if `settings` is given, answers the query that changes the settings. */
async function run(
  client: FlowClient,
  server: FlowServer,
  text: string,
  settings: Buffer | null = null,
): Promise<void> {
  client.send(query(text))
  if (settings) {
    await server.expect('Query')
    server.send(settings)
  }
  await server.expect(`Query(${text})`)
  server.send(rows(text), ready())
  await client.answer()
}

/** Holds a conversation and returns everything that each end has received. */
export async function transcript(conversation: Conversation, options: FlowOptions = {}): Promise<string[]> {
  const flow = await new Flow({ ...conversation.options, ...options }).start()
  try {
    await conversation.hold(flow)
    const ends = [...flow.clients, ...flow.postgres.servers]
    return ends.map((end) => {
      const who = end instanceof FlowClient ? 'client' : `server ${end.id}`
      // SASL messages contain random data, and a Terminate arrives only if the connection is still open.
      const heard = end.inbox.all
        .map(({ shown }) => shown)
        .filter((shown) => !/^(AuthenticationSASL|Terminate)/.test(shown))
      return `${who}: ${heard.join(' ')}`
    })
  } finally {
    await flow.finish()
  }
}
