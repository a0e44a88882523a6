/** Clients whose unnamed statements servers keep, for the tests of auto_prepare. */

import { RESULT } from './prepared.ts'
import { join, parseComplete } from './replies.ts'
import { batch } from './requests.ts'
import { type FlowOptions, type Pair, startPair } from './start.ts'

/** A server that keeps `select 1` (as its #1), and a client that has run it twice. */
export async function startKept(options: FlowOptions = {}): Promise<Pair> {
  const pair = await startAuto(options)
  await keep(pair, 'select 1', 1)
  return pair
}

/** auto_prepare is on. */
export function startAuto({ settings, ...options }: FlowOptions = {}): Promise<Pair> {
  return startPair({ ...options, settings: { auto_prepare: 1, ...settings } })
}

/** Runs a text so often that the server keeps it: as its statement `number`. */
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

/** What a batch is answered with, by whomever. */
export const ANSWER = ['ParseComplete', 'BindComplete', 'DataRow(1)', 'CommandComplete(SELECT 1)', 'ReadyForQuery(I)']

export const PARSED_RESULT = join(parseComplete, RESULT)
