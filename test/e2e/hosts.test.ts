/** A database that is available on several hosts. */

import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { writeFiles } from '../support/e2e/files.ts'
import { startPgweir } from '../support/e2e/pgweir.ts'
import { failureOf, until } from '../support/e2e/until.ts'
import { startNameServer } from '../support/name-server.ts'
import { createDatabase } from '../support/postgres.ts'

const database = await createDatabase()

const HOST = { oneProcess: 'it stands for a host of PostgreSQL' }

/** Starts two poolers with the same port on different addresses, and a third one that uses them as its hosts. */
async function startHosts(balance: string, oneProcess?: string) {
  const one = await startPgweir({ ...HOST, database, settings: { listen_addr: '127.0.0.2', default_pool_size: 5 } })
  const { port } = one.address
  const other = await startPgweir({
    ...HOST,
    database,
    settings: { listen_addr: '127.0.0.3', listen_port: port, default_pool_size: 5 },
  })
  const line = `both = host=127.0.0.2,127.0.0.3 port=${port} dbname=${database.database} load_balance_hosts=${balance}`
  const pooler = await startPgweir({
    database,
    databases: [line],
    settings: { default_pool_size: 4, admin_users: database.user },
    ...(oneProcess && { oneProcess }),
  })
  /** Opens a transaction in each of `clients` clients. Returns how many servers the third pooler has on each host. */
  const spread = async (clients: number) => {
    for (let count = 0; count < clients; count++)
      await (await pooler.client({ database: 'both' })).query('begin; select 1')
    const root = await pooler.client({ database: 'pgbouncer' })
    const { rows } = await root.query('show servers')
    return ['127.0.0.2', '127.0.0.3'].map((host) => rows.filter(({ addr }) => addr === host).length)
  }
  return { one, other, pooler, spread }
}

test('with several hosts, servers are opened on each host in turn', async () => {
  const { spread, pooler } = await startHosts('round-robin', 'each process has a turn of its own')
  expect(await spread(4)).toEqual([2, 2])
  const root = await pooler.client({ database: 'pgbouncer' })
  const { rows } = await root.query('show databases')
  expect(rows.find(({ name }) => name === 'both')).toMatchObject({ load_balance_hosts: 'round-robin' })
})

test('with load_balance_hosts=disable, servers are opened on the first host while it works', async () => {
  const { spread } = await startHosts('disable')
  expect(await spread(4)).toEqual([4, 0])
})

for (const balance of ['round-robin', 'disable'])
  test(`a host that is down is skipped, and clients do not notice (${balance})`, async () => {
    const { one, spread } = await startHosts(balance)
    await one.finish()
    expect(await spread(4)).toEqual([0, 4])
  })

test('when all hosts are down, clients get an error', async () => {
  const { one, other, pooler } = await startHosts('round-robin')
  await one.finish()
  await other.finish()
  expect(await failureOf(pooler.client({ database: 'both' }))).toMatchObject({ code: expect.stringMatching(/^08|^57/) })
})

test('servers of a host whose address has changed are replaced automatically', async () => {
  const { one } = await startHosts('round-robin')
  const { port } = one.address
  const server = await startNameServer()
  server.hosts.set('db.test', ['127.0.0.2'])
  const resolvConf = join((await writeFiles({ database })).directory, 'resolv.conf')
  await writeFile(resolvConf, `nameserver ${server.address}\n`)
  const pooler = await startPgweir({
    database,
    databases: [`moving = host=db.test port=${port} dbname=${database.database}`],
    settings: { admin_users: database.user, resolv_conf: resolvConf, dns_max_ttl: '0.1' },
  })
  const client = await pooler.client({ database: 'moving' })
  const root = await pooler.client({ database: 'pgbouncer' })
  const addresses = async () => (await root.query('show servers')).rows.map(({ addr }) => addr)
  const ask = () => client.query('select 1')
  await ask()
  expect(await addresses()).toEqual(['127.0.0.2'])
  expect((await root.query('show dns_hosts')).rows).toMatchObject([{ hostname: 'db.test', addrs: '127.0.0.2' }])
  expect((await root.query('show lists')).rows).toContainEqual({ list: 'dns_names', items: 1 })
  server.hosts.set('db.test', ['127.0.0.3'])
  await until('the server is closed', async () => (await addresses()).length === 0)
  await ask()
  expect(await addresses()).toEqual(['127.0.0.3'])
})
