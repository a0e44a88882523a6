import { describe, expect, test } from 'vitest'
import { CancelKeys } from '../../../src/client/cancel-keys.ts'
import { type KeyOwner, stampCancelKey, timeToLiveIn, withTimeToLive } from '../../../src/wire/cancel-key.ts'
import { CancelRoutes, routeOf } from '../../../src/workers/cancel-routes.ts'

const RANDOM = Buffer.from('1122334455667788', 'hex')

function keyOf(owner: KeyOwner) {
  return stampCancelKey(Buffer.from(RANDOM), owner)
}

/** 2 is another pgweir. */
const isPeer = (id: number) => id === 2

/** Returns the route in short form, such as `worker 2`. */
function shownRoute(key: { readonly pid: number; readonly secret: Buffer }, own: KeyOwner): string {
  const route = routeOf(key.pid, key.secret, own, isPeer)
  if (route.to === 'peer') return `peer ${route.peerId}, ${timeToLiveIn(route.secret)} left`
  return route.to === 'worker' ? `worker ${route.worker}` : route.to
}

describe('a key that this process does not know', () => {
  for (const [what, of, own, route] of [
    ['reaches nobody if there is only one process', { peerId: 0, worker: 0 }, { peerId: 0, worker: 0 }, 'nobody'],
    ['reaches nobody if it names this worker', { peerId: 0, worker: 2 }, { peerId: 0, worker: 2 }, 'nobody'],
    ['goes to the worker that it names', { peerId: 0, worker: 1 }, { peerId: 0, worker: 2 }, 'worker 1'],
    ['reaches nobody if it names none of the workers', { peerId: 4, worker: 0 }, { peerId: 4, worker: 2 }, 'nobody'],
    [
      'reaches nobody if it names a worker and there are none',
      { peerId: 4, worker: 3 },
      { peerId: 4, worker: 0 },
      'nobody',
    ],
    ['goes to the peer that it names', { peerId: 2, worker: 0 }, { peerId: 1, worker: 0 }, 'peer 2, 2 left'],
    [
      'goes to the peer if it names a peer and a worker',
      { peerId: 2, worker: 3 },
      { peerId: 1, worker: 2 },
      'peer 2, 2 left',
    ],
    ['goes to the worker if its peer is this pgweir', { peerId: 1, worker: 3 }, { peerId: 1, worker: 2 }, 'worker 3'],
    ['goes to the worker if its peer is unknown', { peerId: 9, worker: 3 }, { peerId: 1, worker: 2 }, 'worker 3'],
    ['reaches no peer if peering is off', { peerId: 2, worker: 0 }, { peerId: 0, worker: 0 }, 'nobody'],
  ] as const)
    test(what, () => expect(shownRoute(keyOf(of), own)).toBe(route))

  test('is passed on to a peer until its time to live has run out', () => {
    const { pid, secret } = keyOf({ peerId: 2, worker: 0 })
    const own = { peerId: 1, worker: 0 }
    expect([3, 2, 1, 0].map((left) => shownRoute({ pid, secret: withTimeToLive(secret, left) }, own))).toEqual([
      'peer 2, 2 left',
      'peer 2, 1 left',
      'peer 2, 0 left',
      'nobody',
    ])
  })

  test('reaches nobody if it has the length of a protocol 3.2 key', () => {
    const { pid, secret } = keyOf({ peerId: 2, worker: 0 })
    expect(shownRoute({ pid, secret: Buffer.concat([secret, secret]) }, { peerId: 1, worker: 0 })).toBe('nobody')
  })
})

describe('a cancel request', () => {
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

  test('for a client of this process reaches that client, wherever the request came from', () => {
    const { routes, key, told, over } = start({ peerId: 1, worker: 2 })
    routes.cancel(key.pid, withTimeToLive(key.secret, 0), over)
    routes.cancelHere(key.pid, key.secret, over)
    expect(told).toEqual(['to the client', 'over', 'to the client', 'over'])
  })

  test('for another worker or peer is passed on to it', () => {
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

  test('that another worker has passed on is not passed on again', () => {
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

  test('with a wrong secret is over at once', () => {
    const { routes, key, told, over } = start({ peerId: 1, worker: 2 })
    const wrong = Buffer.from(key.secret)
    wrong.writeUInt8(wrong.readUInt8(0) ^ 1, 0)
    routes.cancel(key.pid, wrong, over)
    expect(told).toEqual(['over'])
  })
})
