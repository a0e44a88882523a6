/** A rule for tests: waiting for a condition must not fail because the machine is busy. */

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const HERE = fileURLToPath(new URL('.', import.meta.url))
const OTHERS = readdirSync(HERE, { recursive: true, encoding: 'utf8' }).filter(
  (path) => path.endsWith('.ts') && path !== 'waits.test.ts',
)

test('tests wait for conditions with a helper of test/support, since those of vitest give up after a second', () => {
  expect(OTHERS.filter((path) => /\bexpect\.poll\b|\bvi\.wait/.test(readFileSync(join(HERE, path), 'utf8')))).toEqual(
    [],
  )
})
