/** Clients with prepared statements, for the tests of those. */

import { bindComplete, complete, dataRow, join, parseComplete, ready } from './replies.ts'
import { batch, parse, query, sync } from './requests.ts'
import { type FlowOptions, type Pair, startPair } from './start.ts'

/** What a Bind, an Execute and a Sync are answered with. */
export const RESULT = join(bindComplete, dataRow('1'), complete('SELECT 1'), ready())

/** The statement `s1` is prepared for the client on its server, under a name of ours. */
export async function startPrepared(options: FlowOptions = {}): Promise<Pair> {
  const pair = await startPair(options)
  await prepare(pair, 's1', 'select 1')
  return pair
}

/** Prepares a statement that the server does not have; returns the Parse that the server was sent. */
export async function prepare({ client, postgres }: Pick<Pair, 'client' | 'postgres'>, name: string, text: string) {
  client.send(parse(name, text), sync)
  const sent = await postgres.expect('Parse')
  await postgres.expect('Sync')
  postgres.send(parseComplete, ready())
  await client.expect('ParseComplete', 'ReadyForQuery(I)')
  return sent
}

/** A client holds the first server, so that the next one that asks gets another. */
export async function occupy({ flow, postgres }: Pick<Pair, 'flow' | 'postgres'>): Promise<() => Promise<void>> {
  const holder = await flow.connect()
  holder.send(query('begin'))
  await postgres.expect('Query(begin)')
  postgres.send(complete('BEGIN'), ready('T'))
  await holder.answer()
  return async () => {
    holder.send(query('commit'))
    await postgres.expect('Query(commit)')
    postgres.send(complete('COMMIT'), ready())
    await holder.answer()
  }
}

/** A simple query of one client, so that its server has seen one. */
export async function ask({ client, postgres }: Pick<Pair, 'client' | 'postgres'>, text: string, tag: string) {
  client.send(query(text))
  await postgres.expect('Query')
  postgres.send(complete(tag), ready())
  await client.expect(`CommandComplete(${tag})`, 'ReadyForQuery(I)')
}

/** The same by the extended protocol. */
export async function run({ client, postgres }: Pick<Pair, 'client' | 'postgres'>, text: string, tag: string) {
  client.send(batch(text))
  await postgres.expect('Parse', 'Bind', 'Execute', 'Sync')
  postgres.send(parseComplete, bindComplete, complete(tag), ready())
  await client.expect('ParseComplete', 'BindComplete', `CommandComplete(${tag})`, 'ReadyForQuery(I)')
}
