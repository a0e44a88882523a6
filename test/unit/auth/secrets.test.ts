import { inspect } from 'node:util'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { KeyDerivation } from '../../../src/auth/key-derivation.ts'
import { ScramClient } from '../../../src/auth/scram-client.ts'
import { deriveScramKeys, generateScramSecret } from '../../../src/auth/scram-keys.ts'
import { ScramServer } from '../../../src/auth/scram-server.ts'
import {
  isSameSecret,
  looksLikeBrokenSecret,
  MAX_PASSWORD_BYTES,
  MAX_SCRAM_ITERATIONS,
  MAX_SCRAM_SALT_BYTES,
  mockSecret,
  mockShape,
  PlainSecret,
  parseSecret,
  type SecretShape,
  saltFor,
  secretText,
} from '../../../src/auth/secrets.ts'
import { FEW_ITERATIONS, problem, recordedSecrets, SALT_KEY, scram, thrownBy } from './support.ts'

const HASH = '0123456789abcdef0123456789abcdef'
const SALT = Buffer.from('0123456789abcdef').toString('base64')
const KEY = Buffer.alloc(32, 1).toString('base64')

test('the text md5 with 32 lower-case hex digits is an md5 secret', () => {
  expect(parseSecret(`md5${HASH}`)).toMatchObject({ kind: 'md5', hash: HASH })
})

test('a SCRAM secret from Postgres is parsed, and written back unchanged', () => {
  for (const { scram: text } of recordedSecrets) {
    expect(scram(text).iterations).toBe(2)
    expect(scram(text).salt).toHaveLength(16)
    expect(secretText(parseSecret(text))).toBe(text)
  }
})

test('every other text is a plain password, whatever it looks like', () => {
  const texts = [
    '',
    'secret',
    HASH,
    `md5${HASH.slice(1)}`,
    `md5${HASH}0`,
    `md5${HASH.toUpperCase()}`,
    `MD5${HASH}`,
    'SCRAM-SHA-256',
    `SCRAM-SHA-256$0:${SALT}$${KEY}:${KEY}`,
    `SCRAM-SHA-256$-1:${SALT}$${KEY}:${KEY}`,
    `SCRAM-SHA-256$04096:${SALT}$${KEY}:${KEY}`,
    `SCRAM-SHA-256$4096:${SALT}$${KEY}`,
    `SCRAM-SHA-256$4096:${SALT}$${KEY}:${KEY}:`,
    `SCRAM-SHA-256$4096:${SALT}$${KEY}:${KEY.slice(4)}`,
    `SCRAM-SHA-256$4096:${SALT}$${KEY}:${KEY}\n`,
    `SCRAM-SHA-256$4096:${SALT.replace('=', '')}$${KEY}:${KEY}`,
    `SCRAM-SHA-256$4096:$${KEY}:${KEY}`,
    `SCRAM-SHA-1$4096:${SALT}$${KEY}:${KEY}`,
  ]
  for (const text of texts) expect(parseSecret(text)).toMatchObject({ kind: 'plain', password: text })
})

test('a SCRAM secret that would take minutes to check is treated as a plain password', () => {
  const text = (iterations: number, saltBytes: number) =>
    `SCRAM-SHA-256$${iterations}:${Buffer.alloc(saltBytes, 1).toString('base64')}$${KEY}:${KEY}`
  expect(parseSecret(text(MAX_SCRAM_ITERATIONS, MAX_SCRAM_SALT_BYTES)).kind).toBe('scram')
  expect(parseSecret(text(MAX_SCRAM_ITERATIONS + 1, 16)).kind).toBe('plain')
  expect(parseSecret(text(4096, MAX_SCRAM_SALT_BYTES + 1)).kind).toBe('plain')
})

test('a secret longer than the limit in bytes is refused', () => {
  expect(parseSecret('x'.repeat(MAX_PASSWORD_BYTES)).kind).toBe('plain')
  const error = thrownBy(() => parseSecret('ä'.repeat(MAX_PASSWORD_BYTES / 2 + 1)))
  expect(error).toEqual(problem('password-too-long', 'password too long'))
})

