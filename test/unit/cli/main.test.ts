import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { SETTING_KEYS, SETTINGS } from '../../../src/settings/schema.ts'
import { fakeWorld } from './world.ts'

const UPSTREAM = ['--upstream', 'postgres://db/', '--auth-type', 'any']

/** Runs until the pooler has started, ends it, and gives what it was started with. */
async function startWith(...args: string[]) {
  const fake = fakeWorld()
  fake.pooler.end()
  expect(await fake.run(...args), fake.written.err).toBe(0)
  const [first] = fake.started
  if (first === undefined) throw new Error('nothing was started')
  return { ...first, written: fake.written }
}

describe('pgweir', () => {
  test('--version says the name and the version of package.json, and ends well', async () => {
    const { version } = JSON.parse(readFileSync('package.json', 'utf8'))
    for (const flag of ['-V', '--version']) {
      const { run, written } = fakeWorld()
      expect(await run(flag)).toBe(0)
      expect(written.out.split('\n')[0]).toBe(`pgweir ${version}`)
    }
  })

  test('--help names every setting by topic, and the subcommands', async () => {
    const { run, written } = fakeWorld()
    expect(await run('--help')).toBe(0)
    for (const key of SETTING_KEYS)
      if (!('noEffect' in SETTINGS[key])) expect(written.out).toContain(`--${key.replaceAll('_', '-')}`)
    expect(written.out).toMatch(/^Timeouts:$/m)
    expect(written.out).toMatch(/^ {2}check /m)
    expect(written.out).toMatch(/^ {2}demo /m)
    expect(written.out).not.toContain('--pkt-buf')
  })

  test('--help has the commands first, and breaks no line of a terminal', async () => {
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

  test('a command that is mistyped is not taken for a file', async () => {
    const { run, written, started } = fakeWorld()
    expect(await run('consol', ...UPSTREAM)).toBe(1)
    expect(written.err).toBe('error: there is no command "consol"; did you mean "console"?\n')
    expect(started).toEqual([])
  })

  test('without anything to pool says what to give', async () => {
    const { run, written, started } = fakeWorld()
    expect(await run()).toBe(1)
    expect(written.err).toContain('give a configuration file, --upstream')
    expect(started).toEqual([])
  })

  test('takes every setting as a flag, and databases, without a file', async () => {
    const { settings, options } = await startWith(
      ...['--default-pool-size', '5', '--server-check-query', '', '--database', 'app=host=a', '--database', 'b=host=b'],
      ...UPSTREAM,
    )
    expect(settings.general).toMatchObject({ default_pool_size: 5, server_check_query: '', auth_type: 'any' })
    expect([...settings.databases.keys()]).toEqual(['app', 'b'])
    expect(settings.fallback).toMatchObject({ host: 'db' })
    expect(options).toMatchObject({ isQuiet: false })
  })

  test('counts -v and --verbose, and hears -q', async () => {
    const { settings, options } = await startWith('-vv', '--verbose', '-q', ...UPSTREAM)
    expect(settings.general.verbose).toBe(3)
    expect(options).toMatchObject({ isQuiet: true })
  })

  test('console is given what to run, and how to show it', async () => {
    const { run, talks } = fakeWorld()
    expect(await run('console', '--json', '-p', '7000', 'show pools', '-c', 'show stats', '-c', 'show lists')).toBe(3)
    expect(talks).toEqual([
      { texts: ['show pools'], flags: { json: true, port: '7000', command: ['show stats', 'show lists'] } },
    ])
  })

  test('console is told of the settings that stand before it', async () => {
    const { run, talks } = fakeWorld()
    expect(await run('--listen-port', '7000', 'console', 'show pools')).toBe(3)
    expect(talks).toEqual([{ texts: ['show pools'], flags: { settings: { listen_port: '7000' } } }])
  })

  test('refuses to run in the background what does not', async () => {
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
  ])('refuses %s before demo, which would not go there', async (flag, value) => {
    const { run, written, demos } = fakeWorld()
    expect(await run(flag, value, 'demo')).toBe(1)
    expect(written.err).toContain(`${flag} cannot be used with demo, which starts its own PostgreSQL`)
    expect(demos).toEqual([])
  })

  test('answers a mistyped flag with the nearest one', async () => {
    const { run, written } = fakeWorld()
    expect(await run('--default-pool-sise', '5')).toBe(1)
    expect(written.err).toContain('--default-pool-size')
  })

  test('answers a flag for what is not supported, or has no effect, as a file would be answered', async () => {
    const { run, written } = fakeWorld()
    expect(await run(...UPSTREAM, '--auth-type', 'peer')).toBe(1)
    expect(written.err).toContain('it is a method of auth_hba_file, for auth_type = hba')
    const { written: warned } = await startWith('--pkt-buf', '1', ...UPSTREAM)
    expect(warned.err).toContain('warning: --pkt-buf has no effect')
  })

  test.each([
    [['-R'], 'taking over the sockets'],
    [['--reboot', 'demo'], 'taking over the sockets'],
  ])('answers %j with an error rather than pretending', async (flags, told) => {
    const { run, written, started, demos } = fakeWorld()
    expect(await run(...flags)).toBe(1)
    expect(written.err).toContain(told)
    expect([...started, ...demos]).toEqual([])
  })

  test.each([
    [['-u', 'nobody'], 'nobody'],
    [['--user=daemon'], 'daemon'],
  ])('hears by %j who to become, as by the setting', async (flags, user) => {
    const { settings } = await startWith(...flags, ...UPSTREAM)
    expect(settings.general.user).toBe(user)
  })

  test('takes one file only', async () => {
    const { run, written } = fakeWorld()
    expect(await run('a.ini', 'b.ini')).toBe(1)
    expect(written.err).toContain('too many arguments')
  })
})

test('pgweir demo gets all setting flags, from before and after its name, and gives its exit code', async () => {
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

test('pgweir demo has its own server, so it takes none', async () => {
  const { run, written, demos } = fakeWorld()
  expect(await run('demo', '--upstream', 'postgres://db/')).toBe(1)
  expect(written.err).toContain("unknown option '--upstream'")
  expect(demos).toEqual([])
})
