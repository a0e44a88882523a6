/**
 * Schemas for manifests that Kubernetes itself does not read, for test/support/manifests.ts. They cover only the keys that the manifests in deploy/
 * use: another key is a mistake there, or has to be added here.
 */

type Schema = Readonly<Record<string, unknown>>

const TEXT = { type: 'string', minLength: 1 }
const TEXTS = { type: 'object', additionalProperties: { type: 'string' } }
/** A duration as Prometheus writes it. */
const DURATION = { type: 'string', pattern: '^(\\d+d)?(\\d+h)?(\\d+m)?(\\d+s)?(\\d+ms)?$', minLength: 2 }

function object(properties: Readonly<Record<string, Schema>>, required: readonly string[]): Schema {
  return { type: 'object', additionalProperties: false, properties, required }
}

function list(items: Schema): Schema {
  return { type: 'array', minItems: 1, items }
}

function manifest(spec: Schema): Schema {
  const metadata = object({ name: TEXT, labels: TEXTS }, ['name'])
  return object({ apiVersion: TEXT, kind: TEXT, metadata, spec }, ['apiVersion', 'kind', 'metadata', 'spec'])
}

/** A key of a Secret. */
const SECRET_KEY = object({ name: TEXT, key: TEXT }, ['name', 'key'])

/** https://prometheus-operator.dev/docs/api-reference/api/ */
const OPERATOR = {
  ServiceMonitor: manifest(
    object(
      {
        selector: object({ matchLabels: TEXTS }, ['matchLabels']),
        endpoints: list(
          object(
            {
              ...{ port: TEXT, path: TEXT, interval: DURATION },
              authorization: object({ credentials: SECRET_KEY }, ['credentials']),
              relabelings: list(object({ targetLabel: TEXT, replacement: TEXT }, ['targetLabel', 'replacement'])),
            },
            ['port'],
          ),
        ),
      },
      ['selector', 'endpoints'],
    ),
  ),
  PrometheusRule: manifest(
    object(
      {
        groups: list(
          object(
            {
              name: TEXT,
              rules: list(
                object({ alert: TEXT, expr: TEXT, for: DURATION, labels: TEXTS, annotations: TEXTS }, [
                  'alert',
                  'expr',
                ]),
              ),
            },
            ['name', 'rules'],
          ),
        ),
      },
      ['groups'],
    ),
  ),
}

/** https://kubectl.docs.kubernetes.io/references/kustomize/kustomization/ */
const KUSTOMIZE = {
  Kustomization: object(
    {
      apiVersion: TEXT,
      kind: TEXT,
      labels: list(object({ pairs: TEXTS }, ['pairs'])),
      resources: list(TEXT),
      patches: list(object({ path: TEXT, patch: TEXT }, [])),
    },
    ['apiVersion', 'kind', 'resources'],
  ),
}

export const SCHEMAS: Readonly<Record<string, Readonly<Record<string, Schema>>>> = {
  'kustomize.config.k8s.io/v1beta1': KUSTOMIZE,
  'monitoring.coreos.com/v1': OPERATOR,
}
