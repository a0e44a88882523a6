import fc from 'fast-check'
import { expect, test } from 'vitest'
import { PoolerError } from '../../../src/problems.ts'
import { parseOptions } from '../../../src/wire/options.ts'
import { anyText, someText } from '../../support/random-frames.ts'

// Each of these was compared with PostgreSQL 18.
for (const [options, expected] of [
  ['', {}],
  [' \t\n\v\f\r', {}],
  ['-c geqo=off', { geqo: 'off' }],
  ['-cgeqo=off', { geqo: 'off' }],
  ['--geqo=off', { geqo: 'off' }],
  ['  -c   geqo=off  ', { geqo: 'off' }],
  ['-c a.b=1\v-c\fa.c=2\r--d=3', { 'a.b': '1', 'a.c': '2', d: '3' }],
  ['--statement-timeout=5', { statement_timeout: '5' }],
  ['-c statement-timeout=5', { statement_timeout: '5' }],
  ['-c -a.b=x', { '_a.b': 'x' }],
  ['--a.b=x-y', { 'a.b': 'x-y' }],
  ['-c a.b=', { 'a.b': '' }],
  ['-c a.b=x=y', { 'a.b': 'x=y' }],
  ['-c a.b=1 -c a.b=2', { 'a.b': '2' }],
  ['-c search_path=a\\ b', { search_path: 'a b' }],
  ['-c search_path=a,\\ "b\\ c"', { search_path: 'a, "b c"' }],
  ['-c a.b=x\\\n', { 'a.b': 'x\n' }],
  ['-c a.b=x\\\\', { 'a.b': 'x\\' }],
  ['-c a.b=x\\\\ -c c=d', { 'a.b': 'x\\', c: 'd' }],
  ['-c a.b=x\\\\\\ y', { 'a.b': 'x\\ y' }],
  ['-c a.b=x\\y', { 'a.b': 'xy' }],
  ['-c a.b=x\\', { 'a.b': 'x' }],
  ['\\-c a.b=x', { 'a.b': 'x' }],
  ['-c\\ a.b=x', { ' a.b': 'x' }],
  ['--a.b=x\u00a0y', { 'a.b': 'x\u00a0y' }],
  ['-c a.b=\\😀', { 'a.b': '😀' }],
  ['-c __proto__=x', { ['__proto__']: 'x' }],
] as const)
  test(`the options ${JSON.stringify(options)} set ${JSON.stringify(expected)}`, () => {
    expect([...parseOptions(options)]).toEqual(Object.entries(expected))
  })

for (const options of [
  'word',
  '-',
  '--',
  '-c',
  '-c a.b',
  '-c =x',
  '--a.b',
  '--=x',
  '-- a.b=x',
  '-c a.b="x y"',
  '-c a.b=x \\',
  '\\',
  '-B 16',
  '-d 5',
  '-C a=b',
  'a=b',
])
  test(`the options ${JSON.stringify(options)} are refused as unsupported`, () => {
    expect(problemOf(options)).toBe('unsupported-options')
  })

test('values escaped as libpq requires are read back unchanged', () => {
  const names = fc.stringMatching(/^[a-z_][a-z0-9_.]{0,8}$/)
  const values = fc.oneof(someText, fc.string({ unit: fc.constantFrom(' ', '\\', '\t', 'x', '=', '-', '"', '\n') }))
  const forms = fc.constantFrom('-c ', '-c', '--', '-c \t', ' --')
  fc.assert(
    fc.property(fc.array(fc.tuple(forms, names, values), { maxLength: 5 }), (settings) => {
      const options = settings.map(([form, name, value]) => `${form}${name}=${value.replace(/[\s\\]/g, '\\$&')}`)
      expect([...parseOptions(options.join(' '))]).toEqual([
        ...new Map(settings.map(([, name, value]) => [name, value])),
      ])
    }),
  )
})

test('any text is either valid options or unsupported-options, never another error', () => {
  const texts = fc.oneof(fc.string({ unit: fc.constantFrom(' ', '\\', '-', 'c', '=', 'a', '\n') }), anyText)
  fc.assert(
    fc.property(texts, (options) => {
      expect([null, 'unsupported-options']).toContain(problemOf(options))
    }),
    { numRuns: 300 },
  )
})

function problemOf(options: string): string | null {
  try {
    parseOptions(options)
    return null
  } catch (error) {
    if (error instanceof PoolerError) return error.kind
    throw error
  }
}
