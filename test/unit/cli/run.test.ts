import { expect, onTestFinished, test, vi } from 'vitest'
import { InvariantError } from '../../../src/base/invariant.ts'
import { run, type Start } from '../../../src/cli/commands/run.ts'
import { ECHO_MS } from '../../../src/cli/signals.ts'
import { loadText, virtualFiles } from '../settings/virtual-files.ts'
import { fakeWorld } from './world.ts'

const OPTIONS = { upstream: 'postgres://db/', flags: { auth_type: 'trust' }, isQuiet: false }

/** A pooler that has started and waits for signals. */
async function startRun() {
  const fake = fakeWorld()
  const start = await fake.world.loadStart()
  const ended = run(OPTIONS, start, fake.world)
  await vi.waitUntil(() => fake.started.length === 1)
  return { ...fake, ended }
}

test('errors in the settings are all told and nothing is started', async () => {
  const { world, started, written } = fakeWorld()
  const files = virtualFiles({ 'pgweir.ini': '[pgbouncer]\nverbose = x\nfoo = 1\n' })
  expect(await run({ iniFile: 'pgweir.ini', files, isQuiet: false }, await world.loadStart(), world)).toBe(1)
  expect(written.err).toContain('pgweir.ini:2: error: verbose cannot be "x"')
  expect(written.err).toContain('pgweir.ini:3: error: there is no setting "foo"')
  expect(started).toEqual([])
})

test('warnings are told and the pooler starts', async () => {
  const { world, started, written, pooler } = fakeWorld()
  pooler.end()
  expect(await run({ ...OPTIONS, flags: { auth_type: 'md5' } }, await world.loadStart(), world)).toBe(0)
  expect(written.err).toBe('pgweir: warning: no auth_file is set, so nobody can log in with auth_type = md5\n')
  expect(started).toHaveLength(1)
})

test.each(['SIGINT', 'SIGTERM'] as const)(
  '%s stops the pooler once, and run ends when it has stopped',
  async (name) => {
    const { signal, pooler, ended, exits, listeners } = await startRun()
    signal(name)
    await vi.waitUntil(() => pooler.stops === 1)
    pooler.end()
    expect(await ended).toBe(0)
    expect([pooler.stops, exits]).toEqual([1, []])
    expect(listeners.size).toBe(0)
  },
)

test('a second signal ends the process at once, but for the one that npm passes on', async () => {
  const { signal, pooler, ended, exits } = await startRun()
  vi.useFakeTimers({ toFake: ['performance'] })
  onTestFinished(() => {
    vi.useRealTimers()
  })
  signal('SIGTERM')
  vi.advanceTimersByTime(ECHO_MS - 1)
  signal('SIGTERM')
  expect(exits).toEqual([])
  vi.advanceTimersByTime(1)
  signal('SIGINT')
  expect(exits).toEqual([1])
  pooler.end()
  await ended
  expect(pooler.stops).toBe(1)
})

test('a signal that comes while the pooler starts stops it as soon as it has', async () => {
  const { world, signal, pooler } = fakeWorld()
  const start: Start = async () => {
    signal('SIGTERM')
    return pooler
  }
  const ended = run(OPTIONS, start, world)
  await vi.waitUntil(() => pooler.stops === 1)
  pooler.end()
  expect(await ended).toBe(0)
})

test('run ends when the pooler ends by itself', async () => {
  const { pooler, ended } = await startRun()
  pooler.end()
  expect(await ended).toBe(0)
})

test('what keeps the pooler from starting or stopping is told in one line', async () => {
  const { world, written, pooler } = fakeWorld()
  const inUse: Start = () => Promise.reject(new Error('listen EADDRINUSE: address already in use 127.0.0.1:6432'))
  expect(await run(OPTIONS, inUse, world)).toBe(1)
  expect(written.err).toBe('pgweir: error: listen EADDRINUSE: address already in use 127.0.0.1:6432\n')

  const { world: other, signal, written: told } = fakeWorld()
  const unstoppable: Start = async () => {
    signal('SIGTERM')
    return { ...pooler, stop: () => Promise.reject(new Error('stuck')) }
  }
  expect(await run(OPTIONS, unstoppable, other)).toBe(1)
  expect(told.err).toContain('stuck')
})

test('a mistake of our own is not dressed up as trouble from outside', async () => {
  const { world } = fakeWorld()
  const broken: Start = () => Promise.reject(new InvariantError('believed'))
  await expect(run(OPTIONS, broken, world)).rejects.toThrow(InvariantError)
})

test('the settings that are started with are those of the file', async () => {
  const { world, started, pooler } = fakeWorld()
  pooler.end()
  const text = '[databases]\napp = host=a\n[pgbouncer]\nauth_type = trust\nlisten_port = 7000\n'
  const files = virtualFiles({ 'pgweir.ini': text })
  await run({ iniFile: 'pgweir.ini', files, isQuiet: true }, await world.loadStart(), world)
  expect(started).toMatchObject([{ settings: loadText(text).settings, options: { isQuiet: true } }])
})
