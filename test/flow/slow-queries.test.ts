/** log_min_duration: slow queries are logged with their text, but without the values in it. */

import { describe, expect, test } from 'vitest'
import { reload } from '../support/flow/commands.ts'
import { quiet } from '../support/flow/inbox.ts'
import {
  batchRows,
  bindComplete,
  closeComplete,
  complete,
  copyIn,
  error,
  parseComplete,
  ready,
  rows,
} from '../support/flow/replies.ts'
import { batch, bind, copyDone, execute, flush, parse, query, sync } from '../support/flow/requests.ts'
import { type Pair, startPair } from '../support/flow/start.ts'

const ON = { settings: { log_min_duration: '0.5' } }

/** Returns the slow queries in the log, without what precedes them on their lines. */
function slow({ flow }: Pair): string[] {
  return flow.logged('slow query').map((line) => line.slice(line.indexOf('slow query')))
}

async function answer(pair: Pair, ms: number, ...replies: readonly Buffer[]): Promise<void> {
  await quiet()
  pair.postgres.inbox.take()
  await pair.flow.advance(ms)
  pair.postgres.send(...replies)
  await quiet()
  pair.client.inbox.take()
}

describe('a slow query', () => {
  test('is logged with its client and its duration; a fast one is not', async () => {
    const pair = await startPair(ON)
    pair.client.send(query("select pg_sleep(1), 'secret' /* a comment */"))
    await answer(pair, 700, rows('1'), ready())
    pair.client.send(query('select 2'))
    await answer(pair, 400, rows('1'), ready())
    expect(slow(pair)).toEqual(['slow query: 700.0 ms: select pg_sleep(?), ?'])
    expect(pair.flow.logged('slow query')[0]).toMatch(/ LOG C-0x[0-9a-f]+: app\/ada@\S+ slow query/)
  })

  test('is logged with its traceparent', async () => {
    const pair = await startPair(ON)
    const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'
    pair.client.send(query(`select 1 /*traceparent='${traceparent}'*/`))
    await answer(pair, 700, rows('1'), ready())
    expect(slow(pair)).toEqual([`slow query: 700.0 ms: select ? traceparent=${traceparent}`])
  })

  test('of the extended protocol is logged with the text of its statement, whenever that was prepared', async () => {
    const pair = await startPair(ON)
    pair.client.send(parse('s1', 'select * from t where id = $1 and x = 5'), sync)
    await answer(pair, 0, parseComplete, ready())
    pair.client.send(bind('', 's1', 'secret'), execute(), sync)
    await answer(pair, 600, bindComplete, complete('SELECT 0'), ready())
    pair.client.send(batch('select 7'))
    await answer(pair, 800, batchRows('7'))
    expect(slow(pair)).toEqual([
      'slow query: 600.0 ms: select * from t where id = $1 and x = ?',
      'slow query: 800.0 ms: select ?',
    ])
  })

  test('in a pipeline is logged with its own text', async () => {
    const pair = await startPair(ON)
    pair.client.send(batch('select a'), query('select b'), sync, batch('select c'), batch('select d'))
    await answer(pair, 100, batchRows('1'))
    await answer(pair, 600, rows('1'), ready())
    await answer(pair, 100, ready())
    await answer(pair, 700, batchRows('1'))
    await answer(pair, 100, batchRows('1'))
    expect(slow(pair)).toEqual(['slow query: 600.0 ms: select b', 'slow query: 700.0 ms: select c'])
  })

  test('is also logged if it fails, or if it is a COPY with a superfluous Sync', async () => {
    const pair = await startPair(ON)
    pair.client.send(query('selct now()'))
    await answer(pair, 501, error('42601', 'syntax error'), ready())
    pair.client.send(parse('', 'copy t from stdin'), bind('', ''), execute(), sync)
    await answer(pair, 0, parseComplete, bindComplete, copyIn())
    pair.client.send(copyDone, sync)
    await answer(pair, 900, complete('COPY 0'), ready())
    pair.client.send(query('select last'))
    await answer(pair, 800, rows('1'), ready())
    expect(slow(pair)).toEqual([
      'slow query: 501.0 ms: selct now()',
      'slow query: 900.0 ms: copy t from stdin',
      'slow query: 800.0 ms: select last',
    ])
  })
})

test('after a DEALLOCATE within a batch, a slow query is still logged with its own text', async () => {
  const pair = await startPair(ON)
  pair.client.send(parse('s1', 'select 1'), sync)
  await answer(pair, 0, parseComplete, ready())
  pair.client.send(bind('', 's1'), execute(), query('deallocate s1'), sync, query('select last'))
  await answer(
    pair,
    0,
    bindComplete,
    complete('SELECT 1'),
    closeComplete,
    parseComplete,
    complete('DEALLOCATE'),
    ready(),
  )
  await answer(pair, 0, ready())
  await answer(pair, 700, rows('1'), ready())
  expect(slow(pair)).toEqual(['slow query: 700.0 ms: select last'])
})

test('requests that no server answers do not shift the texts of slow queries', async () => {
  const pair = await startPair(ON)
  pair.client.send(parse('s1', 'select 1'), sync)
  await answer(pair, 0, parseComplete, ready())
  pair.client.send(query('deallocate s1'))
  await quiet()
  pair.client.send(query('select a'))
  await answer(pair, 600, rows('1'), ready())
  pair.client.send(parse('', 'selct'), query('skipped'), sync, query('select b'))
  await answer(pair, 0, error('42601', 'syntax error'), ready())
  await answer(pair, 600, rows('1'), ready())
  pair.client.send(parse('', 'selct'), flush)
  await answer(pair, 0, error('42601', 'syntax error'))
  pair.client.send(query('dropped'), sync, query('select c'))
  await answer(pair, 0, ready())
  await answer(pair, 600, rows('1'), ready())
  expect(slow(pair).map((line) => line.slice(-8))).toEqual(['select a', 'select b', 'select c'])
})

test('with log_query_values the text is logged unchanged; with log_sample_rate = 0 no slow query is logged', async () => {
  const pair = await startPair({ settings: { ...ON.settings, log_query_values: 1 } })
  pair.client.send(query("select 'x'  /* y */"))
  await answer(pair, 600, rows('1'), ready())
  expect(slow(pair)).toEqual(["slow query: 600.0 ms: select 'x'  /* y */"])
  await reload(pair.flow, { settings: { ...ON.settings, log_sample_rate: 0 } })
  pair.client.send(query('select 1'))
  await answer(pair, 600, rows('1'), ready())
  expect(slow(pair)).toHaveLength(1)
})

test('a reload turns log_min_duration on and off for connected clients', async () => {
  const pair = await startPair()
  const take = async (text: string) => {
    pair.client.send(query(text))
    await answer(pair, 600, rows('1'), ready())
  }
  await take('select before')
  await reload(pair.flow, ON)
  await take('select between')
  await reload(pair.flow, { settings: { log_min_duration: 0 } })
  await take('select after')
  expect(slow(pair)).toEqual(['slow query: 600.0 ms: select between'])
})
