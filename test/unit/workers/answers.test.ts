/** What the primary does with messages of a worker, where it does more than pass them on. */

import { expect, test } from 'vitest'
import { ManualClock } from '../../../src/base/clock.ts'
import { Lru } from '../../../src/base/lru.ts'
import { type ClientClaim, ClientCounts } from '../../../src/workers/admissions.ts'
import { type AnswersParts, answersTo } from '../../../src/workers/answers.ts'
import type { Answers } from '../../../src/workers/line.ts'
import type { ToPrimary, Welcomed } from '../../../src/workers/messages.ts'
import { Spreading } from '../../../src/workers/spreading.ts'
import { Worker } from '../../../src/workers/worker.ts'
import { Workers } from '../../../src/workers/workers.ts'

const ALL: ClientClaim = { limit: 'max_client_conn', name: '' }
const APP: ClientClaim = { limit: 'max_db_client_connections', name: 'app' }

/** A primary with two serving workers, without processes. */
function primary(maxOf: (claim: ClientClaim) => number = () => Infinity) {
  const clock = new ManualClock()
  const workers = new Workers()
  const permits: unknown[] = []
  const noted =
    (name: string) =>
    (worker: Worker, ...rest: unknown[]) =>
      void permits.push([name, worker.number, ...rest])
  const parts = {
    workers,
    clients: new ClientCounts(maxOf),
    permits: Object.fromEntries(
      ['opened', 'asked', 'gaveBack', 'missed', 'refused', 'closed'].map((name) => [name, noted(name)]),
    ),
    spreading: new Spreading(clock, () => workers),
    welcomed: new Lru<string, Welcomed>(10),
  }
  const sent: { to: number; name: string; body: unknown }[] = []
  const all = [1, 2].map((number) => {
    const process = {
      pid: 1_000 + number,
      kill: () => {},
      send(message: unknown) {
        const { name, body } = message as { name: string; body: unknown }
        sent.push({ to: number, name, body })
        return true
      },
    }
    const answers: Answers<ToPrimary> = answersTo(() => worker, parts as unknown as AnswersParts)
    const worker: Worker = new Worker(number, process, answers, clock)
    worker.enter('serving')
    workers.add(worker)
    return { worker, answers }
  })
  const [one, other] = all as [(typeof all)[0], (typeof all)[0]]
  return { ...parts, one, other, sent, noted: permits }
}

test('an admitted client is noted under its worker; a refused client is not noted', () => {
  const { one, other, clients } = primary(({ limit }) => (limit === 'max_client_conn' ? 2 : 1))
  expect(one.answers.claim([ALL, APP])).toBe(null)
  expect(other.answers.claim([ALL, APP])).toEqual(APP)
  expect([...one.worker.claims.claims()]).toEqual([ALL, APP])
  expect([...other.worker.claims.claims()]).toEqual([])
  expect(clients.used('max_client_conn', '')).toBe(1)
})

test('for a client that has not logged in yet a worker learns whether there is room, and the client is not counted', () => {
  const { one, clients } = primary(() => 1)
  expect(one.answers.look([ALL])).toBe(null)
  expect([...one.worker.claims.claims()]).toEqual([])
  one.answers.claim([ALL])
  expect(one.answers.look([ALL])).toEqual(ALL)
  expect(clients.used('max_client_conn', '')).toBe(1)
})

test('releasing a client’s claims frees them for its worker and for the fleet', () => {
  const { one, clients } = primary(() => 1)
  one.answers.count([ALL])
  one.answers.claim([APP])
  one.answers.release([ALL, APP])
  expect([...one.worker.claims.claims()]).toEqual([])
  expect([...clients.claims()]).toEqual([])
})

test('the primary’s handle of a server connection is closed when the server is closed', () => {
  const { one } = primary()
  let letGo = 0
  const connection = { letGo: () => letGo++, finish: () => {} }
  one.worker.servers.set(7, { pool: 1, connection, key: null })
  one.answers.serverClosed(8)
  expect(letGo).toBe(0)
  one.answers.serverClosed(7)
  expect(letGo).toBe(1)
  expect(one.worker.servers.size).toBe(0)
})

test('the cancel key of a server that is no longer known is ignored', () => {
  const { one } = primary()
  const key = { id: 7, address: { host: 'db', port: 5432 }, pid: 99, secret: 'abcdef01', tls: null }
  one.answers.serverOpened(key)
  expect(one.worker.servers.size).toBe(0)
  one.worker.servers.set(7, { pool: 1, connection: null, key: null })
  one.answers.serverOpened(key)
  expect(one.worker.servers.get(7)?.key).toEqual(key)
})

test('what a server reports is sent to the other workers and kept for later workers', () => {
  const { one, welcomed, sent } = primary()
  const news: Welcomed = { how: 'so', values: new Map([['TimeZone', 'Asia/Tokyo']]) }
  one.answers.welcomed(news)
  expect(sent).toEqual([{ to: 2, name: 'welcomed', body: news }])
  expect([...welcomed.values()]).toEqual([news])
})

test('a cancel request whose key names no existing worker is dropped', async () => {
  const { one, sent } = primary()
  expect(await one.answers.cancel({ worker: 9, pid: 5, secret: 'abcd' })).toBe(null)
  expect(sent).toEqual([])
})

test('what a worker says about its permits is noted under that worker', () => {
  const { other, noted } = primary()
  const figures = { wanted: 1, waiting: 1, fillsMinimum: false, waitedMs: 5, idleMs: null }
  other.answers.permitsOpen({ pool: 7, database: 'app', user: 'ada', keepsServers: true })
  other.answers.permitsAsk({ pool: 7, figures })
  other.answers.permitBack({ pool: 7, figures })
  other.answers.permitMissed(7)
  other.answers.permitsRefused(7)
  other.answers.permitsClose(7)
  expect(noted).toEqual([
    ['opened', 2, 7, 'app', 'ada', true],
    ['asked', 2, 7, figures],
    ['gaveBack', 2, 7, figures],
    ['missed', 2, 7],
    ['refused', 2, 7],
    ['closed', 2, 7],
  ])
})
