/** Changes a running pooler's files, and runs commands on its console and queries through it. */

import { expect } from 'vitest'
import type { FlowClient } from './client.ts'
import { quiet } from './inbox.ts'
import type { FlowServer } from './postgres.ts'
import { ready, rows } from './replies.ts'
import { query, startup } from './requests.ts'
import type { Flow } from './start.ts'

export const ROOT = { database: 'pgweir', user: 'root' }

/** Returns the console's answer to a command. */
export async function command(flow: Flow, text: string): Promise<string[]> {
  const console = await flow.connect(ROOT)
  console.send(query(text))
  const answer = await console.answer()
  console.leave()
  return answer
}

/** Changes the files and runs RELOAD. */
export async function reload(flow: Flow, changes: Parameters<Flow['change']>[0] = {}): Promise<void> {
  flow.change(changes)
  expect(await command(flow, 'reload')).toEqual(['CommandComplete(RELOAD)', 'ReadyForQuery(I)'])
}

/** Starts a query, which the returned `finish` answers. */
export async function run(client: FlowClient, flow: Flow) {
  client.send(query('select 1'))
  await quiet()
  const server = flow.postgres.open.find((each) => each.inbox.unread.length > 0)
  if (!server) throw new Error('the query is queued')
  await server.expect('Query')
  return {
    server,
    async finish() {
      server.send(rows('1'), ready())
      expect(await client.answer()).toContain('DataRow(1)')
    },
  }
}

/** Runs a query and answers it. Returns the server that it ran on. */
export async function ask(client: FlowClient, flow: Flow) {
  const { server, finish } = await run(client, flow)
  await finish()
  return server
}

/** Returns the server that has received that request. */
export async function busy({ postgres }: Pick<Flow, 'postgres'>, request: string) {
  await quiet()
  const server = postgres.open.find((each) => each.inbox.unread.some(({ shown }) => shown === request))
  if (!server) throw new Error(`no server has got ${request}`)
  await server.expect(request)
  return server
}

/** Runs a query on the server that the client holds, and answers it. */
export async function askOn(client: FlowClient, server: FlowServer, text: string): Promise<void> {
  client.send(query(text))
  await server.expect(`Query(${text})`)
  server.send(rows(text), ready())
  expect(await client.answer()).toContain(`DataRow(${text})`)
}

/** Connects a client that has sent its startup packet and is not logged in yet. */
export async function arrive(flow: Flow, parameters: Readonly<Record<string, string>>): Promise<FlowClient> {
  const client = await flow.dial()
  client.send(startup({ user: 'ada', database: 'app', ...parameters }))
  await quiet()
  return client
}

/** The startup parameters that a server was opened with, except user and database. */
export function openedWith({ parameters }: FlowServer): Record<string, string> {
  return Object.fromEntries([...parameters].filter(([name]) => name !== 'user' && name !== 'database'))
}
