// biome-ignore-all lint/suspicious/noTemplateCurlyInString: this is how a variable is referred to

import { expect, test } from 'vitest'
import { check } from '../../../src/cli/commands/check.ts'
import { changesBetween, describeChanges } from '../../../src/settings/changes.ts'
import { describeConfig } from '../../../src/settings/describe.ts'
import { loadSettings } from '../../../src/settings/load.ts'
import { formatProblem } from '../../../src/settings/problem.ts'
import { References } from '../../../src/settings/references.ts'
import { virtualFiles } from './virtual-files.ts'

const ENV = { APP_PASSWORD: "se'cret with = and file:x ${HOST}", HOST: 'db.internal', NOTHING: '', PORT: 'hunter2' }

function load(line: string, files: Readonly<Record<string, string>> = {}) {
  const text = `[pgbouncer]\nauth_type = any\n${line}\n[databases]\nother = host=a\n`
  const loaded = loadSettings({ iniFile: 'main.ini', files: virtualFiles({ 'main.ini': text, ...files }), env: ENV })
  return { ...loaded, told: loaded.problems.map(formatProblem) }
}

function passwordOf(value: string, files: Readonly<Record<string, string>> = {}) {
  const { settings, told } = load(`[databases]\napp = host=h user=u password=${value}`, files)
  return { password: settings.databases.get('app')?.password, told }
}

test.each([
  ['${APP_PASSWORD}', ENV.APP_PASSWORD],
  ["'a ${HOST} b'", 'a db.internal b'],
  ['${HOST}${HOST}', 'db.internaldb.internal'],
  ['$${HOST}', '${HOST}'],
  ['${HOST', '${HOST'],
  ['$HOST{}${}', '$HOST{}${}'],
  ['file:secrets/app', 'from the file'],
  ['file:secrets/${HOST}', 'by host'],
  ['file:secrets/windows', 'from windows'],
  ['file:secrets/lines', 'two\nlines'],
])('the password %s is read as %j', (written, password) => {
  const files = {
    'secrets/app': 'from the file\n',
    'secrets/windows': 'from windows\r\n',
    'secrets/lines': 'two\nlines\n',
    'secrets/db.internal': 'by host',
  }
  expect(passwordOf(written, files)).toEqual({ password, told: [] })
})

test.each([
  ['${GONE}', 'password refers to ${GONE}, which is not set in the environment'],
  ['${NOTHING}', 'password refers to ${NOTHING}, which is empty in the environment'],
  ['file:gone', 'password cannot be read from "gone": there is no such file'],
  ['file:${PORT}', 'password cannot be read from "${PORT}": there is no such file'],
  ['file:empty', 'password cannot be read from "empty": the file is empty'],
  ['file:binary', 'password cannot be read from "binary": the file is not text'],
  ['file:huge', 'password cannot be read from "huge": the file is longer than 65530 bytes'],
])('the password %s is an error with its file and line', (written, sentence) => {
  const files = { empty: '\n', binary: 'a\0b', huge: 'x'.repeat(65_531) }
  expect(passwordOf(written, files).told).toEqual([`main.ini:4: error: database "app": ${sentence}`])
})

test('a system error about a file names the path as it was written, with variables unresolved', () => {
  const files = {
    ...virtualFiles({}),
    read(path: string): string {
      throw new Error(`EIO: i/o error, open '${path}'`)
    },
  }
  expect(new References(ENV, files).resolve('file:d/${PORT}', true)).toEqual({
    problem: `cannot be read from "d/\${PORT}": EIO: i/o error, open 'd/\${PORT}'`,
  })
})

test('only secrets are read from files', () => {
  const { settings } = load('[databases]\napp = host=file:x dbname=file:y', { x: 'no', y: 'no' })
  expect(settings.databases.get('app')).toMatchObject({ host: 'file:x', dbname: 'file:y' })
})

