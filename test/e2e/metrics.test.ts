/** Metrics, which cover all processes together. */

import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { certificate, OFFERS_TLS } from '../support/e2e/certificates.ts'
import { keyOf } from '../support/e2e/keys.ts'
import { sharedPgweir, startPgweir } from '../support/e2e/pgweir.ts'
import { expectNoneLess, Samples, scrape } from '../support/e2e/samples.ts'
import { untilRunning } from '../support/e2e/server-side.ts'
import { failureOf, until } from '../support/e2e/until.ts'
import { createDatabase } from '../support/postgres.ts'

const database = await createDatabase()
const POOL = { database: database.database, user: database.user }
const options = {
  database,
  secrets: { [database.user]: database.password },
  settings: { http_listen: '127.0.0.1:0', default_pool_size: 3, pool_mode: 'transaction' },
}

test('metrics count the clients, servers and waiting clients of all processes', async () => {
  const pgweir = await sharedPgweir(options)
  const clients = await Promise.all(Array.from({ length: 5 }, () => pgweir.client()))
  const begun = clients.map((client) => client.query('begin'))
  await until('three have begun, and two wait', async () => {
    const samples = await scrape(pgweir)
    return (
      samples.of('pgweir_pool_clients', { ...POOL, state: 'active' }) === 3 &&
      samples.of('pgweir_pool_clients', { ...POOL, state: 'waiting' }) === 2 &&
      samples.of('pgweir_pool_servers', { ...POOL, state: 'active' }) === 3 &&
      (samples.of('pgweir_pool_oldest_wait_seconds', POOL) ?? 0) > 0
    )
  })
  const samples = await scrape(pgweir)
  expect(samples.of('pgweir_database_pool_size', { database: POOL.database })).toBe(3)
  expect(samples.of('pgweir_database_clients', { database: POOL.database })).toBe(5)
  expect(samples.of('pgweir_pool_permits', POOL)).toBe(3)
  expect(samples.of('pgweir_pool_max_servers', POOL)).toBe(3)
  // Each transaction that ends lets a waiting one begin.
  await Promise.all(clients.map((client, index) => begun[index]?.then(() => client.query('commit'))))
})

test('counters and durations in the metrics grow with the work done', async () => {
  const pgweir = await sharedPgweir(options)
  const before = await scrape(pgweir)
  const clients = await Promise.all(Array.from({ length: 4 }, () => pgweir.client()))
  for (const client of clients) for (let round = 0; round < 5; round++) await client.query(`select repeat('x', 1000)`)
  const after = await scrape(pgweir)
  const growth = (name: string) => after.growth(before, name, POOL)
  expect(growth('pgweir_queries_total')).toBe(20)
  expect(growth('pgweir_transactions_total')).toBe(20)
  expect(growth('pgweir_client_logins_total')).toBe(4)
  expect(growth('pgweir_client_login_duration_seconds_count')).toBe(4)
  expect(growth('pgweir_query_duration_seconds_count')).toBe(20)
  expect(growth('pgweir_response_duration_seconds_count')).toBe(20)
  expect(growth('pgweir_wait_duration_seconds_count')).toBe(growth('pgweir_leases_total'))
  expect(growth('pgweir_sent_bytes_total')).toBeGreaterThan(20_000)
  const opened = after.of('pgweir_servers_opened_total', POOL) ?? 0
  expect(opened).toBeGreaterThan(0)
  expect(after.of('pgweir_server_opening_duration_seconds_count', POOL)).toBe(opened)
})

test('response times include the wait for a server, and query times do not', async () => {
  const pgweir = await sharedPgweir({ ...options, settings: { ...options.settings, default_pool_size: 1 } })
  const [first, second] = [await pgweir.client(), await pgweir.client()]
  await first.query('begin')
  const answer = second.query('select 1')
  await until('it has waited for a while', async () => {
    return ((await scrape(pgweir)).of('pgweir_pool_oldest_wait_seconds', POOL) ?? 0) > 0.05
  })
  const before = await scrape(pgweir)
  expect(before.of('pgweir_pool_oldest_transaction_seconds', POOL)).toBeGreaterThan(0.05)
  await first.query('commit')
  await answer
  const after = await scrape(pgweir)
  const response = after.growth(before, 'pgweir_response_duration_seconds_sum', POOL)
  const query = after.growth(before, 'pgweir_query_duration_seconds_sum', POOL)
  const wait = after.growth(before, 'pgweir_wait_duration_seconds_sum', POOL)
  expect(wait).toBeGreaterThan(0.05)
  expect(response - query).toBeCloseTo(wait, 6)
})

