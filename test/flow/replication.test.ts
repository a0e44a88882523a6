/** Replication: a client that streams changes has a server of its own, from its login to its end, and nobody else notices. */

import { describe, expect, test } from 'vitest'
import type { FlowClient } from '../support/flow/client.ts'
import type { FlowServer } from '../support/flow/postgres.ts'
import { complete, copyBoth, copyData, copyDone, ready, rows } from '../support/flow/replies.ts'
import { query } from '../support/flow/requests.ts'
import { type Flow, startFlow, startPair } from '../support/flow/start.ts'

const LOGICAL = { replication: 'database' }

/** What a server was opened with, besides who and where. */
function openedWith({ parameters }: FlowServer): Record<string, string> {
  return Object.fromEntries([...parameters].filter(([name]) => name !== 'user' && name !== 'database'))
}

async function stream(flow: Flow): Promise<{ client: FlowClient; server: FlowServer }> {
  const client = await flow.connect({ parameters: LOGICAL })
  const server = await flow.postgres.next()
  client.send(query('START_REPLICATION SLOT s LOGICAL 0/0'))
  await server.expect('Query(START_REPLICATION SLOT s LOGICAL 0/0)')
  server.send(copyBoth())
  await client.expect('CopyBothResponse')
  return { client, server }
}

describe('a replication client', () => {
  test('has a new server of its own, opened with its own startup parameters', async () => {
    const { flow, client, postgres } = await startPair()
    const options = '-c datestyle=ISO -c intervalstyle=postgres'
    const parameters = { ...LOGICAL, options, application_name: 'sub', client_encoding: 'UTF8' }
    const subscriber = await flow.connect({ parameters })
    const own = await flow.postgres.next()
    expect(openedWith(own)).toEqual(parameters)
    subscriber.send(query('IDENTIFY_SYSTEM'))
    await own.expect('Query(IDENTIFY_SYSTEM)')
    own.send(rows('7'), ready())
    expect(await subscriber.answer()).toContain('DataRow(7)')
    client.send(query('other'))
    await postgres.expect('Query(other)')
    postgres.send(rows('1'), ready())
    await client.answer()
    subscriber.leave()
    await own.expectClosed()
    await flow.postgres.expectNoMore()
  })

  test('streams both ways', async () => {
    const flow = await startFlow()
    const { client, server } = await stream(flow)
    server.send(copyData('w1'), copyData('w2'))
    await client.expect('CopyData(w1)', 'CopyData(w2)')
    client.send(copyData('r1'))
    await server.expect('CopyData(r1)')
    client.send(copyDone)
    await server.expect('CopyDone')
    server.send(copyDone, complete('COPY 0'), ready())
    await client.expect('CopyDone', 'CommandComplete(COPY 0)', 'ReadyForQuery(I)')
  })
})
