/** A console that cannot be found is told of, and no other one is asked in its place. */

import { PassThrough } from 'node:stream'
import { expect, test } from 'vitest'
import { type ConsoleStreams, connectToConsole } from '../../../../src/cli/console/connection.ts'

test('a file that cannot be read is named, and nothing is connected to', async () => {
  const errors = new PassThrough()
  const streams = { input: new PassThrough(), output: new PassThrough(), errors, env: {} } as unknown as ConsoleStreams
  expect(await connectToConsole({ config: '/no/such/pgweir.ini', host: '127.0.0.1', port: '1' }, streams)).toBeNull()
  expect(String(errors.read())).toBe(
    '/no/such/pgweir.ini: error: "/no/such/pgweir.ini" cannot be read: there is no such file\n',
  )
})
