/** Logins by PAM: psql logs in through pgweir with passwords that a PAM module accepts. Needs root, to write into /etc/pam.d. */

import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { loadPam } from '../../src/net/pam-library.ts'
import { Program, type RunningProgram, runProgram } from '../support/e2e/program.ts'
import { until } from '../support/e2e/until.ts'
import { createDatabase, createRole } from '../support/postgres.ts'
import { run } from './support/program.ts'

const database = await createDatabase()
/** Known to PostgreSQL and to PAM, with the same password, and not in auth_file. */
const ada = await createRole()
/** Known to PAM only. */
const stranger = { user: 'jürgen', password: 'p)(*&\\ "ß' }

const folder = mkdtempSync(join(tmpdir(), 'pgweir-pam-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
chmodSync(folder, 0o755)
const asked = join(folder, 'asked')

/** A script for `pam_exec`, which passes the password on standard input, followed by a zero byte. */
function script(name: string, lines: readonly string[]): string {
  const path = join(folder, name)
  writeFileSync(path, ['#!/bin/bash', "IFS= read -r -d '' password", ...lines, ''].join('\n'))
  chmodSync(path, 0o755)
  return path
}

const accepts = ({ user, password }: typeof stranger) =>
  `[ "$PAM_USER" = '${user}' ] && [ "$password" = '${password}' ] && exit 0`

const byScript = (path: string) => `auth required pam_exec.so expose_authtok quiet ${path}\n`
const OPEN = 'account required pam_permit.so\n'
const SERVICES = {
  ours: `${byScript(script('checks', [`echo "$PAM_USER $PAM_RHOST" >> ${asked}`, accepts(ada), accepts(stranger), 'exit 1']))}${OPEN}`,
  locked: 'auth required pam_permit.so\naccount required pam_deny.so\n',
  hanging: `${byScript(script('hangs', [`echo $PPID >> ${join(folder, 'hanging')}`, 'exec sleep 30']))}${OPEN}`,
  killing: `${byScript(script('kills', ['kill -9 $PPID']))}${OPEN}`,
}

const fileOf = (which: string) => `/etc/pam.d/pgweir-test-${process.pid}-${which}`
afterAll(() => {
  for (const which of Object.keys(SERVICES)) rmSync(fileOf(which), { force: true })
})

/** The file is in /etc/pam.d until the end of this test file. */
function service(which: keyof typeof SERVICES): string {
  writeFileSync(fileOf(which), SERVICES[which])
  return basename(fileOf(which))
}

function start(pamService: string, settings = {}): Promise<RunningProgram> {
  const { host, port, database: name, user, password } = database
  return runProgram({
    database,
    settings: { auth_type: 'pam', auth_pam_service: pamService, ...settings },
    databases: [`shared = host=${host} port=${port} dbname=${name} user=${user} password=${password}`],
  })
}

/** The user that psql has in PostgreSQL, or the error that it gets. */
async function logIn({ port }: RunningProgram, user: string, password: string, name = 'shared'): Promise<string> {
  const target = { ...database, database: name, port, user, password }
  const { code, stdout, stderr } = await run('psql', ['-X', '-At', '-w', '-c', 'select current_user'], target)
  return code === 0 ? stdout.trim() : (/FATAL: .*/.exec(stderr)?.[0] ?? stderr)
}

/** False also for a process that nobody has asked for its exit code yet. */
function isRunning(pid: number): boolean {
  try {
    return !/^State:\tZ/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}

const REFUSED = 'FATAL:  PAM authentication failed'

test('psql logs in with the password that PAM accepts, and with no other', async () => {
  const pgweir = await start(service('ours'))
  expect(await logIn(pgweir, ada.user, ada.password, database.database)).toBe(ada.user)
  expect(await logIn(pgweir, stranger.user, stranger.password)).toBe(database.user)
  for (const [user, password] of [
    [ada.user, 'wrong'],
    [stranger.user, ada.password],
    ['nobody', ada.password],
  ] as const)
    expect(await logIn(pgweir, user, password), user).toBe(REFUSED)
  expect(readFileSync(asked, 'utf8')).toContain(`${ada.user} 127.0.0.1\n`)
  expect(pgweir.program.stderr).not.toContain(ada.password)
})

test('a PAM service without a file refuses every user', async () => {
  const pgweir = await start('pgweir-test-none')
  expect(await logIn(pgweir, ada.user, ada.password)).toBe(REFUSED)
})

test('a user whose account is refused is not let in, and the log gives the reason', async () => {
  const pgweir = await start(service('locked'))
  expect(await logIn(pgweir, ada.user, ada.password)).toBe(REFUSED)
  expect(pgweir.program.stderr).toContain(`PAM rejected user "${ada.user}": `)
})

test('a PAM module that kills its process makes one login fail, and pgweir goes on', async () => {
  const pgweir = await start(service('killing'))
  for (let times = 0; times < 2; times++) expect(await logIn(pgweir, ada.user, ada.password)).toBe(REFUSED)
  expect(pgweir.program.stderr.match(/the helper process ended with SIGKILL/g)).toHaveLength(2)
})

test('a process whose module hangs ends with pgweir, and has none of its settings', async () => {
  const pgweir = await start(service('hanging'))
  const answer = logIn(pgweir, ada.user, ada.password)
  let helper = 0
  await until('the module hangs', () => {
    helper = Number(existsSync(join(folder, 'hanging')) && readFileSync(join(folder, 'hanging'), 'utf8'))
    return helper > 0
  })
  const environment = readFileSync(`/proc/${helper}/environ`, 'utf8')
  expect(environment).toContain('PATH=')
  expect(environment).not.toContain('PGWEIR_')
  pgweir.program.kill('SIGKILL')
  await until('the process is gone', () => !isRunning(helper))
  expect(await answer).toContain('server closed the connection unexpectedly')
})

test('pgweir does not start where there is no PAM library', async () => {
  const broken = join(folder, 'libraries')
  mkdirSync(broken)
  writeFileSync(join(broken, 'libpam.so.0'), '')
  const env = { LD_LIBRARY_PATH: broken }
  for (const workers of ['1', '2']) {
    const program = new Program(
      ['--auth-type', 'pam', '--workers', workers, '--upstream', 'postgres://127.0.0.1:1/'],
      env,
    )
    expect(await program.ended()).toBe(1)
    expect(program.stderr).toContain('PAM needs its library (libpam.so.0)')
  }
})

test('a rule of auth_hba_file can name its own service', async () => {
  const hba = join(folder, 'hba.conf')
  writeFileSync(hba, `host all ${ada.user} all pam pamservice=${service('ours')}\nhost all all all pam\n`)
  const pgweir = await start(service('locked'), { auth_type: 'hba', auth_hba_file: hba })
  expect(await logIn(pgweir, ada.user, ada.password)).toBe(database.user)
  expect(await logIn(pgweir, stranger.user, stranger.password)).toBe(REFUSED)
})

test('a message of a PAM module to the user is included in the reason', () => {
  const services = join(folder, 'services')
  mkdirSync(services)
  const told = script('tells', ['echo "closed for today"', 'exit 1'])
  writeFileSync(join(services, 'telling'), `auth required pam_exec.so expose_authtok ${told}\n${OPEN}`)
  const question = { service: 'telling', user: ada.user, password: 'x', host: '' }
  expect(loadPam().check(question, services)).toEqual({
    isRight: false,
    reason: expect.stringMatching(/System error; .*tells failed: exit code 1/),
    delayMs: 0,
  })
})

test('PAM does not wait for as long as a module wants failures to be delayed', () => {
  const services = mkdtempSync(join(folder, 'services-'))
  const delay = 'auth optional pam_faildelay.so delay=60000000\n'
  writeFileSync(join(services, 'failing'), `${delay}auth required pam_deny.so\n${OPEN}`)
  writeFileSync(join(services, 'permitting'), `${delay}auth required pam_permit.so\n${OPEN}`)
  const check = (service: string) => loadPam().check({ service, user: ada.user, password: 'x', host: '' }, services)
  const { delayMs, ...answer } = check('failing')
  expect(answer).toEqual({ isRight: false, reason: null })
  // PAM makes it up to half longer or shorter.
  expect(delayMs).toBeGreaterThanOrEqual(30_000)
  expect(delayMs).toBeLessThanOrEqual(90_000)
  expect(check('permitting')).toEqual({ isRight: true, reason: null, delayMs: 0 })
})
