import { describe, expect, test } from 'vitest'
import { arrivals } from '../../../src/daemon/arrivals.ts'
import type { Channel } from '../../../src/net/channel.ts'

/** A process in which so many are logging in, and what came of the next one. */
function next(loggingIn: number, maxClients: number) {
  const sessions = { count: loggingIn, loggingIn }
  const figures = { connections: 0, connectionsRefused: 0 }
  const done: string[] = []
  const arrive = arrivals({
    ...{ sessions, figures },
    maxClients: () => maxClients,
    begin: () => {
      sessions.count++
      done.push('begun')
    },
    onLoad: (connections) => done.push(`load ${connections - loggingIn}`),
  })
  arrive({ destroy: () => done.push('destroyed') } as unknown as Channel)
  return { done, figures }
}

describe('a connection', () => {
  test('becomes a session, which counts in the load that is told', () => {
    expect(next(0, 100)).toEqual({ done: ['begun', 'load 1'], figures: { connections: 1, connectionsRefused: 0 } })
  })

  test('is closed when too many others have not said who they are, and the load is told all the same', () => {
    expect(next(2_000, 100)).toEqual({
      done: ['destroyed', 'load 0'],
      figures: { connections: 1, connectionsRefused: 1 },
    })
  })

  test.each([
    { maxClients: 100, mayLogIn: 2_000 },
    { maxClients: 1_000, mayLogIn: 2_000 },
    { maxClients: 5_000, mayLogIn: 10_000 },
  ])('of $mayLogIn that log in with max_client_conn = $maxClients is the last', ({ maxClients, mayLogIn }) => {
    expect(next(mayLogIn - 1, maxClients).done).toContain('begun')
    expect(next(mayLogIn, maxClients).done).toContain('destroyed')
  })
})
