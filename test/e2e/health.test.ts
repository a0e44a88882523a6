/** The pages for load balancers and supervisors: whether the process is alive, and whether clients should be sent to it. */

import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { type Pgweir, sharedPgweir, startPgweir } from '../support/e2e/pgweir.ts'
import { until } from '../support/e2e/until.ts'
import { createDatabase } from '../support/postgres.ts'

const database = await createDatabase()
const secrets = { [database.user]: database.password, root: 'r' }
const CONSOLE = { database: 'pgweir', user: 'root', password: 'r' }
const settings = { http_listen: '127.0.0.1:0', health_listen: '127.0.0.1:0', admin_users: 'root' }
const READY = { status: 200, text: 'ready\n' }
const PAUSED = { status: 503, text: 'not ready: paused\n' }

async function untilReadiness(pgweir: Pgweir, answer: { readonly status: number; readonly text: string }) {
  await until(answer.text.trim(), async () => {
    const { status, text } = await pgweir.page('/readyz')
    return status === answer.status && text === answer.text
  })
}

test('/healthz and /readyz answer 200, with and without clients', async () => {
  const pgweir = await sharedPgweir({ database, secrets, settings })
  expect(await pgweir.page('/healthz')).toMatchObject({ status: 200, text: 'ok\n' })
  expect(await pgweir.page('/readyz')).toMatchObject(READY)
  await (await pgweir.client()).query('select 1')
  expect(await pgweir.page('/readyz')).toMatchObject(READY)
})

test('during PAUSE, /healthz answers 200 and /readyz 503', async () => {
  const pgweir = await sharedPgweir({ database, secrets, settings })
  const console = await pgweir.client(CONSOLE)
  await console.query('pause')
  expect(await pgweir.page('/readyz')).toMatchObject(PAUSED)
  expect(await pgweir.page('/healthz')).toMatchObject({ status: 200 })
  await console.query('resume')
  expect(await pgweir.page('/readyz')).toMatchObject(READY)
})

test('health_listen serves the health pages only', async () => {
  const pgweir = await sharedPgweir({ database, secrets, settings })
  expect(await pgweir.page('/readyz', {}, 1)).toMatchObject(READY)
  expect(await pgweir.page('/healthz', {}, 1)).toMatchObject({ status: 200 })
  expect(await pgweir.page('/metrics', {}, 1)).toMatchObject({ status: 404 })
  expect(await pgweir.page('/metrics')).toMatchObject({ status: 200 })
})

test('with http_token, the metrics require the token, and the health pages do not', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'pgweir-token-'))
  onTestFinished(() => rm(directory, { recursive: true, force: true }))
  const file = join(directory, 'token')
  await writeFile(file, 's3cret\n')
  const pgweir = await startPgweir({ database, secrets, settings: { ...settings, http_token: `file:${file}` } })
  expect(await pgweir.page('/metrics')).toMatchObject({ status: 401, text: 'unauthorized\n' })
  expect(await pgweir.page('/metrics', { authorization: 'Bearer wrong' })).toMatchObject({ status: 401 })
  expect(await pgweir.page('/metrics', { authorization: 'Bearer s3cret' })).toMatchObject({ status: 200 })
  expect(await pgweir.page('/readyz')).toMatchObject(READY)
  // SHOW CONFIG does not reveal the token, and a changed token takes effect on a reload.
  const console = await pgweir.client(CONSOLE)
  const { rows } = await console.query('show config')
  expect(rows.find(({ key }) => key === 'http_token')).toMatchObject({ value: '********' })
  await writeFile(file, 'an0ther')
  await console.query('reload')
  expect(pgweir.log.join('\n')).not.toMatch(/s3cret|an0ther/)
  expect(await pgweir.page('/metrics', { authorization: 'Bearer s3cret' })).toMatchObject({ status: 401 })
  expect(await pgweir.page('/metrics', { authorization: 'Bearer an0ther' })).toMatchObject({ status: 200 })
})

test('during SHUTDOWN WAIT_FOR_CLIENTS, /healthz answers 200 and /readyz 503', async () => {
  const pgweir = await startPgweir({ database, secrets, settings })
  const client = await pgweir.client()
  const console = await pgweir.client(CONSOLE)
  await console.query('shutdown wait_for_clients')
  await untilReadiness(pgweir, { status: 503, text: 'not ready: draining\n' })
  expect(await pgweir.page('/healthz')).toMatchObject({ status: 200 })
  const { text: metrics } = await pgweir.page('/metrics')
  expect(metrics).toContain('pgweir_workers{state="serving"} 0\n')
  expect(metrics).toMatch(/^pgweir_workers\{state="draining"\} [1-9]/m)
  expect((await client.query('select 1 as one')).rows).toEqual([{ one: 1 }])
})

test('if PostgreSQL cannot be reached, /healthz answers 200 and /readyz 503', async () => {
  const nowhere = { ...database, port: 1 }
  const pgweir = await startPgweir({ database: nowhere, secrets, settings })
  expect(await pgweir.page('/readyz')).toMatchObject(READY)
  await expect(pgweir.client()).rejects.toThrow()
  await untilReadiness(pgweir, { status: 503, text: 'not ready: unreachable\n' })
  expect(await pgweir.page('/healthz')).toMatchObject({ status: 200 })
})
