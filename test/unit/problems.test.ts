import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { messagesPage, PoolerError, PROBLEMS, type ProblemKind, type ProblemRow } from '../../src/problems.ts'
import { REMEDIES, remediesPage } from '../../src/remedies.ts'
import { encodeError } from '../../src/wire/notices.ts'

test('docs/messages.md matches the table of problems (npx vitest run test/unit/problems.test.ts -u writes it)', async () => {
  await expect(messagesPage()).toMatchFileSnapshot('../../docs/messages.md')
})

test('docs/troubleshooting.md ends with the table of remedies (-u writes that part)', async () => {
  const file = '../../docs/troubleshooting.md'
  const [byHand = ''] = readFileSync(new URL(file, import.meta.url), 'utf8').split(/(?<=^<!-- What follows .*\n\n)/m)
  await expect(`${byHand}${remediesPage()}`).toMatchFileSnapshot(file)
})

test('each problem has exactly one remedy', () => {
  const kinds = Object.values(REMEDIES).flatMap((remedies) => Object.keys(remedies))
  expect(kinds.toSorted()).toEqual(Object.keys(PROBLEMS).toSorted())
})

test('details are inserted into the message and the hint', () => {
  const problem = new PoolerError('message-too-large', { length: 12, limit: 10 })
  expect(problem.message).toBe('a message of 12 bytes is over the limit of 10 bytes')
  expect(problem.hint).toBe('The setting is max_packet_size.')
  expect(problem).toMatchObject({ severity: 'FATAL', sqlstate: '54000', kind: 'message-too-large' })
})

test('every FATAL problem has a hint for the log, except those that somebody caused on purpose', () => {
  const rows = Object.entries(PROBLEMS) as [ProblemKind, ProblemRow][]
  const ends = rows.flatMap(([kind, { severity }]) => (severity === 'FATAL' ? [kind] : []))
  const silent = ends.filter((kind) => new PoolerError(kind).logHint === undefined)
  expect(silent).toEqual(['replication-over', 'pooler-shutting-down'])
})

test('a hint for the log is not sent to the client', () => {
  const problem = new PoolerError('password-failed')
  expect(problem.logHint).toContain('SHOW USERS')
  expect(problem.hint).toBeUndefined()
  expect(encodeError(problem).toString('latin1')).not.toContain('SHOW USERS')
})

test('a missing detail is shown as its name', () => {
  expect(new PoolerError('no-such-database').message).toBe('no such database: (database)')
})

test('08P01 is used for protocol violations only', () => {
  const rows = Object.entries(PROBLEMS) as [ProblemKind, ProblemRow][]
  const violations = rows.filter(([, row]) => row.sqlstate === '08P01').map(([kind]) => kind)
  for (const kind of violations) expect(kind).not.toMatch(/timeout|limit|many|failed|cancel/)
})

test('every SQLSTATE has five characters and a class that Postgres has', () => {
  for (const row of Object.values(PROBLEMS))
    expect(row.sqlstate).toMatch(/^(08|0A|22|25|26|28|34|3D|42|53|54|55|57|F0|XX)[0-9A-Z]{3}$/)
})
