/** Generates the page about the Helm chart's values, and their schema. */

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { isMap, isNode, isScalar, parseDocument, type YAMLMap } from 'yaml'
import { DATABASE_ROWS } from '../../src/settings/databases.ts'
import { SETTINGS } from '../../src/settings/schema.ts'
import { USER_ROWS } from '../../src/settings/users.ts'

export const CHART = fileURLToPath(new URL('../../deploy/helm/pgweir', import.meta.url))

export function readChart(file: string): string {
  return readFileSync(join(CHART, file), 'utf8')
}

/** One value of the chart, such as `image.tag`, with its comment. */
interface Value {
  readonly path: string
  readonly default: unknown
  readonly meaning: string
}

export function chartValues(): readonly Value[] {
  const { contents } = parseDocument(readChart('values.yaml'))
  if (!isMap(contents)) throw new Error('values.yaml holds no values')
  return valuesIn(contents, '')
}

function valuesIn(map: YAMLMap, prefix: string): Value[] {
  return map.items.flatMap(({ key, value }, index) => {
    if (!isScalar(key)) throw new Error(`a key below ${prefix} is no text`)
    const path = `${prefix}${String(key.value)}`
    // The parser attaches the comment of a map's first key to the map.
    const comment = key.commentBefore ?? (index === 0 && prefix !== '' ? map.commentBefore : null)
    if (comment) return [{ path, default: isNode(value) ? value.toJSON() : value, meaning: sentence(comment) }]
    if (!isMap(value)) throw new Error(`${path} has no comment`)
    return valuesIn(value, `${path}.`)
  })
}

/** Text above the last empty line belongs to the previous value: its examples. */
function sentence(comment: string): string {
  const paragraph = comment.split(/\n\s*\n/).at(-1) ?? ''
  return paragraph
    .split('\n')
    .map((line) => line.trim())
    .join(' ')
}

/** The whole of the chart's README.md. */
export function chartReadme(): string {
  const rows = chartValues().map(
    ({ path, default: standard, meaning }) =>
      `| \`${path}\` | ${inCode(standard)} | ${meaning.replaceAll('|', '\\|')} |`,
  )
  return `${INTRODUCTION}\n\n${['| value | default | meaning |', '| --- | --- | --- |', ...rows].join('\n')}\n`
}

function inCode(value: unknown): string {
  return value === '' ? '' : `\`${(typeof value === 'string' ? value : JSON.stringify(value)).replaceAll('|', '\\|')}\``
}

const INTRODUCTION = `# pgweir's Helm chart

<!-- Generated from values.yaml: change the comments there, then run \`npx vitest run test/chart.test.ts -u\`. -->

\`\`\`sh
helm install pgweir deploy/helm/pgweir -f my-values.yaml
\`\`\`

\`\`\`yaml
image:
  repository: registry.example.com/pgweir
databases:
  "*": { host: postgres.database.svc, port: 5432, pool_size: 10 }
auth:
  existingSecret: pgweir-users
\`\`\`

The chart creates a Deployment (or a StatefulSet, with \`peers.enabled\`), a Service for clients and one for \`/metrics\` and the live page, a
ConfigMap with \`pgweir.ini\`, and a PodDisruptionBudget. Optional are an autoscaler, a NetworkPolicy, a ServiceMonitor, alerts, a dashboard, and a
Secret with the user list. For a pooler beside each instance of an application there is no chart, but a manifest: \`deploy/kubernetes/sidecar\`. The
schema of the values knows all settings, so that a misspelled name is reported before anything is installed. docs/settings.md describes the settings,
and docs/deploying.md describes what happens when a pod ends.

A changed configuration replaces the pods, one after the other. pgweir notices a new user list by itself. It reads new certificates at a
\`RELOAD\` on the console, or after \`kubectl rollout restart\`.`

type Schema = Readonly<Record<string, unknown>>

/** Text after a line break would become a separate line in the pods' files. */
const ONE_LINE = { pattern: '^[^\\r\\n]*$' }

/** A value in ini: a text, a number, yes or no, or several separated by commas. */
const INI_VALUE = {
  ...{ type: ['string', 'number', 'boolean', 'array', 'null'], ...ONE_LINE },
  items: { type: ['string', 'number'], ...ONE_LINE },
}

/** A key of a Secret. */
const SECRET_KEY = { pattern: '^[-._a-zA-Z0-9]+$' }

/** Schemas that do not follow from the default values. */
const KNOWN: Readonly<Record<string, Schema>> = {
  'image.pullPolicy': { enum: ['Always', 'IfNotPresent', 'Never'] },
  'service.type': { enum: ['ClusterIP', 'NodePort', 'LoadBalancer'] },
  'clientTls.sslmode': { enum: ['allow', 'prefer', 'require', 'verify-ca', 'verify-full'] },
  'serverTls.sslmode': { enum: ['', 'disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full'] },
  'podDisruptionBudget.maxUnavailable': { type: ['integer', 'string'] },
  'auth.key': SECRET_KEY,
  'auth.users': { propertyNames: ONE_LINE, additionalProperties: { type: 'string', ...ONE_LINE } },
  'http.tokenKey': SECRET_KEY,
  'networkPolicy.postgresPorts': { items: { type: 'integer', minimum: 1, maximum: 65_535 }, minItems: 1 },
  'upstream.key': SECRET_KEY,
  databases: { propertyNames: ONE_LINE, additionalProperties: lines(DATABASE_ROWS) },
  extraIni: { pattern: undefined },
  users: { propertyNames: ONE_LINE, additionalProperties: lines(USER_ROWS) },
  settings: rows(SETTINGS),
}

/** The lines of [databases] or [users]: each is either an object of keys or a text. */
function lines(table: Rows): Schema {
  return { anyOf: [{ type: 'string', ...ONE_LINE }, rows(table)] }
}

type Rows = Readonly<Record<string, { readonly meaning: string }>>

function rows(table: Rows): Schema {
  const properties = Object.entries(table).map(([key, { meaning }]) => [key, { ...INI_VALUE, description: meaning }])
  return { type: 'object', additionalProperties: false, properties: Object.fromEntries(properties) }
}

/** The whole of values.schema.json. */
export function chartSchema(): string {
  // Helm passes `global` to every chart.
  const root = { global: { type: 'object' } }
  for (const value of chartValues()) put(root, value.path.split('.'), value)
  const schema = { $schema: 'http://json-schema.org/draft-07/schema#', ...closed(root) }
  return `${JSON.stringify(schema, null, 2)}\n`
}

function put(properties: Record<string, Schema>, path: readonly string[], value: Value): void {
  const [first, ...rest] = path
  if (first === undefined) return
  if (rest.length === 0) {
    properties[first] = { ...typeOf(value.default), ...KNOWN[value.path], description: value.meaning }
    return
  }
  const inner = properties[first] ?? closed({})
  properties[first] = inner
  put(inner['properties'] as Record<string, Schema>, rest, value)
}

function closed(properties: Record<string, Schema>): Schema {
  return { type: 'object', additionalProperties: false, properties }
}

function typeOf(standard: unknown): Schema {
  if (Array.isArray(standard)) return { type: 'array' }
  if (typeof standard === 'number') return { type: 'integer', minimum: 0 }
  if (typeof standard === 'object') return { type: 'object' }
  if (typeof standard === 'string') return { type: 'string', ...ONE_LINE }
  return { type: typeof standard }
}
