import { serialize } from 'pg-protocol'
import { describe, expect, test } from 'vitest'
import { layCable } from '../support/e2e/cable.ts'
import { sharedPgweir, startPgweir } from '../support/e2e/pgweir.ts'
import { extended, type RawClient, startup } from '../support/e2e/raw-client.ts'
import { activity, untilNotRunning, untilRunning } from '../support/e2e/server-side.ts'
import { until } from '../support/e2e/until.ts'
import { createDatabase } from '../support/postgres.ts'

const database = await createDatabase()

const { query } = serialize

/** The ways in which a client can disappear. */
const ENDS: Readonly<Record<string, (client: RawClient) => void>> = {
  'is reset': (client) => client.vanish(),
  'closes its socket': (client) => {
    client.socket.end()
  },
  'sends Terminate': (client) => {
    client.socket.end(serialize.end())
  },
}

/** What may be running when it disappears. */
const RUNNING: Readonly<Record<string, readonly Uint8Array[]>> = {
  'a simple query': [query('select pg_sleep(60)')],
  'an extended query': [extended('select pg_sleep(60)')],
  'an extended query without a Sync': [
    serialize.parse({ text: 'select pg_sleep(60)' }),
    serialize.bind(),
    serialize.execute(),
    serialize.flush(),
  ],
  'a query in a transaction': [query('begin'), query('select pg_sleep(60)')],
  'the first query of a pipeline': [query('select pg_sleep(60)'), query('select 1'), extended('select 2')],
}

for (const pool_mode of ['transaction', 'session'])
  describe(`${pool_mode} mode`, () => {
    for (const [end, leave] of Object.entries(ENDS))
      for (const [what, messages] of Object.entries(RUNNING))
        test(`a client ${end} while ${what} runs: the query is cancelled, and the server is not used again`, async () => {
          const pgweir = await sharedPgweir({ database, settings: { pool_mode } })
          const [client, other] = [await pgweir.raw(), await pgweir.raw()]
          client.send(...messages)
          const pid = await untilRunning(database, 'pg_sleep(60)')
          leave(client)
          const answer = await other.ask(query('select pg_backend_pid()'))
          expect(answer).toHaveLength(4)
          expect(answer).not.toContain(`DataRow ${pid}`)
          await untilNotRunning(database, 'pg_sleep(60)')
          expect(
            pgweir.log.some((line) => line.includes('closing because: client disconnected with query in progress')),
          ).toBe(true)
        })
  })

test('the transaction of a client that has disconnected is rolled back', async () => {
  const pgweir = await sharedPgweir({ database })
  const [client, other] = [await pgweir.raw(), await pgweir.client()]
  await client.ask(query('begin'))
  await client.ask(query('create table never (n int)'))
  const [before] = await pgweir.serverPids()
  client.vanish()
  expect((await other.query(`select to_regclass('never') as never`)).rows).toEqual([{ never: null }])
  expect(await pgweir.serverPids()).not.toContain(before)
})

test('a client that disconnects while it waits leaves the queue', async () => {
  const pgweir = await sharedPgweir({ database })
  const [blocker, gone, patient] = [await pgweir.client(), await pgweir.raw(), await pgweir.client()]
  await blocker.query('begin')
  gone.send(query('create table never (n int)'))
  await until('the first waits', async () => (await pgweir.counts()).waiting === 1)
  const answer = patient.query(`select to_regclass('never') as never`)
  await until('both wait', async () => (await pgweir.counts()).waiting === 2)
  gone.vanish()
  await until('one waits', async () => (await pgweir.counts()).waiting === 1)
  await blocker.query('commit')
  expect((await answer).rows).toEqual([{ never: null }])
  expect(pgweir.closings).toEqual([])
})

test('a client that disconnects during its login, while that waits for a server, leaves the queue', async () => {
  const pgweir = await sharedPgweir({ database })
  const { user, database: dbname } = database
  const blocker = await pgweir.client()
  await blocker.query('begin')
  const gone = await pgweir.stranger()
  gone.send(startup({ user, database: dbname, options: '-c work_mem=3MB' }))
  await until('it waits', async () => (await pgweir.counts()).waiting === 1)
  gone.vanish()
  await until('no client waits', async () => (await pgweir.counts()).waiting === 0)
  await blocker.query('commit')
  expect((await pgweir.counts()).clients).toBe(1)
})

test('an idle client that disconnects costs no server', async () => {
  const pgweir = await sharedPgweir({ database })
  const [client, other] = [await pgweir.raw(), await pgweir.client()]
  await client.ask(query('select 1'))
  client.vanish()
  await until('it is gone', async () => (await pgweir.connections()) === 1)
  await other.query('select 1')
  expect(pgweir.closings).toEqual([])
})

test('a request that is followed by Terminate is carried out', async () => {
  const pgweir = await sharedPgweir({ database })
  const [client, other] = [await pgweir.raw(), await pgweir.client()]
  await client.ask(query('create table notes (text text)'))
  // The client leaves after it has read the reply. The pooler may see the request and the Terminate in one turn or in two.
  await client.ask(query(`insert into notes values ('last')`))
  client.socket.end(serialize.end())
  expect((await other.query('select text from notes')).rows).toEqual([{ text: 'last' }])
  expect((await pgweir.counts()).servers).toBe(1)
})

test('a query that reaches the server later than its cancel request is still cancelled', async () => {
  const cable = await layCable(database)
  const pgweir = await startPgweir({ database: { ...database, host: cable.host, port: cable.port } })
  const client = await pgweir.raw()
  // Freeze the existing connections. The cancel request uses a new one, so it overtakes the query.
  cable.freeze()
  client.send(query('select pg_sleep(60)'))
  await until('the query is on its way', async () => (await pgweir.counts()).leased === 1)
  client.vanish()
  await until('the client is gone', async () => (await pgweir.connections()) === 0)
  await until('the cancel request has arrived without effect', async () => (await pgweir.counts()).cancels === 0)
  expect((await pgweir.counts()).leased).toBe(1)
  cable.thaw()
  await until('the server is closed', async () => (await pgweir.counts()).servers === 0)
  await untilNotRunning(database, 'pg_sleep(60)')
  expect(pgweir.log.at(-1)).toMatch(/closing because: client disconnected with query in progress \(/)
})

test('a storm of clients that connect and disconnect leaves neither queries nor servers behind', async () => {
  // The servers of the pooler that other tests share.
  const others = (await activity(database)).length
  const pgweir = await startPgweir({ database, settings: { default_pool_size: 4 } })
  const ends = Object.values(ENDS)
  const storm = Array.from({ length: 60 }, async (_, index) => {
    const client = await pgweir.raw()
    client.send(index % 2 ? query(`select pg_sleep(60), ${index}`) : extended(`select ${index}`))
    ends[index % ends.length]?.(client)
    await until('it is gone', () => client.hasEnded)
  })
  await Promise.all(storm)
  await untilNotRunning(database, 'pg_sleep(60)')
  expect((await (await pgweir.client()).query('select 1 as one')).rows).toEqual([{ one: 1 }])
  await until('only the pool is left', async () => (await activity(database)).length <= 4 + others)
})
