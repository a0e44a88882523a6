import { expect, test } from 'vitest'
import type { PeerSnapshot } from '../../../src/workers/fleet.ts'
import { mergeLists, mergePeers } from '../../../src/workers/gather.ts'

function peer(id: number, [waiting = 0, dialing = 0, sent = 0]: readonly number[]): PeerSnapshot {
  return { id, host: `host${id}`, port: 6432, poolSize: 20, cancels: { waiting, dialing, sent } }
}

test('peers are one row each; what each worker passes on to them is added up', () => {
  expect(mergePeers([[peer(2, [1, 2, 3]), peer(3, [])], [peer(2, [10, 20, 30])], []])).toEqual([
    peer(2, [11, 22, 33]),
    peer(3, [0, 0, 0]),
  ])
})

test('in SHOW LISTS what all workers know counts once, and what each has of its own is added up', () => {
  const known = { databases: 1, users: 2, peers: 3, pools: 4 }
  const part = { ...known, clients: 10, clientsLoggingIn: 1, servers: 5 }
  expect(mergeLists([part, { ...part, clients: 7 }], known)).toEqual({
    ...known,
    clients: 17,
    clientsLoggingIn: 2,
    servers: 10,
  })
})
