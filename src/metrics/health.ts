/** The health pages for supervisors and load balancers. They contain nothing confidential and cost little. */

import { type Circumstances, healthOf } from '../workers/health.ts'
import { type Answer, type Page, type Pages, plain } from './http-server.ts'

/** @param ask not called again before its last call has resolved; requests meanwhile share the result */
export function healthPages(ask: () => Promise<Circumstances>): Pages {
  let underWay: Promise<Circumstances> | null = null
  async function readyz(): Promise<Page> {
    underWay ??= ask().finally(() => {
      underWay = null
    })
    const health = healthOf(await underWay)
    return health === 'ready' ? plain(200, 'ready\n') : plain(503, `not ready: ${health}\n`)
  }
  return new Map<string, Answer>([
    ['/healthz', () => plain(200, 'ok\n')],
    ['/readyz', readyz],
  ])
}
