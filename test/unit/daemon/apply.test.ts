import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { ManualClock } from '../../../src/base/clock.ts'
import { Applier } from '../../../src/daemon/apply.ts'
import { NO_RULES } from '../../../src/daemon/hba.ts'
import { Live } from '../../../src/daemon/live.ts'
import { LiveSettings } from '../../../src/daemon/live-settings.ts'
import { openLog } from '../../../src/daemon/open-log.ts'
import { NO_TLS } from '../../../src/daemon/tls.ts'
import { loadUsers, type UserFileContent } from '../../../src/daemon/users.ts'
import { certificate } from '../../support/e2e/certificates.ts'
import { loadText } from '../settings/virtual-files.ts'

/** An applier of settings, with a log in a file. `general` may name files of its directory: `DIRECTORY/name`. */
function start(general = 'auth_type = any', written: Readonly<Record<string, string>> = {}) {
  const directory = mkdtempSync(join(tmpdir(), 'pgweir-apply-'))
  onTestFinished(() => rmSync(directory, { recursive: true }))
  const logfile = join(directory, 'pgweir.log')
  const write = (name: string, text: string) => writeFileSync(join(directory, name), text)
  for (const [name, text] of Object.entries(written)) write(name, text)
  const lines = general.replaceAll('DIRECTORY', directory)
  const files = { text: `[databases]\n* = host=db\n[pgbouncer]\n${lines}\nlogfile = ${logfile}\n` }
  const load = () => loadText(files.text)
  const live = new LiveSettings(load().settings)
  const { log, reopen: reopenLog, close } = openLog(live.now.general, new ManualClock(), true)
  onTestFinished(close)
  const [tls, hba] = [new Live(NO_TLS), new Live(NO_RULES)]
  const replacements: UserFileContent[] = []
  const replace = (content: UserFileContent) => {
    replacements.push(content)
    return { added: content.secrets.size, removed: 0, changed: 0 }
  }
  const applier = new Applier({
    ...{ live, log, reopenLog, load, tls, hba },
    users: { replace },
    databases: { refresh: () => {} },
  })
  const logged = () => readFileSync(logfile, 'utf8')
  return { applier, log, files, live, tls, hba, replacements, directory, write, logfile, logged }
}

/** Settings with a rule for clients, and with TLS for servers. */
const RULE_AND_TLS = `auth_type = hba
auth_hba_file = DIRECTORY/hba.conf
server_tls_sslmode = verify-ca
server_tls_ca_file = ${certificate('authority.crt')}`
const RULE = { 'hba.conf': 'host all all all trust\n' }

test('a reload reopens a log file that was moved away even if the settings are bad, and reports the errors in the new file', () => {
  const { applier, log, files, logfile, logged } = start()
  log.info('one')
  renameSync(logfile, `${logfile}.1`)
  files.text += 'default_pool_size = many\n'
  expect(() => applier.readAgain()).toThrow('RELOAD failed')
  expect(logged()).toContain('default_pool_size cannot be "many"')
  expect(logged()).not.toContain('one')
})

test('a reload is refused with everything that is wrong in the files that the settings name', () => {
  const { applier, logged } = start(`${RULE_AND_TLS}\nserver_tls_key_file = /nowhere/server.key`, {
    'hba.conf': 'nonsense\n',
  })
  expect(() => applier.readAgain()).toThrow('RELOAD failed')
  expect(logged()).toContain('server_tls_key_file cannot be read')
  expect(logged()).toMatch(/ERROR .*hba\.conf:1: /)
})

test('SET is refused for a combination that the file could not have either; otherwise the new settings are returned', () => {
  const { applier } = start('auth_type = cert\nclient_tls_sslmode = verify-full')
  expect(() => applier.readSet('client_tls_sslmode', 'disable')).toThrow('SET failed')
  expect(() => applier.readSet('auth_type', 'ldap')).toThrow('SET failed')
  expect(applier.readSet('auth_type', 'any').settings.general.auth_type).toBe('any')
})

