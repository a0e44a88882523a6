import { beforeEach, describe, expect, test } from 'vitest'
import { Accounts, CLAIM_MS, UNFAIRNESS_MS } from '../../../../src/pool/permits/accounts.ts'
import { Limit, type Sizes } from '../../../../src/pool/permits/limit.ts'
import { takeInvariantFailures } from '../../../support/every-file.ts'
import { Time, ToyPool } from './toy-pools.ts'

let time: Time
let accounts: Accounts

beforeEach(() => {
  time = new Time()
  accounts = new Accounts()
})

function limit(name: string, max: number, more: Omit<Sizes, 'max'> = {}): Limit {
  return new Limit(name, { max, ...more })
}

function toyPool(name: string, own: Limit, ...shared: readonly Limit[]): ToyPool {
  return new ToyPool(name, accounts, time, own, shared)
}

/** Lets clients come until all servers of the pool are open and leased. */
function occupy(pool: ToyPool, clients: number): void {
  for (let left = clients; left > 0; left--) pool.come()
  while (pool.opening > 0) pool.open()
}

describe('the size of a pool', () => {
  test('a pool gets as many permits as its size; the next client waits until one is given back', () => {
    const pool = toyPool('pool', limit('pool_size', 2))
    occupy(pool, 3)
    expect([pool.busy, pool.waiting.length, pool.account.held]).toEqual([2, 1, 2])
    pool.lose()
    expect(pool.opening).toBe(0)
    pool.go()
    expect([pool.opening, pool.account.held]).toEqual([1, 2])
  })

  test('a pool size of 0 is no limit', () => {
    const pool = toyPool('pool', limit('pool_size', 0))
    occupy(pool, 500)
    expect(pool.busy).toBe(500)
  })

  test('processes share the size of their pool, and the client that has waited longest comes first', () => {
    const size = limit('pool_size', 1)
    const [one, two, three] = [toyPool('one', size), toyPool('two', size), toyPool('three', size)]
    occupy(one, 1)
    time.nowMs += 10
    three.come()
    time.nowMs += 10
    two.come()
    one.finish()
    one.go()
    expect([two.opening, three.opening]).toEqual([0, 1])
  })
})

test('among processes of one pool the first client is served first, even if a server must be closed for it', () => {
  const size = limit('pool_size', 1)
  const [one, other] = [toyPool('one', size), toyPool('other', size)]
  occupy(one, 1)
  time.nowMs += 1
  other.come()
  time.nowMs += 1
  one.come()
  one.finish()
  expect([one.busy, one.leaving]).toEqual([0, 1])
  one.go()
  expect(other.opening).toBe(1)
})

describe('the reserve', () => {
  const sizes = { reserve: 1, reserveTimeoutMs: 5_000 }

  test('the reserve is for clients that have waited for reserve_pool_timeout', () => {
    const pool = toyPool('pool', limit('pool_size', 1, sizes))
    occupy(pool, 2)
    time.nowMs += 4_999
    pool.ask()
    expect(pool.opening).toBe(0)
    time.nowMs += 1
    pool.ask()
    expect(pool.opening).toBe(1)
  })

  test('no more permits are granted than the reserve allows', () => {
    const pool = toyPool('pool', limit('pool_size', 1, sizes))
    occupy(pool, 4)
    time.nowMs += 60_000
    for (let tries = 0; tries < 3; tries++) pool.ask()
    expect(pool.account.held).toBe(2)
  })
})

