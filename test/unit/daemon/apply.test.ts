import { mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { ManualClock } from '../../../src/base/clock.ts'
import { Applier } from '../../../src/daemon/apply.ts'
import { NO_RULES } from '../../../src/daemon/hba.ts'
import { Live } from '../../../src/daemon/live.ts'
import { LiveSettings } from '../../../src/daemon/live-settings.ts'
import { openLog } from '../../../src/daemon/open-log.ts'
import { loadText } from '../settings/virtual-files.ts'

/** An applier of settings, with a log in a file. */
function start(general = 'auth_type = any') {
  const directory = mkdtempSync(join(tmpdir(), 'pgweir-apply-'))
  onTestFinished(() => rmSync(directory, { recursive: true }))
  const logfile = join(directory, 'pgweir.log')
  const files = { text: `[databases]\n* = host=db\n[pgbouncer]\n${general}\nlogfile = ${logfile}\n` }
  const load = () => loadText(files.text)
  const live = new LiveSettings(load().settings)
  const { log, reopen: reopenLog, close } = openLog(live.now.general, new ManualClock(), true)
  onTestFinished(close)
  const applier = new Applier({
    ...{ live, log, reopenLog, load },
    users: { replace: () => ({ added: 0, removed: 0, changed: 0 }) },
    databases: { refresh: () => {} },
    tls: new Live({ clients: null, servers: () => null, expiries: {} }),
    hba: new Live(NO_RULES),
  })
  return { applier, log, files, logfile, logged: () => readFileSync(logfile, 'utf8') }
}

test('a reload reopens a log file that was moved away even if the settings are bad, and reports the errors in the new file', () => {
  const { applier, log, files, logfile, logged } = start()
  log.info('one')
  renameSync(logfile, `${logfile}.1`)
  files.text += 'default_pool_size = many\n'
  expect(() => applier.readAgain()).toThrow('RELOAD failed')
  expect(logged()).toContain('default_pool_size cannot be "many"')
  expect(logged()).not.toContain('one')
})

test('SET is refused for a combination that the file could not have either; otherwise the new settings are returned', () => {
  const { applier } = start('auth_type = cert\nclient_tls_sslmode = verify-full')
  expect(() => applier.readSet('client_tls_sslmode', 'disable')).toThrow('SET failed')
  expect(() => applier.readSet('auth_type', 'ldap')).toThrow('SET failed')
  expect(applier.readSet('auth_type', 'any').settings.general.auth_type).toBe('any')
})
