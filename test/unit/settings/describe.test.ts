import { expect, test } from 'vitest'
import { describeConfig, settingsPage } from '../../../src/settings/describe.ts'
import { GOOD_INI, loadText } from './virtual-files.ts'

test('docs/settings.md matches the settings tables (npx vitest run test/unit/settings/describe.test.ts -u writes it)', async () => {
  await expect(settingsPage()).toMatchFileSnapshot('../../../docs/settings.md')
})

test('SHOW CONFIG prints values as PgBouncer does: times in seconds, and booleans as 0 and 1', () => {
  const { settings } = loadText(
    `${GOOD_INI}server_lifetime = 5min\nquery_timeout = 300ms\nlog_stats = off\nadmin_users = ada,bob`,
  )
  const rows = describeConfig(settings)
  const byKey = new Map(rows.map((row) => [row.key, row]))
  expect(byKey.get('server_lifetime')).toEqual({
    key: 'server_lifetime',
    value: '300',
    default: '3600',
    changeable: 'yes',
  })
  expect(byKey.get('query_timeout')).toMatchObject({ value: '0.3', default: '0' })
  expect(byKey.get('log_stats')).toMatchObject({ value: '0', default: '1' })
  expect(byKey.get('admin_users')).toMatchObject({ value: 'ada, bob', default: '' })
  expect(byKey.get('listen_port')).toEqual({ key: 'listen_port', value: '6432', default: '6432', changeable: 'no' })
})

test('SHOW CONFIG sorts by key as PgBouncer does, with pool_mode before pool_idle_timeout', () => {
  const keys = describeConfig(loadText(GOOD_INI).settings).map(({ key }) => key)
  expect(keys.slice(keys.indexOf('pool_mode'), keys.indexOf('pool_mode') + 2)).toEqual([
    'pool_mode',
    'pool_idle_timeout',
  ])
  const others = keys.filter((key) => key !== 'pool_mode')
  expect(others).toEqual(others.toSorted())
})

test('SHOW CONFIG shows no password', () => {
  const options = 'ldapserver=h ldapbasedn=dc=x ldapbinddn=cn=a ldapbindpasswd=hunter2'
  const { settings } = loadText(`${GOOD_INI}auth_ldap_options = ${options}\n`)
  const row = describeConfig(settings).find(({ key }) => key === 'auth_ldap_options')
  expect(row?.value).toBe('ldapserver=h ldapbasedn=dc=x ldapbinddn=cn=a ldapbindpasswd=****')
  expect(settings.general.auth_ldap_options).toContain('hunter2')
})
