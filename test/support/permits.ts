/** Checks the books of permits in a pooler that grants its own. */

import type { PoolerParts } from '../../src/daemon/start.ts'
import type { Share } from '../../src/pool/share.ts'

/** Expects each permit that is held to have its server, and no limit to be exceeded. */
export function expectBooksRight({ permits, pools }: Pick<PoolerParts, 'permits' | 'pools'>): void {
  let held = 0
  for (const limit of permits.limits) {
    let total = 0
    for (const account of limit.holders) {
      same(account.held, (account.holder as Share).servers, 'permits and servers of a share')
      total += account.held
      if (limit === account.pool) held += account.held
    }
    same(limit.held, total, `permits under ${limit.name}`)
    if (limit.surplus > 0) throw new Error(`${limit.name} is exceeded by ${limit.surplus}`)
  }
  let servers = 0
  for (const pool of pools) servers += pool.connected
  same(held, servers, 'permits of all pools')
}

function same(actual: number, expected: number, what: string): void {
  if (actual !== expected) throw new Error(`${what}: ${actual} instead of ${expected}`)
}
