import { userInfo } from 'node:os'
import { expect, test } from 'vitest'
import { becomeUser, futureOwner, whyNotAsRoot } from '../../../src/daemon/privileges.ts'

test.each([
  ['root, who is to become nobody but root', { user: '', allow_root: false }, 0, false],
  ['root, who is to become root', { user: 'root', allow_root: false }, 0, false],
  ['root, who is to become another', { user: 'daemon', allow_root: false }, 0, true],
  ['root, where that is allowed', { user: '', allow_root: true }, 0, true],
  ['another', { user: '', allow_root: false }, 1000, true],
  ['somebody, where there are no such numbers', { user: '', allow_root: false }, undefined, true],
])('%s', (_who, wish, uid, may) => {
  const why = whyNotAsRoot(wish, uid)
  if (may) expect(why).toBeNull()
  else expect(why).toMatch(/^pgweir should not run as root: .*setting user.*PGWEIR_ALLOW_ROOT=1/)
})

test('somebody who is not there cannot be become', () => {
  expect(() => becomeUser({ user: 'nobody-of-this-name' })).toThrow(
    'there is no user nobody-of-this-name in /etc/passwd',
  )
})

test('whoever is meant already need not become anybody', () => {
  becomeUser({ user: '' })
  becomeUser({ user: userInfo().username })
  expect(futureOwner({ user: '' })).toBeNull()
})

test('who is not root cannot become another', () => {
  expect(() => becomeUser({ user: 'root' }, 1000)).toThrow('only root can become another user: user = root')
})
