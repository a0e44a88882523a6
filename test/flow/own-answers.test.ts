/** Rule 4: every reply that we make ourselves queues behind the replies still owed by the server. */

import { describe, test } from 'vitest'
import { quiet } from '../support/flow/inbox.ts'
import { RESULT, startPrepared } from '../support/flow/prepared.ts'
import {
  bindComplete,
  complete,
  dataRow,
  error,
  parameterDescription,
  ready,
  rowDescription,
} from '../support/flow/replies.ts'
import { bind, closeStatement, describeStatement, execute, flush, parse, sync } from '../support/flow/requests.ts'

describe('the pooler’s own answers', () => {
  test('come in their place among the server’s', async () => {
    const { client, postgres } = await startPrepared()
    client.send(bind('', 's1'), execute(), parse('s2', 'select 1'), bind('', 's2'), execute(), sync)
    await postgres.expect('Bind(, #1)', 'Execute', 'Bind(, #1)', 'Execute', 'Sync')
    await client.expectNothing()
    postgres.send(bindComplete)
    await client.expect('BindComplete')
    await client.expectNothing()
    postgres.send(dataRow('1'), complete('SELECT 1'))
    await client.expect('DataRow(1)', 'CommandComplete(SELECT 1)', 'ParseComplete')
    postgres.send(RESULT)
    await client.expect('BindComplete', 'DataRow(1)', 'CommandComplete(SELECT 1)', 'ReadyForQuery(I)')
  })

  test('may be several in a row, before, between and after those of the server', async () => {
    const { client, postgres } = await startPrepared()
    client.send(
      parse('a', 'select 1'),
      closeStatement('a'),
      parse('a', 'select 1'),
      bind('', 'a'),
      closeStatement('a'),
      closeStatement('s1'),
      sync,
    )
    await postgres.expect('Bind(, #1)', 'Sync')
    postgres.send(bindComplete, ready())
    await client.expect(
      'ParseComplete',
      'CloseComplete',
      'ParseComplete',
      'BindComplete',
      'CloseComplete',
      'CloseComplete',
      'ReadyForQuery(I)',
    )
  })

  test('before an answer of the server are sent together with it', async () => {
    const { client, postgres } = await startPrepared()
    client.send(parse('a', 'select 1'), bind('', 'a'))
    await postgres.expect('Bind(, #1)')
    await client.expectNothing()
    client.send(execute(), sync)
    await postgres.expect('Execute', 'Sync')
    await client.expectNothing()
    postgres.send(RESULT)
    await client.expect('ParseComplete', 'BindComplete', 'DataRow(1)', 'CommandComplete', 'ReadyForQuery(I)')
  })

  test('are sent at once if the server owes nothing', async () => {
    const { client } = await startPrepared()
    client.send(parse('a', 'select 1'))
    await client.expect('ParseComplete')
    client.send(closeStatement('a'), parse('a', 'select 1'))
    await client.expect('CloseComplete', 'ParseComplete')
  })

  test('before a Flush do not wait for requests after it', async () => {
    const { client, postgres } = await startPrepared()
    client.send(parse('a', 'select 1'), flush, bind('', 'a'))
    await postgres.expect('Flush', 'Bind(, #1)')
    await client.expect('ParseComplete')
    client.send(sync)
    await postgres.expect('Sync')
    postgres.send(bindComplete, ready())
    await client.expect('BindComplete', 'ReadyForQuery(I)')
  })

  test('come before the error that ends the connection', async () => {
    const { client, postgres } = await startPrepared()
    client.send(parse('a', 'select 1'), bind('', 'a'), execute(), sync)
    await postgres.expect('Bind(, #1)', 'Execute', 'Sync')
    postgres.close()
    await client.expect('ParseComplete', 'ErrorResponse')
    await client.expectClosed()
  })

  test('after the Sync of an earlier batch wait for its ReadyForQuery', async () => {
    const { client, postgres } = await startPrepared()
    client.send(bind('', 's1'), execute(), sync, closeStatement('s1'), sync)
    await postgres.expect('Bind', 'Execute', 'Sync', 'Sync')
    await client.expectNothing()
    postgres.send(RESULT)
    await client.expect('BindComplete', 'DataRow(1)', 'CommandComplete', 'ReadyForQuery(I)', 'CloseComplete')
    postgres.send(ready())
    await client.expect('ReadyForQuery(I)')
  })

  test('do not interrupt a reply that comes in several messages', async () => {
    const { client, postgres } = await startPrepared()
    const description = rowDescription('a', 'rather', 'long', 'row')
    client.send(describeStatement('s1'), parse('a', 'select 1'), sync)
    await postgres.expect('Describe', 'Sync')
    postgres.send(parameterDescription(23), description.subarray(0, 20))
    await quiet()
    postgres.send(description.subarray(20, 40))
    await quiet()
    postgres.send(description.subarray(40))
    await client.expect('ParameterDescription(23)', 'RowDescription', 'ParseComplete')
    postgres.send(ready())
    await client.expect('ReadyForQuery(I)')
  })

  test('after an error in their batch are not sent', async () => {
    const { client, postgres } = await startPrepared()
    client.send(bind('', 's1'), parse('a', 'select 1'), closeStatement('a'), sync, bind('', 's1'), sync)
    await postgres.expect('Bind', 'Sync', 'Bind(, #1)', 'Sync')
    postgres.send(error('08P01', 'wrong number of parameters'), ready())
    await client.expect('ErrorResponse', 'ReadyForQuery(I)')
    postgres.send(bindComplete, ready())
    await client.expect('BindComplete', 'ReadyForQuery(I)')
  })
})
