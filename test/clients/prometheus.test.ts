/** The real Prometheus: it scrapes a running pgweir, and understands our alerts and all queries of the dashboard. */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'
import { type Pgweir, startPgweir } from '../support/e2e/pgweir.ts'
import { until } from '../support/e2e/until.ts'
import { freePort } from '../support/free-port.ts'
import { createDatabase } from '../support/postgres.ts'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const ALERTS = join(ROOT, 'deploy/prometheus/alerts.yaml')

interface Series {
  readonly metric: Readonly<Record<string, string>>
  readonly value: readonly [number, string]
}

test('promtool accepts the alerts, and each fires when it should and not before', async () => {
  expect(await promtool(['check', 'rules', ALERTS])).toMatchObject({ code: 0 })
  const tests = join(ROOT, 'test/clients/prometheus/alerts.test.yaml')
  expect(await promtool(['test', 'rules', tests])).toMatchObject({ code: 0 })
})

test('promtool accepts the metrics', async () => {
  const pgweir = await startTold()
  await work(pgweir)
  const { text } = await pgweir.page('/metrics')
  expect(await promtool(['check', 'metrics'], text)).toEqual({ code: 0, output: '' })
})

test('Prometheus scrapes three processes as one, and can answer every query of the dashboard', async () => {
  const pgweir = await startTold(3)
  const prometheus = await startPrometheus(pgweir)
  await until('it has scraped', async () => (await prometheus.ask('up{job="pgweir"}'))[0]?.value[1] === '1')
  await work(pgweir)
  const { database, user } = pgweir.database
  const pool = `{database="${database}", user="${user}"}`
  await until('Prometheus has counted ten queries', async () => {
    const [found] = await prometheus.ask(`pgweir_queries_total${pool}`)
    return found?.value[1] === '10'
  })
  await until('Prometheus has them in buckets', async () => {
    const [found] = await prometheus.ask(`pgweir_query_duration_seconds_bucket{database="${database}", le="+Inf"}`)
    return found?.value[1] === '10'
  })
  const [serving] = await prometheus.ask('pgweir_workers{state="serving"}')
  expect(serving?.value[1]).toBe('3')

  const dashboard = JSON.parse(await readFile(join(ROOT, 'deploy/grafana/dashboards/pgweir.json'), 'utf8'))
  const exprs: string[] = dashboard.panels.flatMap(({ targets = [] }: { targets?: { expr: string }[] }) =>
    targets.map(({ expr }) => expr),
  )
  for (const expr of exprs) {
    const asked = expr.replaceAll('$__rate_interval', '1m').replaceAll('$instance', '.*').replaceAll('$database', '.*')
    // There is no certificate.
    if (expr.includes('certificate')) expect(await prometheus.ask(asked)).toEqual([])
    // A rate needs two scrapes.
    else await until(`there is an answer to ${asked}`, async () => (await prometheus.ask(asked)).length > 0)
  }
  const rules = await prometheus.get('/api/v1/rules')
  const states = rules.groups.flatMap(({ rules: each }: { rules: { name: string; health: string }[] }) => each)
  expect(states.length).toBeGreaterThan(10)
  await until('all rules were looked at', async () => {
    const { groups } = await prometheus.get('/api/v1/rules')
    return groups[0].rules.every(({ health }: { health: string }) => health === 'ok')
  })
  const { activeTargets } = await prometheus.get('/api/v1/targets')
  expect(activeTargets).toMatchObject([{ health: 'up', lastError: '' }])
})

async function startTold(workers = 1): Promise<Pgweir> {
  const database = await createDatabase()
  return startPgweir({
    ...{ database, workers, secrets: { [database.user]: database.password } },
    settings: { http_listen: '127.0.0.1:0', metrics_compat: 'pgbouncer' },
  })
}

/** Runs ten queries, and causes an error of PostgreSQL and one of pgweir. */
async function work(pgweir: Pgweir): Promise<void> {
  const client = await pgweir.client()
  for (let round = 0; round < 9; round++) await client.query('select 1')
  await expect(client.query('select 1 / 0')).rejects.toThrow()
  await expect(pgweir.client({ database: 'nowhere' })).rejects.toThrow()
}

async function startPrometheus(pgweir: Pgweir) {
  const directory = await mkdtemp(join(tmpdir(), 'pgweir-prometheus-'))
  const config = join(directory, 'prometheus.yml')
  const [target] = pgweir.httpAddresses
  await writeFile(
    config,
    `global: {scrape_interval: 1s, evaluation_interval: 1s}
rule_files: [${ALERTS}]
scrape_configs: [{job_name: pgweir, static_configs: [{targets: ['${target?.host}:${target?.port}']}]}]
`,
  )
  const port = await freePort()
  const server = spawn(
    'prometheus',
    [
      `--config.file=${config}`,
      `--storage.tsdb.path=${join(directory, 'data')}`,
      `--web.listen-address=127.0.0.1:${port}`,
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  )
  let said = ''
  server.stderr.on('data', (chunk) => {
    said += chunk
  })
  const ended = once(server, 'close')
  onTestFinished(async () => {
    server.kill()
    await ended
    await rm(directory, { recursive: true, force: true })
  })
  const get = async (path: string) => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`)
    const { status, data, error } = (await response.json()) as { status: string; data: never; error?: string }
    // biome-ignore lint/suspicious/noExplicitAny: any answer of Prometheus.
    if (status === 'success') return data as any
    throw new Error(`${path}: ${error}`)
  }
  await until('Prometheus is ready', async () => {
    if (server.exitCode !== null) throw new Error(`Prometheus ended: ${said}`)
    const response = await fetch(`http://127.0.0.1:${port}/-/ready`).catch(() => null)
    return response?.status === 200
  })
  const ask = async (query: string): Promise<readonly Series[]> =>
    (await get(`/api/v1/query?query=${encodeURIComponent(query)}`)).result
  return { ask, get }
}

async function promtool(
  args: readonly string[],
  stdin = '',
): Promise<{ readonly code: number; readonly output: string }> {
  const program = spawn('promtool', args, { stdio: ['pipe', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [program.stdout, program.stderr])
    stream.on('data', (chunk) => {
      output += chunk
    })
  program.stdin.end(stdin)
  const [code] = await once(program, 'close')
  return { code, output }
}