test('errors are counted by SQLSTATE and source', async () => {
  const pgweir = await sharedPgweir(options)
  const before = await scrape(pgweir)
  const client = await pgweir.client()
  for (let count = 0; count < 3; count++) await expect(client.query('select 1 / 0')).rejects.toThrow()
  await expect(pgweir.client({ database: 'nowhere' })).rejects.toThrow()
  const after = await scrape(pgweir)
  const growth = (labels: Record<string, string>) => after.growth(before, 'pgweir_errors_total', labels)
  expect(growth({ ...POOL, source: 'postgresql', sqlstate: '22012' })).toBe(3)
  expect(growth({ database: '', user: '', source: 'pgweir', sqlstate: '3D000' })).toBe(1)
})

test('hits, misses and evictions of prepared statements are counted', async () => {
  const pgweir = await sharedPgweir({
    ...options,
    settings: { ...options.settings, default_pool_size: 1, max_prepared_statements: 2 },
  })
  const before = await scrape(pgweir)
  const [client] = await pgweir.together(1, () => pgweir.client())
  for (const name of ['a', 'b', 'a', 'c', 'a'])
    await client?.query({ name, text: `select '${name}' as ${name}`, values: [] })
  const after = await scrape(pgweir)
  const growth = (name: string) => after.growth(before, name, POOL)
  expect(growth('pgweir_statement_misses_total')).toBe(3)
  // Each of the three Parses is followed by a Bind that finds its statement on the server, and so do two more Binds of `a`.
  expect(growth('pgweir_statement_hits_total')).toBe(5)
  expect(growth('pgweir_statement_evictions_total')).toBe(1)
  expect(growth('pgweir_binds_total')).toBe(5)
})

test('cancel requests that are received and that are sent are counted', async () => {
  const pgweir = await sharedPgweir(options)
  const before = await scrape(pgweir)
  const client = await pgweir.client()
  const answer = failureOf(client.query('select pg_sleep(600)'))
  await untilRunning(database, 'pg_sleep')
  await pgweir.cancel(keyOf(client))
  expect(await answer).toMatchObject({ code: '57014' })
  const after = await scrape(pgweir)
  expect(after.growth(before, 'pgweir_cancel_requests_total')).toBe(1)
  expect(after.growth(before, 'pgweir_cancels_sent_total')).toBe(1)
  expect(after.growth(before, 'pgweir_errors_total', { ...POOL, source: 'postgresql', sqlstate: '57014' })).toBe(1)
})

test('TLS handshakes are counted by outcome, and the expiry of certificates is shown, for clients and servers', async () => {
  const authority = certificate('authority.crt')
  const pgweir = await startPgweir({
    ...options,
    settings: { ...options.settings, ...OFFERS_TLS, server_tls_ca_file: authority },
  })
  const before = await scrape(pgweir)
  const expiry = (path: string) => Date.parse(new X509Certificate(readFileSync(path)).validTo) / 1000
  const told = (file: string) => before.of('pgweir_tls_certificate_expiry_timestamp_seconds', { file })
  expect(told('client_tls_cert_file')).toBe(expiry(certificate('server.crt')))
  expect(told('server_tls_ca_file')).toBe(expiry(authority))
  expect(told('server_tls_cert_file')).toBeUndefined()
  const client = await pgweir.client({ ssl: { rejectUnauthorized: false } })
  await client.query('select 1')
  await expect(pgweir.client({ ssl: { ca: 'none of its authorities' } })).rejects.toThrow()
  const done = { with: 'client' }
  await until('both are counted', async () => {
    const after = await scrape(pgweir)
    return (
      after.growth(before, 'pgweir_tls_handshakes_total', done) +
        after.growth(before, 'pgweir_tls_handshake_failures_total', done) ===
      2
    )
  })
  expect((await scrape(pgweir)).growth(before, 'pgweir_tls_handshakes_total', done)).toBeGreaterThan(0)
})

test('the pooler’s own share of response times and the event loop delay are sampled', async () => {
  const pgweir = await sharedPgweir(options)
  const before = await scrape(pgweir)
  const client = await pgweir.client()
  // Each query is one chunk in either direction. One in 64 chunks is measured.
  for (let round = 0; round < 70; round++) await client.query('select 1')
  const after = await scrape(pgweir)
  expect(after.growth(before, 'pgweir_passing_duration_seconds_count', POOL)).toBeGreaterThanOrEqual(2)
  await until('the event loop delay has been sampled', async () => {
    return ((await scrape(pgweir)).of('pgweir_event_loop_delay_seconds_count') ?? 0) > 0
  })
})

