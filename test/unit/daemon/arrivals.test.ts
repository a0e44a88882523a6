import { describe, expect, test } from 'vitest'
import type { Session } from '../../../src/client/session.ts'
import { arrivals } from '../../../src/daemon/arrivals.ts'
import type { Channel } from '../../../src/net/channel.ts'

interface Scene {
  readonly loggingIn: number
  readonly maxClients: number
  /** One of them has kept its login waiting for long. */
  readonly hasSlow?: boolean
}

/** A process with this many clients logging in; `next` returns what happens to the next connection. */
function start({ loggingIn, maxClients, hasSlow = false }: Scene) {
  const clock = { nowMs: 0 }
  const figures = { connections: 0, connectionsRefused: 0 }
  const done: string[] = []
  const slow = {
    giveUp() {
      done.push('one given up')
      sessions.count--
    },
  }
  const sessions = { count: loggingIn, loggingIn, slowest: () => (hasSlow ? (slow as unknown as Session) : null) }
  const arrive = arrivals({
    ...{ clock, sessions, figures },
    log: { warning: (sentence) => done.push(sentence) },
    maxClients: () => maxClients,
    begin: () => {
      sessions.count++
      done.push('begun')
    },
    onLoad: (connections) => done.push(`load ${connections - loggingIn}`),
  })
  const next = () => {
    done.length = 0
    arrive({ destroy: () => done.push('destroyed') } as unknown as Channel)
    return [...done]
  }
  return { next, clock, figures }
}

const TOLD = '2000 connections have not logged in, so each new connection causes one to be closed'

describe('a connection', () => {
  test('becomes a session and counts toward the reported load', () => {
    const { next, figures } = start({ loggingIn: 0, maxClients: 100 })
    expect(next()).toEqual(['begun', 'load 1'])
    expect(figures).toEqual({ connections: 1, connectionsRefused: 0 })
  })

  test('is closed if too many others have not logged in yet, and the load is reported anyway', () => {
    const { next, figures } = start({ loggingIn: 2_000, maxClients: 100 })
    expect(next()).toEqual([TOLD, 'destroyed', 'load 0'])
    expect(figures).toEqual({ connections: 1, connectionsRefused: 1 })
  })

  test('takes the place of one that has kept its login waiting for long', () => {
    const { next, figures } = start({ loggingIn: 2_000, maxClients: 100, hasSlow: true })
    expect(next()).toEqual([TOLD, 'one given up', 'begun', 'load 0'])
    expect(figures).toEqual({ connections: 1, connectionsRefused: 1 })
  })

  test('that is refused is logged at most once a minute', () => {
    const { next, clock } = start({ loggingIn: 2_000, maxClients: 100 })
    expect(next()).toContain(TOLD)
    clock.nowMs += 59_999
    expect(next()).toEqual(['destroyed', 'load 0'])
    clock.nowMs += 1
    expect(next()).toContain(TOLD)
  })

  test.each([
    { maxClients: 100, mayLogIn: 2_000 },
    { maxClients: 1_000, mayLogIn: 2_000 },
    { maxClients: 5_000, mayLogIn: 10_000 },
  ])('is accepted while fewer than $mayLogIn log in with max_client_conn = $maxClients', ({ maxClients, mayLogIn }) => {
    expect(start({ loggingIn: mayLogIn - 1, maxClients }).next()).toContain('begun')
    expect(start({ loggingIn: mayLogIn, maxClients }).next()).toContain('destroyed')
  })
})
