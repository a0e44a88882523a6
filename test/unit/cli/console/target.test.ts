import { expect, test } from 'vitest'
import { type TargetOptions, targetOf } from '../../../../src/cli/console/target.ts'

const GENERAL = { listen_addr: '127.0.0.1', listen_port: 6432, unix_socket_dir: '/tmp' }
const OPTIONS: TargetOptions = { env: {}, general: GENERAL, systemUser: () => 'ada', isThere: () => false }
const SOCKET = { isThere: (path: string) => path === '/tmp/.s.PGSQL.6432' }

test('whoever runs the pooler comes by its unix socket, as who may do everything', () => {
  expect(targetOf({ ...OPTIONS, ...SOCKET })).toEqual({ host: '/tmp', port: 6432, user: 'pgbouncer' })
})

test('without one it is the address that the pooler listens on', () => {
  const at = (listen_addr: string) => targetOf({ ...OPTIONS, general: { ...GENERAL, listen_addr } })
  expect(at('10.0.0.1, 10.0.0.2')).toEqual({ host: '10.0.0.1', port: 6432, user: 'ada' })
  expect(at('*')).toMatchObject({ host: '127.0.0.1' })
  expect(at('')).toMatchObject({ host: '127.0.0.1' })
})

test('an abstract socket is one, too', () => {
  const general = { ...GENERAL, unix_socket_dir: '@app' }
  const isThere = (path: string) => path === '@app/.s.PGSQL.6432'
  expect(targetOf({ ...OPTIONS, general, isThere })).toEqual({ host: '@app', port: 6432, user: 'pgbouncer' })
})

test('another port has another socket', () => {
  expect(targetOf({ ...OPTIONS, ...SOCKET, port: '7000' })).toEqual({ host: '127.0.0.1', port: 7000, user: 'ada' })
})

test('the environment counts more than the file, and flags more than the environment', () => {
  const env = { PGHOST: 'db', PGPORT: '7000', PGUSER: 'bob' }
  expect(targetOf({ ...OPTIONS, ...SOCKET, env })).toEqual({ host: 'db', port: 7000, user: 'bob' })
  expect(targetOf({ ...OPTIONS, env, host: '/run', port: '1', username: 'eve' })).toEqual({
    ...{ host: '/run', port: 1, user: 'eve' },
  })
})

test('what is empty is not given', () => {
  const env = { PGHOST: '', PGPORT: '', PGUSER: '' }
  expect(targetOf({ ...OPTIONS, env, host: '', port: '', username: '' })).toEqual({
    ...{ host: '127.0.0.1', port: 6432, user: 'ada' },
  })
})

test('a port that is none is told with whoever has named it', () => {
  for (const port of ['abc', '70000', '-1', '0', '6432x'])
    expect(targetOf({ ...OPTIONS, port })).toEqual({
      problem: `--port cannot be "${port}": it takes a whole number from 1 to 65535`,
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

test('who has no name on this system needs none by the unix socket, and is asked for it elsewhere', () => {
  const nobody = { ...OPTIONS, systemUser: () => null }
  expect(targetOf({ ...nobody, ...SOCKET })).toMatchObject({ user: 'pgbouncer' })
  expect(targetOf({ ...nobody, username: 'eve' })).toMatchObject({ user: 'eve' })
  expect(targetOf(nobody)).toMatchObject({ problem: expect.stringContaining('--username') })
})
