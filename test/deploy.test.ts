/** Kubernetes, Compose and pgweir understand the files in deploy/, and the files are consistent. */

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { parse, parseAllDocuments } from 'yaml'
import { FAMILIES } from '../src/metrics/families.ts'
import { type Loaded, loadSettings, type Settings } from '../src/settings/load.ts'
import { formatProblem } from '../src/settings/problem.ts'
import { type Manifest, validate } from './support/manifests.ts'
import { virtualFiles } from './unit/settings/virtual-files.ts'

const DEPLOY = fileURLToPath(new URL('../deploy', import.meta.url))
const KUBERNETES = join(DEPLOY, 'kubernetes')
const FOLDERS = ['base', 'peers', 'sidecar']

const MANIFESTS = FOLDERS.flatMap((folder) =>
  readdirSync(join(KUBERNETES, folder)).flatMap((file) =>
    parseAllDocuments(readFileSync(join(KUBERNETES, folder, file), 'utf8')).map((document) => ({
      ...{ folder, file: `${folder}/${file}` },
      manifest: document.toJS() as Manifest,
    })),
  ),
)

function find(folder: string, kind: string): Manifest {
  const found = MANIFESTS.find((entry) => entry.folder === folder && entry.manifest.kind === kind)
  if (found === undefined) throw new Error(`there is no ${kind} in ${folder}`)
  return found.manifest
}

function loadIni(folder: string, env: Record<string, string> = {}): Loaded {
  const text = find(folder, 'ConfigMap').data['pgweir.ini'] as string
  return loadSettings({ iniFile: 'pgweir.ini', files: virtualFiles({ 'pgweir.ini': text }), env })
}

