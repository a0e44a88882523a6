import { expect, test } from 'vitest'
import { KeyDerivation } from '../../../src/auth/key-derivation.ts'
import { md5Hash } from '../../../src/auth/md5.ts'
import { verifyPlain } from '../../../src/auth/plain.ts'
import { generateScramSecret } from '../../../src/auth/scram-keys.ts'
import { Md5Secret, mockSecret, PlainSecret, parseSecret, saltFor } from '../../../src/auth/secrets.ts'
import { FEW_ITERATIONS, recordedSecrets, recordedUser, SALT_KEY } from './support.ts'

test('a cleartext password is checked against every kind of secret', async () => {
  const secrets = [
    new PlainSecret('secret'),
    new Md5Secret(md5Hash('secret', 'ada')),
    parseSecret(await generateScramSecret('secret', FEW_ITERATIONS)),
  ]
  for (const secret of secrets) {
    expect(await verifyPlain(secret, 'ada', 'secret')).toBe(true)
    expect(await verifyPlain(secret, 'ada', Buffer.from('secret'))).toBe(true)
    for (const wrong of ['', 'Secret', 'secret ', 'secre', `md5${md5Hash('secret', 'ada')}`]) {
      expect(await verifyPlain(secret, 'ada', wrong)).toBe(false)
    }
  }
})

test('every password that Postgres accepted matches what Postgres stored for it', async () => {
  for (const { password, scram, md5 } of recordedSecrets) {
    for (const text of [password, scram, md5]) {
      expect(await verifyPlain(parseSecret(text), recordedUser, password)).toBe(true)
      expect(await verifyPlain(parseSecret(text), recordedUser, `${password}x`)).toBe(false)
    }
  }
})

test('an md5 hash is valid only for its own user', async () => {
  expect(await verifyPlain(new Md5Secret(md5Hash('secret', 'ada')), 'bob', 'secret')).toBe(false)
})

test('an empty password allows no login, and no password is right for an unknown user', async () => {
  expect(await verifyPlain(new PlainSecret(''), 'ada', '')).toBe(false)
  for (const guess of ['', 'secret']) {
    expect(await verifyPlain(mockSecret(saltFor('ghost', '', SALT_KEY), FEW_ITERATIONS), 'ghost', guess)).toBe(false)
  }
})

test('bytes that are not UTF-8 are compared as bytes', async () => {
  const latin1 = Buffer.from('e4', 'hex')
  expect(await verifyPlain(new PlainSecret('\ufffd'), 'ada', latin1)).toBe(false)
  expect(await verifyPlain(new PlainSecret('ä'), 'ada', latin1)).toBe(false)
  expect(await verifyPlain(new PlainSecret('ä'), 'ada', Buffer.from('ä'))).toBe(true)
})

test('wrong guesses are not cached', async () => {
  const derivation = new KeyDerivation()
  const secret = parseSecret(await generateScramSecret('secret', FEW_ITERATIONS))
  for (const guess of ['a', 'b', 'c']) await verifyPlain(secret, 'ada', guess, null, derivation)
  expect(derivation.cachedCount).toBe(0)
  await verifyPlain(secret, 'ada', 'secret', null, derivation)
  expect(derivation.cachedCount).toBe(1)
})
