import { expect, test } from 'vitest'
import { LONGEST_TRANSACTIONS, type PeerSnapshot, type TransactionSnapshot } from '../../../src/workers/fleet.ts'
import { longestTransactions, mergeLists, mergeNames, mergePeers, mergeZones } from '../../../src/workers/gather.ts'

function peer(id: number, [waiting = 0, dialing = 0, sent = 0]: readonly number[]): PeerSnapshot {
  return { id, host: `host${id}`, port: 6432, poolSize: 20, cancels: { waiting, dialing, sent } }
}

test('each peer is one row, with the cancel requests of all workers added up', () => {
  expect(mergePeers([[peer(2, [1, 2, 3]), peer(3, [])], [peer(2, [10, 20, 30])], []])).toEqual([
    peer(2, [11, 22, 33]),
    peer(3, [0, 0, 0]),
  ])
})

test('SHOW LISTS counts what all workers know once and adds up what each has for itself', () => {
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

test('each name is one row, with all addresses that any worker knows and the shortest remaining validity', () => {
  const name = { host: 'db', ttlMs: 10, addresses: ['10.0.0.1'], isAsked: false }
  const other = { ...name, ttlMs: 5, addresses: ['10.0.0.2', '10.0.0.1'], isAsked: true }
  expect(mergeNames([[name], [other], []])).toEqual([
    { host: 'db', ttlMs: 5, addresses: ['10.0.0.1', '10.0.0.2'], isAsked: true },
  ])
})

test('each zone is one row, as it was last seen', () => {
  const zone = { zone: 'test', serial: 7, hosts: 1 }
  expect(mergeZones([[zone], [{ ...zone, serial: 8, hosts: 2 }]])).toEqual([{ zone: 'test', serial: 8, hosts: 2 }])
})

test('the longest transactions of all workers are listed, longest first', () => {
  const transaction = (ageUs: number): TransactionSnapshot => ({
    ...{ clientId: ageUs, user: 'ada', poolUser: 'ada', database: 'app', peer: { host: '10.0.0.1', port: 5000 } },
    applicationName: '',
    ...{ ageUs, isRunning: true },
  })
  const [one, other] = [0, 1].map((odd) => Array.from({ length: 8 }, (_, index) => transaction(2 * index + odd)))
  const told = longestTransactions([one ?? [], other ?? []]).map(({ ageUs }) => ageUs)
  expect(told).toEqual(Array.from({ length: LONGEST_TRANSACTIONS }, (_, index) => 15 - index))
})
