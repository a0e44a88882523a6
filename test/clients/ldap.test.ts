/** Passwords in a directory: psql logs in through pgweir with the passwords of a real slapd. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, onTestFinished, test } from 'vitest'
import { certificate } from '../support/e2e/certificates.ts'
import type { Pgweir } from '../support/e2e/pgweir.ts'
import { createDatabase, createRole } from '../support/postgres.ts'
import { poolOf } from './support/pgweir.ts'
import { run } from './support/program.ts'
import { BASE, SEARCHER, startSlapd } from './support/slapd.ts'

const database = await createDatabase()
/** Known to PostgreSQL and to the directory only, with the same password. */
const ada = await createRole()
/** In the directory only. */
const STRANGERS = [
  { name: 'odd (*) \\ name', password: 'p)(*&\\ "ß' },
  { name: 'comma,ou=robots', password: 'comma' },
  { name: 'jürgen', password: 'jürgens' },
  { name: 'EXTERNAL', password: 'plain' },
  { name: 'robot', password: 'beep', unit: 'robots' },
] as const
const PEOPLE = [{ name: ada.user, password: ada.password }, ...STRANGERS]

const slapd = await startSlapd(PEOPLE)
const elsewhere = await startSlapd(PEOPLE, 'elsewhere')
afterAll(() => Promise.all([slapd.stop(), elsewhere.stop()]))

const BY_NAME = `ldapprefix="uid=" ldapsuffix=",ou=people,${BASE}"`
const BY_SEARCH = `ldapbasedn="${BASE}" ldapbinddn="${SEARCHER.name}" ldapbindpasswd="${SEARCHER.password.replaceAll('"', '""')}"`

async function start(options: string, settings = {}): Promise<Pgweir> {
  const { pgweir } = await poolOf(database, {
    mode: 'transaction',
    settings: { auth_type: 'ldap', auth_ldap_options: `ldapserver=localhost ${options}`, ...settings },
    // PostgreSQL does not know the strangers.
    databases: [
      `shared = host=${database.host} port=${database.port} dbname=${database.database} user=${database.user} password=${database.password}`,
    ],
  })
  return pgweir
}

/** The user that psql has in PostgreSQL, or the error that it gets. */
async function logIn(pgweir: Pgweir, user: string, password: string, name = 'shared'): Promise<string> {
  const target = { ...database, database: name, port: pgweir.address.port, user, password }
  const { code, stdout, stderr } = await run('psql', ['-X', '-At', '-w', '-c', 'select current_user'], target)
  return code === 0 ? stdout.trim() : (/FATAL: .*/.exec(stderr)?.[0] ?? stderr)
}

const REFUSED = 'FATAL:  LDAP authentication failed'

describe.each([
  ['LDAP with a name pattern', BY_NAME],
  ['LDAP with a name pattern and StartTLS', `${BY_NAME} ldaptls=1 ldapcafile=${certificate('authority.crt')}`],
  ['LDAP with a search', BY_SEARCH],
  ['LDAP with a search and StartTLS', `${BY_SEARCH} ldaptls=1 ldapcafile=${certificate('authority.crt')}`],
  [
    'LDAP with a search filter',
    `${BY_SEARCH} ldapsearchfilter="(&(objectClass=inetOrgPerson)(|(uid=$username)(cn=$username)))"`,
  ],
])('%s', (_, options) => {
  test('lets in users with the password of the directory, also to the server', async () => {
    const pgweir = await start(`ldapport=${slapd.port} ${options}`)
    expect(await logIn(pgweir, ada.user, ada.password, database.database)).toBe(ada.user)
    for (const { name, password } of STRANGERS.slice(0, 4))
      expect(await logIn(pgweir, name, password), name).toBe(database.user)
    expect(await logIn(pgweir, 'robot', 'beep')).toBe(options.includes('ldapprefix') ? REFUSED : database.user)
  })

  test('refuses all others', async () => {
    const pgweir = await start(`ldapport=${slapd.port} ${options}`)
    for (const [name, password] of [
      [ada.user, 'wrong'],
      [ada.user, ' '],
      ['nobody', 'plain'],
      ['*', ada.password],
      ['a*', ada.password],
      [`${ada.user})(uid=*`, ada.password],
      ['robot,ou=robots', 'beep'],
      ['PLAIN', 'x'],
    ] as const)
      expect(await logIn(pgweir, name, password), name).toBe(REFUSED)
    expect(await logIn(pgweir, ada.user, '')).toContain('fe_sendauth: no password supplied')
  })
})

