/**
 * Statements that drivers and tools send without being asked: when they connect, to check the connection, around the user's statements, and
 * before a connection is reused. The console has nothing to do for them and answers in a way that lets the driver continue.
 */

import { versionLine } from '../version.ts'
import type { Cell, Column } from '../wire/rows.ts'
import type { Answer, ConsoleContext, Plan } from './answer.ts'
import { canonical, nameIn, type Statement, type Word } from './grammar.ts'
import { VARIABLES, variableNamed } from './variables.ts'

export interface NoiseRow {
  /** The statement as the reference page shows it. */
  readonly like: string
  /** Matched against the canonical text: see `canonical`. */
  readonly matches: RegExp
  readonly columns?: readonly Column[]
  run(context: ConsoleContext, words: readonly Word[]): Answer
}

const done = (tag: string) => (): Answer => ({ tag })

function oneRow(name: string, type: Column['type'], cell: Cell): Pick<NoiseRow, 'columns' | 'run'> {
  return { columns: [{ name, type }], run: () => ({ rows: [[cell]], tag: 'SELECT 1' }) }
}

export const NOISE: readonly NoiseRow[] = [
  { like: 'SELECT 1', matches: /^select 1$/, ...oneRow('?column?', 'int4', 1) },
  {
    like: 'SELECT version()',
    matches: /^select (pg_catalog\.)?version \( \)$/,
    ...oneRow('version', 'text', versionLine),
  },
  {
    like: 'BEGIN, START TRANSACTION',
    matches: /^(begin|start transaction)\b/,
    run: ({ conversation }) => {
      conversation.begin()
      return { tag: 'BEGIN' }
    },
  },
  {
    like: 'COMMIT, END',
    matches: /^(commit|end)( work| transaction)?$/,
    run: ({ conversation }) => {
      conversation.end()
      return { tag: 'COMMIT' }
    },
  },
  {
    like: 'ROLLBACK, ABORT',
    matches: /^(rollback|abort)( work| transaction)?$/,
    run: ({ conversation }) => {
      conversation.end()
      return { tag: 'ROLLBACK' }
    },
  },
  { like: 'SAVEPOINT name', matches: /^savepoint \S+$/, run: done('SAVEPOINT') },
  { like: 'RELEASE name', matches: /^release( savepoint)? \S+$/, run: done('RELEASE') },
  {
    like: 'ROLLBACK TO name',
    matches: /^rollback( work| transaction)? to( savepoint)? \S+$/,
    run: done('ROLLBACK'),
  },
  {
    like: 'DEALLOCATE name, DEALLOCATE ALL',
    matches: /^deallocate( prepare)? \S+$/,
    run: ({ conversation }, words) => {
      const name = words.at(-1) as Word
      const isAll = name.kind === 'plain' && name.text.toLowerCase() === 'all'
      conversation.deallocate(isAll ? null : name.kind === 'plain' ? name.text.toLowerCase() : name.text)
      return { tag: isAll ? 'DEALLOCATE ALL' : 'DEALLOCATE' }
    },
  },
  {
    like: 'DISCARD ALL',
    matches: /^discard all$/,
    run: ({ conversation }) => {
      conversation.deallocate(null)
      return { tag: 'DISCARD ALL' }
    },
  },
  { like: 'RESET ALL', matches: /^reset all$/, run: done('RESET') },
  { like: 'CLOSE ALL', matches: /^close all$/, run: done('CLOSE CURSOR ALL') },
  { like: 'UNLISTEN *', matches: /^unlisten \*$/, run: done('UNLISTEN') },
  {
    like: 'SELECT pg_advisory_unlock_all()',
    matches: /^select pg_advisory_unlock_all \( \)$/,
    ...oneRow('pg_advisory_unlock_all', 'text', ''),
  },
  {
    // The first query of postgres.js, which asks for array types. The console has none.
    like: 'SELECT b.oid, b.typarray FROM pg_catalog.pg_type …',
    matches: /^select b\.oid , b\.typarray from pg_catalog\.pg_type /,
    columns: [
      { name: 'oid', type: 'int8' },
      { name: 'typarray', type: 'int8' },
    ],
    run: () => ({ rows: [], tag: 'SELECT 0' }),
  },
]

/** Plans a statement of this table; returns null for any other statement. */
export function planNoise({ words }: Statement): Plan | null {
  const text = canonical(words)
  const row = NOISE.find(({ matches }) => matches.test(text))
  if (row)
    return { access: 'stats', columns: row.columns ?? null, run: (context: ConsoleContext) => row.run(context, words) }
  const [verb, ...rest] = words
  switch (nameIn(verb)) {
    case 'show':
    case 'select':
      return planShow(rest)
    case 'set':
      return isVariableSet(rest) ? SET_IGNORED : null
    default:
      return null
  }
}

function planShow(words: readonly Word[]): Plan | null {
  const name = canonical(words) === 'transaction isolation level' ? 'transaction_isolation' : nameIn(words[0])
  const variable = name === null ? null : variableNamed(name)
  if (variable === null || (words.length > 1 && name !== 'transaction_isolation')) return null
  return {
    access: 'stats',
    // In lower case as in PgBouncer; PostgreSQL has capitals in some names.
    columns: [{ name: variable.toLowerCase(), type: 'text' }],
    run: () => ({ rows: [[VARIABLES.get(variable) ?? '']], tag: 'SHOW' }),
  }
}

/** Whether the words after SET are `[SESSION | LOCAL] variable …` or one of the forms with their own syntax, such as TIME ZONE. */
function isVariableSet(words: readonly Word[]): boolean {
  const text = canonical(words)
  if (/^(session characteristics as transaction|transaction|time zone|names)\b/.test(text)) return true
  const isPrefixed = /^(session|local) [^=]/.test(text) && !/^(session|local) to\b/.test(text)
  const name = nameIn(words[isPrefixed ? 1 : 0])
  return name !== null && variableNamed(name) !== null
}

const SET_IGNORED: Plan = {
  access: 'stats',
  columns: null,
  run: () => ({ notices: [{ severity: 'NOTICE', sqlstate: '00000', message: 'SET ignored' }], tag: 'SET' }),
}
