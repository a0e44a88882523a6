/** A worker's end of the line to its primary, which is played by the test. */

import { describe, expect, test } from 'vitest'
import { ManualClock } from '../../../src/base/clock.ts'
import { PermitBook } from '../../../src/pool/permits/book.ts'
import { LocalPermits } from '../../../src/pool/permits/local-permits.ts'
import type { ShareHolder } from '../../../src/pool/share.ts'
import { PoolerError } from '../../../src/problems.ts'
import type { Server } from '../../../src/server/server.ts'
import { NO_ACCOUNTS, packAccounts } from '../../../src/workers/accounts.ts'
import type { ClientClaim } from '../../../src/workers/admissions.ts'
import { type Answers, Line } from '../../../src/workers/line.ts'
import { Member, type MemberListener } from '../../../src/workers/member.ts'
import type { ToPrimary, Topic, ToWorker } from '../../../src/workers/messages.ts'
import { packNow } from '../../../src/workers/packing.ts'

const EVERYBODY: ClientClaim = { limit: 'max_client_conn', name: '' }
const NOW_MS = new ManualClock().nowMs
const OF_APP: ClientClaim = { limit: 'max_db_client_connections', name: 'app' }

/**
 * A member and its primary, which notes what it is told.
 *
 * @param answers how the primary answers questions
 */
function pair(answers: Partial<Answers<ToPrimary>> = {}, listener: Partial<MemberListener> = {}) {
  const told: [name: string, body: unknown][] = []
  const noted = new Proxy(answers, {
    get: (given, name: keyof ToPrimary) => (body: never) => {
      told.push([name, body])
      return given[name]?.(body) ?? null
    },
  }) as Answers<ToPrimary>
  const primary: Line<ToWorker, ToPrimary> = new Line({ send: (message) => deliver(message, member.line) }, noted)
  const member = new Member(
    { send: (message) => deliver(message, primary) },
    new ManualClock(),
    listener as MemberListener,
  )
  return { member, primary, told }
}

function deliver(message: unknown, to: { receive(message: unknown): void }): true {
  to.receive(structuredClone(message))
  return true
}

/** A pool that notes what its permits tell it. */
function pool(name: string, notes: string[], more: Partial<ShareHolder> = {}): ShareHolder {
  return {
    ...{ wanted: 1, waitingClients: 1, fillsMinimum: false, keepsServers: false },
    ...{ waitingSinceMs: NOW_MS - 50, idleSinceMs: Infinity },
    onGranted: (usesReserve) => void notes.push(`${name}: granted${usesReserve ? ' from the reserve' : ''}`),
    onRecalled: (because) => void notes.push(`${name}: ${because}`),
    ...more,
  }
}

describe('permits', () => {
  function twoPools() {
    const { member, primary, told } = pair()
    const notes: string[] = []
    const open = (name: string, more?: Partial<ShareHolder>) =>
      member.openPermits('app', name, pool(name, notes, more), () => 0)
    return {
      ada: open('ada'),
      bob: open('bob', { keepsServers: true, idleSinceMs: NOW_MS - 20 }),
      primary,
      told,
      notes,
    }
  }

  test('are announced for each pool under a number of its own', () => {
    expect(twoPools().told).toEqual([
      ['permitsOpen', { pool: 1, database: 'app', user: 'ada', keepsServers: false }],
      ['permitsOpen', { pool: 2, database: 'app', user: 'bob', keepsServers: true }],
    ])
  })

  test('are granted to, recalled from and kept by the pool that the primary names', () => {
    const { ada, bob, primary, notes } = twoPools()
    primary.tell('permitGranted', { pool: 1, usesReserve: true })
    primary.tell('permitGranted', { pool: 2, usesReserve: false })
    primary.tell('permitRecalled', { pool: 2, because: 'evicted', sparedMs: null, isTurn: false })
    primary.tell('permitFloor', { pool: 2, floor: 3 })
    expect(notes).toEqual(['ada: granted from the reserve', 'bob: granted', 'bob: evicted'])
    expect([ada.floor, bob.floor]).toEqual([0, 3])
    primary.tell('permitRecalled', { pool: 1, because: 'evicted', sparedMs: null, isTurn: true })
    primary.tell('permitsKept', 1)
    expect(ada.mustYield()).toBe(null)
    primary.tell('permitRecalled', { pool: 1, because: 'evicted', sparedMs: null, isTurn: true })
    primary.tell('permitsKept', 2)
    expect(ada.mustYield()).toBe('evicted')
  })

  test('are described to the primary when it asks, for the pools that it names', () => {
    const { primary, told } = twoPools()
    told.length = 0
    primary.tell('permitsPoll', [2])
    const figures = { wanted: 1, waiting: 1, fillsMinimum: false, waitedMs: 50, idleMs: 20 }
    expect(told).toEqual([['permitsAsk', { pool: 2, figures }]])
  })

  test('of a pool that is over are not counted on: messages that cross its end are ignored', () => {
    const { ada, primary, told, notes } = twoPools()
    ada.close()
    expect(told.at(-1)).toEqual(['permitsClose', 1])
    told.length = 0
    primary.tell('permitGranted', { pool: 1, usesReserve: false })
    primary.tell('permitRecalled', { pool: 1, because: 'evicted', sparedMs: null, isTurn: false })
    primary.tell('permitsKept', 1)
    primary.tell('permitFloor', { pool: 1, floor: 3 })
    primary.tell('permitsPoll', [1])
    expect([notes, told]).toEqual([[], []])
  })
})