describe('the minimum', () => {
  test('the minimum is filled one server at a time while the pool has clients, up to the pool size', () => {
    const pool = toyPool('pool', limit('pool_size', 2, { min: 5 }))
    pool.ask()
    expect(pool.account.held).toBe(0)
    pool.hasClients = true
    for (const held of [1, 2, 2]) {
      pool.ask()
      expect(pool.account.held).toBe(held)
      pool.open()
    }
  })

  test('servers in all processes count toward the minimum, and each process learns how many of its own to keep', () => {
    const size = limit('pool_size', 9, { min: 3 })
    const [one, two] = [toyPool('one', size), toyPool('two', size)]
    occupy(two, 2)
    one.hasClients = true
    for (let asks = 0; asks < 3; asks++) {
      one.ask()
      one.open()
    }
    expect([one.account.held, two.account.held]).toEqual([1, 2])
    expect([size.floorOf(one.account), size.floorOf(two.account)]).toEqual([1, 2])
    occupy(two, 1)
    expect([size.floorOf(one.account), size.floorOf(two.account)]).toEqual([0, 2])
  })

  test('the minimum never closes another pool’s idle server', () => {
    const shared = limit('max_db_connections', 1)
    const idle = toyPool('idle', limit('pool_size', 5), shared)
    occupy(idle, 1)
    idle.finish()
    const wanting = toyPool('wanting', limit('pool_size', 5, { min: 1 }), shared)
    wanting.hasClients = true
    wanting.ask()
    expect([idle.idle.length, wanting.account.held]).toEqual([1, 0])
  })
})

describe('a shared limit', () => {
  test('room under a shared limit goes to the pool whose client has waited longest, not to the pool that asked first', () => {
    const shared = limit('max_db_connections', 1)
    const [holder, second, first] = [
      toyPool('holder', limit('pool_size', 5), shared),
      toyPool('second', limit('pool_size', 5), shared),
      toyPool('first', limit('pool_size', 5), shared),
    ]
    occupy(holder, 1)
    second.come()
    first.come()
    // A client of `first` is put back in the queue, because it lost the server that it was promised.
    first.waiting.unshift(time.nowMs - 100)
    first.ask()
    holder.finish()
    holder.go()
    expect([first.opening, second.opening]).toEqual([1, 0])
  })

  test('the server idle longest is closed to make room for a waiting client', () => {
    const shared = limit('max_db_connections', 2)
    const [old, young] = [
      toyPool('old', limit('pool_size', 5), shared),
      toyPool('young', limit('pool_size', 5), shared),
    ]
    // Opened in the other order.
    for (const pool of [young, old]) occupy(pool, 1)
    for (const pool of [old, young]) {
      pool.finish()
      time.nowMs += 10
    }
    const asking = toyPool('asking', limit('pool_size', 5), shared)
    asking.come()
    expect([old.leaving, young.leaving, asking.opening]).toEqual([1, 0, 0])
    old.go()
    expect(asking.opening).toBe(1)
  })

  test('only as many servers are closed as are asked for, however often a pool asks', () => {
    const shared = limit('max_db_connections', 3)
    const holder = toyPool('holder', limit('pool_size', 5), shared)
    occupy(holder, 3)
    for (let left = 3; left > 0; left--) holder.finish()
    const asking = toyPool('asking', limit('pool_size', 5), shared)
    asking.come()
    for (let asks = 0; asks < 5; asks++) asking.ask()
    expect([holder.leaving, holder.idle.length]).toEqual([1, 2])
    asking.come()
    expect([holder.leaving, holder.idle.length]).toEqual([2, 1])
  })

  test('a pool gives up a free server only to a pool whose client has waited longer by UNFAIRNESS_MS', () => {
    const shared = limit('max_db_connections', 1)
    const [busy, starving] = [
      toyPool('busy', limit('pool_size', 5), shared),
      toyPool('starving', limit('pool_size', 5), shared),
    ]
    occupy(busy, 1)
    starving.come()
    time.nowMs += UNFAIRNESS_MS - 1
    busy.come()
    busy.finish()
    expect([busy.busy, busy.leaving]).toEqual([1, 0])
    time.nowMs += 1
    busy.come()
    busy.finish()
    expect([busy.busy, busy.leaving]).toEqual([0, 1])
    busy.go()
    expect([starving.opening, busy.opening]).toEqual([1, 0])
  })

  test('for one waiting client only one server is given up', () => {
    const shared = limit('max_db_connections', 2)
    const [busy, starving] = [
      toyPool('busy', limit('pool_size', 5), shared),
      toyPool('starving', limit('pool_size', 5), shared),
    ]
    occupy(busy, 2)
    starving.come()
    time.nowMs += UNFAIRNESS_MS
    busy.finish()
    busy.finish()
    expect([busy.leaving, busy.idle.length]).toEqual([1, 1])
  })
})

