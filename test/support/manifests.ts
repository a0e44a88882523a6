/** Validates manifests: those of Kubernetes by the schemas of its API, the others by those in test/support/operator-schemas.ts. */

import { Ajv } from 'ajv'
import * as apps from 'kubernetes-models/apps/v1'
import * as autoscaling from 'kubernetes-models/autoscaling/v2'
import * as networking from 'kubernetes-models/networking.k8s.io/v1'
import * as policy from 'kubernetes-models/policy/v1'
import * as core from 'kubernetes-models/v1'
import { SCHEMAS } from './operator-schemas.ts'

// biome-ignore lint/suspicious/noExplicitAny: a manifest can be anything until it has been validated.
export type Manifest = any

const MODELS: Record<string, Record<string, unknown>> = {
  'apps/v1': apps,
  'autoscaling/v2': autoscaling,
  'networking.k8s.io/v1': networking,
  'policy/v1': policy,
  v1: core,
}
const ajv = new Ajv()

/** Throws the schema's objections, including unknown keys, which a validator would otherwise ignore. */
export function validate(manifest: Manifest): void {
  const { apiVersion, kind } = manifest
  const schema = SCHEMAS[apiVersion]?.[kind]
  if (schema !== undefined) {
    if (!ajv.validate(schema, manifest)) throw new Error(`${kind}: ${ajv.errorsText(ajv.errors)}`)
    return
  }
  const Model = MODELS[apiVersion]?.[kind] as (new (data: Manifest) => object) | undefined
  if (Model === undefined) throw new Error(`there is no ${kind} in ${apiVersion}`)
  const read = new Map<object, Set<string>>()
  const watch = (value: Manifest): Manifest => {
    if (typeof value !== 'object' || value === null) return value
    if (Array.isArray(value)) return value.map(watch)
    const keys = new Set<string>()
    const copy = Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, watch(inner)]))
    read.set(copy, keys)
    return new Proxy(copy, {
      get(target, key) {
        if (typeof key === 'string') keys.add(key)
        return Reflect.get(target, key)
      },
    })
  }
  const model = new Model(manifest) as Manifest
  for (const key of Object.keys(model)) model[key] = watch(model[key])
  model.validate()
  for (const [object, keys] of read)
    for (const key of Object.keys(object))
      if (!keys.has(key)) throw new Error(`${kind} has a key "${key}" that nobody reads`)
}
