import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { SETTING_KEYS, SETTINGS } from '../../../src/settings/schema.ts'
import { fakeWorld } from './world.ts'

const UPSTREAM = ['--upstream', 'postgres://db/', '--auth-type', 'any']

/** Runs until the pooler has started, ends it, and returns what it was started with. */
async function startWith(...args: string[]) {
  const fake = fakeWorld()
  fake.pooler.end()
  expect(await fake.run(...args), fake.written.err).toBe(0)
  const [first] = fake.started
  if (first === undefined) throw new Error('nothing was started')
  return { ...first, written: fake.written }
}

describe('pgweir', () => {
  test('--version prints the name and the version of package.json, and exits with 0', async () => {
    const { version } = JSON.parse(readFileSync('package.json', 'utf8'))
    for (const flag of ['-V', '--version']) {
      const { run, written } = fakeWorld()
      expect(await run(flag)).toBe(0)
      expect(written.out.split('\n')[0]).toBe(`pgweir ${version}`)
    }
  })

  test('--help lists every setting by topic, and the commands', async () => {
    const { run, written } = fakeWorld()
    expect(await run('--help')).toBe(0)
    for (const key of SETTING_KEYS)
      if (!('noEffect' in SETTINGS[key])) expect(written.out).toContain(`--${key.replaceAll('_', '-')}`)
    expect(written.out).toMatch(/^Timeouts:$/m)
    expect(written.out).toMatch(/^ {2}check /m)
    expect(written.out).toMatch(/^ {2}demo /m)
    expect(written.out).not.toContain('--pkt-buf')
  })

  test('--help lists the commands first, and fits into 80 columns', async () => {
    for (const args of [
      ['--help'],
      ['help'],
      ['help', 'check'],
      ['check', '--help'],
      ['demo', '--help'],
      ['console', '-h'],
    ]) {
      const { run, written } = fakeWorld()
      expect(await run(...args)).toBe(0)
      expect(written.out.split('\n').filter((line) => line.length > 80)).toEqual([])
      if (args.length === 1) expect(written.out).toMatch(/^Commands:$.*^Options:$.*^Listening:$.*^Examples:$/ms)
      else expect(written.out).not.toContain('Listening:')
    }
  })

  test('a mistyped command is not taken for a file', async () => {
    const { run, written, started } = fakeWorld()
    expect(await run('consol', ...UPSTREAM)).toBe(1)
    expect(written.err).toBe('error: there is no command "consol"; did you mean "console"?\n')
    expect(started).toEqual([])
  })

  test('without anything to pool, the error says what to give', async () => {
    const { run, written, started } = fakeWorld()
    expect(await run()).toBe(1)
    expect(written.err).toContain('pass a configuration file, --upstream')
    expect(started).toEqual([])
  })

  test('accepts every setting as a flag, and databases, without a file', async () => {
    const { settings, options } = await startWith(
      ...['--default-pool-size', '5', '--server-check-query', '', '--database', 'app=host=a', '--database', 'b=host=b'],
      ...UPSTREAM,
    )
    expect(settings.general).toMatchObject({ default_pool_size: 5, server_check_query: '', auth_type: 'any' })
    expect([...settings.databases.keys()]).toEqual(['app', 'b'])
    expect(settings.fallback).toMatchObject({ host: 'db' })
    expect(options).toMatchObject({ isQuiet: false })
  })

  test('counts -v and --verbose, and accepts -q', async () => {
    const { settings, options } = await startWith('-vv', '--verbose', '-q', ...UPSTREAM)
    expect(settings.general.verbose).toBe(3)
    expect(options).toMatchObject({ isQuiet: true })
  })

  test('console receives its commands and layout', async () => {
    const { run, talks } = fakeWorld()
    expect(await run('console', '--json', '-p', '7000', 'show pools', '-c', 'show stats', '-c', 'show lists')).toBe(3)
    expect(talks).toEqual([
      { texts: ['show pools'], flags: { json: true, port: '7000', command: ['show stats', 'show lists'] } },
    ])
  })

  test('console receives the settings given before it', async () => {
    const { run, talks } = fakeWorld()
    expect(await run('--listen-port', '7000', 'console', 'show pools')).toBe(3)
    expect(talks).toEqual([{ texts: ['show pools'], flags: { settings: { listen_port: '7000' } } }])
  })

  test('refuses -d for commands that cannot run in the background', async () => {
    for (const command of ['demo', 'check', 'console']) {
      const { run, written, demos } = fakeWorld()
      expect(await run('-d', command, ...(command === 'check' ? ['a.ini'] : []))).toBe(1)
      expect(written.err).toContain(`-d is for the pooler itself: ${command} cannot run in the background`)
      expect(demos).toEqual([])
    }
  })

  test.each([
    ['--upstream', 'postgres://ada@db/'],
    ['--database', 'app=host=db'],
  ])('refuses %s before demo, which starts its own PostgreSQL', async (flag, value) => {
    const { run, written, demos } = fakeWorld()
    expect(await run(flag, value, 'demo')).toBe(1)
    expect(written.err).toContain(`${flag} cannot be used with demo, which starts its own PostgreSQL`)
    expect(demos).toEqual([])
  })

  test('suggests the nearest flag for a mistyped one', async () => {
    const { run, written } = fakeWorld()
    expect(await run('--default-pool-sise', '5')).toBe(1)
    expect(written.err).toContain('--default-pool-size')
  })

  test('treats unsupported values and settings without effect in flags as in a file', async () => {
    const { run, written } = fakeWorld()
    expect(await run(...UPSTREAM, '--auth-type', 'peer')).toBe(1)
    expect(written.err).toContain('it is a method of auth_hba_file, for auth_type = hba')
    const { written: warned } = await startWith('--pkt-buf', '1', ...UPSTREAM)
    expect(warned.err).toContain('warning: --pkt-buf has no effect')
  })

  test.each([
    [['-R'], 'taking over the sockets'],
    [['--reboot', 'demo'], 'taking over the sockets'],
  ])('refuses %j with an error instead of ignoring it', async (flags, told) => {
    const { run, written, started, demos } = fakeWorld()
    expect(await run(...flags)).toBe(1)
    expect(written.err).toContain(told)
    expect([...started, ...demos]).toEqual([])
  })

  test.each([
    [['-u', 'nobody'], 'nobody'],
    [['--user=daemon'], 'daemon'],
  ])('takes the user from %j as from the setting', async (flags, user) => {
    const { settings } = await startWith(...flags, ...UPSTREAM)
    expect(settings.general.user).toBe(user)
  })

  test('accepts only one file', async () => {
    const { run, written } = fakeWorld()
    expect(await run('a.ini', 'b.ini')).toBe(1)
    expect(written.err).toContain('too many arguments')
  })
})

test('pgweir demo receives all setting flags, from before and after its name, and returns its exit code', async () => {
  const { run, demos } = fakeWorld()
  expect(await run('-v', '--pool-mode', 'session', 'demo', '--listen-port', '0', '--pool-mode', 'transaction')).toBe(7)
  expect(demos).toEqual([
    {
      flags: { pool_mode: 'transaction', listen_port: '0', verbose: '1' },
      databases: [],
      upstream: null,
      isQuiet: false,
    },
  ])
})

test('pgweir demo has its own server, so it refuses --upstream', async () => {
  const { run, written, demos } = fakeWorld()
  expect(await run('demo', '--upstream', 'postgres://db/')).toBe(1)
  expect(written.err).toContain("unknown option '--upstream'")
  expect(demos).toEqual([])
})
