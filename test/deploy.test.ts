/** What lies in deploy/ says what Kubernetes, Compose and pgweir understand, and its parts fit together. */

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { parse, parseAllDocuments } from 'yaml'
import { FAMILIES } from '../src/metrics/families.ts'
import { type Loaded, loadSettings } from '../src/settings/load.ts'
import { formatProblem } from '../src/settings/problem.ts'
import { hasSchema, type Manifest, validate } from './support/manifests.ts'
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
  test('a slip in a manifest would be found', () => {
    const deployment = structuredClone(find('base', 'Deployment'))
    expect(() => validate(deployment)).not.toThrow()
    deployment.spec.template.spec.containers[0].imagee = 'x'
    expect(() => validate(deployment)).toThrow('a key "imagee" that nobody reads')
    delete deployment.spec.template.spec.containers[0].imagee
    deployment.spec.replicas = 'two'
    expect(() => validate(deployment)).toThrow('replicas')
  })

  test.each(MANIFESTS.filter(({ manifest }) => hasSchema(manifest)))(
    '$file says what the API knows',
    ({ manifest }) => {
      validate(manifest)
    },
  )

  test.each(['base', 'peers'])('%s names the files that there are', (folder) => {
    const { resources } = parse(readFileSync(join(KUBERNETES, folder, 'kustomization.yaml'), 'utf8'))
    for (const resource of resources) readFileSync(join(KUBERNETES, folder, resource))
  })

  test.each([
    ['base', 'Deployment'],
    ['peers', 'StatefulSet'],
  ])('in %s the pooler is done before it is killed, and asked where it answers', (folder, kind) => {
    const { settings, problems } = loadIni(folder, folder === 'peers' ? { PGWEIR_PEER_ID: '2' } : {})
    expect(problems.map(formatProblem)).toEqual([])
    const { spec } = find(folder, kind).spec.template
    const [container] = spec.containers
    const { general } = settings
    const ports = Object.fromEntries(container.ports.map(({ name, containerPort }: Manifest) => [name, containerPort]))
    expect(ports).toEqual({ postgres: general.listen_port, http: general.http_listen[0]?.port })
    const [, seconds] = container.lifecycle.preStop.exec.command
    expect(general.shutdown_grace).toBeLessThan(general.shutdown_timeout)
    expect(Number(seconds) + general.shutdown_timeout / 1000).toBeLessThan(spec.terminationGracePeriodSeconds)
    expect(container.livenessProbe.httpGet.path).toBe('/healthz')
    expect(container.readinessProbe.httpGet.path).toBe('/readyz')
    expect(container.args).toEqual([`${mountPath(container, 'config')}/pgweir.ini`])
    expect(general.auth_file.startsWith(mountPath(container, 'secret'))).toBe(true)
  })

  test('every pod of the set is a peer', () => {
    const { replicas, serviceName, ordinals } = find('peers', 'StatefulSet').spec
    const { settings } = loadIni('peers', { PGWEIR_PEER_ID: '1' })
    const hosts = [...settings.peers.values()].map(({ host }) => host)
    for (let pod = 0; pod < replicas; pod++) expect(hosts).toContain(`pgweir-${pod + ordinals.start}.${serviceName}`)
    expect(
      MANIFESTS.some(({ manifest }) => manifest.kind === 'Service' && manifest.metadata.name === serviceName),
    ).toBe(true)
  })

  test('it grows by metrics that there are', () => {
    const { metrics } = find('base', 'HorizontalPodAutoscaler').spec
    const names = metrics.flatMap(({ pods }: Manifest) => (pods ? [pods.metric.name] : []))
    expect(names.length).toBeGreaterThan(0)
    for (const name of names) expect(FAMILIES.map((family) => family.name)).toContain(name)
  })
})

function mountPath(container: Manifest, name: string): string {
  return container.volumeMounts.find((mount: Manifest) => mount.name === name).mountPath
}

describe('the image', () => {
  test('ends before Compose and Docker lose their patience', () => {
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

test('the configuration to begin with is sound', () => {
  const { problems } = loadSettings({ iniFile: join(DEPLOY, 'pgweir.ini') })
  expect(problems).toEqual([])
})
