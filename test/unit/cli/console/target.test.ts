import { expect, test } from 'vitest'
import { type TargetOptions, targetOf } from '../../../../src/cli/console/target.ts'

const GENERAL = { listen_addr: '127.0.0.1', listen_port: 6432, unix_socket_dir: '/tmp' }
const OPTIONS: TargetOptions = { env: {}, general: GENERAL, systemUser: () => 'ada', isThere: () => false }
const SOCKET = { isThere: (path: string) => path === '/tmp/.s.PGSQL.6432' }

test('if the unix socket of pgweir is there, the console is reached through it as the user pgbouncer', () => {
  expect(targetOf({ ...OPTIONS, ...SOCKET })).toEqual({ host: '/tmp', port: 6432, user: 'pgbouncer' })
})

test('without a unix socket the console is reached at the address that pgweir listens on', () => {
  const at = (listen_addr: string) => targetOf({ ...OPTIONS, general: { ...GENERAL, listen_addr } })
  expect(at('10.0.0.1, 10.0.0.2')).toEqual({ host: '10.0.0.1', port: 6432, user: 'ada' })
  expect(at('*')).toMatchObject({ host: '127.0.0.1' })
  expect(at('')).toMatchObject({ host: '127.0.0.1' })
})

test('an abstract socket is used like a unix socket in the file system', () => {
  const general = { ...GENERAL, unix_socket_dir: '@app' }
  const isThere = (path: string) => path === '@app/.s.PGSQL.6432'
  expect(targetOf({ ...OPTIONS, general, isThere })).toEqual({ host: '@app', port: 6432, user: 'pgbouncer' })
})

test('another port means another socket', () => {
  expect(targetOf({ ...OPTIONS, ...SOCKET, port: '7000' })).toEqual({ host: '127.0.0.1', port: 7000, user: 'ada' })
})

test('the environment overrides the file, and flags override the environment', () => {
  const env = { PGHOST: 'db', PGPORT: '7000', PGUSER: 'bob' }
  expect(targetOf({ ...OPTIONS, ...SOCKET, env })).toEqual({ host: 'db', port: 7000, user: 'bob' })
  expect(targetOf({ ...OPTIONS, env, host: '/run', port: '1', username: 'eve' })).toEqual({
    ...{ host: '/run', port: 1, user: 'eve' },
  })
})

test('an empty value counts as not given', () => {
  const env = { PGHOST: '', PGPORT: '', PGUSER: '' }
  expect(targetOf({ ...OPTIONS, env, host: '', port: '', username: '' })).toEqual({
    ...{ host: '127.0.0.1', port: 6432, user: 'ada' },
  })
})

test('an invalid port is reported with the flag or variable that gave it', () => {
  for (const port of ['abc', '70000', '-1', '0', '6432x'])
    expect(targetOf({ ...OPTIONS, port })).toEqual({
      problem: `--port cannot be "${port}": it must be a whole number from 1 to 65535`,
    })
  expect(targetOf({ ...OPTIONS, env: { PGPORT: 'abc' } })).toMatchObject({
    problem: expect.stringMatching(/^PGPORT cannot be /),
  })
  expect(targetOf({ ...OPTIONS, env: { PGPORT: '0' } })).toMatchObject({
    problem: expect.stringMatching(/^PGPORT cannot be "0"/),
  })
  expect(targetOf({ ...OPTIONS, general: { ...GENERAL, listen_port: 0 } })).toEqual({
    problem: 'the system chooses the port (listen_port = 0): give it with --port',
  })
})

test('a system user without a name needs none for the unix socket, and must give --username elsewhere', () => {
  const nobody = { ...OPTIONS, systemUser: () => null }
  expect(targetOf({ ...nobody, ...SOCKET })).toMatchObject({ user: 'pgbouncer' })
  expect(targetOf({ ...nobody, username: 'eve' })).toMatchObject({ user: 'eve' })
  expect(targetOf(nobody)).toMatchObject({ problem: expect.stringContaining('--username') })
})
