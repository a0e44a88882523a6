import { expect, test } from 'vitest'
import { consoleAccess, mayRun } from '../../../src/admin/access.ts'

const general = { auth_type: 'md5', admin_users: ['ada'], stats_users: ['bob', 'ada'] } as const

test('admin_users may do everything, stats_users only look, and other users have no access', () => {
  expect(['ada', 'bob', 'eve', 'Ada', ''].map((user) => consoleAccess(general, user))).toEqual([
    'admin',
    'stats',
    null,
    null,
    null,
  ])
})

test('with auth_type = any everybody is an admin', () => {
  expect(consoleAccess({ ...general, auth_type: 'any' }, 'eve')).toBe('admin')
})

test('admins may run what stats users may run, but not the other way round', () => {
  expect([mayRun('admin', 'admin'), mayRun('admin', 'stats'), mayRun('stats', 'stats')]).toEqual([true, true, true])
  expect(mayRun('stats', 'admin')).toBe(false)
})
