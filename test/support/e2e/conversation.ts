/** Holds one conversation twice, with PostgreSQL itself and with the pooler: the client must not be able to tell the difference. */

import { serialize } from 'pg-protocol'
import { expect } from 'vitest'
import type { Pgweir } from './pgweir.ts'
import { message, RawClient } from './raw-client.ts'

export interface Step {
  readonly send: readonly Uint8Array[]
  /** The step ends with this many ReadyForQuery messages; by default, as many as the sent messages ask for. */
  readonly ready?: number
  /** The type of the reply that ends the step, if that is not ReadyForQuery. */
  readonly upTo?: string
}

/**
 * The database's owner must be able to log in to PostgreSQL without a password. Between the steps, whenever no transaction is open, another
 * client of the pooler uses the same server.
 *
 * @returns the lines of each step
 */
export async function sameAsDirect(pgweir: Pgweir, steps: readonly Step[]): Promise<string[][]> {
  const { user, database, host, port } = pgweir.database
  const direct = await RawClient.connect({ host, port })
  pgweir.onFinish(() => direct.end())
  await direct.logIn({ user, database })
  const expected: string[][] = []
  for (const step of steps) expected.push(await take(direct, step))
  await direct.end()

  const [pooled, other] = (await pgweir.together(2, () => pgweir.raw())) as [RawClient, RawClient]
  const got: string[][] = []
  for (const [index, step] of steps.entries()) {
    got.push(await take(pooled, step))
    expect(got.at(-1), `step ${index + 1}`).toEqual(expected[index])
    if (got.at(-1)?.at(-1) === 'ReadyForQuery I') await disturb(other)
  }
  return got
}

async function take(client: RawClient, { send, ready, upTo }: Step): Promise<string[]> {
  if (upTo !== undefined) {
    client.send(...send)
    return (await client.repliesUntil(upTo)).map(({ line }) => line)
  }
  if (ready === undefined) return client.ask(...send)
  client.send(...send)
  return client.lines(ready)
}

/** Leaves an unnamed statement and portal of the other client's, and a statement of its own named `s1`. */
async function disturb(other: RawClient): Promise<void> {
  const text = `select 'of another client'`
  const lines = await other.ask(
    serialize.close({ type: 'S', name: 's1' }),
    serialize.parse({ name: 's1', text }),
    serialize.parse({ text }),
    serialize.bind(),
    serialize.execute(),
    message('S'),
  )
  expect(lines).toEqual([
    'CloseComplete',
    'ParseComplete',
    'ParseComplete',
    'BindComplete',
    'DataRow of another client',
    'CommandComplete SELECT 1',
    'ReadyForQuery I',
  ])
}
