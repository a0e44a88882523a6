import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { check, checkForMove } from '../../../src/cli/commands/check.ts'
import { GOOD_INI, virtualFiles } from '../settings/virtual-files.ts'
import { fakeWorld } from './world.ts'

function checkText(text: string) {
  let written = ''
  const exitCode = check({ iniFile: 'pgweir.ini', files: virtualFiles({ 'pgweir.ini': text }) }, (line) => {
    written += line
  })
  return { exitCode, lines: written.trimEnd().split('\n') }
}

test('a good file passes, and its entries are counted', () => {
  expect(checkText(`${GOOD_INI}[users]\nada = pool_size=1\n`)).toEqual({
    exitCode: 0,
    lines: ['pgweir.ini: 1 setting, 1 database and 1 user are fine'],
  })
})

test('users are counted from auth_file and from [users]', () => {
  const directory = mkdtempSync(join(tmpdir(), 'pgweir-check-'))
  onTestFinished(() => rmSync(directory, { recursive: true }))
  const path = join(directory, 'userlist.txt')
  writeFileSync(path, '"ada" "one"\n"bob" "two"\n')
  expect(checkText(`${GOOD_INI}auth_file = ${path}\n[users]\nada = pool_size=1\neve = pool_size=1\n`).lines).toEqual([
    'pgweir.ini: 2 settings, 1 database and 3 users are fine',
  ])
})

test('md5 secrets are warned about once, with the setting, if auth_type accepts only SCRAM', () => {
  const directory = mkdtempSync(join(tmpdir(), 'pgweir-check-'))
  onTestFinished(() => rmSync(directory, { recursive: true }))
  const path = join(directory, 'userlist.txt')
  const md5 = `md5${'a'.repeat(32)}`
  writeFileSync(path, `"looker" "${md5}"\n"ada" "${md5}"\n"bob" "${md5}"\n"eve" "plain"\n`)
  const told = (type: string) =>
    checkText(`[databases]\napp = host=db\n[pgweir]\nauth_user = looker\nauth_type = ${type}\nauth_file = ${path}\n`)
      .lines
  expect(told('scram-sha-256')).toEqual([
    'pgweir.ini:5: warning: user "ada" and 1 more in auth_file cannot log in, because auth_type = scram-sha-256 does not accept md5 secrets; auth_type = md5 accepts both kinds',
    'pgweir.ini: 3 settings, 1 database and 4 users are usable, with 1 warning',
  ])
  expect(told('md5')).toEqual(['pgweir.ini: 3 settings, 1 database and 4 users are fine'])
})

test('a file with warnings only passes', () => {
  expect(checkText(`${GOOD_INI}pkt_buf = 8192\n`)).toEqual({
    exitCode: 0,
    lines: [
      expect.stringContaining('pgweir.ini:5: warning: pkt_buf'),
      'pgweir.ini: 2 settings, 1 database and 0 users are usable, with 1 warning',
    ],
  })
})

test('an auth_file that cannot be read is an error on its line', () => {
  expect(checkText(`${GOOD_INI}auth_file = /nowhere/userlist.txt\n`)).toEqual({
    exitCode: 1,
    lines: [expect.stringContaining('pgweir.ini:5: error: auth_file cannot be read'), 'pgweir.ini: 1 error'],
  })
})

test('a resolv_conf that cannot be used is an error on its line', () => {
  for (const [file, why] of [
    ['/nowhere/resolv.conf', 'ENOENT'],
    ['/dev/null', 'names no nameserver'],
  ]) {
    const { exitCode, lines } = checkText(`${GOOD_INI}resolv_conf = ${file}\n`)
    expect(exitCode).toBe(1)
    expect(lines[0]).toMatch(new RegExp(`^pgweir\\.ini:5: error: resolv_conf cannot be used: .*${why}`))
  }
})

test('a malformed line of auth_file is reported with its place, but not its content', () => {
  const directory = mkdtempSync(join(tmpdir(), 'pgweir-check-'))
  onTestFinished(() => rmSync(directory, { recursive: true }))
  const path = join(directory, 'userlist.txt')
  writeFileSync(path, '"ada" "right"\nbob hunter2\n')
  const { exitCode, lines } = checkText(`${GOOD_INI}auth_file = ${path}\n`)
  expect(exitCode).toBe(0)
  expect(lines[0]).toContain(`${path}:2: warning:`)
  expect(lines.join()).not.toContain('hunter2')
})

test('a user setting that names an unknown user is an error on its line', () => {
  expect(checkText(`${GOOD_INI}user = nobody-of-this-name\n`)).toEqual({
    exitCode: 1,
    lines: ['pgweir.ini:5: error: there is no user nobody-of-this-name in /etc/passwd', 'pgweir.ini: 1 error'],
  })
})

test('what HBA rules and LDAP options lack is reported with the line, without secrets', () => {
  const directory = mkdtempSync(join(tmpdir(), 'pgweir-check-'))
  onTestFinished(() => rmSync(directory, { recursive: true }))
  const path = join(directory, 'hba.conf')
  writeFileSync(path, 'host all all all md5\nhost all +staff all md5\n')
  const hba = GOOD_INI.replace('any', 'hba')
  expect(checkText(`${hba}auth_hba_file = ${path}\n`).lines[0]).toContain(
    `${path}:2: error: this rule names a role; set auth_user, so that pgweir can ask PostgreSQL who is a member of it`,
  )
  expect(checkText(`${hba}auth_hba_file = ${path}\nauth_user = asker\nauth_file = /dev/null\n`).exitCode).toBe(0)
  const needsTls = 'error: login with a certificate needs client_tls_sslmode = verify-ca or verify-full'
  expect(checkText(GOOD_INI.replace('any', 'cert')).lines).toContain(`pgweir.ini:4: ${needsTls}`)
  writeFileSync(path, 'host all all all md5\n\nhostssl all ada all cert\n')
  expect(checkText(`${hba}auth_hba_file = ${path}\n`).lines).toContain(`${path}:3: ${needsTls}`)
  const ldap = GOOD_INI.replace('any', 'ldap')
  expect(checkText(ldap).lines[0]).toBe('pgweir.ini:4: error: auth_type = ldap needs auth_ldap_options')
  const { lines } = checkText(`${ldap}auth_ldap_options = ldapserver=h ldapbindpasswd=hunter2\n`)
  expect(lines[0]).toContain('pgweir.ini:5: error: auth_ldap_options: ldap needs ldapprefix, ldapsuffix or ldapbasedn')
  expect(lines.join()).not.toContain('hunter2')
})

