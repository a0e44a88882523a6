/** Opens the HTTP servers that the settings ask for: metrics, the live page and health (http_listen), and health alone (health_listen). */

import type { Log } from '../base/log.ts'
import { guarded } from '../metrics/access.ts'
import { healthPages } from '../metrics/health.ts'
import { type Answer, type HttpServer, openHttpServer, type Pages } from '../metrics/http-server.ts'
import type { LiveFleet } from '../metrics/live-feed.ts'
import { TallyNames } from '../pool/tallies.ts'
import type { Settings } from '../settings/load.ts'
import { httpAddresses } from '../settings/values.ts'
import { maxClients, zeroForNone } from './client-limits.ts'
import { permitSizes } from './pool-settings.ts'

export interface MonitoringParts {
  settings(): Settings
  readonly log: Log
  readonly fleet: LiveFleet
}

/** How often to retry an address that another process still listens on. */
const RETRY_MS = 250

/**
 * Rejects if an address cannot be listened on; no server stays open in that case. With so_reuseport, an address in use is not an error: the
 * new process shares the clients' port with the one it replaces, and retries these addresses until that process has left them.
 */
export async function openMonitoring({ settings, log, fleet }: MonitoringParts): Promise<HttpServer> {
  const { general } = settings()
  const health = healthPages(() => fleet.circumstances())
  const onTrouble = (problem: unknown) =>
    log.error(`http: ${problem instanceof Error ? problem.stack : String(problem)}`)
  const servers: HttpServer[] = []
  const retries = new Set<NodeJS.Timeout>()
  let isOpen = true
  const close = () => {
    isOpen = false
    for (const retry of retries) clearTimeout(retry)
    for (const server of servers) server.close()
  }
  const tryAgain = (work: () => Promise<void>) => {
    const retry = setTimeout(() => {
      retries.delete(retry)
      work().catch(onTrouble)
    }, RETRY_MS)
    retries.add(retry.unref())
  }
  const open = async (setting: 'http_listen' | 'health_listen', pages: Pages, isAgain = false): Promise<void> => {
    const listen = general[setting]
    try {
      const server = await openHttpServer({ setting, listen, pages, onTrouble })
      servers.push(server)
      if (!isOpen) server.close()
    } catch (problem) {
      if (!general.so_reuseport || !isInUse(problem)) throw problem
      if (!isAgain) log.warning(`${(problem as Error).message}; pgweir retries until the other process has released it`)
      if (isOpen) tryAgain(() => open(setting, pages, true))
      return
    }
    if (listen.length > 0)
      log.info(`${setting}: answering HTTP on ${httpAddresses.print(servers.at(-1)?.addresses ?? [])}`)
  }
  try {
    if (general.http_listen.length > 0)
      await open('http_listen', new Map([...health, ...(await metricsPages(fleet, settings, onTrouble))]))
    await open('health_listen', health)
  } catch (problem) {
    close()
    throw problem
  }
  return { addresses: servers.flatMap(({ addresses }) => addresses), close }
}

function isInUse(problem: unknown): boolean {
  return (problem as { cause?: NodeJS.ErrnoException }).cause?.code === 'EADDRINUSE'
}

async function metricsPages(
  fleet: LiveFleet,
  settings: () => Settings,
  onTrouble: (problem: unknown) => void,
): Promise<Pages> {
  // Imported here, so that a pooler without http_listen does not load them.
  const { Exporter, formatFor } = await import('../metrics/exporter.ts')
  const { livePages } = await import('../metrics/live-pages.ts')
  const token = () => settings().general.http_token
  const names = new TallyNames(settings().general.metrics_max_pools)
  const exporter = new Exporter({
    ...{ fleet, names },
    limits() {
      const all = settings()
      return {
        maxClients: all.general.max_client_conn,
        maxUserServers: all.general.max_user_connections,
        serversOf: (user) => permitSizes(all, 'user', '', user).max,
        clientsOf: (name) => zeroForNone(maxClients(all, { limit: 'max_user_client_connections', name })),
      }
    },
    tellsPgbouncerNames: () => settings().general.metrics_compat === 'pgbouncer',
  })
  const page: Answer = (request) => exporter.page(formatFor(request.headers.accept ?? ''))
  return new Map([['/metrics', guarded(token, page)], ...livePages({ fleet, names, onTrouble }, token)])
}
