/** Rule 8: a peer that cannot take more stops the reading of the other, and memory per connection is bounded whatever the peer does. */

import { describe, expect, test } from 'vitest'
import { quiet } from '../support/flow/inbox.ts'
import {
  bindComplete,
  complete,
  copyData,
  copyIn,
  dataRow,
  error,
  parseComplete,
  ready,
  rowDescription,
  rows,
} from '../support/flow/replies.ts'
import {
  bind,
  closeStatement,
  copyDone,
  execute,
  message,
  parse,
  query,
  startup,
  sync,
} from '../support/flow/requests.ts'
import { startFlow, startPair } from '../support/flow/start.ts'

const WINDOW = { windowBytes: 16 * 1024 }
const MEBIBYTE = 1024 * 1024

/** How many bytes of a conversation the pooler may hold: a chunk that it has read, and bytes that are held for later. */
const HELD_BYTES = 256 * 1024

test('a client that does not read a long result stops the reading from the server, and gets all of it when it reads', async () => {
  const { flow, client, postgres } = await startPair(WINDOW)
  client.isDeaf = true
  client.send(query('select everything'))
  await postgres.expect('Query')
  client.stopReading()
  const row = dataRow('x'.repeat(10_000))
  const before = client.receivedBytes
  let sent = 0
  postgres.send(rowDescription('value'))
  for (; sent < 4 * MEBIBYTE; sent += row.length) postgres.send(row)
  await quiet()
  // Postgres has still to send nearly all of the rows.
  expect(postgres.channel.owedBytes).toBeGreaterThan(sent - HELD_BYTES)
  expect(flow.counts()).toEqual({ leased: 1 })
  postgres.send(complete('SELECT'), ready())
  client.startReading()
  await client.receive(before + sent)
  await flow.expectCounts({ idle: 1 })
})

test('a client that does not read a single field of several mebibytes stops the reading from the server', async () => {
  const { flow, client, postgres } = await startPair(WINDOW)
  client.isDeaf = true
  client.send(query('select a blob'))
  await postgres.expect('Query')
  client.stopReading()
  const before = client.receivedBytes
  const row = dataRow('x'.repeat(8 * MEBIBYTE))
  postgres.send(rowDescription('value'), row, complete('SELECT 1'), ready())
  await quiet()
  expect(postgres.channel.owedBytes).toBeGreaterThan(8 * MEBIBYTE - HELD_BYTES)
  client.startReading()
  await client.receive(before + row.length)
  await flow.expectCounts({ idle: 1 })
})

test('a server that does not read stops the reading from its client, and gets everything when it reads', async () => {
  const { client, postgres } = await startPair(WINDOW)
  client.send(query('copy t from stdin'))
  await postgres.expect('Query')
  postgres.send(copyIn())
  await client.expect('CopyInResponse')
  postgres.stopReading()
  const count = 400
  for (let number = 0; number < count; number++) client.send(copyData('x'.repeat(10_000)))
  client.send(copyDone)
  await quiet()
  expect(client.channel.owedBytes).toBeGreaterThan(count * 10_000 - HELD_BYTES)
  postgres.startReading()
  const shown = Array.from({ length: count }, () => 'CopyData')
  await postgres.expect(...shown, 'CopyDone')
  postgres.send(complete(`COPY ${count}`), ready())
  await client.answer()
})

test('a query of several mebibytes is streamed through to a slow server', async () => {
  const { client, postgres } = await startPair(WINDOW)
  postgres.stopReading()
  const text = 'x'.repeat(6 * MEBIBYTE)
  client.send(query(text))
  await quiet()
  expect(client.channel.owedBytes).toBeGreaterThan(6 * MEBIBYTE - HELD_BYTES)
  postgres.startReading()
  expect((await postgres.expect('Query')).texts[0]).toBe(text)
  postgres.send(complete('SELECT 0'), ready())
  await client.answer()
})

test('a client that sends without end while it waits for a server is no longer read after a while', async () => {
  const { flow, client, postgres } = await startPair({ ...WINDOW, settings: { default_pool_size: 1 } })
  client.send(query('begin'))
  await postgres.expect('Query')
  postgres.send(complete('BEGIN'), ready('T'))
  await client.answer()
  const other = await flow.connect()
  for (let number = 0; number < 400; number++) other.send(query(`select '${'x'.repeat(10_000)}'`))
  await quiet()
  expect(other.channel.owedBytes).toBeGreaterThan(4_000_000 - HELD_BYTES)
  client.send(query('commit'))
  await postgres.expect('Query(commit)')
  postgres.send(complete('COMMIT'), ready())
  await client.answer()
  for (let number = 0; number < 400; number++) {
    await postgres.expect('Query')
    postgres.send(complete('SELECT 1'), ready())
    await other.answer()
  }
})

test('a client that sends queries without reading the answers is no longer read after a while', async () => {
  const { flow, client, postgres } = await startPair(WINDOW)
  client.isDeaf = true
  client.stopReading()
  let answered = 0
  for (let round = 0; round < 100; round++) {
    for (let number = 0; number < 50; number++) client.send(query('select 1'))
    await quiet(1)
    for (const _ of postgres.inbox.take()) {
      answered++
      postgres.send(rows('x'.repeat(1_000)), ready())
    }
  }
  expect(answered).toBeLessThan(2_500)
  expect(client.channel.owedBytes).toBeGreaterThan(0)
  const [session] = [...flow.pooler.parts.sessions]
  expect(session?.channel.owedBytes).toBeLessThan(HELD_BYTES)
  client.vanish()
  await quiet()
})