describe('Kubernetes', () => {
  test('the validation finds mistakes in manifests', () => {
    const deployment = structuredClone(find('base', 'Deployment'))
    expect(() => validate(deployment)).not.toThrow()
    deployment.spec.template.spec.containers[0].imagee = 'x'
    expect(() => validate(deployment)).toThrow('a key "imagee" that nobody reads')
    delete deployment.spec.template.spec.containers[0].imagee
    deployment.spec.replicas = 'two'
    expect(() => validate(deployment)).toThrow('replicas')
    const monitor = structuredClone(find('base', 'ServiceMonitor'))
    expect(() => validate(monitor)).not.toThrow()
    monitor.spec.endpoints[0].intervall = '15s'
    expect(() => validate(monitor)).toThrow('additional properties')
    expect(() => validate({ ...monitor, kind: 'Monitor' })).toThrow('there is no Monitor')
  })

  test.each(MANIFESTS)('$file is valid for the Kubernetes API', ({ manifest }) => {
    validate(manifest)
  })

  test.each(['base', 'peers'])('%s names files in its folder and other folders, as kustomize requires', (folder) => {
    const { resources, patches = [] } = parse(readFileSync(join(KUBERNETES, folder, 'kustomization.yaml'), 'utf8'))
    const named = [...resources, ...patches.flatMap(({ path }: Manifest) => path ?? [])]
    for (const name of named)
      readFileSync(join(KUBERNETES, folder, name.startsWith('..') ? `${name}/kustomization.yaml` : name))
  })

  test.each([
    ['base', 'Deployment'],
    ['peers', 'StatefulSet'],
  ])('in %s the pooler stops before it is killed, and is probed on its own ports', (folder, kind) => {
    const { spec } = find(folder, kind).spec.template
    const [container] = spec.containers
    const { settings, problems } = loadIni(folder, envOf(container))
    expect(problems.map(formatProblem)).toEqual([])
    const { general } = settings
    const ports = Object.fromEntries(container.ports.map(({ name, containerPort }: Manifest) => [name, containerPort]))
    expect(ports).toEqual({
      ...{ postgres: general.listen_port, http: general.http_listen[0]?.port },
      health: general.health_listen[0]?.port,
    })
    expect(general.health_listen[0]?.host).toBe('*')
    const [, seconds] = container.lifecycle.preStop.exec.command
    expect(general.shutdown_grace).toBeLessThan(general.shutdown_timeout)
    expect(Number(seconds) + general.shutdown_timeout / 1000).toBeLessThan(spec.terminationGracePeriodSeconds)
    expect(container.livenessProbe.httpGet).toEqual({ path: '/healthz', port: 'health' })
    expect(container.readinessProbe.httpGet).toEqual({ path: '/readyz', port: 'health' })
    expect(container.args).toEqual([`${mountPath(container, 'config')}/pgweir.ini`])
    expect(general.auth_file.startsWith(mountPath(container, 'secret'))).toBe(true)
  })

  test('the sidecar pooler is probed on its own port', () => {
    const [pooler] = find('sidecar', 'Deployment').spec.template.spec.initContainers
    const { general } = loadImage(CONTAINER_INI, envOf(pooler))
    expect(general.health_listen).toEqual([{ host: '*', port: pooler.startupProbe.httpGet.port }])
  })

  test('every pod of the StatefulSet is a peer', () => {
    const { replicas, serviceName, ordinals } = find('peers', 'StatefulSet').spec
    const { settings } = loadIni('peers', { PGWEIR_PEER_ID: '1' })
    const hosts = [...settings.peers.values()].map(({ host }) => host)
    for (let pod = 0; pod < replicas; pod++) expect(hosts).toContain(`pgweir-${pod + ordinals.start}.${serviceName}`)
    expect(
      MANIFESTS.some(({ manifest }) => manifest.kind === 'Service' && manifest.metadata.name === serviceName),
    ).toBe(true)
  })

  test('the autoscaler uses existing metrics', () => {
    const text = readFileSync(join(KUBERNETES, 'base/horizontalpodautoscaler.yaml'), 'utf8')
    const manifest = parse(text.replaceAll(/^( *)# (?=[- ] )/gm, '$1'))
    validate(manifest)
    const names = manifest.spec.metrics.flatMap(({ pods }: Manifest) => (pods ? [pods.metric.name] : []))
    expect(names).toHaveLength(1)
    for (const name of names) expect(FAMILIES.map((family) => family.name)).toContain(name)
    // Metrics that need a Prometheus Adapter are commented out.
    expect(find('base', 'HorizontalPodAutoscaler').spec.metrics).toMatchObject([{ type: 'Resource' }])
  })
})

/** Values from other sources are made up. */
function envOf({ env }: Manifest): Record<string, string> {
  const elsewhere: Record<string, string> = { PGWEIR_PEER_ID: '2', PGWEIR_UPSTREAM: 'postgres://ada:lovelace@db:5432/' }
  return Object.fromEntries(env.map(({ name, value }: Manifest) => [name, value ?? elsewhere[name]]))
}

const CONTAINER_INI = readFileSync(join(DEPLOY, 'container.ini'), 'utf8')
const DOCKERFILE = readFileSync(join(DEPLOY, '../Dockerfile'), 'utf8')

/** The settings of the image with a file, and with no variables except its own and these. */
function loadImage(ini: string, given: Record<string, string> = {}): Settings {
  const [, line = ''] = /^ENV (.+)$/m.exec(DOCKERFILE) ?? []
  const own = Object.fromEntries(line.split(' ').map((pair) => pair.split('=')))
  const files = virtualFiles({ 'pgweir.ini': ini })
  return loadSettings({ iniFile: 'pgweir.ini', files, env: { ...own, ...given } }).settings
}

function mountPath(container: Manifest, name: string): string {
  return container.volumeMounts.find((mount: Manifest) => mount.name === name).mountPath
}

describe('the image', () => {
  test.each([
    ['its own file', CONTAINER_INI],
    ['a file without HTTP settings', '[databases]\n* = host=db\n'],
    ['a file with other HTTP ports', '[databases]\n* = host=db\n[pgweir]\nhttp_listen = *:80\nhealth_listen = *:81\n'],
  ])('with %s, the health check uses the port of the pooler', (_, ini) => {
    const { general } = loadImage(ini)
    expect(general.health_listen).toEqual([{ host: '127.0.0.1', port: 9128 }])
    expect(DOCKERFILE).toMatch(/^HEALTHCHECK .*'http:\/\/127\.0\.0\.1:' \+ process\.env\.PGWEIR_HEALTH_LISTEN\./m)
  })

  test('stops within the grace period of Compose and Docker', () => {
    const { services } = parse(readFileSync(join(DEPLOY, 'compose.yaml'), 'utf8'))
    const { settings } = loadSettings({ iniFile: join(DEPLOY, 'container.ini'), env: services.pgweir.environment })
    expect(settings.general.shutdown_timeout / 1000).toBeLessThan(
      Number.parseInt(services.pgweir.stop_grace_period, 10),
    )
    expect(settings.upstreamLogin).toEqual({
      user: services.postgres.environment.POSTGRES_USER,
      password: services.postgres.environment.POSTGRES_PASSWORD,
    })
  })
})

test('the sample configuration has no problems', () => {
  const { settings, problems } = loadSettings({ iniFile: join(DEPLOY, 'pgweir.ini') })
  expect(problems).toEqual([])
  // The auth_user has to be found there, too.
  expect(settings.general.auth_file).not.toBe('')
})
