/** Draws what `pgweir top` shows, as lines of text. Pure. */

import { withoutControls } from '../../base/control-characters.ts'
import { cutToWidth, padEndToWidth, padStartToWidth, textWidth } from '../../base/text-width.ts'

export interface TopRow {
  readonly database: string
  readonly user: string
  readonly mode: string
  readonly active: number
  readonly waiting: number
  readonly maxWaitMs: number
  readonly serversActive: number
  readonly serversIdle: number
  /** Being opened, checked or reset, or part of a cancel request. */
  readonly serversOther: number
  /** In milliseconds, since the pooler's start; null if nothing has been asked yet. */
  readonly queryP50Ms: number | null
  readonly queryP99Ms: number | null
  readonly waitP99Ms: number | null
}

export interface TopView {
  readonly version: string
  readonly state: string
  readonly rows: readonly TopRow[]
  /** Per second, since the previous look; null at the first look. */
  readonly rates: {
    readonly transactions: number
    readonly queries: number
    readonly received: number
    readonly sent: number
  } | null
  readonly workers: readonly {
    readonly number: number
    readonly state: string
    readonly clients: number
    readonly servers: number
  }[]
}

export interface TopState {
  /** An index of COLUMNS. */
  readonly sort: number
  readonly isReversed: boolean
  readonly filter: string
  readonly isTyping: boolean
  readonly isHeld: boolean
  /** How many rows are scrolled away. */
  readonly skipped: number
}

export interface Size {
  readonly columns: number
  readonly rows: number
}

interface Column {
  readonly name: string
  readonly width: number
  readonly isLeft?: boolean
  of(row: TopRow): string
  /** The value to sort by: numbers with the largest first, texts in their order. */
  by(row: TopRow): number | string
}

export const COLUMNS: readonly Column[] = [
  { name: 'DATABASE', width: 18, isLeft: true, of: (row) => row.database, by: (row) => row.database },
  { name: 'USER', width: 14, isLeft: true, of: (row) => row.user, by: (row) => row.user },
  { name: 'MODE', width: 11, isLeft: true, of: (row) => row.mode, by: (row) => row.mode },
  { name: 'ACTIVE', width: 7, of: (row) => String(row.active), by: (row) => row.active },
  { name: 'WAITING', width: 8, of: (row) => String(row.waiting), by: (row) => row.waiting + row.maxWaitMs / 1e9 },
  {
    name: 'MAXWAIT',
    width: 8,
    of: (row) => (row.maxWaitMs > 0 ? showMs(row.maxWaitMs) : '-'),
    by: (row) => row.maxWaitMs,
  },
  { name: 'SV:USED', width: 8, of: (row) => String(row.serversActive), by: (row) => row.serversActive },
  { name: 'IDLE', width: 5, of: (row) => String(row.serversIdle), by: (row) => row.serversIdle },
  { name: 'OTHER', width: 6, of: (row) => String(row.serversOther), by: (row) => row.serversOther },
  { name: 'QUERY50', width: 8, of: (row) => showMs(row.queryP50Ms), by: (row) => row.queryP50Ms ?? -1 },
  { name: 'QUERY99', width: 8, of: (row) => showMs(row.queryP99Ms), by: (row) => row.queryP99Ms ?? -1 },
  { name: 'WAIT99', width: 8, of: (row) => showMs(row.waitP99Ms), by: (row) => row.waitP99Ms ?? -1 },
]

/** Rows that need attention come first. */
export const FIRST_STATE: TopState = {
  ...{ sort: COLUMNS.findIndex(({ name }) => name === 'WAITING'), isReversed: false },
  ...{ filter: '', isTyping: false, isHeld: false, skipped: 0 },
}

export const HELP = 'q quit  ←→ sort by  r reverse  / filter  ↑↓ scroll  space freeze'

/** A terminal on a serial line, or in a container, may report that it has no columns or rows. */
export function sizeOf({ columns, rows }: Partial<Size>): Size {
  return { columns: columns || 80, rows: rows || 24 }
}

/** Returns as many lines as fit, none of them too wide. */
export function screen(view: TopView, state: TopState, { columns, rows }: Size): string[] {
  const { version, rates, workers } = view
  const found = sortedRows(view, state)
  const total = (of: (row: TopRow) => number) => view.rows.reduce((sum, row) => sum + of(row), 0)
  const servers = total((row) => row.serversActive + row.serversIdle + row.serversOther)
  const head = [
    `${version}   ${view.state}${state.isHeld ? ' (frozen)' : ''}   ${workers.length} ${workers.length === 1 ? 'process' : 'processes'}${oddWorkers(view)}`,
    `clients: ${total((row) => row.active)} active, ${total((row) => row.waiting)} waiting   servers: ${total((row) => row.serversActive)} in use of ${servers}`,
    rates === null
      ? ''
      : `per second: ${count(rates.transactions)} transactions, ${count(rates.queries)} queries, ${bytes(rates.received)} in, ${bytes(rates.sent)} out`,
    state.isTyping || state.filter !== '' ? `filter: ${state.filter}${state.isTyping ? '_' : ''}` : '',
    COLUMNS.map((column, index) => cell(index === state.sort ? `${column.name}*` : column.name, column)).join(' '),
  ]
  const room = Math.max(rows - head.length - 1, 1)
  const skipped = Math.min(state.skipped, Math.max(found.length - room, 0))
  const body = found
    .slice(skipped, skipped + room)
    .map((row) => COLUMNS.map((column) => cell(column.of(row), column)).join(' '))
  while (body.length < room) body.push('')
  const left = found.length - skipped - room
  const foot = left > 0 || skipped > 0 ? `${HELP}   ${found.length} pools` : HELP
  // On a small terminal, excess lines would push the others off the screen.
  return [...head, ...body, foot].slice(0, rows).map((line) => cutToWidth(line, columns).trimEnd())
}

