/** A pooler in this process, so that a test can move its clock and check everything that must be empty in the end. */

import { expect } from 'vitest'
import { type Clock, SystemClock } from '../../../src/base/clock.ts'
import { createLog } from '../../../src/base/log.ts'
import { startPooler } from '../../../src/daemon/start.ts'
import type { Loaded } from '../../../src/settings/load.ts'
import { expectBooksRight } from '../permits.ts'
import type { Running } from './running.ts'

export async function startHere(load: () => Loaded, still?: Clock): Promise<Running> {
  const { settings } = load()
  const clock = still ?? new SystemClock()
  const lines: string[] = []
  const log = createLog({
    format: settings.general.log_format,
    level: settings.general.verbose > 0 ? 'debug' : 'info',
    wallMs: () => clock.wallMs(),
    write: (line) => lines.push(line),
  })
  const pooler = await startPooler(settings, { log, clock, sweepsByItself: still === undefined, load })
  const { parts, addresses } = pooler
  return {
    addresses,
    httpAddresses: pooler.httpAddresses,
    fleet: parts.fleet,
    log: lines,
    stop: () => pooler.stop(),
    stopped: pooler.stopped,
    sweep: () => parts.sweep(),
    async expectIdle() {
      for (const pool of parts.pools) {
        expect(pool.clients, 'clients that are counted').toBe(0)
        for (const server of pool.servers('idle')) {
          expect(server.isClean, 'the ledger of an idle server is empty').toBe(true)
          expect(server.tenant, 'nobody holds an idle server').toBe(null)
        }
      }
      expectBooksRight(parts)
    },
    expectGone() {
      for (const pool of parts.pools) {
        expect(pool.total, 'servers after the end').toBe(0)
        expect(pool.statements.size, 'shared statements after the end').toBe(0)
      }
    },
  }
}
