import { expect, test } from 'vitest'
import { look } from '../../../../src/cli/top/look.ts'

/** A console that has answered `asked` queries, in a pgweir that has handled `queries` of clients. */
function consoleWith(asked: number, queries: number) {
  const figures = (count: number) => ({
    ...{ xact_count: String(count), query_count: String(count) },
    ...{ bytes_received: String(count * 10), bytes_sent: String(count * 100) },
  })
  const answers: Readonly<Record<string, readonly Readonly<Record<string, string>>[]>> = {
    'show stats_totals': [
      { database: 'app', ...figures(queries) },
      { database: 'pgbouncer', ...figures(asked) },
    ],
    'show pools': [
      { database: 'app', user: 'ada', pool_mode: 'transaction' },
      { database: 'pgbouncer', user: 'pgbouncer', pool_mode: 'statement' },
    ],
  }
  return async (show: string) => answers[show] ?? []
}

test('queries on the console count neither as a pool nor as queries', async () => {
  const { counted } = await look(consoleWith(6, 100), null, 0)
  const { view } = await look(consoleWith(12, 110), counted, 2_000)
  expect(view.rows.map(({ database }) => database)).toEqual(['app'])
  expect(view.rates).toEqual({ transactions: 5, queries: 5, received: 50, sent: 500 })
})