describe('a server', () => {
  const CLEAR = {
    ...{ id: 7, pid: 99, tls: '', encryption: null, cancelKey: Buffer.from('abcdef01', 'hex') },
    ...{ address: { host: 'db', port: 5432 }, peer: { host: '10.0.0.1', port: 5432 } },
  }
  const server = (more: object = {}) => ({ ...CLEAR, ...more }) as unknown as Server

  test('is announced with its pool, so that its permit comes back if this process dies', () => {
    const { member } = pair()
    member.openPermits('app', 'ada', pool('ada', []), () => 0)
    const permits = member.openPermits('app', 'bob', pool('bob', []), () => 0)
    expect(member.serverConnected(server(), permits)).toEqual({ connected: { id: 7, pool: 2 } })
  })

  test('without a permit of the primary is not announced', () => {
    const { member } = pair()
    const book = new PermitBook(() => ({ max: 0 }))
    const own = new LocalPermits(book, new ManualClock(), 'app', 'ada', pool('ada', []))
    expect(member.serverConnected(server(), own)).toBe(null)
  })

  test('is reported with what is needed to cancel its query: at the peer of its connection, and encrypted no less', () => {
    const { member, told } = pair()
    const key = { id: 7, address: CLEAR.peer, pid: 99, secret: 'abcdef01' }
    member.serverOpened(server())
    member.serverOpened(server({ tls: 'TLSv1.3', encryption: { verifies: 'host', isDirect: true } }))
    // The server does not support TLS, and the settings do not require it.
    member.serverOpened(server({ tls: '', encryption: { verifies: 'nothing', isDirect: false } }))
    member.serverClosed(server())
    expect(told).toEqual([
      ['serverOpened', { ...key, tls: null }],
      ['serverOpened', { ...key, tls: { host: 'db', verifies: 'host', isDirect: true } }],
      ['serverOpened', { ...key, tls: null }],
      ['serverClosed', 7],
    ])
  })
})

