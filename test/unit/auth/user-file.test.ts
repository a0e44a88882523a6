import fc from 'fast-check'
import { expect, test } from 'vitest'
import { MAX_PASSWORD_BYTES, secretText } from '../../../src/auth/secrets.ts'
import { MAX_USER_NAME_BYTES, parseUserFile } from '../../../src/auth/user-file.ts'
import { recordedSecrets } from './support.ts'

function read(text: string) {
  const { users, problems } = parseUserFile(text, 'userlist.txt')
  return {
    users: Object.fromEntries([...users].map(([name, secret]) => [name, secretText(secret)])),
    problems: problems.map(({ severity, sentence, file, line }) => `${file}:${line} ${severity}: ${sentence}`),
  }
}

test('each line gives a user and a secret', () => {
  const [recorded] = recordedSecrets
  const { users, problems } = parseUserFile(
    `"ada" "secret"\n"bob" "${recorded?.md5}"\n"eve" "${recorded?.scram}"\n`,
    'userlist.txt',
  )
  expect([...users].map(([name, { kind }]) => [name, kind])).toEqual([
    ['ada', 'plain'],
    ['bob', 'md5'],
    ['eve', 'scram'],
  ])
  expect(problems).toEqual([])
})

test.each([
  ['', {}],
  ['\n\n  \t\n', {}],
  ['; a comment\n  ; another\n"ada" "x"', { ada: 'x' }],
  ['"ada" "x"\r\n"bob" "y"\r\n', { ada: 'x', bob: 'y' }],
  ['\ufeff"ada" "x"', { ada: 'x' }],
  ['  "ada"   "x"  ', { ada: 'x' }],
  ['"ada""x"', {}],
  ['"ada", "x"', { ada: 'x' }],
  ['"ada" "x" "more" and more', { ada: 'x' }],
  ['"ada" "x" ; comment', { ada: 'x' }],
  ['"a""da" "x""y"""', { 'a"da': 'x"y"' }],
  ['"Ada Löve; x" " spaced "', { 'Ada Löve; x': ' spaced ' }],
  ['"ada" "back\\slash"', { ada: 'back\\slash' }],
])('%j gives %j', (text, users) => {
  expect(read(text).users).toEqual(users)
})

test('a malformed line is reported with its number, and the other lines count', () => {
  const result = read(
    '"ada" "x"\nbob "y"\n"eve\n"mallory" y\n"trent" "y\n"" "x"\nx\n"zoe" "ends with a quote""\n"last" "z"\n',
  )
  expect(result.users).toEqual({ ada: 'x', last: 'z' })
  expect(result.problems).toEqual([
    'userlist.txt:2 error: a line must begin with a user name in double quotes',
    'userlist.txt:3 error: the user name has no closing quote',
    'userlist.txt:4 error: a secret in double quotes must follow the user name',
    'userlist.txt:5 error: the secret has no closing quote (write a quote inside it twice)',
    'userlist.txt:6 error: the user name is empty',
    'userlist.txt:7 error: a line must begin with a user name in double quotes',
    'userlist.txt:8 error: the secret has no closing quote (write a quote inside it twice)',
  ])
})

test('if a user is given twice the last line counts, with a warning', () => {
  const result = read('"ada" "old"\n"bob" "x"\n"ada" "new"\n')
  expect(result.users).toEqual({ ada: 'new', bob: 'x' })
  expect(result.problems).toEqual([
    'userlist.txt:3 warning: user "ada" already appears on line 1; this line overrides it',
  ])
})

test('an empty secret, a malformed hash and a line that is not UTF-8 cause warnings', () => {
  const result = read('"ada" ""\n"bob" "md5123456789012345678901234567890"\n"eve" "p\ufffdss"\n')
  expect(Object.keys(result.users)).toEqual(['ada', 'bob', 'eve'])
  expect(result.problems).toEqual([
    'userlist.txt:1 warning: user "ada" has an empty password, so password logins fail',
    'userlist.txt:2 warning: the secret of user "bob" looks like a malformed hash; it is used as a plain password',
    'userlist.txt:3 warning: the line of user "eve" is not valid UTF-8, so the user may be unable to log in',
  ])
})

test('names and secrets are accepted up to their limits in bytes, longer ones are refused', () => {
  const name = `${'ä'.repeat(63)}x`
  const secret = 'x'.repeat(MAX_PASSWORD_BYTES)
  expect(Buffer.byteLength(name)).toBe(MAX_USER_NAME_BYTES)
  expect(read(`"${name}" "${secret}"`)).toEqual({ users: { [name]: secret }, problems: [] })
  expect(read(`"${name}x" "x"\n"ada" "x${secret}"`)).toEqual({
    users: {},
    problems: [
      'userlist.txt:1 error: a user name of 128 bytes is over the limit of 127 bytes',
      'userlist.txt:2 error: password too long: The limit is 65530 bytes.',
    ],
  })
})

test('no error quotes a secret, however the line is malformed', () => {
  for (const { problems } of [
    '"ada" "hunter2',
    '"ada hunter2"',
    'ada "hunter2"',
    '"ada"hunter2"',
    '"ada" hunter2',
    '"ada""hunter2"',
    '"" "hunter2"',
    'hunter2',
    '"ada" "old"\n"ada" "hunter2"',
    '"ada" "md5hunter2"',
    '"ada" "SCRAM-SHA-256$hunter2"',
    `"ada" "hunter2${'x'.repeat(MAX_PASSWORD_BYTES)}"`,
    `"${'x'.repeat(MAX_USER_NAME_BYTES)}hunter2" "x"`,
    '"ada" "hunter2\ufffd"',
  ].map(read)) {
    expect(problems.join()).not.toContain('hunter2')
  }
})

test('any quoted name and secret are read back unchanged', () => {
  const text = fc.string({ unit: 'grapheme', maxLength: 30 }).filter((word) => !/[\n\ufeff\ufffd]/.test(word))
  const name = text.filter((word) => word !== '')
  const quoted = (word: string) => `"${word.replaceAll('"', '""')}"`
  fc.assert(
    fc.property(fc.dictionary(name, text), (users) => {
      const lines = Object.entries(users).map(([user, secret]) => `${quoted(user)} ${quoted(secret)}`)
      expect(Object.entries(read(lines.join('\n')).users)).toEqual(Object.entries(users))
    }),
  )
})

test('the time to read a line full of quotes grows only linearly', () => {
  const started = performance.now()
  read(`"ada" "${'""'.repeat(500_000)}\n${'"'.repeat(1_000_001)}`)
  expect(performance.now() - started).toBeLessThan(2_000)
})
