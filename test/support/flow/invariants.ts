/** Checks what must hold in every pooler: whenever it is quiet, and after all clients have gone. */

import { SERVER_STATES } from '../../../src/server/states.ts'
import { STATUS_IDLE } from '../../../src/wire/backend.ts'
import { expectBooksRight } from '../permits.ts'
import type { Flow } from './start.ts'

/** Expects lists, states and counts to agree, and no internal error. */
export function expectSound(flow: Flow): void {
  const broken = flow.log.filter((line) => line.includes('internal error'))
  if (broken.length > 0) throw new Error(`the pooler broke: ${broken[0]}`)
  for (const pool of flow.pooler.parts.pools) {
    let total = 0
    for (const state of SERVER_STATES) {
      let counted = 0
      for (const server of pool.servers(state)) {
        counted++
        same(server.state, state, `the state of a server in the list ${state}`)
        same(server.tenant !== null, state === 'leased', `a server that is ${state} has a tenant`)
        if (state !== 'leased' && state !== 'closing')
          same(server.ledger.isClear, true, `the ledger of a server that is ${state} is clear`)
      }
      same(counted, pool.count(state), `the length of the list ${state}`)
      if (state !== 'closing') total += counted
    }
    same(pool.count('closed'), 0, 'servers that are closed and still listed')
    same(pool.total, total, 'the total of the lists')
    let waiting = 0
    for (const _ of pool.waiting) waiting++
    same(waiting, pool.waiting.length, 'the length of the queue')
  }
  expectBooksRight(flow.pooler.parts)
}

/** After all clients have gone: expects no session, no lease, no waiting client, nothing owed, and no cancel request under way. */
export function expectNothingLeft(flow: Flow): void {
  const { sessions, pools, cancels, peerCancels } = flow.pooler.parts
  same(sessions.count, 0, 'sessions whose client has gone')
  same(cancels.inFlight + cancels.waiting, 0, 'cancel requests that nobody answers any more')
  same(peerCancels.count, 0, 'cancel requests that no peer answers any more')
  for (const pool of pools) {
    same(pool.count('leased'), 0, `leases of nobody in ${pool.subject}`)
    same(pool.count('canceling'), 0, `servers that wait for a cancel in ${pool.subject}`)
    same(pool.waiting.length, 0, `waiters that have gone in ${pool.subject}`)
    same(pool.clients, 0, `clients that are counted in ${pool.subject}`)
    for (const server of pool.servers('idle')) {
      same(server.ledger.isClear, true, 'an idle server owes nothing')
      same(server.status, STATUS_IDLE, 'the transaction status of an idle server')
      same(server.cancels, 0, 'cancels on their way to an idle server')
    }
  }
}

function same<T>(actual: T, expected: T, what: string): void {
  if (actual !== expected) throw new Error(`${what}: ${actual} instead of ${expected}`)
}
