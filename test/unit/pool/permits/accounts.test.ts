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

/** Clients come, and all servers of the pool are opened and leased. */
function occupy(pool: ToyPool, clients: number): void {
  for (let left = clients; left > 0; left--) pool.come()
  while (pool.opening > 0) pool.open()
}

describe('the size of a pool', () => {
  test('is how many permits it gets, and the next client waits for one that comes back', () => {
    const pool = toyPool('pool', limit('pool_size', 2))
    occupy(pool, 3)
    expect([pool.busy, pool.waiting.length, pool.account.held]).toEqual([2, 1, 2])
    pool.lose()
    expect(pool.opening).toBe(0)
    pool.go()
    expect([pool.opening, pool.account.held]).toEqual([1, 2])
  })

  test('of 0 is no limit', () => {
    const pool = toyPool('pool', limit('pool_size', 0))
    occupy(pool, 500)
    expect(pool.busy).toBe(500)
  })

  test('is shared by all who hold servers of the pool, and the longest waiting client comes first', () => {
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

test('among holders of one pool who comes first is served first, at whatever cost', () => {
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

  test('is for a client that has waited for reserve_pool_timeout', () => {
    const pool = toyPool('pool', limit('pool_size', 1, sizes))
    occupy(pool, 2)
    time.nowMs += 4_999
    pool.ask()
    expect(pool.opening).toBe(0)
    time.nowMs += 1
    pool.ask()
    expect(pool.opening).toBe(1)
  })

  test('is no larger than it is', () => {
    const pool = toyPool('pool', limit('pool_size', 1, sizes))
    occupy(pool, 4)
    time.nowMs += 60_000
    for (let tries = 0; tries < 3; tries++) pool.ask()
    expect(pool.account.held).toBe(2)
  })
})

describe('the minimum', () => {
  test('is filled one by one while there are clients, and not beyond the size', () => {
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

  test('counts all who hold servers of the pool, and tells each how many of its own must stay', () => {
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

  test('takes nobody’s idle server away', () => {
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
  test('gives its room to the pool whose client has waited for longest, whoever has asked first', () => {
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

  test('takes the server that was used longest ago for whoever waits', () => {
    const shared = limit('max_db_connections', 2)
    const [old, young] = [
      toyPool('old', limit('pool_size', 5), shared),
      toyPool('young', limit('pool_size', 5), shared),
    ]
    for (const pool of [old, young]) {
      occupy(pool, 1)
      pool.finish()
      time.nowMs += 10
    }
    const asking = toyPool('asking', limit('pool_size', 5), shared)
    asking.come()
    expect([old.leaving, young.leaving, asking.opening]).toEqual([1, 0, 0])
    old.go()
    expect(asking.opening).toBe(1)
  })

  test('takes no more than is asked for, however often that is said', () => {
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

  test('a server that comes free goes to a pool whose client has waited for clearly longer, and only then', () => {
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

  test('one server on its way is enough for one who waits', () => {
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
  test('nothing is evicted under one while there is no room to be made under the other', () => {
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

  test('one idle server that makes room under both is taken rather than two', () => {
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

  describe('and nothing is idle:', () => {
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

    test('a server that comes free is kept, since it would help nobody', () => {
      time.nowMs += UNFAIRNESS_MS - 1
      ofOneDatabase.finish()
      expect([ofOneDatabase.idle.length, ofOneDatabase.leaving]).toEqual([1, 0])
      ofOneUser.finish()
      expect([ofOneDatabase.leaving, ofOneUser.leaving]).toEqual([1, 1])
    })

    test('for whoever has waited for long the room under one is kept until there is some under the other', () => {
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

    test('room is not kept for ever, nor again and again', () => {
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

    test('room that is kept for somebody who has left is there for others', () => {
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
  test('goes to the longest waiting client of all limits under which there is room now', () => {
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

  test('is kept for whom it was recalled, until another one is back that it needs as well', () => {
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

  test('of the reserve, which a new client may not have, lets the next idle server go instead', () => {
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
  test('to more serves those who wait for it', () => {
    const shared = limit('max_db_connections', 1)
    const pool = toyPool('pool', limit('pool_size', 5), shared)
    occupy(pool, 3)
    shared.resize({ max: 2 })
    accounts.resized(shared, time.nowMs)
    expect(pool.opening).toBe(1)
  })

  test('to less closes idle servers at once, and busy ones as they come free', () => {
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

test('what a holder held that is gone serves those who wait', () => {
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

test('a permit cannot be given back that was not granted', () => {
  const pool = toyPool('pool', limit('pool_size', 1))
  expect(() => accounts.giveBack(pool.account, time.nowMs)).toThrow('nobody holds')
  takeInvariantFailures()
})