test('SET reads the files of TLS only for a setting of TLS, the rules for clients only for a setting of logins, and auth_file only if it is another', () => {
  const { applier, directory, write } = start(RULE_AND_TLS, RULE)
  write('users.txt', '"ada" "secret"\n')
  const read = (key: string, value: string) => {
    const { users, tls, hba } = applier.readSet(key, value)
    return { users: users !== null, tls: tls !== null, hba: hba !== null }
  }
  expect(read('default_pool_size', '7')).toEqual({ users: false, tls: false, hba: false })
  expect(read('server_tls_sslmode', 'verify-full')).toEqual({ users: false, tls: true, hba: false })
  expect(read('client_tls_sslmode', 'disable')).toEqual({ users: false, tls: true, hba: true })
  expect(read('auth_type', 'any')).toEqual({ users: false, tls: false, hba: true })
  expect(read('auth_file', join(directory, 'users.txt'))).toEqual({ users: true, tls: false, hba: true })
})

test('SET is refused if the files of TLS cannot be used, and warns about a setting without effect', () => {
  const { applier, logged } = start()
  expect(() => applier.readSet('server_tls_ca_file', '/nowhere/ca.crt')).toThrow('SET failed')
  expect(logged()).toBe('')
  applier.readSet('sbuf_loopcnt', '3')
  expect(logged()).toContain('WARNING sbuf_loopcnt has no effect')
})

test('new rules and keys are used once they are applied', () => {
  const { applier, tls, hba } = start(RULE_AND_TLS, RULE)
  const prepared = applier.readAgain()
  expect([tls.setup, hba.setup]).toEqual([NO_TLS, NO_RULES])
  applier.apply(prepared)
  expect(tls.setup.servers('verify-ca', false)).toMatchObject({ verifies: 'certificate' })
  expect(hba.setup.rules).toHaveLength(1)
  applier.apply(applier.unchanged)
  expect(hba.setup.rules).toHaveLength(1)
})

test('a worker reads the files that its primary has read; if one has become unusable since, it logs that and keeps the former content', () => {
  const { applier, live, tls, hba, write, logged } = start(RULE_AND_TLS, RULE)
  applier.takeOver(live.now, null, { tls: false, hba: false })
  expect([tls.setup, hba.setup]).toEqual([NO_TLS, NO_RULES])
  applier.takeOver(live.now, null, { tls: true, hba: true })
  expect(tls.setup).not.toBe(NO_TLS)
  expect(hba.setup.rules).toHaveLength(1)
  expect(logged()).toBe('')
  write('hba.conf', 'nonsense\n')
  applier.takeOver(live.now, null, { tls: true, hba: true })
  expect(hba.setup.rules).toHaveLength(1)
  expect(logged()).toMatch(/ERROR .*hba\.conf:1: /)
})

test('once a new logfile is applied, lines go there', () => {
  const { applier, log, directory, logged } = start()
  const other = join(directory, 'other.log')
  applier.apply(applier.readSet('logfile', other))
  log.info('to the new file')
  expect(readFileSync(other, 'utf8')).toContain('to the new file')
  expect(logged()).not.toContain('to the new file')
})

test('users of another auth_file are logged with what is wrong in it, also if only the file changes; a worker leaves that to its primary', () => {
  const { applier, directory, live, replacements, write, logged } = start()
  write('users.txt', '"ada" "secret"\nnonsense\n')
  applier.apply(applier.readSet('auth_file', join(directory, 'users.txt')))
  expect(logged()).toContain('auth_file: 1 users added, 0 changed, 0 removed')
  expect(logged()).not.toContain('users.txt:2')
  const users = loadUsers(live.now)
  applier.takeUsers(users)
  expect(logged()).toMatch(/WARNING .*users\.txt:2: /)
  const told = logged()
  expect(told.split('auth_file: 1 users added')).toHaveLength(3)
  applier.takeOverUsers(users)
  expect(replacements).toHaveLength(3)
  expect(logged()).toBe(told)
})