export function sortedRows({ rows }: TopView, { sort, isReversed, filter }: TopState): TopRow[] {
  const { by } = COLUMNS[sort] as Column
  const name = (row: TopRow) => `${row.database} ${row.user}`
  const direction = isReversed ? -1 : 1
  return rows
    .filter((row) => name(row).toLowerCase().includes(filter.toLowerCase()))
    .toSorted((one, other) => direction * compare(by(one), by(other)) || compare(name(one), name(other)))
}

function compare(one: number | string, other: number | string): number {
  if (typeof one === 'number' && typeof other === 'number') return other - one
  return one < other ? -1 : one > other ? 1 : 0
}

function oddWorkers({ workers }: TopView): string {
  const odd = workers.filter(({ state }) => state !== 'serving')
  return odd.length === 0 ? '' : ` (${odd.map(({ number, state }) => `${number} ${state}`).join(', ')})`
}

function cell(text: string, { width, isLeft }: Column): string {
  // Clients choose the names.
  const shown = withoutControls(text)
  const cut = textWidth(shown) > width ? `${cutToWidth(shown, width - 1)}…` : shown
  return isLeft ? padEndToWidth(cut, width) : padStartToWidth(cut, width)
}

export function showMs(ms: number | null): string {
  if (ms === null) return '-'
  if (ms < 1) return `${Math.round(ms * 1000)}us`
  if (ms < 1_000) return `${ms < 10 ? ms.toFixed(1) : Math.round(ms)}ms`
  if (ms < 60_000) return `${(ms / 1_000).toFixed(1)}s`
  // Rounded to whole minutes, a wait of 90 seconds would look like one that query_wait_timeout is about to end.
  return ms < 600_000 ? `${(ms / 60_000).toFixed(1)}min` : `${Math.round(ms / 60_000)}min`
}

function count(value: number): string {
  return value < 10 ? value.toFixed(1) : String(Math.round(value))
}

function bytes(value: number): string {
  return value < 1024
    ? `${Math.round(value)} B`
    : value < 1024 ** 2
      ? `${Math.round(value / 1024)} kB`
      : `${(value / 1024 ** 2).toFixed(1)} MB`
}

// https://www.xfree86.org/current/ctlseqs.html
const KEYS = /\u001b\[[0-9;?]*[@-~]|\u001bO[A-Z]|[\s\S]/gu

/** Splits input into keys: a slow line brings several at once, and some terminals have other codes for the arrows. */
export function keysIn(text: string): string[] {
  return (text.match(KEYS) ?? []).map((key) => key.replace('\u001bO', '\u001b['))
}

/** Returns the state after a key was pressed; null if the key ends the program. */
export function press(state: TopState, key: string): TopState | null {
  if (key === '\u0003') return null
  if (state.isTyping) return type(state, key)
  switch (key) {
    case 'q':
      return null
    case '\u001b[D':
      return { ...state, sort: (state.sort + COLUMNS.length - 1) % COLUMNS.length }
    case '\u001b[C':
      return { ...state, sort: (state.sort + 1) % COLUMNS.length }
    case '\u001b[A':
      return { ...state, skipped: Math.max(state.skipped - 1, 0) }
    case '\u001b[B':
      return { ...state, skipped: state.skipped + 1 }
    case 'r':
      return { ...state, isReversed: !state.isReversed }
    case '/':
      return { ...state, isTyping: true, filter: '', skipped: 0 }
    case '\u001b':
      return { ...state, filter: '', skipped: 0 }
    case ' ':
      return { ...state, isHeld: !state.isHeld }
    default:
      return state
  }
}

function type(state: TopState, key: string): TopState {
  if (key === '\r' || key === '\n') return { ...state, isTyping: false }
  if (key === '\u001b') return { ...state, isTyping: false, filter: '' }
  if (key === '\u007f' || key === '\b') return { ...state, filter: [...state.filter].slice(0, -1).join('') }
  return /^[^\u0000-\u001f\u007f]+$/.test(key) ? { ...state, filter: state.filter + key } : state
}