describe('two limits in the way at the same time', () => {
  test('no idle server is closed under one limit while no room can be made under the other', () => {
    const [ofDatabase, ofUser] = [limit('max_db_connections', 1), limit('max_user_connections', 1)]
    const idle = toyPool('idle', limit('pool_size', 5), ofDatabase)
    const busy = toyPool('busy', limit('pool_size', 5), ofUser)
    occupy(idle, 1)
    idle.finish()
    occupy(busy, 1)
    const asking = toyPool('asking', limit('pool_size', 5), ofDatabase, ofUser)
    asking.come()
    expect([idle.idle.length, idle.leaving]).toEqual([1, 0])
    busy.finish()
    expect([idle.leaving, busy.leaving]).toEqual([1, 1])
    idle.go()
    expect(asking.opening).toBe(0)
    busy.go()
    expect(asking.opening).toBe(1)
  })

  test('one idle server that makes room under both limits is closed rather than two', () => {
    const [ofDatabase, ofUser] = [limit('max_db_connections', 2), limit('max_user_connections', 2)]
    const pools = [
      toyPool('database only', limit('pool_size', 5), ofDatabase),
      toyPool('user only', limit('pool_size', 5), ofUser),
      toyPool('both', limit('pool_size', 5), ofDatabase, ofUser),
    ]
    for (const pool of pools) {
      occupy(pool, 1)
      pool.finish()
      time.nowMs += 1
    }
    const asking = toyPool('asking', limit('pool_size', 5), ofDatabase, ofUser)
    asking.come()
    expect(pools.map(({ leaving }) => leaving)).toEqual([0, 0, 1])
  })

  describe('and no server is idle', () => {
    let ofOneDatabase: ToyPool
    let ofOneUser: ToyPool
    let asking: ToyPool

    beforeEach(() => {
      const [ofDatabase, ofUser] = [limit('max_db_connections', 1), limit('max_user_connections', 1)]
      ofOneDatabase = toyPool('database', limit('pool_size', 5), ofDatabase)
      ofOneUser = toyPool('user', limit('pool_size', 5), ofUser)
      asking = toyPool('asking', limit('pool_size', 5), ofDatabase, ofUser)
      occupy(ofOneDatabase, 1)
      occupy(ofOneUser, 1)
      asking.come()
    })

    test('a free server is kept, because giving it up would help no client', () => {
      time.nowMs += UNFAIRNESS_MS - 1
      ofOneDatabase.finish()
      expect([ofOneDatabase.idle.length, ofOneDatabase.leaving]).toEqual([1, 0])
      ofOneUser.finish()
      expect([ofOneDatabase.leaving, ofOneUser.leaving]).toEqual([1, 1])
    })

    test('for a client that has waited long, room under one limit is kept until there is room under the other', () => {
      time.nowMs += UNFAIRNESS_MS
      ofOneDatabase.finish()
      ofOneDatabase.go()
      ofOneDatabase.come()
      expect([ofOneDatabase.opening, asking.opening]).toEqual([0, 0])
      ofOneUser.come()
      ofOneUser.finish()
      ofOneUser.go()
      expect([asking.opening, ofOneUser.opening]).toEqual([1, 0])
    })

    test('room is kept only for CLAIM_MS, and only once', () => {
      time.nowMs += UNFAIRNESS_MS
      ofOneDatabase.finish()
      ofOneDatabase.go()
      ofOneDatabase.come()
      time.nowMs += CLAIM_MS
      asking.ask()
      expect(ofOneDatabase.opening).toBe(1)
      ofOneDatabase.open()
      ofOneDatabase.finish()
      expect(ofOneDatabase.idle.length).toBe(1)
    })

    test('room kept for a client that has left goes to others', () => {
      time.nowMs += UNFAIRNESS_MS
      ofOneDatabase.finish()
      ofOneDatabase.go()
      ofOneDatabase.come()
      asking.withdraw()
      asking.ask()
      expect(ofOneDatabase.opening).toBe(1)
    })
  })
})

