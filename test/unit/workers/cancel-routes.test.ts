import { describe, expect, test } from 'vitest'
import { CancelKeys } from '../../../src/client/cancel-keys.ts'
import { type KeyOwner, stampCancelKey, timeToLiveIn, withTimeToLive } from '../../../src/wire/cancel-key.ts'
import { CancelRoutes, routeOf } from '../../../src/workers/cancel-routes.ts'

const RANDOM = Buffer.from('1122334455667788', 'hex')

function keyOf(owner: KeyOwner) {
  return stampCancelKey(Buffer.from(RANDOM), owner)
}

/** 2 is another pooler. */
const isPeer = (id: number) => id === 2

/** Returns the route in short form: `worker 2`. */
function shownRoute(key: { readonly pid: number; readonly secret: Buffer }, own: KeyOwner): string {
  const route = routeOf(key.pid, key.secret, own, isPeer)
  if (route.to === 'peer') return `peer ${route.peerId}, ${timeToLiveIn(route.secret)} left`
  return route.to === 'worker' ? `worker ${route.worker}` : route.to
}

describe('a key that nobody here has', () => {
  for (const [what, of, own, route] of [
    ['is nobody’s where there is one process', { peerId: 0, worker: 0 }, { peerId: 0, worker: 0 }, 'nobody'],
    ['is nobody’s if it names this worker', { peerId: 0, worker: 2 }, { peerId: 0, worker: 2 }, 'nobody'],
    ['goes to the worker that it names', { peerId: 0, worker: 1 }, { peerId: 0, worker: 2 }, 'worker 1'],
    ['is nobody’s if it names no worker of a fleet', { peerId: 4, worker: 0 }, { peerId: 4, worker: 2 }, 'nobody'],
    [
      'is nobody’s if it names a worker, and there are none',
      { peerId: 4, worker: 3 },
      { peerId: 4, worker: 0 },
      'nobody',
    ],
    ['goes to the peer that it names', { peerId: 2, worker: 0 }, { peerId: 1, worker: 0 }, 'peer 2, 2 left'],
    ['goes to the peer before the worker', { peerId: 2, worker: 3 }, { peerId: 1, worker: 2 }, 'peer 2, 2 left'],
    ['goes to the worker of this peer', { peerId: 1, worker: 3 }, { peerId: 1, worker: 2 }, 'worker 3'],
    ['goes to the worker where its peer is not known', { peerId: 9, worker: 3 }, { peerId: 1, worker: 2 }, 'worker 3'],
    ['goes to no peer where peering is off', { peerId: 2, worker: 0 }, { peerId: 0, worker: 0 }, 'nobody'],
  ] as const)
    test(what, () => expect(shownRoute(keyOf(of), own)).toBe(route))

  test('is passed on as often as its time to live allows', () => {
    const { pid, secret } = keyOf({ peerId: 2, worker: 0 })
    const own = { peerId: 1, worker: 0 }
    expect([3, 2, 1, 0].map((left) => shownRoute({ pid, secret: withTimeToLive(secret, left) }, own))).toEqual([
      'peer 2, 2 left',
      'peer 2, 1 left',
      'peer 2, 0 left',
      'nobody',
    ])
  })

  test('and is as long as those of protocol 3.2 is nobody’s', () => {
    const { pid, secret } = keyOf({ peerId: 2, worker: 0 })
    expect(shownRoute({ pid, secret: Buffer.concat([secret, secret]) }, { peerId: 1, worker: 0 })).toBe('nobody')
  })
})

describe('a request', () => {
  function start(owner: KeyOwner) {
    const told: string[] = []
    const over = () => told.push('over')
    const keys = new CancelKeys<{ cancel(over: () => void): void }>(() => owner)
    const routes = new CancelRoutes({
      keys,
      owner: () => owner,
      isPeer,
      forwardToWorker: (worker, _pid, _secret, end) => {
        told.push(`to worker ${worker}`)
        end()
      },
      forwardToPeer: (peerId, _pid, secret, end) => {
        told.push(`to peer ${peerId}, ${timeToLiveIn(secret)} left`)
        end()
      },
    })
    const holder = {
      cancel(end: () => void) {
        told.push('to the client')
        end()
      },
    }
    return { told, over, routes, key: keys.create(holder) }
  }

  test('for a client that is here goes to it, wherever it came from', () => {
    const { routes, key, told, over } = start({ peerId: 1, worker: 2 })
    routes.cancel(key.pid, withTimeToLive(key.secret, 0), over)
    routes.cancelHere(key.pid, key.secret, over)
    expect(told).toEqual(['to the client', 'over', 'to the client', 'over'])
  })

  test('for elsewhere is taken there', () => {
    const { routes, told, over } = start({ peerId: 1, worker: 2 })
    for (const owner of [
      { peerId: 1, worker: 3 },
      { peerId: 2, worker: 2 },
    ]) {
      const { pid, secret } = keyOf(owner)
      routes.cancel(pid, secret, over)
    }
    expect(told).toEqual(['to worker 3', 'over', 'to peer 2, 2 left', 'over'])
  })

  test('that another worker has passed on goes no further', () => {
    const { routes, told, over } = start({ peerId: 1, worker: 2 })
    for (const owner of [
      { peerId: 1, worker: 3 },
      { peerId: 2, worker: 2 },
    ]) {
      const { pid, secret } = keyOf(owner)
      routes.cancelHere(pid, secret, over)
    }
    expect(told).toEqual(['over', 'over'])
  })

  test('for nobody is over at once', () => {
    const { routes, key, told, over } = start({ peerId: 1, worker: 2 })
    const wrong = Buffer.from(key.secret)
    wrong.writeUInt8(wrong.readUInt8(0) ^ 1, 0)
    routes.cancel(key.pid, wrong, over)
    expect(told).toEqual(['over'])
  })
})
