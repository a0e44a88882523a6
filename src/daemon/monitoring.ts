/** What is told by HTTP, as far as the settings want it to be. */

import type { Log } from '../base/log.ts'
import { type Answer, type HttpServer, openHttpServer, type Pages, plain } from '../metrics/http-server.ts'
import type { MeasuredFleet } from '../metrics/snapshot.ts'
import { TallyNames } from '../pool/tallies.ts'
import type { GeneralSettings } from '../settings/schema.ts'

export interface MonitoringParts {
  readonly general: GeneralSettings
  readonly log: Log
  readonly fleet: MeasuredFleet
}

/** Rejects if an address cannot be listened on; null where the settings name none. */
export async function openMonitoring({ general, log, fleet }: MonitoringParts): Promise<HttpServer | null> {
  if (general.http_listen.length === 0) return null
  // Whoever goes without need not load it.
  const { Exporter, formatFor } = await import('../metrics/exporter.ts')
  const exporter = new Exporter({ fleet, names: new TallyNames(general.metrics_max_pools) })
  const pages: Pages = new Map<string, Answer>([
    ['/metrics', (request) => exporter.page(formatFor(request.headers.accept ?? ''))],
    ['/healthz', () => plain(200, 'ok\n')],
  ])
  const server = await openHttpServer(general.http_listen, pages, (problem) =>
    log.error(`http: ${problem instanceof Error ? problem.stack : String(problem)}`),
  )
  for (const { host, port } of server.addresses) log.info(`http on ${host.includes(':') ? `[${host}]` : host}:${port}`)
  return server
}
