/** bin/pgweir.js in a clone that has not been built. */

import { execFile } from 'node:child_process'
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { temporaryFolder } from '../../support/datagrams.ts'

const PROGRAM = fileURLToPath(new URL('../../../bin/pgweir.js', import.meta.url))

test('a clone that has not been built says what to run', async () => {
  const clone = temporaryFolder()
  writeFileSync(join(clone, 'package.json'), '{ "type": "module" }')
  mkdirSync(join(clone, 'bin'))
  copyFileSync(PROGRAM, join(clone, 'bin', 'pgweir.js'))
  const ended = promisify(execFile)(process.execPath, [join(clone, 'bin', 'pgweir.js'), 'pgweir.ini'])
  await expect(ended).rejects.toMatchObject({
    code: 1,
    stdout: '',
    stderr: 'pgweir: this clone has not been built yet: run npm ci && npm run build\n',
  })
})
