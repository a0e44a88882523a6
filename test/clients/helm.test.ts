/** The Helm chart, rendered with Helm's own library: for every kind of values, Kubernetes and pgweir understand the result. */

import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { Ajv } from 'ajv'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parse, parseAllDocuments } from 'yaml'
import { check } from '../../src/cli/commands/check.ts'
import { FAMILIES } from '../../src/metrics/families.ts'
import { loadSettings, type Settings } from '../../src/settings/load.ts'
import { CHART, readChart } from '../support/chart.ts'
import { certificate } from '../support/e2e/certificates.ts'
import { type Manifest, validate } from '../support/manifests.ts'

const HERE = fileURLToPath(new URL('helm', import.meta.url))
const GOOD = valueFiles('values')
const REFUSED = valueFiles('refused')

/** Takes only seconds on an idle machine. */
const BUILD_MS = 240_000

interface Rendered {
  readonly values: unknown
  readonly texts: Readonly<Record<string, string>> | null
  readonly error: string
}

let folder: string
let rendered: Readonly<Record<string, Rendered>>

function valueFiles(kind: string): string[] {
  return readdirSync(join(HERE, kind)).map((name) => join(HERE, kind, name))
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'pgweir-helm-'))
  const program = join(folder, 'render')
  const run = promisify(execFile)
  // Debian's packages are where Go looked for them before modules existed. Neither a C compiler nor a git that trusts this folder is needed.
  const env = { PATH: '/usr/bin:/bin', HOME: folder, GO111MODULE: 'off', GOPATH: '/usr/share/gocode', CGO_ENABLED: '0' }
  await run('/usr/bin/go', ['build', '-buildvcs=false', '-o', program, join(HERE, 'render.go')], { env })
  const { stdout } = await run(program, [CHART, ...GOOD, ...REFUSED], { maxBuffer: 2 ** 24 })
  rendered = JSON.parse(stdout)
}, BUILD_MS)

afterAll(() => rmSync(folder, { recursive: true, force: true }))

function render(name: string): Rendered {
  const found = rendered[name]
  if (found === undefined) throw new Error(`${name} was not rendered`)
  return found
}

function manifestsOf(name: string): Manifest[] {
  const { texts, error } = render(name)
  expect(error).toBe('')
  return Object.entries(texts ?? {})
    .filter(([file]) => file.endsWith('.yaml'))
    .flatMap(([, text]) => parseAllDocuments(text))
    .map((document) => {
      expect(document.errors).toEqual([])
      return document.toJS()
    })
    .filter((manifest) => manifest !== null)
}

function find(name: string, kind: string, isIt: (manifest: Manifest) => boolean = () => true): Manifest {
  const found = manifestsOf(name).find((manifest) => manifest.kind === kind && isIt(manifest))
  if (found === undefined) throw new Error(`there is no ${kind} with ${name}`)
  return found
}

function workload(name: string): Manifest {
  const found = manifestsOf(name).find(({ kind }) => kind === 'Deployment' || kind === 'StatefulSet')
  return found
}

/** The files of its pods, in a folder where the test may write. Secrets that the chart does not create are made up. */
function pod(name: string): { readonly told: string; readonly settings: Settings } {
  const root = join(folder, basename(name, '.yaml'))
  const { containers, volumes } = workload(name).spec.template.spec
  const [{ env: variables = [], volumeMounts }] = containers
  for (const { name: volume, mountPath } of volumeMounts) {
    const inside = join(root, mountPath)
    mkdirSync(inside, { recursive: true })
    for (const [file, text] of Object.entries(filesOf(name, volumes, volume)))
      writeFileSync(join(inside, file), text.replaceAll('/etc/pgweir/', `${root}/etc/pgweir/`))
  }
  const env: Record<string, string> = {}
  for (const { name: variable, value } of variables) env[variable] = value ?? VARIABLES[variable] ?? 'made-up'
  const iniFile = join(root, 'etc/pgweir/config/pgweir.ini')
  let told = ''
  check({ iniFile, env }, (text) => {
    told += text
  })
  return { told, settings: loadSettings({ iniFile, env }).settings }
}

const VARIABLES: Record<string, string> = { PGWEIR_PEER_ID: '2', PGWEIR_UPSTREAM: 'postgres://ada:lovelace@db:5432/' }

function filesOf(name: string, volumes: Manifest, volume: string): Record<string, string> {
  const { configMap, secret } = volumes.find((entry: Manifest) => entry.name === volume)
  const made = manifestsOf(name).find(
    ({ kind, metadata }) =>
      (kind === 'ConfigMap' && metadata.name === configMap?.name) ||
      (kind === 'Secret' && metadata.name === secret?.secretName),
  )
  if (made !== undefined) return made.data ?? made.stringData
  const read = (file: string) => readFileSync(certificate(file), 'utf8')
  if (volume.endsWith('-tls'))
    return { 'tls.crt': read('server.crt'), 'tls.key': read('server.key'), 'ca.crt': read('authority.crt') }
  return { 'list.txt': '"ada" "lovelace"\n' }
}