describe('a client', () => {
  /** @param limited the limits that are set */
  function admissions(limited: readonly ClientClaim[], answers: Partial<Answers<ToPrimary>> = {}) {
    const { member, primary, told } = pair(answers)
    const isLimited = ({ limit }: ClientClaim) => limited.some((each) => each.limit === limit)
    return { admissions: member.admissions((claim) => (isLimited(claim) ? 1 : Infinity)), member, primary, told }
  }

  const claimed = (to: ReturnType<typeof admissions>['admissions']) =>
    new Promise<ClientClaim | null>((done) => to.claim([EVERYBODY, OF_APP], done))

  const looked = (to: ReturnType<typeof admissions>['admissions']) =>
    new Promise<ClientClaim | null>((done) => to.look([EVERYBODY, OF_APP], done))

  test('is admitted at once if no limit applies to it; the primary is told, in case one is set later', () => {
    const { admissions: admitting, told } = admissions([])
    const outcomes: (ClientClaim | null)[] = []
    admitting.look([EVERYBODY, OF_APP], (full) => outcomes.push(full))
    expect(told).toEqual([])
    admitting.claim([EVERYBODY, OF_APP], (full) => outcomes.push(full))
    expect(outcomes).toEqual([null, null])
    expect(told).toEqual([['count', [EVERYBODY, OF_APP]]])
    expect(admitting.used('max_client_conn', '')).toBe(1)
    expect([...admitting.names('max_db_client_connections')]).toEqual(['app'])
  })

  test('is admitted by the primary if any limit applies to it, and counted here too until it leaves', async () => {
    const { admissions: admitting, told } = admissions([OF_APP])
    expect(await looked(admitting)).toBe(null)
    expect(admitting.used('max_db_client_connections', 'app')).toBe(0)
    expect(await claimed(admitting)).toBe(null)
    expect(admitting.used('max_db_client_connections', 'app')).toBe(1)
    admitting.release([EVERYBODY, OF_APP])
    expect(admitting.used('max_db_client_connections', 'app')).toBe(0)
    expect(told).toEqual(['look', 'claim', 'release'].map((name) => [name, [EVERYBODY, OF_APP]]))
  })

  test('that the primary refuses learns which limit is full, and is not counted', async () => {
    const { admissions: admitting } = admissions([EVERYBODY], { claim: () => OF_APP, look: () => EVERYBODY })
    expect(await looked(admitting)).toEqual(EVERYBODY)
    expect(await claimed(admitting)).toEqual(OF_APP)
    expect(admitting.used('max_client_conn', '')).toBe(0)
  })

  test('is neither admitted nor refused once the primary is gone, because this process ends then', async () => {
    const { admissions: admitting, member } = admissions([EVERYBODY])
    member.line.hangUp()
    const outcomes: unknown[] = []
    admitting.claim([EVERYBODY], (full) => outcomes.push(full))
    admitting.look([EVERYBODY], (full) => outcomes.push(full))
    member.loginFailed('10.0.0.1', (delayMs) => outcomes.push(delayMs))
    await Promise.resolve()
    expect(outcomes).toEqual([])
  })

  test('that failed to log in is held back for as long as the primary says', async () => {
    const { member, told } = pair({ loginFailed: () => 250 })
    expect(await new Promise((done) => member.loginFailed('10.0.0.1', done))).toBe(250)
    expect(told).toEqual([['loginFailed', '10.0.0.1']])
  })
})

describe('what concerns another worker', () => {
  test('is over once the primary has answered: a cancel request, a change of tables', async () => {
    const { member, told } = pair()
    await new Promise<void>((over) => member.forwardCancel(3, 99, Buffer.from('abcdef01', 'hex'), over))
    await new Promise<void>((known) => member.schemaChanged('app', known))
    expect(told).toEqual([
      ['cancel', { worker: 3, pid: 99, secret: 'abcdef01' }],
      ['schema', 'app'],
    ])
  })

  test('is over, too, if the primary is gone', async () => {
    const { member } = pair()
    member.line.hangUp()
    await new Promise<void>((over) => member.forwardCancel(3, 99, Buffer.alloc(4), over))
    await new Promise<void>((known) => member.schemaChanged('app', known))
  })
})

test('what happens in this process is reported: its load, its figures, what servers said, its last word', () => {
  const { member, told } = pair()
  const beat = { clients: 1, servers: 2, cpuUs: 3, residentBytes: 4, delayUs: 5 }
  const totals = new Map()
  const news = { how: 'so', values: new Map([['TimeZone', 'Asia/Tokyo']]) }
  member.tellAccepted(2)
  member.tellLoad(1)
  member.beat(beat, totals)
  member.welcomed(news)
  member.lastWord(packAccounts(NO_ACCOUNTS))
  expect(told).toEqual([
    ['accepted', 2],
    ['load', 1],
    ['beat', beat],
    ['totals', totals],
    ['welcomed', news],
    ['accounts', packAccounts(NO_ACCOUNTS)],
  ])
})

