/** The example in docs/sizing.md: its arithmetic is right, and its file has the results. */

import { expect, test } from 'vitest'
import { SETTINGS } from '../src/settings/schema.ts'
import { blocksOf, readDocument } from './support/docs/documents.ts'
import { loadText } from './unit/settings/virtual-files.ts'

const DOCUMENT = 'docs/sizing.md'
const [, example = ''] = readDocument(DOCUMENT).split('## An example')
const ROWS = [...example.matchAll(/^\| (.*) \| (.*[×÷+−].*) \| ([\d.]+) \|$/gm)].map(
  ([, what = '', how = '', result = '']) => ({ what, how, result: Number(result) }),
)
const [file] = blocksOf(DOCUMENT).filter(({ kind, text }) => kind === 'ini' && text.includes('max_client_conn'))
const { general } = loadText(`${file?.text}auth_type = trust\n`).settings

test.each(ROWS)('$what is $how = $result', ({ how, result }) => {
  expect(valueOfSum(how)).toBeCloseTo(result, 9)
})

test.each(ROWS.filter(({ what }) => /^`\w+`/.test(what)))('$what is in the file', ({ what, result }) => {
  const [, key = ''] = /^`(\w+)`/.exec(what) ?? []
  expect(SETTINGS).toHaveProperty(key)
  expect(general).toHaveProperty(key, result)
})

test('the example does not use more connections than PostgreSQL has', () => {
  const of = (beginning: string) => ROWS.find(({ what }) => what.startsWith(beginning))?.result ?? Number.NaN
  expect(of('servers of both')).toBeLessThanOrEqual(of('what PostgreSQL can take'))
  expect(2 * of('`max_db_connections`')).toBeLessThanOrEqual(of('what PostgreSQL can take'))
  expect(of('connections in PostgreSQL')).toBeLessThan(100 - 3)
})

test('the defaults in docs/sizing.md are right', () => {
  const text = readDocument(DOCUMENT)
  expect(text).toContain(`\`default_pool_size\` (${SETTINGS.default_pool_size.default} unless it is set)`)
  expect(text).toContain(`\`max_client_conn\` (${SETTINGS.max_client_conn.default} unless it is set)`)
})

test('the memory per client is the largest value in docs/performance.md', () => {
  const [row = ''] = /^\| `idle` .*$/m.exec(readDocument('docs/performance.md')) ?? []
  const [epoll20, epoll24, node20, node24] = row.split(' | ').slice(4).map(Number.parseFloat)
  const [epoll, node] = [Math.max(epoll20 ?? NaN, epoll24 ?? NaN), Math.max(node20 ?? NaN, node24 ?? NaN)]
  expect(readDocument(DOCUMENT)).toContain(
    `takes up to ${epoll} KiB on the transport \`epoll\`, and ${node} KiB on \`node\``,
  )
  expect(ROWS.find(({ what }) => what.startsWith('memory'))?.how).toContain(`× ${epoll}`)
})

/** Evaluates a sum of numbers with + − × ÷, and ⌈⌉ ⌊⌋ for rounding. */
function valueOfSum(text: string): number {
  expect(text).toMatch(/^[\d.\s+−×÷()⌈⌉⌊⌋]+$/)
  const code = text
    .replaceAll('−', '-')
    .replaceAll('×', '*')
    .replaceAll('÷', '/')
    .replaceAll('⌈', 'Math.ceil(')
    .replaceAll('⌊', 'Math.floor(')
    .replace(/[⌉⌋]/g, ')')
  return Number(new Function(`return ${code}`)())
}