describe('a permit that comes back', () => {
  test('a permit goes to the client that has waited longest under any limit that now has room', () => {
    const [ofDatabase, ofUser] = [limit('max_db_connections', 1), limit('max_user_connections', 1)]
    const holder = toyPool('holder', limit('pool_size', 5), ofDatabase, ofUser)
    occupy(holder, 1)
    const waiting = [
      toyPool('both', limit('pool_size', 5), ofDatabase, ofUser),
      toyPool('of the user', limit('pool_size', 5), ofUser),
      toyPool('of the database', limit('pool_size', 5), ofDatabase),
    ]
    for (const pool of waiting) {
      time.nowMs += 1
      pool.come()
    }
    holder.lose()
    holder.go()
    expect(waiting.map(({ opening }) => opening)).toEqual([1, 0, 0])
  })

  test('a permit is kept for the client it was recalled for until the second permit that the client needs is back', () => {
    const [ofDatabase, ofUser] = [limit('max_db_connections', 1), limit('max_user_connections', 1)]
    const [inDatabase, asUser] = [
      toyPool('database', limit('pool_size', 5), ofDatabase),
      toyPool('user', limit('pool_size', 5), ofUser),
    ]
    for (const pool of [inDatabase, asUser]) {
      occupy(pool, 1)
      pool.finish()
    }
    const asking = toyPool('asking', limit('pool_size', 5), ofDatabase, ofUser)
    asking.come()
    inDatabase.go()
    inDatabase.come()
    asUser.go()
    expect([inDatabase.opening, asking.opening]).toEqual([0, 1])
  })

  test('if the returned permit is one of the reserve and the waiting client may not have it, the next idle server is closed too', () => {
    const size = limit('pool_size', 1, { reserve: 1, reserveTimeoutMs: 5_000 })
    const [holder, asking] = [toyPool('one process', size), toyPool('another process', size)]
    occupy(holder, 2)
    time.nowMs += 5_000
    holder.ask()
    holder.open()
    asking.come()
    holder.finish()
    holder.finish()
    expect([holder.leaving, holder.idle.length]).toEqual([1, 1])
    holder.go()
    expect([holder.leaving, holder.idle.length]).toEqual([1, 0])
    holder.go()
    expect(asking.opening).toBe(1)
  })
})

describe('a limit that changes', () => {
  test('a higher limit serves waiting clients', () => {
    const shared = limit('max_db_connections', 1)
    const pool = toyPool('pool', limit('pool_size', 5), shared)
    occupy(pool, 3)
    shared.resize({ max: 2 })
    accounts.resized(shared, time.nowMs)
    expect(pool.opening).toBe(1)
  })

  test('a lower limit closes idle servers at once and busy servers once they are free', () => {
    const size = limit('pool_size', 4)
    const pool = toyPool('pool', size)
    occupy(pool, 4)
    pool.finish()
    pool.come()
    pool.finish()
    pool.come()
    pool.finish()
    size.resize({ max: 1 })
    accounts.resized(size, time.nowMs)
    expect([pool.leaving, pool.busy, pool.idle.length]).toEqual([1, 3, 0])
    pool.come()
    for (const expected of [2, 3, 3]) {
      pool.finish()
      expect(pool.leaving).toBe(expected)
    }
    while (pool.leaving > 0) pool.go()
    expect([pool.account.held, size.surplus, size.recalled]).toEqual([1, 0, 0])
  })
})

test('the permits of a process that has died go to waiting clients', () => {
  const shared = limit('max_db_connections', 2)
  const [dying, waiting] = [
    toyPool('dying', limit('pool_size', 5), shared),
    toyPool('waiting', limit('pool_size', 5), shared),
  ]
  occupy(dying, 3)
  waiting.come()
  waiting.come()
  dying.die()
  expect([waiting.opening, shared.held]).toEqual([2, 2])
})

test('a permit that was not granted cannot be given back', () => {
  const pool = toyPool('pool', limit('pool_size', 1))
  expect(() => accounts.giveBack(pool.account, time.nowMs)).toThrow('nobody holds')
  takeInvariantFailures()
})