describe('an order of the primary', () => {
  test('reaches this process with everything that it needs to know', async () => {
    const orders: unknown[] = []
    const noted =
      (name: string) =>
      (...args: unknown[]) =>
        void orders.push([name, ...args])
    const { primary } = pair(
      {},
      {
        onAccepts: noted('accepts'),
        onDrain: noted('drain'),
        onStop: noted('stop'),
        onSettings: async (settings) => void orders.push(['settings', settings]),
        onSchemaChanged: async (database) => void orders.push(['schema', database]),
        onWelcomed: async (news) => void orders.push(['welcomed', news]),
      },
    )
    const news = { how: 'so', values: new Map() }
    expect(await primary.ask('accept', { accepts: false, heard: 2 })).toBe(null)
    expect(await primary.ask('settings', 'new')).toBe(null)
    expect(await primary.ask('schema', 'app')).toBe(null)
    expect(await primary.ask('welcomed', news)).toBe(null)
    expect(await primary.ask('drain', { graceMs: 50 })).toBe(null)
    expect(await primary.ask('stop', null)).toBe(null)
    expect(orders).toEqual([
      ['accepts', false, 2],
      ['settings', 'new'],
      ['schema', 'app'],
      ['welcomed', news],
      ['drain', 50],
      ['stop'],
    ])
  })

  test('is answered with what this process says to it, or with its error', async () => {
    const addresses = [{ host: '127.0.0.1', port: 6432 }]
    const { primary } = pair(
      {},
      {
        onStart: async ({ number }) => (number === 4 ? addresses : []),
        gather: async (topic) => [topic] as never,
        control: async ({ name }) => {
          throw new PoolerError(name === 'pause' ? 'shutting-down' : 'restart-runs')
        },
        endPeriod: () => ({ ms: 60, totals: {} as never }),
      },
    )
    expect(await primary.ask('start', { number: 4, work: null, standing: [], welcomed: [] })).toEqual(addresses)
    expect(await primary.ask('gather', 'users')).toEqual(['users'])
    expect(await primary.ask('endPeriod', null)).toEqual({ ms: 60, totals: {} })
    await expect(primary.ask('control', { name: 'pause', args: [null] })).rejects.toMatchObject({
      kind: 'shutting-down',
    })
  })

  test('about new settings or a change of tables is answered only when it has been carried out', async () => {
    const running: (() => void)[] = []
    const carryOut = () => new Promise<void>((done) => running.push(done))
    const { primary } = pair({}, { onSettings: carryOut, onSchemaChanged: carryOut })
    const answered: string[] = []
    const answers = (['settings', 'schema'] as const).map(async (name) => {
      await primary.ask(name, 'app')
      answered.push(name)
    })
    await new Promise(setImmediate)
    expect(answered).toEqual([])
    for (const done of running) done()
    await Promise.all(answers)
  })

  test('to cancel a query is answered only when the request can hit no other query', async () => {
    const overs: (() => void)[] = []
    const { primary } = pair({}, { onCancel: (key, over) => void (key.pid === 99 && overs.push(over)) })
    let isAnswered = false
    const answer = primary.ask('cancel', { worker: 1, pid: 99, secret: 'abcd' }).then(() => {
      isAnswered = true
    })
    await new Promise(setImmediate)
    expect(isAnswered).toBe(false)
    overs[0]?.()
    await answer
  })
})

describe('the console', () => {
  const ROWS = [{ name: 'one' }, { name: 'other' }]
  const PACKED: readonly Topic[] = ['clients', 'pools', 'databases']
  const PLAIN = [
    ...['newcomers', 'servers', 'transactions', 'users', 'peers', 'names', 'zones', 'memory', 'stats', 'latencies'],
    ...['lists', 'vitals', 'state', 'circumstances'],
  ] as const

  test.each([...PACKED, ...PLAIN])('shows the %s of the whole fleet', async (topic) => {
    const isPacked = PACKED.includes(topic as Topic)
    const { member, told } = pair({ gather: () => (isPacked ? packNow(ROWS) : ROWS) as never })
    const { fleet } = member
    expect(await (fleet[topic as 'users'] as () => Promise<unknown>).call(fleet)).toEqual(ROWS)
    expect(told).toEqual([['gather', topic]])
  })

  test('shows the accounts and the workers of the whole fleet, and gives its commands to all', async () => {
    const { member, told } = pair({
      gather: () => packAccounts(NO_ACCOUNTS),
      workers: () => ROWS as never,
      control: () => true,
    })
    expect(await member.fleet.accounts()).toEqual(NO_ACCOUNTS)
    expect(await member.fleet.workers()).toEqual(ROWS)
    expect(await member.fleet.control.killClient(17)).toBe(true)
    expect(told).toEqual([
      ['gather', 'accounts'],
      ['workers', null],
      ['control', { name: 'killClient', args: [17] }],
    ])
  })
})
