import { createRequire } from 'node:module'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createMd5Salt, md5Answer, md5Hash, verifyMd5 } from '../../../src/auth/md5.ts'
import { Md5Secret, PlainSecret, parseSecret } from '../../../src/auth/secrets.ts'
import { recordedSecrets, recordedUser } from './support.ts'

/** node-postgres, as an independent client. */
const oracle: {
  postgresMd5PasswordHash(user: string, password: string, salt: Buffer): Promise<string>
} = createRequire(import.meta.url)('pg/lib/crypto/utils.js')

const SALT = Buffer.from([1, 2, 3, 4])

test('the hash is the one that Postgres stores', () => {
  for (const { password, md5 } of recordedSecrets) expect(`md5${md5Hash(password, recordedUser)}`).toBe(md5)
})

test('the answer is the same as node-postgres’, from a password and from its hash', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.string({ unit: 'grapheme', minLength: 1 }),
      fc.string({ unit: 'grapheme' }),
      fc.uint8Array({ minLength: 4, maxLength: 4 }),
      async (password, user, bytes) => {
        const salt = Buffer.from(bytes)
        const expected = await oracle.postgresMd5PasswordHash(user, password, salt)
        for (const secret of [new PlainSecret(password), new Md5Secret(md5Hash(password, user))]) {
          expect(md5Answer(secret, user, salt)).toBe(expected)
          expect(verifyMd5(secret, user, salt, expected)).toBe(true)
        }
      },
    ),
  )
})

test('an answer for another salt, another user or another password is wrong', () => {
  const right = md5Answer(new PlainSecret('secret'), 'ada', SALT)
  for (const secret of [new PlainSecret('secret'), new Md5Secret(md5Hash('secret', 'ada'))]) {
    expect(verifyMd5(secret, 'ada', SALT, right)).toBe(true)
    expect(verifyMd5(secret, 'ada', Buffer.from([1, 2, 3, 5]), right)).toBe(false)
    expect(verifyMd5(secret, 'ada', SALT, md5Answer(new PlainSecret('Secret'), 'ada', SALT))).toBe(false)
    for (const wrong of ['', 'secret', right.slice(0, -1), `${right}0`, right.toUpperCase(), right.slice(3)]) {
      expect(verifyMd5(secret, 'ada', SALT, wrong)).toBe(false)
    }
  }
  expect(verifyMd5(new PlainSecret('secret'), 'bob', SALT, right)).toBe(false)
})

test('the stored hash is not a valid answer', () => {
  const hash = md5Hash('secret', 'ada')
  expect(verifyMd5(new Md5Secret(hash), 'ada', SALT, `md5${hash}`)).toBe(false)
})

test('an empty password, a SCRAM secret and an unknown user allow no login', () => {
  const empty = md5Answer(new PlainSecret(''), 'ada', SALT)
  const scram = recordedSecrets[0]?.scram ?? ''
  for (const secret of [new PlainSecret(''), parseSecret(scram), null]) {
    expect(verifyMd5(secret, 'ada', SALT, empty)).toBe(false)
  }
})

test('a salt has four random bytes', () => {
  const salts = new Set(Array.from({ length: 20 }, () => createMd5Salt().toString('hex')))
  expect(salts.size).toBe(20)
  expect([...salts][0]).toHaveLength(8)
})
