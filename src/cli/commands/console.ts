/** `pgweir console ['SHOW POOLS'…]`: talks to the console of a running pooler, for people and for scripts. */

import { text as readAll } from 'node:stream/consumers'
import pg from 'pg'
import { splitStatements } from '../../admin/grammar.ts'
import {
  type ConsoleStreams,
  connectToConsole,
  endWithReader,
  messageOf,
  NO_CONNECTION,
  type PlaceFlags,
} from '../console/connection.ts'
import { formatNotice, formatResult, type Layout, type Result } from '../console/output.ts'
import { prompt } from '../console/prompt.ts'

export interface ConsoleFlags extends PlaceFlags {
  readonly json?: boolean
  readonly expanded?: boolean
  /** As in psql; may be repeated. */
  readonly command?: readonly string[]
}

/** The exit code after an ERROR, as psql has it. */
const FAILED = 1

/** Resolves with the exit code. */
export async function talk(texts: readonly string[], flags: ConsoleFlags, streams: ConsoleStreams): Promise<number> {
  const { input, output, errors } = streams
  endWithReader(output)
  const connection = await connectToConsole(flags, streams, (notice) => errors.write(formatNotice(notice)))
  if (connection === null) return NO_CONNECTION
  const { client, lost, complain } = connection
  const layout: Layout = flags.json ? 'json' : flags.expanded ? 'expanded' : 'table'
  /** Whether the user has told the pooler to end. */
  let isEndWished = false
  const run = (text: string, as: Layout) =>
    runScript(client, text, as, streams, (isWished) => {
      isEndWished = isWished
    })
  try {
    const given = [...(flags.command ?? []), ...texts]
    if (given.length === 0 && input.isTTY && output.isTTY) {
      const problem = await prompt({ input, output, layout, lost, run: async (text, as) => void (await run(text, as)) })
      if (problem === null) return 0
      output.write('\n')
      if (isEndWished) return 0
      complain(problem)
      return NO_CONNECTION
    }
    for (const text of given.length > 0 ? given : [await readAll(input)]) if (!(await run(text, layout))) return FAILED
    return 0
  } finally {
    await Promise.race([client.end(), lost])
  }
}

/** Runs one statement after the other, up to the first that fails. Returns whether none has failed. */
async function runScript(
  client: pg.Client,
  text: string,
  layout: Layout,
  { output, errors }: ConsoleStreams,
  onShutdown: (isWished: boolean) => void,
) {
  for (const statement of splitStatements(text)) {
    // This includes a shutdown that waits for clients, after which the end comes later.
    const isShutdown = /^\s*shutdown\b/i.test(statement.text)
    // Set before the query, because the connection may end before the answer comes.
    if (isShutdown) onShutdown(true)
    try {
      const answer = await client.query({ text: statement.text, rowMode: 'array', types: RAW_TEXTS })
      output.write(formatResult(resultOf(answer), layout))
    } catch (problem) {
      // The pooler has ended at once and without an answer, as the user wished.
      if (isShutdown && hasEnded(problem)) return true
      if (isShutdown) onShutdown(false)
      errors.write(problem instanceof pg.DatabaseError ? formatNotice(problem) : `pgweir: ${messageOf(problem)}\n`)
      return false
    }
  }
  return true
}

/** Leaves all values as the text that arrives. Otherwise the driver would convert some of the numbers, and leave big ones as text. */
const RAW_TEXTS = { getTypeParser: () => (text: string) => text } as unknown as pg.CustomTypesConfig

/** The type oids of int8, int2, int4, oid, float4, float8 and numeric. */
const NUMBERS = new Set([20, 21, 23, 26, 700, 701, 1700])

function resultOf({ fields, rows, command }: pg.QueryArrayResult): Result {
  const columns = fields.map(({ name, dataTypeID }) => ({ name, isNumber: NUMBERS.has(dataTypeID) }))
  return { columns, rows: rows as Result['rows'], tag: command }
}

/** Whether the connection has ended, with or without a last message. */
function hasEnded(problem: unknown): boolean {
  return !(problem instanceof pg.DatabaseError) || problem.code === '57P01'
}
