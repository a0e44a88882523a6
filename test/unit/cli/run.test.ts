import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { expect, onTestFinished, test, vi } from 'vitest'
import { InvariantError } from '../../../src/base/invariant.ts'
import { run, type Start } from '../../../src/cli/commands/run.ts'
import { ECHO_MS } from '../../../src/cli/signals.ts'
import { PoolerError } from '../../../src/problems.ts'
import { error, SettingsError, warning } from '../../../src/settings/problem.ts'
import { until } from '../../support/e2e/until.ts'
import { loadText, virtualFiles } from '../settings/virtual-files.ts'
import { fakeWorld } from './world.ts'

const OPTIONS = { upstream: 'postgres://db/', flags: { auth_type: 'any' }, isQuiet: false }

/** Runs a pooler that has started and waits for signals. */
async function startRun() {
  const fake = fakeWorld()
  const start = await fake.world.loadStart()
  const ended = run(OPTIONS, start, fake.world)
  await until('it has started', () => fake.started.length === 1)
  return { ...fake, ended }
}

test('all errors in the settings are printed and nothing is started', async () => {
  const { world, started, written } = fakeWorld()
  const files = virtualFiles({ 'pgweir.ini': '[pgbouncer]\nverbose = x\nfoo = 1\n' })
  expect(await run({ iniFile: 'pgweir.ini', files, isQuiet: false }, await world.loadStart(), world)).toBe(1)
  expect(written.err).toContain('pgweir.ini:2: error: verbose cannot be "x"')
  expect(written.err).toContain('pgweir.ini:3: error: there is no setting "foo"')
  expect(started).toEqual([])
})

test('an error found during the start is printed with its place, as in pgweir check', async () => {
  const { world, written } = fakeWorld()
  const place = { file: 'pgweir.ini', line: 9 }
  const start = async () => {
    throw new SettingsError([error(place, 'one thing is wrong'), error(place, 'and another')])
  }
  expect(await run(OPTIONS, start, world)).toBe(1)
  expect(written.err).toBe('pgweir.ini:9: error: one thing is wrong\npgweir.ini:9: error: and another\n')
})

test('warnings are printed and the pooler starts', async () => {
  const { world, started, written, pooler } = fakeWorld()
  pooler.end()
  expect(await run({ ...OPTIONS, flags: { auth_type: 'md5' } }, await world.loadStart(), world)).toBe(0)
  expect(written.err).toBe(
    'pgweir: warning: neither auth_file nor auth_user is set, so nobody can log in with auth_type = md5\n',
  )
  expect(started).toHaveLength(1)
})

test.each([
  ['SIGHUP', 'reload'],
  ['SIGUSR1', 'pause'],
  ['SIGUSR2', 'resume'],
  ['SIGTERM', 'shutdown wait_for_clients'],
  ['SIGINT', 'shutdown wait_for_servers'],
] as const)('%s means %s, as in PgBouncer', async (name, command) => {
  const { signal, pooler, ended, exits, listeners } = await startRun()
  signal(name)
  await until('the command has been received', () => pooler.asked.length === 1)
  expect(pooler.asked).toEqual([command])
  expect(pooler.logged).toEqual([`got ${name}`])
  pooler.end()
  expect(await ended).toBe(0)
  expect([pooler.stops, exits]).toEqual([0, []])
  expect(listeners.size).toBe(0)
})

test('SIGQUIT stops the pooler at once, in an orderly way', async () => {
  const { signal, pooler, ended } = await startRun()
  signal('SIGQUIT')
  await until('the pooler was stopped', () => pooler.stops === 1)
  pooler.end()
  expect(await ended).toBe(0)
  expect(pooler.asked).toEqual([])
})

test('a second signal to end stops at once and a third exits immediately, but a repeated signal that npm passes on does not count', async () => {
  const { signal, pooler, ended, exits } = await startRun()
  vi.useFakeTimers({ toFake: ['performance'] })
  onTestFinished(() => {
    vi.useRealTimers()
  })
  signal('SIGINT')
  vi.advanceTimersByTime(ECHO_MS - 1)
  signal('SIGINT')
  expect([pooler.asked, pooler.stops]).toEqual([['shutdown wait_for_servers'], 0])
  vi.advanceTimersByTime(1)
  signal('SIGINT')
  expect([pooler.stops, exits]).toEqual([1, []])
  signal('SIGTERM')
  expect(exits).toEqual([1])
  pooler.end()
  await ended
})

test('SIGINT after SIGTERM hastens the shutdown without delay, because a different signal is never an echo from npm', async () => {
  const { signal, pooler, ended, exits } = await startRun()
  signal('SIGTERM')
  signal('SIGINT')
  expect([pooler.asked, pooler.stops]).toEqual([['shutdown wait_for_clients', 'shutdown wait_for_servers'], 0])
  signal('SIGTERM')
  expect([pooler.stops, exits]).toEqual([1, []])
  signal('SIGQUIT')
  expect(exits).toEqual([1])
  pooler.end()
  await ended
})