test('metrics are available in the OpenMetrics format, with the same numbers', async () => {
  const pgweir = await sharedPgweir(options)
  const client = await pgweir.client()
  await client.query('select 1')
  const open = await pgweir.page('/metrics', { accept: 'application/openmetrics-text; version=1.0.0' })
  const usual = await pgweir.page('/metrics')
  expect(open.contentType).toBe('application/openmetrics-text; version=1.0.0; charset=utf-8')
  expect(usual.contentType).toBe('text/plain; version=0.0.4; charset=utf-8')
  const [one, other] = [open, usual].map(({ text }) => new Samples(text).of('pgweir_queries_total', POOL))
  expect(one).toBe(other)
})

test('with metrics_compat, the metrics of pgbouncer_exporter are included, and agree with the console', async () => {
  const pgweir = await startPgweir({ ...options, settings: { ...options.settings, metrics_compat: 'pgbouncer' } })
  const client = await pgweir.client()
  for (let round = 0; round < 3; round++) await client.query('select 1')
  const samples = await scrape(pgweir)
  const { user, database: name } = database
  const [pool] = (await pgweir.fleet.pools()).filter((each) => each.database === name)
  const labels = { host: database.host, port: String(database.port), database: name, force_user: '', pool_mode: '' }
  expect(samples.of('pgbouncer_up')).toBe(1)
  expect(samples.of('pgbouncer_pools_client_active_connections', { database: name, user })).toBe(1)
  expect(samples.of('pgbouncer_pools_server_idle_connections', { database: name, user })).toBe(pool?.servers.idle)
  expect(samples.of('pgbouncer_databases_pool_size', { name, ...labels })).toBe(3)
  expect(samples.of('pgbouncer_config_max_client_connections')).toBe(100)
  for (const prefix of ['pgbouncer_stats_', 'pgbouncer_stats_totals_'])
    expect(samples.of(`${prefix}queries_pooled_total`, { database: name })).toBe(3)
})

test('no counter decreases when a user is renamed, a database is removed, or the settings are reloaded', async () => {
  const pgweir = await startPgweir({
    ...options,
    settings: { ...options.settings, admin_users: 'root' },
    secrets: { ...options.secrets, root: 'r' },
    databases: [`gone = host=${database.host} port=${database.port} dbname=${database.database}`],
  })
  const client = await pgweir.client({ database: 'gone' })
  for (let round = 0; round < 5; round++) await client.query('select 1')
  await (await pgweir.client()).query('select 1')
  const before = await scrape(pgweir)
  expect(before.of('pgweir_queries_total', { ...POOL, database: 'gone' })).toBe(5)
  await pgweir.rewrite({ databases: [] })
  await (await pgweir.client({ database: 'pgweir', user: 'root', password: 'r' })).query('reload')
  await until('the database is gone', async () => {
    return (await scrape(pgweir)).of('pgweir_database_clients', { database: 'gone' }) === undefined
  })
  expectNoneLess(await scrape(pgweir), before)
})

test('the live page gets the pools and transactions of all processes', async () => {
  const pgweir = await sharedPgweir(options)
  const client = await pgweir.client({ application_name: 'books' })
  await client.query('begin')
  expect((await pgweir.page('/')).text).toContain('<title>pgweir</title>')
  const events = (await fetch(pgweir.pageUrl('/live'))).body?.pipeThrough(new TextDecoderStream())
  let text = ''
  for await (const part of events ?? []) {
    text += part
    if (text.includes('\n\n')) break
  }
  const view = JSON.parse(/^data: (.*)$/m.exec(text)?.[1] ?? '')
  const pool = view.pools.find(({ user }: { user: string }) => user === database.user)
  expect(pool).toMatchObject({ ...POOL, clients: { active: 1 }, servers: { active: 1 }, maxServers: 3 })
  expect(view).toMatchObject({ health: 'ready', state: 'active' })
  expect(view.transactions).toContainEqual({
    ...POOL,
    clientUser: database.user,
    client: expect.any(Number),
    address: expect.stringMatching(/^127\.0\.0\.1:\d+$/),
    applicationName: 'books',
    ms: expect.any(Number),
    state: 'idle in transaction',
  })
  const found = await pgweir.page(`/live/pool?${new URLSearchParams(POOL)}`)
  expect(JSON.parse(found.text)).toMatchObject({
    clients: [{ state: 'active' }],
    // Earlier tests may have left other servers.
    servers: expect.arrayContaining([expect.objectContaining({ state: 'active' })]),
    left: 0,
  })
  await client.query('commit')
})
