import { expect, test } from 'vitest'
import { consoleAccess, mayRun } from '../../../src/admin/access.ts'

const general = { auth_type: 'md5', admin_users: ['ada'], stats_users: ['bob', 'ada'] } as const

test('admins may do everything, others what they are named for, and strangers are not let in', () => {
  expect(['ada', 'bob', 'eve', 'Ada', ''].map((user) => consoleAccess(general, user))).toEqual([
    'admin',
    'stats',
    null,
    null,
    null,
  ])
})

test('where nobody proves who he is, everyone is an admin', () => {
  expect(consoleAccess({ ...general, auth_type: 'any' }, 'eve')).toBe('admin')
})

test('who may change may look, but not the other way round', () => {
  expect([mayRun('admin', 'admin'), mayRun('admin', 'stats'), mayRun('stats', 'stats')]).toEqual([true, true, true])
  expect(mayRun('stats', 'admin')).toBe(false)
})
