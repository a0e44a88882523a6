import { expect, test } from 'vitest'
import { Hosts } from '../../../src/pool/hosts.ts'
import { Opening, type OpeningPool } from '../../../src/pool/opening.ts'
import type { PoolTarget } from '../../../src/pool/options.ts'
import type { Permits } from '../../../src/pool/permits/holder.ts'
import { Welcome } from '../../../src/pool/welcome.ts'
import { Tracked } from '../../../src/server/profile.ts'

/** A pool without servers, and a log of what happens to its permits. */
function toyPool(birth: readonly (readonly [string, string])[] = []): { pool: OpeningPool; heard: string[] } {
  const heard: string[] = []
  const openPermits = (user: string): Permits => {
    heard.push(`${user} opened`)
    return { ask: () => {}, close: () => heard.push(`${user} closed`) } as unknown as Permits
  }
  const options = { birth: new Map(birth), tracked: new Tracked([]), openPermits, clock: { nowMs: 0 } }
  return { pool: { options } as unknown as OpeningPool, heard }
}

function target(user: string, welcome = new Welcome()): PoolTarget {
  const parameters = new Map([
    ['application_name', 'of the database'],
    ['timezone', 'UTC'],
  ])
  const hosts = new Hosts([{ host: user, port: 5432 }], 'disable')
  return { hosts, welcome, identity: { user, parameters } } as unknown as PoolTarget
}

test('servers are opened with the parameters of the database, except where the client asked for other values', () => {
  const { pool } = toyPool([['application_name', 'of the client']])
  const { identity } = new Opening(pool, target('ada'))
  expect([identity.user, Object.fromEntries(identity.parameters)]).toEqual([
    'ada',
    { application_name: 'of the client', timezone: 'UTC' },
  ])
})

test('a changed target with the same user keeps its permits', () => {
  const { pool, heard } = toyPool()
  const before = new Opening(pool, target('ada'))
  const after = before.changedTo(target('ada'))
  expect([after.share === before.share, heard]).toEqual([true, ['ada opened']])
})

test('a changed target with another user gets its own permits; the old permits are closed when the last server of the old user is gone', () => {
  const { pool, heard } = toyPool()
  const before = new Opening(pool, target('ada'))
  before.share.servers = 1
  const after = before.changedTo(target('bea'))
  expect([after.share === before.share, heard]).toEqual([false, ['ada opened', 'bea opened']])
  before.share.permits.giveBack = () => {}
  before.share.serverGone()
  expect(heard).toEqual(['ada opened', 'bea opened', 'ada closed'])
})

test('a server requested before a change is opened at the old address, later ones at the new address', () => {
  const before = new Opening(toyPool().pool, target('ada'))
  const after = before.changedTo(target('bea'))
  expect([before.nextAddress().host, after.nextAddress().host]).toEqual(['ada', 'bea'])
})

test('after several changes clients are still welcomed with the parameters that a server last reported', () => {
  const shared = new Welcome()
  const first = new Opening(toyPool().pool, target('ada', shared))
  const values = new Map([['server_version', '15.1']])
  shared.learned(values)
  const third = first.changedTo(target('ada')).changedTo(target('ada'))
  expect(third.welcome.values).toBe(values)
})
