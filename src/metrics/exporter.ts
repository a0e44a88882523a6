/** Answers scrapes. Scrapes in the same format at the same time share one result. */

import type { TallyNames } from '../pool/tallies.ts'
import { CONTENT_TYPES, expose, type Format } from './exposition.ts'
import { FAMILIES } from './families.ts'
import type { Page } from './http-server.ts'
import { PGBOUNCER_FAMILIES } from './pgbouncer-families.ts'
import { type Limits, type MeasuredFleet, takeSnapshot } from './snapshot.ts'

export { formatFor } from './exposition.ts'

export interface ExporterOptions {
  readonly fleet: MeasuredFleet
  readonly names: TallyNames
  limits(): Limits
  /** Whether to add the metrics of PgBouncer's exporter: see `pgbouncer-families.ts`. */
  tellsPgbouncerNames(): boolean
}

export class Exporter {
  readonly #options: ExporterOptions
  readonly #underWay = new Map<Format, Promise<Buffer>>()

  constructor(options: ExporterOptions) {
    this.#options = options
  }

  async page(format: Format): Promise<Page> {
    return { contentType: CONTENT_TYPES[format], body: await this.#text(format) }
  }

  #text(format: Format): Promise<Buffer> {
    const underWay = this.#underWay.get(format)
    if (underWay !== undefined) return underWay
    const text = this.#make(format).finally(() => this.#underWay.delete(format))
    this.#underWay.set(format, text)
    return text
  }

  async #make(format: Format): Promise<Buffer> {
    const { fleet, names, limits, tellsPgbouncerNames } = this.#options
    const families = tellsPgbouncerNames() ? [...FAMILIES, ...PGBOUNCER_FAMILIES] : FAMILIES
    return expose(families, await takeSnapshot(fleet, names, limits()), format)
  }
}
