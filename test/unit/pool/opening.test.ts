import { expect, test } from 'vitest'
import { Hosts } from '../../../src/pool/hosts.ts'
import { Opening, type OpeningPool } from '../../../src/pool/opening.ts'
import type { PoolTarget } from '../../../src/pool/options.ts'
import type { Permits } from '../../../src/pool/permits/holder.ts'
import { Welcome } from '../../../src/pool/welcome.ts'
import { Tracked } from '../../../src/server/profile.ts'

/** A pool without servers, and what happens to its permits. */
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

test('servers are opened as the target says, and where clients have asked for something else, as they have', () => {
  const { pool } = toyPool([['application_name', 'of the client']])
  const { identity } = new Opening(pool, target('ada'))
  expect([identity.user, Object.fromEntries(identity.parameters)]).toEqual([
    'ada',
    { application_name: 'of the client', timezone: 'UTC' },
  ])
})

test('where the user stays, so do the permits', () => {
  const { pool, heard } = toyPool()
  const before = new Opening(pool, target('ada'))
  const after = before.changedTo(target('ada'))
  expect([after.share === before.share, heard]).toEqual([true, ['ada opened']])
})

test('another user has permits of its own; those of the former one go with its last server, and not before', () => {
  const { pool, heard } = toyPool()
  const before = new Opening(pool, target('ada'))
  before.share.servers = 1
  const after = before.changedTo(target('bea'))
  expect([after.share === before.share, heard]).toEqual([false, ['ada opened', 'bea opened']])
  before.share.permits.giveBack = () => {}
  before.share.serverGone()
  expect(heard).toEqual(['ada opened', 'bea opened', 'ada closed'])
})

test('a server that was asked for before a change is opened where it was to be, and others at the new place', () => {
  const before = new Opening(toyPool().pool, target('ada'))
  const after = before.changedTo(target('bea'))
  expect([before.nextAddress().host, after.nextAddress().host]).toEqual(['ada', 'bea'])
})

test('after changes clients are welcomed with what was last said, however long ago', () => {
  const shared = new Welcome()
  const first = new Opening(toyPool().pool, target('ada', shared))
  const values = new Map([['server_version', '15.1']])
  shared.learned(values)
  const third = first.changedTo(target('ada')).changedTo(target('ada'))
  expect(third.welcome.values).toBe(values)
})