test('every problem is reported with its line, and an error makes the check fail', () => {
  expect(checkText(`${GOOD_INI}pkt_buf = 8192\nverbose = x\nnonsense\n`)).toEqual({
    exitCode: 1,
    lines: [
      expect.stringContaining('pgweir.ini:5: warning: pkt_buf'),
      expect.stringContaining('pgweir.ini:6: error: verbose'),
      expect.stringContaining('pgweir.ini:7: error: this line'),
      'pgweir.ini: 2 errors, 1 warning',
    ],
  })
})

test('pgweir check reads a file from disk and writes to standard output', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'pgweir-check-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const file = join(folder, 'pgweir.ini')
  writeFileSync(file, `${GOOD_INI}verbose = x\n`)
  const { run, written } = fakeWorld()
  expect(await run('check', file)).toBe(1)
  expect(written.out).toContain(`${file}:5: error: verbose cannot be "x"`)
  expect(await run('check', `${file}.gone`)).toBe(1)
  expect(written.out).toContain('there is no such file')
})

async function forMove(text: string) {
  let written = ''
  const files = virtualFiles({ 'pgweir.ini': text })
  const exitCode = await checkForMove({ iniFile: 'pgweir.ini', files }, (line) => {
    written += line
  })
  return { exitCode, lines: written.trimEnd().split('\n') }
}

/** With these settings nothing is in use. */
const NOWHERE_IN_USE = 'listen_port = 0\nunix_socket_dir =\n'

const GUIDE =
  'pgweir.ini: note: for all differences from PgBouncer, and the sections (#…) that the notes refer to, see docs/migrating-from-pgbouncer.md#what-is-different'

test('for a PgBouncer file the differences that concern it are noted, with a link to all others at the end', async () => {
  const { exitCode, lines } = await forMove(`${GOOD_INI}${NOWHERE_IN_USE}pool_mode = transaction\n`)
  expect(exitCode).toBe(0)
  const told = lines.join('\n')
  expect(told).toContain(
    'pgweir.ini: note: listen_addr, if not set | PgBouncer: listens on the unix socket only | pgweir: ',
  )
  expect(told).toContain('pgweir.ini:7: note: an unknown or duplicate prepared statement')
  expect(told).not.toContain('auth_failure_delay')
  expect(lines.slice(-2)).toEqual(['pgweir.ini: 4 settings, 1 database and 0 users are fine', GUIDE])
})

test('if there are errors, no differences are noted', async () => {
  const { exitCode, lines } = await forMove(`${GOOD_INI}${NOWHERE_IN_USE}verbose = x\n`)
  expect(exitCode).toBe(1)
  expect(lines).toEqual([expect.stringContaining('pgweir.ini:7: error: verbose'), 'pgweir.ini: 1 error'])
})

test('a file with a [pgweir] section is not compared with PgBouncer', async () => {
  const { lines } = await forMove(`${GOOD_INI.replace('[pgbouncer]', '[pgweir]')}pool_mode = transaction\n`)
  expect(lines).toEqual(['pgweir.ini: 2 settings, 1 database and 0 users are fine'])
})

test('addresses and files in use by a running PgBouncer are noted, but do not make the check fail', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'pgweir-check-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const socket = createServer().listen(join(folder, `.s.PGSQL.${port}`))
  await once(socket, 'listening')
  writeFileSync(join(folder, 'pid'), `${process.ppid}\n`)
  const places = `listen_port = ${port}\nunix_socket_dir = ${folder}\npidfile = ${folder}/pid\n`
  const sentences = ({ lines }: { readonly lines: readonly string[] }) =>
    lines.filter((line) => line.includes('#in-five-steps'))
  const { exitCode, lines } = await forMove(`${GOOD_INI}${places}`)
  expect(exitCode).toBe(0)
  const why = 'pgweir cannot start until that changes, see docs/migrating-from-pgbouncer.md#in-five-steps'
  expect(sentences({ lines })).toEqual([
    `pgweir.ini:5: note: 127.0.0.1:${port} is in use: ${why}`,
    `pgweir.ini:6: note: unix:${folder}/.s.PGSQL.${port} is in use: ${why}`,
    `pgweir.ini:7: note: pidfile '${folder}/pid' exists, another instance running?: ${why}`,
  ])
  expect(sentences(await forMove(`${GOOD_INI}${places}so_reuseport = 1\n`))).toHaveLength(2)
  server.close()
  socket.close()
  await Promise.all([once(server, 'close'), once(socket, 'close')])
  writeFileSync(join(folder, 'pid'), '')
  expect(sentences(await forMove(`${GOOD_INI}${places}`))).toEqual([])
})

test('pgweir check requires a file', async () => {
  const { run, written } = fakeWorld()
  expect(await run('check')).toBe(1)
  expect(written.err).toContain("missing required argument 'config.ini'")
})
