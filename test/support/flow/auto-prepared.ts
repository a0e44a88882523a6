/** Sets up clients whose unnamed statements servers keep, for tests of auto_prepare. */

import { RESULT } from './prepared.ts'
import { join, parseComplete } from './replies.ts'
import { batch } from './requests.ts'
import { type FlowOptions, type Pair, startPair } from './start.ts'

/** Starts a server that keeps `select 1` (as #1), and a client that has run it twice. */
export async function startKept(options: FlowOptions = {}): Promise<Pair> {
  const pair = await startAuto(options)
  await keep(pair, 'select 1', 1)
  return pair
}

/** Starts a pair with auto_prepare on. */
export function startAuto({ settings, ...options }: FlowOptions = {}): Promise<Pair> {
  return startPair({ ...options, settings: { auto_prepare: 1, ...settings } })
}

/** Runs a text as often as it takes for the server to keep it, as #`number`. */
export async function keep({ client, postgres }: Pick<Pair, 'client' | 'postgres'>, text: string, number: number) {
  client.send(batch(text))
  await postgres.expect(`Parse(, ${text})`, 'Bind(, )', 'Execute', 'Sync')
  postgres.send(parseComplete, RESULT)
  await client.answer()
  client.send(batch(text))
  await postgres.expect(`Parse(#${number}, ${text})`, `Bind(, #${number})`, 'Execute', 'Sync')
  postgres.send(parseComplete, RESULT)
  await client.answer()
}

/** The replies to a batch, whether they come from the server or from the pooler. */
export const ANSWER = ['ParseComplete', 'BindComplete', 'DataRow(1)', 'CommandComplete(SELECT 1)', 'ReadyForQuery(I)']

export const PARSED_RESULT = join(parseComplete, RESULT)
