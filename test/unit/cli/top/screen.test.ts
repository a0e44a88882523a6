import { describe, expect, test } from 'vitest'
import { textWidth } from '../../../../src/base/text-width.ts'
import {
  COLUMNS,
  FIRST_STATE,
  keysIn,
  press,
  screen,
  showMs,
  sizeOf,
  type TopRow,
  type TopState,
  type TopView,
} from '../../../../src/cli/top/screen.ts'

function row(database: string, changes: Partial<TopRow> = {}): TopRow {
  return {
    ...{ database, user: 'ada', mode: 'transaction', active: 2, waiting: 0, maxWaitMs: 0 },
    ...{ serversActive: 2, serversIdle: 1, serversOther: 0, queryP50Ms: 0.4, queryP99Ms: 12, waitP99Ms: null },
    ...changes,
  }
}

function view(rows: readonly TopRow[], changes: Partial<TopView> = {}): TopView {
  return {
    ...{
      version: 'pgweir 1.2.3',
      state: 'active',
      rows,
      rates: { transactions: 1234.5, queries: 2.25, received: 2048, sent: 3e6 },
    },
    workers: [{ number: 1, state: 'serving', clients: 2, servers: 3 }],
    ...changes,
  }
}

const SIZE = { columns: 200, rows: 24 }

/** Returns the database names of the rows shown. */
function shown(of: TopView, state: TopState, size = SIZE): string[] {
  return screen(of, state, size)
    .slice(5, -1)
    .map((line) => line.split(' ')[0] ?? '')
    .filter((name) => name !== '')
}

function pressed(...keys: readonly string[]): TopState {
  return keys.reduce((state, key) => press(state, key) as TopState, FIRST_STATE)
}

test('the screen shows a summary, and the pools with waiting clients first', () => {
  const busy = row('busy', { waiting: 3, maxWaitMs: 1_500 })
  const lines = screen(view([row('app'), busy]), FIRST_STATE, SIZE)
  expect(lines.slice(0, 3)).toEqual([
    'pgweir 1.2.3   active   1 process',
    'clients: 4 active, 3 waiting   servers: 4 in use of 6',
    'per second: 1235 transactions, 2.3 queries, 2 kB in, 2.9 MB out',
  ])
  expect(lines[4]).toMatch(/^DATABASE +USER +MODE +ACTIVE WAITING\*? +MAXWAIT/)
  expect(lines[5]).toMatch(/^busy +ada +transaction +2 +3 +1\.5s +2 +1 +0 +400us +12ms +-$/)
  expect(lines[6]).toMatch(/^app /)
  expect(lines.at(-1)).toContain('q quit')
})

test('the screen fits any size, and scrolls no further than its rows', () => {
  const many = view(Array.from({ length: 50 }, (_, index) => row(`db${String(index).padStart(2, '0')}`)))
  for (const size of [SIZE, { columns: 10, rows: 3 }, { columns: 80, rows: 10 }]) {
    const lines = screen(many, FIRST_STATE, size)
    expect(lines.length).toBeLessThanOrEqual(size.rows)
    for (const line of lines) expect(line.length).toBeLessThanOrEqual(size.columns)
  }
  const size = { columns: 200, rows: 16 }
  expect(shown(many, FIRST_STATE, size)).toHaveLength(10)
  expect(shown(many, pressed('\u001b[B', '\u001b[B'), size)[0]).toBe('db02')
  expect(shown(many, { ...FIRST_STATE, skipped: 1_000 }, size).at(-1)).toBe('db49')
})

test('a terminal that reports no size is treated as 80 × 24', () => {
  expect(sizeOf({ columns: 0, rows: 0 })).toEqual({ columns: 80, rows: 24 })
  expect(sizeOf({})).toEqual({ columns: 80, rows: 24 })
  expect(sizeOf({ columns: 132, rows: 43 })).toEqual({ columns: 132, rows: 43 })
})

