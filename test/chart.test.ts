/** The Helm chart as far as it can be tested without Helm; test/clients/helm.test.ts renders it. */

import { readFileSync } from 'node:fs'
import { Ajv } from 'ajv'
import { expect, test } from 'vitest'
import { parse } from 'yaml'
import { chartReadme, chartSchema, readChart } from './support/chart.ts'

const values = parse(readChart('values.yaml'))
const fits = new Ajv({ allErrors: true, allowUnionTypes: true }).compile(JSON.parse(chartSchema()))

test('the README of the chart lists the values (npx vitest run test/chart.test.ts -u writes it)', async () => {
  await expect(chartReadme()).toMatchFileSnapshot('../deploy/helm/pgweir/README.md')
})

test('the schema of the chart matches the values and the settings (npx vitest run test/chart.test.ts -u writes it)', async () => {
  await expect(chartSchema()).toMatchFileSnapshot('../deploy/helm/pgweir/values.schema.json')
})

test.each([
  ['alerts.yaml', 'prometheus/alerts.yaml'],
  ['dashboard.json', 'grafana/dashboards/pgweir.json'],
])(
  '%s in the chart is a copy of deploy/%s, since Helm reads nothing outside a chart (-u writes it)',
  async (copy, original) => {
    const text = readFileSync(new URL(`../deploy/${original}`, import.meta.url), 'utf8')
    await expect(text).toMatchFileSnapshot(`../deploy/helm/pgweir/files/${copy}`)
  },
)

test('the version of the chart is that of pgweir', () => {
  const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'))
  expect(parse(readChart('Chart.yaml'))).toMatchObject({
    apiVersion: 'v2',
    name: 'pgweir',
    version,
    appVersion: version,
  })
})

test('the default values of the chart match its schema', () => {
  expect(fits(values), JSON.stringify(fits.errors)).toBe(true)
})

test.each([
  { settings: { default_pool_sise: 5 } },
  { databases: { app: { hots: 'postgres' } } },
  { users: { ada: { pool_size: { most: 5 } } } },
  { image: { tagg: '1' } },
  { replicaCount: 'two' },
  { service: { type: 'Internal' } },
  { auth: { users: { ada: 5 } } },
  { auth: { users: { ada: 'b\n' } } },
  { auth: { users: { 'ada\nbob': 'b' } } },
  { auth: { key: 'a\nb: c' } },
  { databases: { 'app\nother': 'host=db' } },
  { databases: { app: 'host=db\n* = host=other' } },
  { databases: { app: { host: 'db\r* = host=other' } } },
  { settings: { admin_users: ['ada', 'bob\nauth_type = trust'] } },
  { image: { repository: 'pgweir\nkind: Secret' } },
  { networkPolicy: { postgresPorts: ['postgres'] } },
])('the schema of the chart refuses the mistake in %j', (slip) => {
  expect(fits({ ...values, ...slip })).toBe(false)
})