test.each(['SIGTERM', 'SIGINT'] as const)('%s stops at once if a shutdown is already under way', async (name) => {
  const { signal, pooler, ended, exits, written } = await startRun()
  // A shutdown has been started on the console before.
  pooler.answer = async () => {
    throw new PoolerError('shutting-down')
  }
  signal(name)
  await until('the pooler was stopped', () => pooler.stops === 1)
  expect([written.err, exits]).toEqual(['', []])
  signal('SIGQUIT')
  expect(exits).toEqual([1])
  pooler.end()
  expect(await ended).toBe(0)
})

test('signals that arrive during the start are handled once it is complete', async () => {
  const { world, signal, pooler } = fakeWorld()
  const start: Start = async () => {
    signal('SIGHUP')
    signal('SIGQUIT')
    return pooler
  }
  const ended = run(OPTIONS, start, world)
  await until('the pooler was stopped', () => pooler.stops === 1)
  expect(pooler.asked).toEqual(['reload'])
  pooler.end()
  expect(await ended).toBe(0)
})

test('if a signal’s command fails the reason is printed and the pooler goes on', async () => {
  const { signal, pooler, ended, written } = await startRun()
  pooler.answer = async () => {
    throw new PoolerError('reload-failed')
  }
  signal('SIGHUP')
  await until('something is written', () => written.err !== '')
  expect(written.err).toBe('pgweir: SIGHUP: RELOAD failed, see logs for additional details\n')
  pooler.end()
  expect(await ended).toBe(0)
})

test('an invariant failure caused by a signal is not swallowed', async () => {
  const { signal, pooler, ended } = await startRun()
  pooler.answer = async () => {
    throw new InvariantError('believed')
  }
  signal('SIGHUP')
  await expect(ended).rejects.toThrow(InvariantError)
})

test('run() ends when the pooler ends by itself', async () => {
  const { pooler, ended } = await startRun()
  pooler.end()
  expect(await ended).toBe(0)
})

test('an error that prevents starting or stopping is printed in one line', async () => {
  const { world, written, pooler } = fakeWorld()
  const inUse: Start = () => Promise.reject(new Error('listen EADDRINUSE: address already in use 127.0.0.1:6432'))
  expect(await run(OPTIONS, inUse, world)).toBe(1)
  expect(written.err).toBe('pgweir: error: listen EADDRINUSE: address already in use 127.0.0.1:6432\n')

  const { world: other, signal, written: told } = fakeWorld()
  const unstoppable: Start = async () => {
    signal('SIGQUIT')
    return { ...pooler, stop: () => Promise.reject(new Error('stuck')) }
  }
  expect(await run(OPTIONS, unstoppable, other)).toBe(1)
  expect(told.err).toContain('stuck')
})

test('errors at the start are also in the log', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'pgweir-run-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const logfile = join(folder, 'a.log')
  const options = { ...OPTIONS, isQuiet: true, flags: { ...OPTIONS.flags, logfile } }
  /** Returns, for each line, what follows time and process. */
  const logged = () => {
    const lines = existsSync(logfile) ? readFileSync(logfile, 'utf8').trimEnd().split('\n') : []
    rmSync(logfile, { force: true })
    return lines.map((line) => line.replace(/^.*? \[\d+\] /, ''))
  }
  const { world } = fakeWorld()
  expect(await run(options, () => Promise.reject(new Error('the address is taken')), world)).toBe(1)
  expect(logged()).toEqual(['ERROR the address is taken'])

  const place = { file: 'pgweir.ini', line: 9 }
  const broken = new SettingsError([error(place, 'one thing'), warning(place, 'told'), error(place, 'and another')])
  expect(await run(options, () => Promise.reject(broken), world)).toBe(1)
  expect(logged()).toEqual(['ERROR pgweir.ini:9: error: one thing', 'ERROR pgweir.ini:9: error: and another'])

  expect(await run({ ...options, flags: { ...options.flags, verbose: 'x' } }, await world.loadStart(), world)).toBe(1)
  expect(logged()).toEqual(['ERROR pgweir: error: --verbose cannot be "x": it must be a whole number from 0 to 9'])

  expect(await run({ ...options, isDaemon: true }, await world.loadStart(), world)).toBe(1)
  expect(logged()).toEqual(['ERROR daemon needs pidfile configured'])

  const { world: warned, written, pooler } = fakeWorld()
  pooler.end()
  const background = { ...options, isInBackground: true, flags: { auth_type: 'md5', logfile } }
  expect(await run(background, await warned.loadStart(), warned)).toBe(0)
  expect(logged()).toEqual([
    'WARNING pgweir: warning: neither auth_file nor auth_user is set, so nobody can log in with auth_type = md5',
  ])
  // The process that has started it prints warnings.
  expect(written.err).toBe('')

  // A log file owned by root would be in the way of the user who should have started pgweir.
  expect(await run(options, await world.loadStart(), fakeWorld({ uid: 0 }).world)).toBe(1)
  expect(logged()).toEqual([])
})

