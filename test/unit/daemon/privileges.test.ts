import { userInfo } from 'node:os'
import { expect, test } from 'vitest'
import { becomeUser, futureOwner, whyNotAsRoot } from '../../../src/daemon/privileges.ts'

test.each([
  ['root without a user setting is refused', { user: '', allow_root: false }, 0, false],
  ['root with user = root is refused', { user: 'root', allow_root: false }, 0, false],
  ['root with another user is allowed', { user: 'daemon', allow_root: false }, 0, true],
  ['root with allow_root is allowed', { user: '', allow_root: true }, 0, true],
  ['another user is allowed', { user: '', allow_root: false }, 1000, true],
  ['any user is allowed on a system without user ids', { user: '', allow_root: false }, undefined, true],
])('%s', (_who, wish, uid, may) => {
  const why = whyNotAsRoot(wish, uid)
  if (may) expect(why).toBeNull()
  else expect(why).toMatch(/^pgweir should not run as root: .*set user \(-u\).*PGWEIR_ALLOW_ROOT=1/)
})

test('changing to an unknown user is an error', () => {
  expect(() => becomeUser({ user: 'nobody-of-this-name' })).toThrow(
    'there is no user nobody-of-this-name in /etc/passwd',
  )
})

test('changing to the current user does nothing', () => {
  becomeUser({ user: '' })
  becomeUser({ user: userInfo().username })
  expect(futureOwner({ user: '' })).toBeNull()
})

test('only root can change to another user', () => {
  expect(() => becomeUser({ user: 'root' }, 1000)).toThrow(
    'cannot run as user = root: only root can switch to another user',
  )
})
