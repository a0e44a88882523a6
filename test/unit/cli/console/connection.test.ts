/** If the place of the console cannot be determined, that is an error, and no other console is tried instead. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { PassThrough } from 'node:stream'
import { expect, onTestFinished, test } from 'vitest'
import { type ConsoleStreams, connectToConsole, type PlaceFlags } from '../../../../src/cli/console/connection.ts'

const NOBODY_THERE = { host: '127.0.0.1', port: '1' }

/** Returns the error if no connection can be made. */
async function told(flags: PlaceFlags, env: ConsoleStreams['env'] = {}): Promise<string> {
  const errors = new PassThrough()
  const streams = { input: new PassThrough(), output: new PassThrough(), errors, env } as unknown as ConsoleStreams
  expect(await connectToConsole(flags, streams)).toBeNull()
  return String(errors.read())
}

function fileOf(text: string): string {
  const file = join(mkdtempSync(join(tmpdir(), 'pgweir-console-')), 'pgweir.ini')
  onTestFinished(() => rmSync(dirname(file), { recursive: true }))
  writeFileSync(file, text)
  return file
}

test('a file that cannot be read is named, and no connection is tried', async () => {
  expect(await told({ config: '/no/such/pgweir.ini', ...NOBODY_THERE })).toBe(
    '/no/such/pgweir.ini: error: "/no/such/pgweir.ini" cannot be read: there is no such file\n',
  )
})

test.each([
  ['[pgbouncer]\nlisten_port = abc\n', ':2: error: listen_port cannot be "abc"'],
  ['[pgbouncer]\nlisten_prt = 7000\n', ':2: error: there is no setting "listen_prt"'],
  ['[pgbuncer]\nlisten_port = 7000\n', ':1: error: there is no section "pgbuncer"'],
])('a mistake in a file that may concern the console’s place (%j) is an error', async (text, sentence) => {
  const file = fileOf(text)
  expect(await told({ config: file })).toContain(`${file}${sentence}`)
})

test('other mistakes in a file are ignored', async () => {
  const text =
    '[databases]\napp = host=db pool_size=many\n[pgbouncer]\nlisten_port = 1\nunix_socket_dir =\npool_mode = none\n'
  expect(await told({ config: fileOf(text), username: 'ada' })).toMatch(/^pgweir: the console of 127.0.0.1:1, as ada: /)
})

test('a mistake in an environment variable is an error unless the place is given explicitly', async () => {
  const env = { PGWEIR_LISTEN_PORT: 'abc' }
  expect(await told({}, env)).toContain('PGWEIR_LISTEN_PORT cannot be "abc"')
  expect(await told(NOBODY_THERE, env)).toMatch(/^pgweir: the console of 127.0.0.1:1, /)
})

test('an IPv6 address has brackets before its port', async () => {
  expect(await told({ host: '::1', port: '1', username: 'ada' })).toMatch(/^pgweir: the console of \[::1\]:1, as ada: /)
})

test('an invalid port is an error', async () => {
  expect(await told({ port: 'abc' })).toBe(
    'pgweir: error: --port cannot be "abc": it must be a whole number from 1 to 65535\n',
  )
})

test('settings before the command determine the console’s place', async () => {
  const settings = { listen_port: '1', unix_socket_dir: '' }
  expect(await told({ settings, username: 'ada' })).toMatch(/^pgweir: the console of 127.0.0.1:1, as ada: /)
})