describe.each(GOOD.map((file) => basename(file)))('with the values %s', (name) => {
  test('the manifests are valid for the Kubernetes API, and each has a unique name', () => {
    const manifests = manifestsOf(name)
    for (const manifest of manifests) validate(manifest)
    const names = manifests.map(({ kind, metadata }) => `${kind} ${metadata.name}`)
    expect(new Set(names).size).toBe(names.length)
  })

  test('the values match the schema', () => {
    const fits = new Ajv({ allowUnionTypes: true }).compile(JSON.parse(readChart('values.schema.json')))
    expect(fits(render(name).values), JSON.stringify(fits.errors)).toBe(true)
  })

  test('pgweir check accepts the files of a pod, and warns only if no users are given', () => {
    const [first, ...more] = pod(name).told.trim().split('\n')
    if (name === 'defaults.yaml')
      expect(first).toContain('neither auth_file nor auth_user is set, so nobody can log in')
    else expect([first, ...more]).toEqual([expect.stringMatching(/ are fine$/)])
  })

  test('the pooler stops before it is killed, has a read-only file system, and is probed on its own ports', () => {
    const { spec } = workload(name).spec.template
    const [container] = spec.containers
    const { general } = pod(name).settings
    const ports = Object.fromEntries(container.ports.map(({ name, containerPort }: Manifest) => [name, containerPort]))
    expect(ports).toEqual({
      ...{ postgres: general.listen_port, http: general.http_listen[0]?.port },
      health: general.health_listen[0]?.port,
    })
    const [, seconds] = container.lifecycle.preStop.exec.command
    expect(Number(seconds) + general.shutdown_timeout / 1000).toBeLessThan(spec.terminationGracePeriodSeconds)
    expect(container.securityContext).toMatchObject({ readOnlyRootFilesystem: true, allowPrivilegeEscalation: false })
    expect(spec.securityContext.runAsNonRoot).toBe(true)
    expect(container.livenessProbe.httpGet).toEqual({ path: '/healthz', port: 'health' })
    expect(container.readinessProbe.httpGet).toEqual({ path: '/readyz', port: 'health' })
  })

  test('all selectors match the pods', () => {
    const { labels } = workload(name).spec.template.metadata
    for (const { kind, spec } of manifestsOf(name)) {
      if (kind === 'Service') expect(labels).toMatchObject(spec.selector)
      if (kind === 'NetworkPolicy') expect(labels).toMatchObject(spec.podSelector.matchLabels)
      if (kind === 'PodDisruptionBudget' || kind === 'Deployment' || kind === 'StatefulSet')
        expect(labels).toMatchObject(spec.selector.matchLabels)
      if (kind === 'ServiceMonitor') {
        const services = manifestsOf(name).filter(({ kind }) => kind === 'Service')
        const seen = services.filter(({ metadata }) => contains(metadata.labels, spec.selector.matchLabels))
        expect(seen.map(({ spec }) => spec.ports)).toEqual([[{ name: 'http', port: 9127, targetPort: 'http' }]])
      }
    }
  })
})

function contains(labels: Record<string, string>, wanted: Record<string, string>): boolean {
  return Object.entries(wanted).every(([key, value]) => labels[key] === value)
}

/** Leaves room for the suffix that Kubernetes adds to the name of a set in a label of its pods. */
const SET = 'a-name-that-is-longer-than-a-set-of-pods-with-numbers'.slice(0, 52)

test('every pod up to maxReplicas is a peer', () => {
  const { spec } = workload('peers.yaml')
  const { maxReplicas, scaleTargetRef } = find('peers.yaml', 'HorizontalPodAutoscaler').spec
  expect(scaleTargetRef).toEqual({ apiVersion: 'apps/v1', kind: 'StatefulSet', name: SET })
  expect(spec.replicas).toBeUndefined()
  const hosts = [...pod('peers.yaml').settings.peers.values()].map(({ host }) => host)
  const pods = Array.from({ length: maxReplicas }, (_, index) => `${SET}-${spec.ordinals.start + index}`)
  expect(hosts).toEqual(pods.map((name) => `${name}.${spec.serviceName}`))
  const service = find('peers.yaml', 'Service', ({ metadata }) => metadata.name === spec.serviceName)
  expect(service.spec).toMatchObject({ clusterIP: 'None', publishNotReadyAddresses: true })
})

test('databases, users and settings of the values arrive unchanged in the ini file', () => {
  const { databases, fallback, users, general } = pod('peers.yaml').settings
  expect(fallback).toMatchObject({ host: 'postgres.database.svc', pool_size: 10 })
  expect(databases.get('reports')).toMatchObject({ pool_mode: 'session' })
  expect(databases.get('odd name')).toMatchObject({ connect_query: "set search_path = 'x'" })
  expect(databases.get('large')).toMatchObject({ max_db_connections: 2_000_000, auto_prepare: true })
  expect(users.get("o'neill")).toMatchObject({ pool_mode: 'session' })
  expect(general).toMatchObject({ max_client_conn: 1_000_000, log_sample_rate: 0.25, pool_mode: 'session', workers: 2 })
})

