/** The pages for whoever starts, restarts and balances: nothing in them is confidential, and asking costs little. */

import { type Circumstances, healthOf } from '../workers/health.ts'
import { type Answer, type Page, type Pages, plain } from './http-server.ts'

/** @param ask is not called again while it is answering */
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