test('the pooler’s own answers do not pile up for a client that does not read', async () => {
  const { flow, client, postgres } = await startPair(WINDOW)
  client.send(parse('s1', 'select 1'), message('S'))
  await postgres.expect('Parse', 'Sync')
  postgres.send(message('1'), ready())
  await client.answer()
  client.stopReading()
  const name = 'n'.repeat(20)
  for (let number = 0; number < 60_000; number++)
    client.send(parse(name, 'select 1'), message('C', Buffer.from(`S${name}\0`)))
  await quiet()
  // Each answer owes the client five bytes. The client does not read, so it is not read from either.
  expect(client.channel.owedBytes).toBeGreaterThan(0)
  const [session] = [...flow.pooler.parts.sessions]
  expect(session?.channel.owedBytes).toBeLessThan(HELD_BYTES)
  client.vanish()
  await quiet()
})

test('once a congested server reads again, it gets the Flush that its client’s next answers depend on', async () => {
  const { client, postgres } = await startPair({ windowBytes: 120_000 })
  client.send(parse('s1', 'select 1'), sync)
  await postgres.expect('Parse', 'Sync')
  postgres.send(parseComplete, ready())
  await client.answer()
  postgres.stopReading()
  client.send(bind('', 's1', 'x'.repeat(117_000)))
  await quiet()
  // One chunk with more bytes than the server takes, and more requests than the ledger may hold debts for.
  const count = 4_100
  const closes = Array.from({ length: count }, () => closeStatement('pgweir_'))
  client.send(bind('', 's1', 'x'.repeat(5_000)), execute(), ...closes)
  await quiet()
  client.send(sync)
  postgres.startReading()
  await postgres.expect('Bind', 'Bind', 'Execute', 'Flush')
  postgres.send(bindComplete, bindComplete, complete('SELECT 0'))
  await postgres.expect('Sync')
  postgres.send(ready())
  const shown = await client.answer()
  expect(shown.filter((message) => message === 'CloseComplete')).toHaveLength(count)
})

test('the query of a client that does not read is cancelled when the client disconnects', async () => {
  const { flow, client, postgres } = await startPair(WINDOW)
  client.send(query('select everything'))
  await postgres.expect('Query')
  client.stopReading()
  postgres.send(rowDescription('value'))
  for (let number = 0; number < 100; number++) postgres.send(dataRow('x'.repeat(1_000)))
  await quiet()
  client.vanish()
  expect((await flow.postgres.nextCancel()).target).toBe(postgres)
  postgres.endCancelled()
  await postgres.expectClosed()
})

describe('max_packet_size', () => {
  test('refuses a longer message of a client by its declared length', async () => {
    const { flow, client, postgres } = await startPair({ settings: { max_packet_size: 2_000 } })
    client.send(message('Q', Buffer.alloc(100), 3_000))
    await client.expect('ErrorResponse(FATAL 54000 a message of 3001 bytes is over the limit of 2000 bytes)')
    await client.expectClosed()
    expect(flow.counts()).toEqual({ idle: 1 })
    await postgres.expectNothing()
  })

  test('refuses a longer message of a server by its declared length', async () => {
    const { client, postgres } = await startPair({ settings: { max_packet_size: 2_000 } })
    client.send(query('select 1'))
    await postgres.expect('Query')
    postgres.send(rowDescription('value'), message('D', Buffer.alloc(100), 3_000))
    await client.expect('RowDescription', 'ErrorResponse(FATAL 08P01 server conn crashed?)')
    await client.expectClosed()
    await postgres.expectClosed()
  })
})

test('an idle server that announces a huge message is closed', async () => {
  const { flow, postgres } = await startPair()
  postgres.send(message('N', Buffer.alloc(100), 500 * MEBIBYTE))
  await postgres.expectClosed()
  await flow.expectCounts({})
})

test('a very long error message passes through', async () => {
  const { client, postgres } = await startPair()
  client.send(query('select 1'))
  await postgres.expect('Query')
  postgres.send(error('P0001', 'x'.repeat(200_000)), ready())
  const reply = await client.expect('ErrorResponse')
  await client.expect('ReadyForQuery(I)')
  expect(reply.bytes.length).toBeGreaterThan(200_000)
})

test('a named statement that is too long is refused', async () => {
  const { client } = await startPair()
  client.send(message('P', Buffer.from(`s1\0select ${'x'.repeat(10_000)}`), 17 * MEBIBYTE))
  expect((await client.expect('ErrorResponse')).shown).toContain('FATAL 54000 a named prepared statement of')
  await client.expectClosed()
})

test('a client that sends its startup packet byte by byte can log in and holds little memory', async () => {
  const flow = await startFlow()
  const client = await flow.dial()
  await client.sendPieces([...startup({ user: 'ada', database: 'app' })].map((byte) => Buffer.of(byte)))
  await client.inbox.through('ReadyForQuery')
})
