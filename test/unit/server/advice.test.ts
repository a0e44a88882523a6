import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { ADVISED, adviceOn } from '../../../src/server/advice.ts'

const SRC = fileURLToPath(new URL('../../../src', import.meta.url))

test('everyday reasons for closing a server come without advice', () => {
  for (const reason of ['server lifetime over', 'server idle timeout', 'pause mode', 'pooler is shutting down'])
    expect(adviceOn(reason)).toBeUndefined()
})

test('details added to a reason do not change its advice', () => {
  const advice = adviceOn('server conn crashed?')
  expect(advice).toContain('see the log of PostgreSQL')
  expect(adviceOn('server conn crashed? (read ECONNRESET)')).toBe(advice)
  expect(adviceOn('login failed: FATAL: no (x): y\nz')).toBe(adviceOn('login failed'))
})

test('every reason with advice is one that the code gives, and the advice is whole sentences', () => {
  const files = readdirSync(SRC, { recursive: true, encoding: 'utf8' }).filter(
    (file) => file.endsWith('.ts') && !file.endsWith('advice.ts'),
  )
  const texts = files.map((file) => readFileSync(join(SRC, file), 'utf8'))
  for (const reason of ADVISED) {
    const [beginning = ''] = reason.split(', which')
    expect(
      texts.some((text) => text.includes(beginning)),
      reason,
    ).toBe(true)
    expect(adviceOn(reason)).toMatch(/^[A-Z][^\n]*\.$/)
  }
})
