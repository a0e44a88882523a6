/** Several worker processes, which look like one pooler to clients. */

import { describe, expect, test } from 'vitest'
import { startPgweir } from '../support/e2e/pgweir.ts'
import { until } from '../support/e2e/until.ts'
import { createDatabase } from '../support/postgres.ts'

const database = await createDatabase()

describe('with several workers, a login', () => {
  const settings = { pool_mode: 'session' }

  test('needs no server if another worker knows what a server reports', async () => {
    const pgweir = await startPgweir({ database, settings, workers: 3 })
    const first = await pgweir.client()
    await first.query('select 1')
    const others = [await pgweir.client(), await pgweir.client()]
    await first.end()
    for (const other of others) {
      expect((await other.query('select 1 as one')).rows).toEqual([{ one: 1 }])
      await other.end()
    }
  })

  test('that waits for what a server reports continues as soon as any worker knows it', async () => {
    const pgweir = await startPgweir({ database, settings, workers: 3 })
    const clients = await Promise.all(Array.from({ length: 9 }, () => pgweir.client()))
    const served = await Promise.race(
      clients.map(async (client) => {
        await client.query('select 1')
        return client
      }),
    )
    expect(clients).toContain(served)
    // The queries of the other clients may not have arrived yet.
    await until('all others wait', async () => (await pgweir.counts()).waiting === 8)
    expect(await pgweir.counts()).toMatchObject({ clients: 9, servers: 1 })
  })
})
