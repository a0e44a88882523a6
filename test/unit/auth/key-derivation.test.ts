import { pbkdf2Sync } from 'node:crypto'
import { expect, test, vi } from 'vitest'
import { KeyDerivation, MAX_QUEUED_DERIVATIONS, MAX_RUNNING_DERIVATIONS } from '../../../src/auth/key-derivation.ts'
import { problem } from './support.ts'

const SALT = Buffer.from('salt of a test')

const work = vi.hoisted(() => ({ started: 0, running: 0, peak: 0, passwords: [] as string[], reset: () => {} }))

vi.mock('node:crypto', async (importOriginal) => {
  const crypto = await importOriginal<typeof import('node:crypto')>()
  const pbkdf2: typeof crypto.pbkdf2 = (password, salt, iterations, length, digest, done) => {
    work.started++
    work.passwords.push(password.toString())
    work.peak = Math.max(work.peak, ++work.running)
    crypto.pbkdf2(password, salt, iterations, length, digest, (error, key) => {
      work.running--
      done(error, key)
    })
  }
  return { ...crypto, pbkdf2 }
})

work.reset = () => Object.assign(work, { started: 0, peak: 0, passwords: [] })

test('the result is PBKDF2 of the prepared password', async () => {
  const expected = pbkdf2Sync('IX', SALT, 10, 32, 'sha256')
  expect(await new KeyDerivation().saltedPassword('I\u00adX', SALT, 10)).toEqual(expected)
})

test('the same derivation runs once, whether it is requested again at the same time or later', async () => {
  work.reset()
  const derivation = new KeyDerivation()
  const ask = () => derivation.saltedPassword('secret', SALT, 10)
  const results = await Promise.all([ask(), ask(), derivation.saltedPassword(Buffer.from('secret'), SALT, 10)])
  results.push(await ask())
  expect(new Set(results).size).toBe(1)
  expect(work.started).toBe(1)
})

test('another password, salt or iteration count is another derivation', async () => {
  work.reset()
  const derivation = new KeyDerivation()
  const results = await Promise.all([
    derivation.saltedPassword('secret', SALT, 10),
    derivation.saltedPassword('Secret', SALT, 10),
    derivation.saltedPassword('secret', SALT.subarray(1), 10),
    derivation.saltedPassword(`secret${SALT.toString()[0]}`, SALT.subarray(1), 10),
    derivation.saltedPassword('secret', SALT, 11),
  ])
  expect(new Set(results.map((result) => result.toString('hex'))).size).toBe(5)
  expect(work.started).toBe(5)
})

test('the cache evicts the least recently used result', async () => {
  const derivation = new KeyDerivation(2)
  const ask = (password: string) => derivation.saltedPassword(password, SALT, 1)
  await ask('a')
  await ask('b')
  await ask('a')
  await ask('c')
  expect(derivation.cachedCount).toBe(2)
  work.reset()
  await ask('a')
  await ask('c')
  expect(work.started).toBe(0)
  await ask('b')
  expect(work.started).toBe(1)
})

test('a result that is not worth keeping evicts nothing', async () => {
  const derivation = new KeyDerivation(1)
  await derivation.saltedPassword('in use', SALT, 1)
  for (const guess of ['a', 'b', 'c']) await derivation.ownSaltedPassword(guess, SALT, 1, () => false)
  work.reset()
  await derivation.saltedPassword('in use', SALT, 1)
  expect(work.started).toBe(0)
})

test('ownSaltedPassword derives again for each request until the result is cached', async () => {
  work.reset()
  const derivation = new KeyDerivation()
  expect(derivation.cachedSaltedPassword('secret', SALT, 10)).toBe(null)
  const ask = () => derivation.ownSaltedPassword('secret', SALT, 10)
  const [one, other] = await Promise.all([ask(), ask()])
  expect(one).toEqual(other)
  expect(work.started).toBe(2)
  expect(derivation.cachedSaltedPassword(Buffer.from('secret'), SALT, 10)).toEqual(one)
  await derivation.saltedPassword('secret', SALT, 10)
  expect(work.started).toBe(2)
})

test('idleWork derives a key and caches nothing', async () => {
  work.reset()
  const derivation = new KeyDerivation()
  await Promise.all([derivation.idleWork(10), derivation.idleWork(10)])
  expect(work.started).toBe(2)
  expect(derivation.cachedCount).toBe(0)
})

test('logins to servers do not wait behind the verification of clients', async () => {
  work.reset()
  const derivation = new KeyDerivation()
  const verified = Array.from({ length: 20 }, () => derivation.idleWork(100))
  await Promise.all([derivation.saltedPassword('ours', SALT, 100), ...verified])
  // Those that were running already go on.
  expect(work.passwords.indexOf('ours')).toBe(MAX_RUNNING_DERIVATIONS)
})

test('at most MAX_RUNNING_DERIVATIONS run at once, so that threads stay free for DNS and files', async () => {
  work.reset()
  const derivation = new KeyDerivation()
  await Promise.all(Array.from({ length: 50 }, (_, i) => derivation.saltedPassword(`p${i}`, SALT, 100)))
  expect(work.started).toBe(50)
  expect(work.peak).toBe(MAX_RUNNING_DERIVATIONS)
})

test('a derivation beyond the queue limit is refused at once, and the queue still drains', async () => {
  const derivation = new KeyDerivation()
  const count = MAX_RUNNING_DERIVATIONS + MAX_QUEUED_DERIVATIONS + 1
  const asked = Array.from({ length: count }, (_, i) => derivation.saltedPassword(`q${i}`, SALT, 1))
  const results = await Promise.allSettled(asked)
  const refused = results.filter((result) => result.status === 'rejected')
  expect(refused.map((result) => result.reason)).toEqual([problem('login-timeout', 'client_login_timeout')])
  expect(await derivation.saltedPassword(`q${count - 1}`, SALT, 1)).toHaveLength(32)
})
