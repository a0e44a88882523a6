import { describe, expect, test } from 'vitest'
import { formatNotice, formatResult, type Result } from '../../../../src/cli/console/output.ts'

const POOLS: Result = {
  columns: [
    { name: 'database', isNumber: false },
    { name: 'items', isNumber: true },
  ],
  rows: [
    ['app', '12345'],
    ['a long name', null],
  ],
  tag: 'SHOW',
}

const DONE: Result = { columns: [], rows: [], tag: 'RELOAD' }

test('a table looks like psql’s, with numbers aligned right', () => {
  expect(formatResult(POOLS, 'table')).toBe(
    [' database    | items', '-------------+-------', ' app         | 12345', ' a long name |', '(2 rows)', ''].join(
      '\n',
    ),
  )
  expect(formatResult({ ...POOLS, rows: [['app', '1']] }, 'table')).toContain('(1 row)\n')
})

test('columns are aligned even if characters are two columns wide', () => {
  const rows = [
    ['日本', '1'],
    ['app', '2'],
  ]
  expect(
    formatResult({ ...POOLS, rows }, 'table')
      .split('\n')
      .slice(2, 4),
  ).toEqual([' 日本     |     1', ' app      |     2'])
})

test('a table may have more rows than a function call may have arguments', () => {
  const rows = Array.from({ length: 500_000 }, () => ['app', '1'])
  expect(formatResult({ ...POOLS, rows }, 'table')).toContain('(500000 rows)\n')
})

test('the expanded layout has one line per column', () => {
  expect(formatResult(POOLS, 'expanded')).toBe(
    [
      '-[ 1 ]-----',
      'database | app',
      'items    | 12345',
      '-[ 2 ]-----',
      'database | a long name',
      'items    |',
      '',
    ].join('\n'),
  )
  expect(formatResult({ ...POOLS, rows: [] }, 'expanded')).toBe('(0 rows)\n')
})

test('a result without rows is its command tag, or an empty array in JSON', () => {
  expect(formatResult(DONE, 'table')).toBe('RELOAD\n')
  expect(formatResult(DONE, 'json')).toBe('[]\n')
})

test('JSON is an array of objects on one line', () => {
  expect(formatResult(POOLS, 'json')).toBe(
    '[{"database":"app","items":12345},{"database":"a long name","items":null}]\n',
  )
})

describe('in JSON', () => {
  for (const [text, expected] of [
    ['0', 0],
    ['-7', -7],
    ['1.5', 1.5],
    ['9007199254740991', 9007199254740991],
    ['9007199254740993', '9007199254740993'],
    ['123456789012345678901234567890', '123456789012345678901234567890'],
    ['0.1000000000000000000001', '0.1000000000000000000001'],
    ['NaN', 'NaN'],
    ['', ''],
  ] as const)
    test(`the number ${text || '(missing)'} is ${JSON.stringify(expected)}`, () => {
      const result = { ...POOLS, rows: [['app', text]] }
      expect(JSON.parse(formatResult(result, 'json'))[0].items).toBe(expected)
    })

  test('a text that looks like a number stays a text', () => {
    expect(JSON.parse(formatResult({ ...POOLS, rows: [['12', '1']] }, 'json'))[0].database).toBe('12')
  })
})

describe('control characters from clients do not reach the terminal', () => {
  const named = { ...POOLS, rows: [['e\x1b[31mvil\n\x9b2J', '1']] }

  test('in a table', () => {
    expect(formatResult(named, 'table').split('\n')[2]).toBe(' e?[31mvil??2J |     1')
  })

  test('in the expanded layout', () => {
    expect(formatResult(named, 'expanded')).toContain('database | e?[31mvil??2J\n')
  })

  test('in notices, which may have several lines', () => {
    expect(formatNotice({ message: 'a\x1b[1m\n\tb', detail: '\x07', hint: '\x00' })).toBe(
      'NOTICE:  a?[1m\n\tb\nDETAIL:  ?\nHINT:  ?\n',
    )
  })

  test('in JSON, where they are escaped', () => {
    const text = formatResult(named, 'json')
    expect(text.slice(0, -1)).not.toMatch(/[\u0000-\u001f\u007f-\u009f]/)
    expect(JSON.parse(text)[0].database).toBe(named.rows[0]?.[0])
  })
})

test('notices and errors look like psql’s', () => {
  expect(formatNotice({ severity: 'ERROR', message: 'no', hint: 'try', detail: undefined })).toBe(
    'ERROR:  no\nHINT:  try\n',
  )
  expect(formatNotice({ message: 'so', detail: 'more' })).toBe('NOTICE:  so\nDETAIL:  more\n')
})