test('a hash that was cut off or changed in case is recognized as broken', () => {
  const broken = [
    `md5${HASH.slice(1)}`,
    `MD5${HASH}`,
    `SCRAM-SHA-256$4096:${SALT}`,
    `scram-sha-256$4096:${SALT}$${KEY}:${KEY}`,
  ]
  for (const text of broken) expect(looksLikeBrokenSecret(parseSecret(text))).toBe(true)
  for (const text of ['', 'md5', 'md5sum', `md5${HASH}`, `SCRAM-SHA-256$4096:${SALT}$${KEY}:${KEY}`]) {
    expect(looksLikeBrokenSecret(parseSecret(text))).toBe(false)
  }
})

test('every secret is read back unchanged after writing', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), (password) => {
      expect(isSameSecret(parseSecret(secretText(new PlainSecret(password))), parseSecret(password))).toBe(true)
    }),
  )
})

test('secrets are equal only if kind and content are equal', () => {
  const secrets = [`md5${HASH}`, 'secret', 'other', ...recordedSecrets.map((recorded) => recorded.scram)]
  for (const one of secrets) {
    for (const other of secrets) {
      expect(isSameSecret(parseSecret(one), parseSecret(other))).toBe(one === other)
    }
  }
  expect(isSameSecret(new PlainSecret(`md5${HASH}`), parseSecret(`md5${HASH}`))).toBe(false)
})

test('each kind of secret is as frequent among unknown users as among known ones', () => {
  const md5: SecretShape = { kind: 'md5', iterations: null }
  const short: SecretShape = { kind: 'scram', iterations: 4096 }
  const long: SecretShape = { kind: 'scram', iterations: 10_000 }
  const shapes = [md5, short, short, long, long, long, long, long, long, long]
  const names = Array.from({ length: 1000 }, (_, n) => `user${n}`)
  const found = names.map((name) => mockShape(name, SALT_KEY, shapes))
  for (const [shape, share] of [
    [md5, 100],
    [short, 200],
    [long, 700],
  ] as const)
    expect(Math.abs(found.filter((each) => each === shape).length - share)).toBeLessThan(50)
  expect(names.map((name) => mockShape(name, SALT_KEY, shapes))).toEqual(found)
  expect(mockShape('eve', SALT_KEY, [])).toEqual({ kind: 'plain', iterations: null })
})

test('the salt of a name is stable, and differs from that of any other name, password or key', () => {
  const salts = [
    saltFor('ada', '', SALT_KEY),
    saltFor('bob', '', SALT_KEY),
    saltFor('ada', 'x', SALT_KEY),
    saltFor('adax', '', SALT_KEY),
    saltFor('ada', '', Buffer.alloc(32, 8)),
    // Different characters with the same last byte.
    saltFor('\u0161da', '', SALT_KEY),
  ].map((salt) => salt.toString('hex'))
  expect(new Set(salts).size).toBe(salts.length)
  expect(saltFor('ada', '', SALT_KEY).toString('hex')).toBe(salts[0])
})

test('a mock secret has the form of a SCRAM secret', () => {
  const salt = saltFor('ada', '', SALT_KEY)
  expect(parseSecret(secretText(mockSecret(salt, 4096)))).toMatchObject({ kind: 'scram', iterations: 4096, salt })
})

test('no object that holds a secret reveals it to inspect() or JSON', async () => {
  const text = await generateScramSecret('open sesame', FEW_ITERATIONS)
  const derivation = new KeyDerivation()
  const keys = await deriveScramKeys('open sesame', scram(text).salt, FEW_ITERATIONS, derivation)
  const holders = {
    plain: new PlainSecret('open sesame'),
    md5: parseSecret(`md5${HASH}`),
    scram: parseSecret(text),
    keys,
    derivation,
    server: new ScramServer('ada', parseSecret(text), { iterations: 4096, saltKey: SALT_KEY }),
    client: new ScramClient(keys),
  }
  const shown = [
    inspect(holders, { depth: null, showHidden: true, getters: true }),
    JSON.stringify(holders),
    [...Object.values(holders)].join(),
    JSON.stringify(structuredClone({ ...holders.plain, ...holders.md5, ...holders.scram })),
  ].join('\n')

  const parts = [scram(text).storedKey, scram(text).serverKey, keys.clientKey, keys.salt]
  const spellings = parts.flatMap((part) => [part.toString('base64'), inspect(part), [...part].join(',')])
  for (const leak of ['open sesame', HASH, ...spellings]) expect(shown).not.toContain(leak)
})
