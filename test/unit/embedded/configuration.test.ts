import { expect, test } from 'vitest'
import { configurationFile, hbaFile, initdbArguments } from '../../../src/embedded/configuration.ts'

test('the embedded server listens on 127.0.0.1 only, and on no unix socket', () => {
  const file = configurationFile({})
  expect(file).toContain("listen_addresses = '127.0.0.1'\n")
  expect(file).toContain("unix_socket_directories = ''\n")
})

test('the caller’s settings override the defaults', () => {
  const file = configurationFile({ max_connections: '500', fsync: 'on' })
  expect(file).toContain("max_connections = '500'\n")
  expect(file).toContain("fsync = 'on'\n")
  expect(file).not.toContain('200')
  expect(file).not.toContain("fsync = 'off'")
})

test('a quote or backslash in a value stays part of the value', () => {
  expect(configurationFile({ search_path: `a'b\\c` })).toContain(`search_path = 'a''b\\\\c'\n`)
})

test('the caller’s lines of pg_hba.conf come before the line for everybody', () => {
  expect(hbaFile('scram-sha-256', ['host all +md5_roles 127.0.0.1/32 md5'])).toBe(
    'host all +md5_roles 127.0.0.1/32 md5\nhost all all 127.0.0.1/32 scram-sha-256\n',
  )
})

test('the builtin C.UTF-8 locale is used if PostgreSQL has it', () => {
  const options = { dataDirectory: '/d', passwordFile: '/p', superuser: 'ada', authMethod: 'md5' } as const
  expect(initdbArguments({ ...options, major: 18 })).toContain('--builtin-locale=C.UTF-8')
  expect(initdbArguments({ ...options, major: 15 }).join(' ')).toBe(
    '--pgdata=/d --username=ada --pwfile=/p --auth=md5 --encoding=UTF8 --no-locale --no-sync',
  )
})
