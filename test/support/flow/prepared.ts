/** Sets up clients with prepared statements. */

import { bindComplete, complete, dataRow, join, parseComplete, ready } from './replies.ts'
import { batch, parse, query, sync } from './requests.ts'
import { type FlowOptions, type Pair, startPair } from './start.ts'

/** The replies to Bind, Execute and Sync. */
export const RESULT = join(bindComplete, dataRow('1'), complete('SELECT 1'), ready())

/** Starts a pair in which the client's statement `s1` is prepared on its server, under a name of ours. */
export async function startPrepared(options: FlowOptions = {}): Promise<Pair> {
  const pair = await startPair(options)
  await prepare(pair, 's1', 'select 1')
  return pair
}

/** Prepares a statement that the server does not have. Returns the Parse that the server has received. */
export async function prepare({ client, postgres }: Pick<Pair, 'client' | 'postgres'>, name: string, text: string) {
  client.send(parse(name, text), sync)
  const sent = await postgres.expect('Parse')
  await postgres.expect('Sync')
  postgres.send(parseComplete, ready())
  await client.expect('ParseComplete', 'ReadyForQuery(I)')
  return sent
}

/** Lets another client hold the first server, so that the next query needs a second one. The returned function gives the server back. */
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

/** Runs a simple query that is answered with this tag. */
export async function ask({ client, postgres }: Pick<Pair, 'client' | 'postgres'>, text: string, tag: string) {
  client.send(query(text))
  await postgres.expect('Query')
  postgres.send(complete(tag), ready())
  await client.expect(`CommandComplete(${tag})`, 'ReadyForQuery(I)')
}

/** Runs a query by the extended protocol that is answered with this tag. */
export async function run({ client, postgres }: Pick<Pair, 'client' | 'postgres'>, text: string, tag: string) {
  client.send(batch(text))
  await postgres.expect('Parse', 'Bind', 'Execute', 'Sync')
  postgres.send(parseComplete, bindComplete, complete(tag), ready())
  await client.expect('ParseComplete', 'BindComplete', `CommandComplete(${tag})`, 'ReadyForQuery(I)')
}