test('names of clients cannot control the terminal', () => {
  expect(screen(view([row('a\u001b[2Jb\n\u202e')]), FIRST_STATE, SIZE).join('')).not.toMatch(/[\u0000-\u001f\u202e]/)
})

test('the screen says which processes do not serve', () => {
  const workers = [1, 2].map((number) => ({
    number,
    state: number === 2 ? 'starting' : 'serving',
    clients: 0,
    servers: 0,
  }))
  expect(screen(view([], { workers }), FIRST_STATE, SIZE)[0]).toBe('pgweir 1.2.3   active   2 processes (2 starting)')
})

describe('a key', () => {
  const pools = view([row('b', { active: 1 }), row('a', { active: 3 }), row('c', { active: 2 })])

  test('sorts by another column, or reverses the order', () => {
    const byActive = pressed('\u001b[D')
    expect(COLUMNS[byActive.sort]?.name).toBe('ACTIVE')
    expect(shown(pools, byActive)).toEqual(['a', 'c', 'b'])
    expect(shown(pools, pressed('\u001b[D', 'r'))).toEqual(['b', 'c', 'a'])
    const turns = COLUMNS.map(() => '\u001b[C')
    expect(pressed(...turns).sort).toBe(FIRST_STATE.sort)
  })

  test('filters by what is typed, until the filter is cleared', () => {
    expect(shown(pools, pressed('/', 'C'))).toEqual(['c'])
    const left = pressed('/', 'q', '\u007f', 'a', 'd', '\r')
    expect(left).toMatchObject({ filter: 'ad', isTyping: false })
    expect(shown(pools, left)).toEqual(['a', 'b', 'c'])
    expect(press(left, '\u001b')).toMatchObject({ filter: '' })
  })

  test('quits, holds the display, or does nothing', () => {
    expect(press(FIRST_STATE, 'q')).toBeNull()
    expect(press(pressed('/'), '\u0003')).toBeNull()
    expect(pressed(' ').isHeld).toBe(true)
    expect(pressed('x')).toEqual(FIRST_STATE)
  })
})

test('a line is never wider than the terminal, whatever the width of its characters, and no character is cut in two', () => {
  const names = ['日本語のデータベースです', '🐘🐘🐘🐘🐘🐘🐘🐘🐘🐘', 'u\u0308ber']
  for (const columns of [19, 20, 21, 200])
    for (const line of screen(view(names.map((name) => row(name))), FIRST_STATE, { columns, rows: 24 })) {
      expect(textWidth(line)).toBeLessThanOrEqual(columns)
      expect(Buffer.from(line).toString()).toBe(line)
    }
  const [first, ...others] = screen(view(names.map((name) => row(name))), FIRST_STATE, SIZE)
    .slice(5, 8)
    .map((line) => textWidth(line.split(' ada ')[0] ?? ''))
  expect(others).toEqual([first, first])
})

test('backspace deletes a surrogate pair as a whole', () => {
  expect(pressed('/', 'a', '🐘', '\u007f').filter).toBe('a')
})

test('keys that arrive together are handled one after the other', () => {
  expect(keysIn('/ap\r\u001b[Bq')).toEqual(['/', 'a', 'p', '\r', '\u001b[B', 'q'])
  expect(keysIn('\u001bOA\u001bOB')).toEqual(['\u001b[A', '\u001b[B'])
  expect(keysIn('\u001b[15~\u001b[1;5C')).toEqual(['\u001b[15~', '\u001b[1;5C'])
  expect(keysIn('\u001b')).toEqual(['\u001b'])
  expect(keysIn('é🐘')).toEqual(['é', '🐘'])
})

test('a minute and a half is not two minutes', () => {
  const times = [59_900, 60_000, 90_000, 125_000, 599_000, 615_000]
  expect(times.map(showMs)).toEqual(['59.9s', '1.0min', '1.5min', '2.1min', '10.0min', '10min'])
})