test('settings, users and peers may refer to variables too', () => {
  const { settings, told } = load(
    'logfile = /var/log/${HOST}.log\npeer_id = 1\n[users]\nada = pool_size=${PORT}\n[peers]\n1 = host=${HOST}',
  )
  expect(settings.general.logfile).toBe('/var/log/db.internal.log')
  expect(settings.peers.get('1')?.host).toBe('db.internal')
  // An error shows the value as written, because a variable may hold a secret.
  expect(told).toEqual([
    expect.stringContaining('main.ini:6: error: user "ada": pool_size cannot be "${PORT}": it must be a whole number'),
  ])
  expect(load('listen_port = ${GONE}').told).toEqual([
    'main.ini:3: error: listen_port refers to ${GONE}, which is not set in the environment',
  ])
  expect(load('listen_port = ${PORT}').told).toEqual([
    'main.ini:3: error: listen_port cannot be "${PORT}": it must be a whole number from 0 to 65535',
  ])
})

test('flags with connection strings may refer to variables', () => {
  const { settings } = loadSettings({
    env: ENV,
    files: virtualFiles({ secret: 'from the file' }),
    databases: ['app=host=h user=u password=file:secret'],
    upstream: 'postgres://ada:${APP_PASSWORD}@h/',
  })
  expect(settings.databases.get('app')?.password).toBe('from the file')
  expect(settings.fallback?.password).toBe(ENV.APP_PASSWORD)
})

test('a flag that is not a connection string keeps a reference to a variable as it is', () => {
  const { settings } = loadSettings({ env: ENV, flags: { logfile: '${HOST}' }, databases: ['app=host=a'] })
  expect(settings.general.logfile).toBe('${HOST}')
})

test('a secret appears in no error, no reload line and not in SHOW CONFIG', () => {
  const before = load('[databases]\napp = host=h user=u password=file:s ${PORT}=1', { s: 'hunter2' })
  const after = load('[databases]\napp = host=h user=u password=file:s', { s: 'hunter2hunter2' })
  const { settings } = before
  const changes = describeChanges(changesBetween(settings, after.settings))
  expect(changes.map(({ sentence }) => sentence)).toEqual(['database "app": password: changed'])
  expect(JSON.stringify([before.told, after.told, describeConfig(settings)])).not.toContain('hunter2')
})

test('pgweir check reports a missing variable', () => {
  let written = ''
  const files = virtualFiles({ 'main.ini': '[databases]\napp = host=h user=u password=${GONE}\n' })
  const exitCode = check({ iniFile: 'main.ini', files, env: {} }, (line) => {
    written += line
  })
  expect(exitCode).toBe(1)
  expect(written).toContain('main.ini:2: error: database "app": password refers to ${GONE}')
})

test('a secret that can no longer be read keeps its previous value, with a warning', () => {
  const keptSecrets = new Map<string, string>()
  let mayRead = true
  const files = {
    ...virtualFiles({ 'main.ini': '[databases]\napp = host=h user=u password=file:s\n' }),
    read(path: string): string {
      if (path === 'main.ini') return '[databases]\napp = host=h user=u password=file:s\n'
      if (!mayRead) throw Object.assign(new Error('no'), { code: 'EACCES' })
      return 'hunter2\n'
    },
  }
  const loadAgain = () =>
    loadSettings({ iniFile: 'main.ini', files, env: {}, keptSecrets, flags: { auth_type: 'any' } })
  expect(loadAgain().settings.databases.get('app')?.password).toBe('hunter2')
  mayRead = false
  const { settings, problems } = loadAgain()
  expect(settings.databases.get('app')?.password).toBe('hunter2')
  expect(problems.map(formatProblem)).toEqual([
    'pgweir: warning: "s" can no longer be read; its previous content stays in use',
  ])
  keptSecrets.clear()
  expect(loadAgain().problems.map(formatProblem)).toEqual([
    'main.ini:2: error: database "app": password cannot be read from "s": permission denied',
  ])
})
