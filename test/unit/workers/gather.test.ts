import { expect, test } from 'vitest'
import { LONGEST_TRANSACTIONS, type PeerSnapshot, type TransactionSnapshot } from '../../../src/workers/fleet.ts'
import { longestTransactions, mergeLists, mergeNames, mergePeers, mergeZones } from '../../../src/workers/gather.ts'

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
  const known = { databases: 1, users: 2, peers: 3, pools: 4, names: 5, zones: 6 }
  const part = { ...known, clients: 10, clientsLoggingIn: 1, servers: 5, asked: 2 }
  expect(mergeLists([part, { ...part, clients: 7 }], known)).toEqual({
    ...known,
    clients: 17,
    clientsLoggingIn: 2,
    servers: 10,
    asked: 4,
  })
})

test('names are one row each, with all addresses that any worker knows, for as long as all believe theirs', () => {
  const name = { host: 'db', ttlMs: 10, addresses: ['10.0.0.1'], isAsked: false }
  const other = { ...name, ttlMs: 5, addresses: ['10.0.0.2', '10.0.0.1'], isAsked: true }
  expect(mergeNames([[name], [other], []])).toEqual([
    { host: 'db', ttlMs: 5, addresses: ['10.0.0.1', '10.0.0.2'], isAsked: true },
  ])
})

test('zones are one row each, as they were seen last', () => {
  const zone = { zone: 'test', serial: 7, hosts: 1 }
  expect(mergeZones([[zone], [{ ...zone, serial: 8, hosts: 2 }]])).toEqual([{ zone: 'test', serial: 8, hosts: 2 }])
})

test('of the transactions of all workers those are told that have run for longest, the longest first', () => {
  const transaction = (ageUs: number): TransactionSnapshot => ({
    ...{ clientId: ageUs, user: 'ada', database: 'app', peer: { host: '10.0.0.1', port: 5000 }, applicationName: '' },
    ...{ ageUs, isRunning: true },
  })
  const [one, other] = [0, 1].map((odd) => Array.from({ length: 8 }, (_, index) => transaction(2 * index + odd)))
  const told = longestTransactions([one ?? [], other ?? []]).map(({ ageUs }) => ageUs)
  expect(told).toEqual(Array.from({ length: LONGEST_TRANSACTIONS }, (_, index) => 15 - index))
})
