import { expect, onTestFinished, test, vi } from 'vitest'
import { createLog } from '../../../src/base/log.ts'
import {
  type Environment,
  findServiceManager,
  inheritedDescriptors,
  NO_SERVICE_MANAGER,
} from '../../../src/daemon/service-manager.ts'
import { receiveDatagrams } from '../../support/datagrams.ts'

function start(env: Environment) {
  const lines: string[] = []
  const log = createLog({
    format: 'text',
    level: 'info',
    wallMs: () => 0,
    write: (_line, _level, bare) => lines.push(bare),
  })
  const manager = findServiceManager(env, log)
  onTestFinished(() => manager.close())
  return { manager, lines }
}

const nowUs = () => Number(process.hrtime.bigint() / 1_000n)

test.each([undefined, `@pgweir-test-${process.pid}`])(
  'at the path %s the service manager receives all notifications in systemd’s format',
  (path) => {
    const receiver = receiveDatagrams(path)
    const env = { NOTIFY_SOCKET: receiver.path, HOME: '/' }
    const { manager } = start(env)
    expect(env, 'child processes must not notify the service manager themselves').toEqual({ HOME: '/' })
    manager.ready()
    manager.status('stats: 2 xacts/s')
    const beforeUs = nowUs()
    manager.reloading()
    manager.stopping()
    const [ready, status, reloading = '', stopping, ...more] = receiver.messages()
    expect([ready, status, stopping, more]).toEqual([
      `READY=1\nMAINPID=${process.pid}`,
      'STATUS=stats: 2 xacts/s',
      'STOPPING=1',
      [],
    ])
    const [, us] = /^RELOADING=1\nMONOTONIC_USEC=(\d+)$/.exec(reloading) ?? []
    expect(Number(us)).toBeGreaterThanOrEqual(beforeUs)
    expect(Number(us)).toBeLessThanOrEqual(nowUs())
    manager.close()
    manager.ready()
    expect(receiver.messages()).toEqual([])
  },
)

function withoutTime(): void {
  vi.useFakeTimers()
  onTestFinished(() => {
    vi.useRealTimers()
  })
}

test.each([undefined, `${process.pid}`])(
  'the watchdog is fed twice per interval if it watches over process %s',
  (pid) => {
    withoutTime()
    const receiver = receiveDatagrams()
    const { manager } = start({
      NOTIFY_SOCKET: receiver.path,
      WATCHDOG_USEC: '2000000',
      ...(pid && { WATCHDOG_PID: pid }),
    })
    vi.advanceTimersByTime(10_000)
    expect(receiver.messages(), 'the watchdog must not be fed before ready()').toEqual([])
    manager.ready()
    manager.ready()
    vi.advanceTimersByTime(2_000)
    expect(receiver.messages().slice(2)).toEqual(['WATCHDOG=1', 'WATCHDOG=1'])
    manager.close()
    vi.advanceTimersByTime(2_000)
  },
)

test('a watchdog interval longer than a timer allows does not cause frequent feeding', () => {
  withoutTime()
  const receiver = receiveDatagrams()
  const { manager } = start({ NOTIFY_SOCKET: receiver.path, WATCHDOG_USEC: String(60 * 86_400 * 1e6) })
  manager.ready()
  vi.advanceTimersByTime(10_000)
  expect(receiver.messages().slice(1)).toEqual([])
})

test('a missing watchdog, or one for another process, is ignored', () => {
  withoutTime()
  const receiver = receiveDatagrams()
  start({ NOTIFY_SOCKET: receiver.path, WATCHDOG_USEC: '1', WATCHDOG_PID: '1' }).manager.ready()
  start({ NOTIFY_SOCKET: receiver.path }).manager.ready()
  vi.advanceTimersByTime(10_000)
  expect(receiver.messages().map((message) => message.split('\n')[0])).toEqual(['READY=1', 'READY=1'])
})

test('a service manager that is gone is logged once', () => {
  const { manager, lines } = start({ NOTIFY_SOCKET: '/nowhere/socket' })
  manager.ready()
  manager.status('x')
  expect(lines).toEqual(['the service manager does not accept notifications: send ENOENT /nowhere/socket'])
})

test('without a service manager nothing is sent', () => {
  expect(start({}).manager).toBe(NO_SERVICE_MANAGER)
  expect(start({ NOTIFY_SOCKET: '' }).manager).toBe(NO_SERVICE_MANAGER)
})

test.each([
  [{ LISTEN_PID: `${process.pid}`, LISTEN_FDS: '2', LISTEN_FDNAMES: 'a:b' }, [3, 4]],
  [{ LISTEN_PID: `${process.pid}`, LISTEN_FDS: '0' }, []],
  [{ LISTEN_PID: `${process.pid}`, LISTEN_FDS: 'x' }, []],
  [{ LISTEN_PID: `${process.pid}` }, []],
  [{ LISTEN_PID: '1', LISTEN_FDS: '2' }, []],
  [{ LISTEN_FDS: '2' }, []],
  [{}, []],
])('with the environment %j the inherited sockets are %j', (env: Environment, expected) => {
  expect(inheritedDescriptors(env)).toEqual(expected)
  expect(env).toEqual({})
})
