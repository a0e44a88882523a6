/** Files that change under a running pooler, and commands on its console. */

import { expect } from 'vitest'
import type { FlowClient } from './client.ts'
import { quiet } from './inbox.ts'
import type { FlowServer } from './postgres.ts'
import { ready, rows } from './replies.ts'
import { query, startup } from './requests.ts'
import type { Flow } from './start.ts'

export const ROOT = { database: 'pgweir', user: 'root' }

/** What the console says to a command. */
export async function command(flow: Flow, text: string): Promise<string[]> {
  const console = await flow.connect(ROOT)
  console.send(query(text))
  const answer = await console.answer()
  console.leave()
  return answer
}

/** RELOAD, once the files have changed. */
export async function reload(flow: Flow, changes: Parameters<Flow['change']>[0] = {}): Promise<void> {
  flow.change(changes)
  expect(await command(flow, 'reload')).toEqual(['CommandComplete(RELOAD)', 'ReadyForQuery(I)'])
}

/** A query that runs, and is answered by `finish`. */
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

/** A query, and its answer. Returns the server that gave it. */
export async function ask(client: FlowClient, flow: Flow) {
  const { server, finish } = await run(client, flow)
  await finish()
  return server
}

/** The server with that request. */
export async function busy({ postgres }: Pick<Flow, 'postgres'>, request: string) {
  await quiet()
  const server = postgres.open.find((each) => each.inbox.unread.some(({ shown }) => shown === request))
  if (!server) throw new Error(`no server has got ${request}`)
  await server.expect(request)
  return server
}

/** A query, and its answer by a server that the client holds. */
export async function askOn(client: FlowClient, server: FlowServer, text: string): Promise<void> {
  client.send(query(text))
  await server.expect(`Query(${text})`)
  server.send(rows(text), ready())
  expect(await client.answer()).toContain(`DataRow(${text})`)
}

/** One that has asked to be let in, and is not yet. */
export async function arrive(flow: Flow, parameters: Readonly<Record<string, string>>): Promise<FlowClient> {
  const client = await flow.dial()
  client.send(startup({ user: 'ada', database: 'app', ...parameters }))
  await quiet()
  return client
}

/** What a server was opened with, besides who and where. */
export function openedWith({ parameters }: FlowServer): Record<string, string> {
  return Object.fromEntries([...parameters].filter(([name]) => name !== 'user' && name !== 'database'))
}