test('a change of the configuration replaces the pods, and a change of the user list does not', () => {
  const sums = GOOD.map((file) => workload(basename(file)).spec.template.metadata.annotations['checksum/config'])
  expect(new Set(sums).size).toBe(GOOD.length)
})

test('labels and annotations in the values do not replace those of the chart', () => {
  const { labels, annotations } = workload('beside.yaml').spec.template.metadata
  expect(labels).toMatchObject({ team: 'data', 'app.kubernetes.io/name': 'pgweir' })
  expect(annotations).toMatchObject({
    'example.com/team': 'data',
    'checksum/config': expect.stringMatching(/^[0-9a-f]{64}$/),
  })
  const alerts = find('existing-secret.yaml', 'PrometheusRule').metadata.labels
  expect(alerts).toMatchObject({ release: 'prometheus', 'app.kubernetes.io/name': 'weir' })
})

test('the network policy allows all ports of PostgreSQL, and the destinations in the values', () => {
  const { egress } = find('tls.yaml', 'NetworkPolicy').spec
  expect(egress[0].ports).toEqual([{ port: 5432 }, { port: 5433 }])
  expect(egress.at(-1)).toEqual({ ports: [{ port: 636 }], to: [{ ipBlock: { cidr: '10.1.0.0/16' } }] })
})

test('the autoscaler uses an existing metric', () => {
  const { metrics } = find('existing-secret.yaml', 'HorizontalPodAutoscaler').spec
  expect(metrics).toHaveLength(1)
  expect(FAMILIES.map(({ name }) => name)).toContain(metrics[0].pods.metric.name)
})

test('the chart contains the alerts and the dashboard unchanged, and names the Prometheus job as they do', () => {
  const file = (path: string) => readFileSync(fileURLToPath(new URL(`../../deploy/${path}`, import.meta.url)), 'utf8')
  const alerts = find('existing-secret.yaml', 'PrometheusRule').spec
  expect(alerts).toEqual(parse(file('prometheus/alerts.yaml')))
  expect(JSON.stringify(alerts)).toContain('up{job=\\"pgweir\\"}')
  const [{ relabelings }] = find('existing-secret.yaml', 'ServiceMonitor').spec.endpoints
  expect(relabelings).toEqual([{ targetLabel: 'job', replacement: 'pgweir' }])
  const dashboard = find('existing-secret.yaml', 'ConfigMap', ({ metadata }) => metadata.name.endsWith('-dashboard'))
  expect(JSON.parse(dashboard.data['pgweir.json'])).toEqual(JSON.parse(file('grafana/dashboards/pgweir.json')))
})

test('Prometheus sends the token that pgweir requires', () => {
  const credentials = { name: 'token', key: 'token' }
  const [endpoint] = find('existing-secret.yaml', 'ServiceMonitor').spec.endpoints
  expect(endpoint.authorization.credentials).toEqual(credentials)
  const { env } = workload('existing-secret.yaml').spec.template.spec.containers[0]
  const variable = env.find(({ name }: Manifest) => name === 'PGWEIR_HTTP_TOKEN')
  expect(variable.valueFrom.secretKeyRef).toEqual(credentials)
})

test('the notes name the address of the pooler, and say so if nobody can log in', () => {
  const notes = (name: string) => render(name).texts?.['NOTES.txt']
  expect(notes('defaults.yaml')).toContain('Nobody can log in yet')
  for (const file of GOOD.map((path) => basename(path)).filter((name) => name !== 'defaults.yaml'))
    expect(notes(file)).not.toContain('Nobody')
  expect(notes('existing-secret.yaml')).toContain('pooler.database.svc:5432')
})

test.each([
  ['own-setting.yaml', 'settings.listen_port is made by the chart'],
  ['health-setting.yaml', 'settings.health_listen is made by the chart'],
  ['grace.yaml', 'shutdown.timeoutSeconds has to be more than shutdown.graceSeconds'],
  ['secret-token.yaml', 'name that in http.tokenSecret'],
  ['secret-password.yaml', 'the password of databases.app would stand in a ConfigMap'],
  ['secret-password-in-line.yaml', 'the password of databases.app would stand in a ConfigMap'],
  ['secret-password-in-dollars.yaml', 'the password of databases.app would stand in a ConfigMap'],
  ['secret-ldap.yaml', 'ldapbindpasswd would stand in a ConfigMap'],
  ...REFUSED.map((file) => basename(file))
    .filter((name) => name.startsWith('lines-'))
    .map((name) => [name, 'more than one line']),
  ['tls-authority.yaml', 'serverTls.sslmode verify-full needs an authority'],
  ['tls-certificate.yaml', 'serverTls.clientCertificate needs serverTls.existingSecret'],
  ['no-target.yaml', 'autoscaling needs a target'],
])('%s is refused: %s', (name, sentence) => {
  expect(render(name).error).toContain(sentence)
})