test('an invariant failure at the start is not presented as an ordinary error', async () => {
  const { world } = fakeWorld()
  const broken: Start = () => Promise.reject(new InvariantError('believed'))
  await expect(run(OPTIONS, broken, world)).rejects.toThrow(InvariantError)
})

test('the pooler starts with the settings of the file', async () => {
  const { world, started, pooler } = fakeWorld()
  pooler.end()
  const text = '[databases]\napp = host=a\n[pgbouncer]\nauth_type = any\nlisten_port = 7000\n'
  const files = virtualFiles({ 'pgweir.ini': text })
  await run({ iniFile: 'pgweir.ini', files, isQuiet: true }, await world.loadStart(), world)
  expect(started).toMatchObject([{ settings: loadText(text).settings, options: { isQuiet: true } }])
})

test.each([
  [{}, 'daemon needs pidfile configured'],
  [{ pidfile: '/nowhere/a.pid' }, 'daemon needs logfile or syslog configured'],
])('with -d and %j the missing setting is reported, as in PgBouncer', async (flags, told) => {
  const { world, started, written } = fakeWorld()
  const options = { ...OPTIONS, isDaemon: true, flags: { ...OPTIONS.flags, ...flags } }
  expect(await run(options, await world.loadStart(), world)).toBe(1)
  expect(written.err).toBe(`pgweir: error: ${told}\n`)
  expect(started).toEqual([])
})

test('with -d another process serves clients, and its exit code is returned', async () => {
  const { world, started } = fakeWorld()
  const flags = { ...OPTIONS.flags, pidfile: '/nowhere/a.pid', logfile: '/nowhere/a.log' }
  expect(await run({ ...OPTIONS, isDaemon: true, flags }, await world.loadStart(), world)).toBe(9)
  expect(started).toEqual([])
})

test('the pidfile of another running process prevents the start and is not touched', async () => {
  const { world, started, written } = fakeWorld()
  const pidfile = join(mkdtempSync(join(tmpdir(), 'pgweir-run-')), 'a.pid')
  onTestFinished(() => rmSync(dirname(pidfile), { recursive: true }))
  writeFileSync(pidfile, `${process.ppid}\n`)
  expect(await run({ ...OPTIONS, flags: { ...OPTIONS.flags, pidfile } }, await world.loadStart(), world)).toBe(1)
  expect(written.err).toBe(`pgweir: error: pidfile '${pidfile}' exists, another instance running?\n`)
  expect(started).toEqual([])
  expect(readFileSync(pidfile, 'utf8')).toBe(`${process.ppid}\n`)
})

test('the pidfile exists while it runs, also if the start fails', async () => {
  const { world, pooler, reports, started } = fakeWorld()
  const pidfile = join(mkdtempSync(join(tmpdir(), 'pgweir-run-')), 'a.pid')
  onTestFinished(() => rmSync(dirname(pidfile), { recursive: true }))
  const options = { ...OPTIONS, flags: { ...OPTIONS.flags, pidfile } }
  const ended = run(options, await world.loadStart(), world)
  await until('it has started', () => started.length === 1)
  expect(readFileSync(pidfile, 'utf8')).toBe(`${process.pid}\n`)
  await until('the start is reported', () => reports.length === 1)
  pooler.end()
  expect(await ended).toBe(0)
  expect(existsSync(pidfile)).toBe(false)
  const failing: Start = async () => {
    expect(existsSync(pidfile)).toBe(true)
    throw new Error('no')
  }
  expect(await run(options, failing, world)).toBe(1)
  expect(existsSync(pidfile)).toBe(false)
})

test('the pidfile is removed even after a forced exit', async () => {
  const { world, signal, pooler, started, exits } = fakeWorld()
  const pidfile = join(mkdtempSync(join(tmpdir(), 'pgweir-run-')), 'a.pid')
  onTestFinished(() => rmSync(dirname(pidfile), { recursive: true }))
  const ended = run({ ...OPTIONS, flags: { ...OPTIONS.flags, pidfile } }, await world.loadStart(), world)
  await until('it has started', () => started.length === 1)
  signal('SIGQUIT')
  expect(existsSync(pidfile)).toBe(true)
  signal('SIGTERM')
  expect([exits, existsSync(pidfile)]).toEqual([[1], false])
  pooler.end()
  await ended
})
