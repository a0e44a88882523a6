import { PassThrough } from 'node:stream'
import { expect, test } from 'vitest'
import { top } from '../../../../src/cli/commands/top.ts'
import type { ConsoleStreams } from '../../../../src/cli/console/connection.ts'

test.each(['abc', '0', '-1', '0.05', '', '1e9', '40d'])(
  'a delay of %j is an error, and nothing is connected to',
  async (delay) => {
    const errors = new PassThrough()
    const streams = {
      input: new PassThrough(),
      output: new PassThrough(),
      errors,
      env: {},
    } as unknown as ConsoleStreams
    expect(await top({ host: '127.0.0.1', port: '1', delay }, streams)).toBe(1)
    expect(String(errors.read())).toMatch(
      /^pgweir: error: --delay cannot be ".*": it must be a number of seconds, or a number with a unit/,
    )
  },
)
