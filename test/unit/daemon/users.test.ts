import { expect, test } from 'vitest'
import { PlainSecret } from '../../../src/auth/secrets.ts'
import { type UserFileContent, Users, usersFromTexts } from '../../../src/daemon/users.ts'

const KEYS = { clientKey: Buffer.alloc(32), serverKey: Buffer.alloc(32), salt: Buffer.alloc(16), iterations: 4096 }

function secrets(texts: Readonly<Record<string, string>>): UserFileContent {
  return usersFromTexts(new Map(Object.entries(texts)))
}

test('replacing the users reports how many were added, removed and changed', () => {
  const users = new Users(secrets({ ada: 'a', bob: 'b', eve: 'e' }))
  expect(users.replace(secrets({ ada: 'a', bob: 'other', dan: 'd', joe: 'j' }))).toEqual({
    added: 2,
    removed: 1,
    changed: 1,
  })
  expect([...users.names]).toEqual(['ada', 'bob', 'dan', 'joe'])
  expect(users.secret('eve')).toBe(null)
})

test('secrets learned from logins are kept for users whose secret is unchanged, and for no others', () => {
  const hashes = { ada: `md5${'a'.repeat(32)}`, bob: `md5${'b'.repeat(32)}`, eve: `md5${'c'.repeat(32)}` }
  const users = new Users(secrets(hashes))
  for (const user of ['ada', 'bob', 'eve'])
    users.learn(user, { keys: KEYS as never, password: new PlainSecret(`of ${user}`) })
  const before = users.secret('ada')
  users.replace(secrets({ ada: hashes.ada, bob: `md5${'d'.repeat(32)}` }))
  expect(users.secret('ada')).toBe(before)
  expect(users.scramKeys('app', 'ada')).toBe(KEYS)
  expect(users.serverSecret('app', 'ada', null)).toMatchObject({ kind: 'plain' })
  for (const user of ['bob', 'eve']) {
    expect(users.scramKeys('app', user)).toBe(null)
    expect(users.serverSecret('app', user, null)?.kind).not.toBe('plain')
  }
})

test('the kinds of secrets follow the current file', () => {
  const users = new Users(secrets({ ada: 'a', bob: `md5${'b'.repeat(32)}` }))
  expect([...users.kinds].sort()).toEqual(['md5', 'plain'])
  expect(users.shapes.map(({ kind }) => kind)).toEqual(['md5', 'plain'])
  users.replace(secrets({ bob: `md5${'b'.repeat(32)}` }))
  expect([...users.kinds]).toEqual(['md5'])
  expect(users.shapes.map(({ kind }) => kind)).toEqual(['md5'])
})
