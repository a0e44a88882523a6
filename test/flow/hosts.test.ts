/** A database with several hosts: pools begin with different hosts. */

import { expect, test } from 'vitest'
import { createMemoryTransport } from '../../src/net/memory-transport.ts'
import { Others } from '../support/flow/member.ts'
import { FlowPostgres } from '../support/flow/postgres.ts'
import { type FlowOptions, startFlow } from '../support/flow/start.ts'

const HOSTS = ['10.0.0.1', '10.0.0.2'].map((host) => ({ host, port: 5432 }))

/** Starts a pooler whose database is on both hosts. */
async function start(line = '', options: FlowOptions = {}) {
  const transport = createMemoryTransport()
  const all = HOSTS.map((address) => new FlowPostgres(transport, address))
  for (const postgres of all) await postgres.listen()
  const databases = [`app=host=${HOSTS.map(({ host }) => host)} ${line}`]
  const flow = await startFlow({ transport, databases, ...options })
  return { flow, opened: () => all.map(({ servers }) => servers.length) }
}

const USERS = ['ada', 'bob', 'eve', 'joe']

test('pools of different users begin with different hosts', async () => {
  const { flow, opened } = await start()
  for (const user of USERS) await flow.connect({ user })
  expect(opened()).toEqual([2, 2])
})

test('the workers of a fleet begin with different hosts', async () => {
  const { flow, opened } = await start('', { others: new Others() })
  await flow.connect()
  expect(opened()).toEqual([0, 1])
})

test('with load_balance_hosts = disable, all pools begin with the first host', async () => {
  const { flow, opened } = await start('load_balance_hosts=disable')
  for (const user of USERS) await flow.connect({ user })
  expect(opened()).toEqual([4, 0])
})

test('a replication client is connected to the first host, where its slot is', async () => {
  const { flow, opened } = await start()
  for (const user of USERS) await flow.connect({ user, parameters: { replication: 'database' } })
  expect(opened()).toEqual([4, 0])
})
