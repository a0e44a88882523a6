/** The prepared statements of a client are limited; beyond the limit it gets an ordinary error. */

import { expect, test } from 'vitest'
import { MAX_CLIENT_STATEMENTS_BYTES } from '../../src/wire/limits.ts'
import { quiet } from '../support/flow/inbox.ts'
import { ask, prepare, RESULT, startPrepared } from '../support/flow/prepared.ts'
import { error, parseComplete, ready } from '../support/flow/replies.ts'
import { bind, closeStatement, execute, parse, query, sync } from '../support/flow/requests.ts'
import { type Pair, startPair } from '../support/flow/start.ts'

const MIB = 1024 * 1024
/** How many statements of one MiB each fit, with their names. */
const FIT = MAX_CLIENT_STATEMENTS_BYTES / MIB - 1
/** One text for all, so that the server is sent it once. */
const TEXT = 'x'.repeat(MIB)

const REFUSED =
  'ErrorResponse(ERROR 54000 the prepared statements of this connection are over the limit of 33554432 bytes)'

/** Starts a client that has as many statements as it may have: `n0`, `n1`, … */
async function startFull() {
  const pair = await startPair()
  await prepare(pair, 'n0', TEXT)
  for (let number = 1; number < FIT; number++) await parseKnown(pair, `n${number}`)
  return pair
}

/** Parses a known text under this name. We answer, since the server has the text. */
async function parseKnown({ client, postgres }: Pair, name: string) {
  client.send(parse(name, TEXT), sync)
  await postgres.expect('Sync')
  postgres.send(ready())
  await client.expect('ParseComplete', 'ReadyForQuery(I)')
}

async function expectRefused({ client, postgres }: Pair, name: string) {
  client.send(parse(name, TEXT), bind('', name), execute(), sync)
  expect((await postgres.inbox.through('Sync'))[0]).toContain('Describe(statement')
  postgres.send(error('26000', 'prepared statement does not exist'), ready())
  expect(await client.answer()).toEqual([REFUSED, 'ReadyForQuery(I)'])
}

test('a prepared statement beyond the size limit of a client is refused, and the client may go on', async () => {
  const pair = await startFull()
  const { client, postgres } = pair
  await expectRefused(pair, 'more')
  client.send(bind('', 'n7'), execute(), sync)
  await postgres.expect('Bind(, #1)', 'Execute', 'Sync')
  postgres.send(RESULT)
  expect(await client.answer()).toContain('DataRow(1)')
})

test('closing a prepared statement leaves room for another', async () => {
  const pair = await startFull()
  const { client, postgres } = pair
  client.send(closeStatement('n0'), sync)
  await postgres.expect('Sync')
  postgres.send(ready())
  await client.expect('CloseComplete', 'ReadyForQuery(I)')
  await parseKnown(pair, 'more')
  await expectRefused(pair, 'too many')
})

test('DEALLOCATE ALL leaves room for other prepared statements', async () => {
  const pair = await startFull()
  await ask(pair, 'deallocate all', 'DEALLOCATE ALL')
  await prepare(pair, 'n0', TEXT)
  for (let number = 1; number < FIT; number++) await parseKnown(pair, `n${number}`)
  await expectRefused(pair, 'more')
})

test('a Parse that was skipped does not count towards the limit on prepared statements', async () => {
  const pair = await startFull()
  const { client, postgres } = pair
  client.send(closeStatement('n0'), sync)
  await postgres.expect('Sync')
  postgres.send(ready())
  await client.expect('CloseComplete', 'ReadyForQuery(I)')
  for (let round = 0; round < 3; round++) {
    client.send(parse('', 'selct'), parse('more', TEXT), sync)
    await quiet()
    postgres.inbox.take()
    postgres.send(error('42601', 'syntax error'), ready())
    expect(await client.answer()).toEqual(['ErrorResponse(ERROR 42601 syntax error)', 'ReadyForQuery(I)'])
  }
  await parseKnown(pair, 'more')
})

test('small prepared statements count too, so that their number is limited', async () => {
  const { client, postgres } = await startPair({ settings: { max_prepared_statements: 1 } })
  // All under one text, so that only the names are the client's own.
  client.send(parse('0', ''), sync)
  await quiet()
  postgres.inbox.take()
  postgres.send(parseComplete, ready())
  await client.answer()
  const most = Math.floor(MAX_CLIENT_STATEMENTS_BYTES / 256)
  let refusedAt = 0
  for (let number = 1; refusedAt === 0 && number < most; ) {
    const names = Array.from({ length: 4_000 }, () => `${number++}`)
    client.send(...names.map((name) => parse(name, '')), sync)
    await quiet()
    const isRefused = postgres.inbox.take().some((request) => request.name === 'Describe')
    if (isRefused) refusedAt = number
    postgres.send(...(isRefused ? [error('26000', 'prepared statement does not exist')] : []), ready())
    const said = await client.answer()
    expect(said.includes(REFUSED)).toBe(isRefused)
  }
  expect(refusedAt).toBeGreaterThan(100_000)
  client.send(query('select 1'))
  await postgres.expect('Query(select 1)')
  postgres.send(ready())
  await client.answer()
})

test('thousands of statement names that change in one batch are all in doubt until it is answered', async () => {
  const { client, postgres } = await startPrepared()
  const names = Array.from({ length: 2_000 }, (_, number) => `n${number}`)
  client.send(parse('bad', 'selct'), ...names.map((name) => parse(name, 'select 1')), sync)
  client.send(bind('', 'n0'), execute(), sync)
  const seen = await postgres.inbox.through('Sync')
  expect(seen[0]).toBe('Parse(#2, selct)')
  await postgres.expectNothing()
  postgres.send(error('42601', 'syntax error'), ready())
  await client.answer()
  await postgres.expect('Bind(, n0)', 'Execute', 'Sync')
  postgres.send(error('26000', 'prepared statement "n0" does not exist'), ready())
  await client.answer()
})