test('LDAP works over TLS (ldaps)', async () => {
  const authority = `ldapcafile=${certificate('authority.crt')}`
  const pgweir = await start(`ldapscheme=ldaps ldapport=${slapd.tlsPort} ${BY_SEARCH} ${authority}`)
  expect(await logIn(pgweir, 'robot', 'beep')).toBe(database.user)
  expect(await logIn(pgweir, 'robot', 'wrong')).toBe(REFUSED)
})

test('LDAP works with ldapurl', async () => {
  const url = `ldapurl="ldap://localhost:${slapd.port}/ou=people,${BASE}?cn?one"`
  const { pgweir } = await poolOf(database, {
    mode: 'transaction',
    settings: { auth_type: 'ldap', auth_ldap_options: url },
  })
  expect(await logIn(pgweir, ada.user, ada.password, database.database)).toBe(ada.user)
})

test.each([
  ['of an unknown authority', () => slapd, '', /self.signed certificate|unable to (get|verify)/],
  ['for another host', () => elsewhere, `ldapcafile=${certificate('authority.crt')}`, /does not match/],
])('an LDAP server with a certificate %s is not trusted and gets no password', async (_, server, option, reason) => {
  for (const options of [`ldaptls=1 ldapport=${server().port}`, `ldapscheme=ldaps ldapport=${server().tlsPort}`]) {
    const pgweir = await start(`${options} ${BY_NAME} ${option}`)
    expect(await logIn(pgweir, 'jürgen', 'jürgens')).toBe(REFUSED)
    expect(pgweir.log.find((line) => line.includes('could not verify a password'))).toMatch(reason)
  }
})

test('an LDAP server that is down is skipped, and a searcher that cannot log in is logged', async () => {
  const down = await start(`ldapserver="127.0.0.2 127.0.0.1" ldapport=${slapd.port} ${BY_NAME}`)
  expect(await logIn(down, 'jürgen', 'jürgens')).toBe(database.user)
  expect(down.log.join()).toContain(`ldap://127.0.0.2:${slapd.port} could not verify a password: connect ECONNREFUSED`)
  const locked = await start(`ldapport=${slapd.port} ldapbasedn=${BASE} ldapbinddn=cn=x,${BASE} ldapbindpasswd=hunter2`)
  expect(await logIn(locked, 'jürgen', 'jürgens')).toBe(REFUSED)
  expect(locked.log.join()).toContain(`cn=x,${BASE} cannot log in`)
  expect(locked.log.join()).not.toContain('hunter2')
})

test('auth_hba_file rules may use different LDAP options for different users', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'pgweir-ldap-'))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
  const hba = join(directory, 'hba.conf')
  writeFileSync(join(directory, 'secret'), `${SEARCHER.password}\n`)
  writeFileSync(
    hba,
    `host all robot all ldap ldapserver=localhost ldapport=${slapd.port} ldapbasedn="${BASE}" \\
       ldapbinddn="${SEARCHER.name}" ldapbindpasswd=file:${directory}/secret
     host all ${database.user} all scram-sha-256
     host all all all ldap ldapserver=localhost ldapport=${slapd.port} ${BY_NAME}`,
  )
  const pgweir = await start('', { auth_type: 'hba', auth_hba_file: hba, auth_ldap_options: '' })
  expect(await logIn(pgweir, 'robot', 'beep')).toBe(database.user)
  expect(await logIn(pgweir, 'robot', 'wrong')).toBe(REFUSED)
  expect(await logIn(pgweir, ada.user, ada.password, database.database)).toBe(ada.user)
  expect(await logIn(pgweir, database.user, database.password)).toBe(database.user)
})
