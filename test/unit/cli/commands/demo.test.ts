import { once } from 'node:events'
import { readFileSync, statSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { type DemoOptions, type DemoParts, findTakenAddress, runDemo } from '../../../../src/cli/commands/demo.ts'
import type { Settings } from '../../../../src/settings/load.ts'

test('the demo pools its database in transaction mode on 127.0.0.1:6432 with SCRAM, and prints matching commands', async () => {
  const { run, interrupt, text, settings } = await prepareDemo({ flags: {}, password: 'p"ss/wörd' })
  const code = run()
  await text.toContain('Ready.')
  expect(settings()?.general).toMatchObject({
    listen_addr: '127.0.0.1',
    listen_port: 6432,
    pool_mode: 'transaction',
    auth_type: 'scram-sha-256',
    admin_users: ['demo'],
    http_listen: [{ host: '127.0.0.1', port: 9127 }],
  })
  expect(settings()?.databases.get('demo')).toMatchObject({ dbname: 'demo' })
  expect(text.whole()).toContain('psql "postgres://demo:p%22ss%2Fw%C3%B6rd@127.0.0.1:6432/demo"')
  expect(text.whole()).toContain('@127.0.0.1:6432/pgweir"')
  expect(text.whole()).toContain('curl http://127.0.0.1:9127/metrics')
  interrupt()
  expect(await code).toBe(0)
})

test('the password is in a file that only its owner can read, in the directory that is removed at the end', async () => {
  const { run, interrupt, text, settings, directory } = await prepareDemo({ flags: {}, password: 'p"ss' })
  const code = run()
  await text.toContain('Ready.')
  const file = settings()?.general.auth_file ?? ''
  expect(file.startsWith(directory)).toBe(true)
  expect(readFileSync(file, 'utf8')).toBe('"demo" "p""ss"\n')
  expect(statSync(file).mode & 0o777).toBe(0o600)
  interrupt()
  await code
})

test('each run has its own password', async () => {
  const passwords: (string | undefined)[] = []
  for (let runs = 0; runs < 2; runs++) {
    const { run, interrupt, text } = await prepareDemo({ flags: {} })
    const code = run()
    await text.toContain('Ready.')
    interrupt()
    await code
    passwords.push(/demo:([\w-]{12})@/.exec(text.whole())?.[1])
  }
  expect(new Set(passwords).size).toBe(2)
  expect(passwords).not.toContain(undefined)
})

test('Ctrl-C stops the pooler first, then PostgreSQL', async () => {
  const { run, interrupt, text, doings } = await prepareDemo({ flags: {} })
  const code = run()
  await text.toContain('Ready.')
  interrupt()
  expect(await code).toBe(0)
  expect(doings).toEqual(['start postgres', 'create database', 'start pooler', 'stop pooler', 'stop postgres'])
})

test('Ctrl-C while PostgreSQL starts is not a failure', async () => {
  const { run, interrupt, doings } = await prepareDemo({ flags: {} })
  const code = run({
    startPostgres: async ({ abort }) => {
      interrupt()
      abort?.throwIfAborted()
      throw new Error('the start went on after it was aborted')
    },
  })
  expect(await code).toBe(0)
  expect(doings).toEqual([])
})

test('flags override the environment, and the environment overrides the demo’s defaults', async () => {
  const env = { PGWEIR_POOL_MODE: 'session', PGWEIR_LISTEN_PORT: '6440', PGWEIR_UPSTREAM: 'postgres://elsewhere/' }
  const { run, interrupt, text, settings } = await prepareDemo({ flags: { listen_port: '6441' } }, env)
  const code = run()
  await text.toContain('Ready.')
  expect(settings()?.general).toMatchObject({ pool_mode: 'session', listen_port: 6441, auth_type: 'scram-sha-256' })
  expect(settings()?.fallback?.host).toEqual(settings()?.databases.get('demo')?.host)
  interrupt()
  await code
})

test('a wrong setting is reported before anything is started', async () => {
  const { run, text, doings } = await prepareDemo({ flags: { pool_mode: 'sometimes' } })
  expect(await run()).toBe(1)
  expect(text.whole()).toContain('--pool-mode cannot be')
  expect(doings).toEqual([])
})

test.each(['', 'two\nlines'])('the password %j is refused before anything is started', async (password) => {
  const { run, text, doings } = await prepareDemo({ flags: {}, password })
  expect(await run()).toBe(1)
  expect(text.whole()).toContain('--password cannot be empty or have several lines')
  expect(doings).toEqual([])
})

test('a warning about a setting is printed once', async () => {
  const { run, interrupt, text } = await prepareDemo({ flags: {} }, { PGWEIR_DEFALT_POOL_SIZE: '5' })
  const code = run()
  await text.toContain('Ready.')
  interrupt()
  await code
  expect(
    text.whole().match(/warning: the environment variable PGWEIR_DEFALT_POOL_SIZE is not a setting/g),
  ).toHaveLength(1)
})

test('a port in use is reported before anything is started, with a command that avoids it', async () => {
  const port = await takePort()
  const { run, text, doings } = await prepareDemo({ flags: { listen_port: String(port) } })
  expect(await run({ findTakenAddress })).toBe(1)
  expect(text.whole()).toContain(`port ${port} on 127.0.0.1 is in use`)
  expect(text.whole()).toContain(`npm start -- demo --listen-port ${port + 1}`)
  expect(doings).toEqual([])
})

test('if the port for metrics is in use, the demo runs without metrics', async () => {
  const { run, interrupt, text, settings } = await prepareDemo({ flags: {} })
  const code = run({ isFree: async () => false })
  await text.toContain('Ready.')
  expect(settings()?.general.http_listen).toEqual([])
  expect(text.whole()).not.toContain('/metrics')
  interrupt()
  expect(await code).toBe(0)
})

test('if a port is taken while the demo starts, PostgreSQL is stopped', async () => {
  const { run, text, doings } = await prepareDemo({ flags: {} })
  const code = run({
    startPooler: async () => {
      throw new Error('cannot listen', { cause: Object.assign(new Error('listen'), { code: 'EADDRINUSE' }) })
    },
  })
  expect(await code).toBe(1)
  expect(text.whole()).toContain('npm start -- demo --listen-port 6433')
  expect(doings).toEqual(['start postgres', 'create database', 'stop postgres'])
})

test('if PostgreSQL ends by itself the demo ends, and PostgreSQL’s last log lines are shown', async () => {
  const { run, text, doings, endPostgres } = await prepareDemo({ flags: {} })
  const code = run()
  await text.toContain('Ready.')
  endPostgres()
  expect(await code).toBe(1)
  expect(text.whole()).toContain('FATAL: out of ink')
  expect(doings.slice(-2)).toEqual(['stop pooler', 'stop postgres'])
})

test('if the pooler is shut down from its console the demo ends', async () => {
  const { run, text, doings, endPooler } = await prepareDemo({ flags: {} })
  const code = run()
  await text.toContain('Ready.')
  endPooler()
  expect(await code).toBe(0)
  expect(text.whole()).toContain('shut down from its console')
  expect(doings.at(-1)).toBe('stop postgres')
})

/** A demo whose PostgreSQL and pooler only record what is done to them. */
async function prepareDemo(options: DemoOptions, env: DemoParts['env'] = {}) {
  const directory = await mkdtemp(join(tmpdir(), 'pgweir-demo-'))
  onTestFinished(() => rm(directory, { recursive: true }))
  const interrupt = new AbortController()
  const doings: string[] = []
  const text = new Text()
  let settings: Settings | null = null
  let endPostgres = () => {}
  const ended = new Promise<void>((resolve) => {
    endPostgres = resolve
  })

  let endPooler = () => {}
  const stopped = new Promise<void>((resolve) => {
    endPooler = resolve
  })

  const parts: DemoParts = {
    env,
    interrupted: interrupt.signal,
    write: (line) => text.add(line),
    // The default port may be in use where the tests run.
    findTakenAddress: async () => null,
    isFree: async () => true,
    async startPostgres({ superuser: user, password }) {
      doings.push('start postgres')
      const stop = async () => void doings.push('stop postgres')
      return { host: '127.0.0.1', port: 54321, user, password, version: '18.4', directory, ended, log: LOG, stop }
    },
    createDemoDatabase: async () => void doings.push('create database'),
    async startPooler(given) {
      doings.push('start pooler')
      settings = given
      const addresses = [{ host: given.general.listen_addr, port: given.general.listen_port }]
      return {
        addresses,
        httpAddresses: given.general.http_listen,
        stopped,
        stop: async () => void doings.push('stop pooler'),
      }
    },
  }
  return {
    doings,
    directory,
    text,
    endPostgres,
    endPooler,
    settings: () => settings,
    interrupt: () => interrupt.abort(),
    run: (others: Partial<DemoParts> = {}) => runDemo(options, { ...parts, ...others }),
  }
}

const LOG = ['LOG: ready', 'FATAL: out of ink']

/** What the demo has printed so far. */
class Text {
  #lines: string[] = []
  #onAdd = () => {}

  add(line: string): void {
    this.#lines.push(line)
    this.#onAdd()
  }

  whole(): string {
    return this.#lines.join('\n')
  }

  async toContain(words: string): Promise<void> {
    while (!this.whole().includes(words))
      await new Promise<void>((resolve) => {
        this.#onAdd = resolve
      })
  }
}

async function takePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  onTestFinished(() => void server.close())
  await once(server, 'listening')
  const address = server.address()
  return typeof address === 'object' && address ? address.port : 0
}
