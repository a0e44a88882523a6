/** psql accepts the commands in the documents, and Prometheus the configuration and the queries. */

import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { serialize } from 'pg-protocol'
import { expect, onTestFinished, test } from 'vitest'
import { parse, stringify } from 'yaml'
import { blocksOf, commandsOf, DOCUMENTS, ROOT } from '../support/docs/documents.ts'
import { shapeOf } from '../support/docs/shape.ts'
import { wayOf } from '../support/docs/ways.ts'
import { runProgram } from '../support/e2e/program.ts'
import { createDatabase } from '../support/postgres.ts'
import { poolOf } from './support/pgweir.ts'
import { run } from './support/program.ts'

const BLOCKS = DOCUMENTS.flatMap((document) => blocksOf(document))
const COMMANDS = BLOCKS.flatMap(commandsOf).filter((command) => wayOf(command) === 'psql')
const SCRAPED = BLOCKS.filter(({ kind, text }) => kind === 'yaml' && 'scrape_configs' in parse(text))
const QUERIES = BLOCKS.filter(({ kind }) => kind === 'promql')

test('the documents contain psql commands, scrape configurations and PromQL queries', () => {
  expect(COMMANDS.length).toBeGreaterThan(0)
  expect(SCRAPED.length).toBeGreaterThan(0)
  expect(QUERIES.length).toBeGreaterThan(0)
})

test.each(COMMANDS)('$place: $line', async ({ words, variables }) => {
  // Some of them read data that only superusers may read.
  const database = await createDatabase({ attributes: 'superuser' })
  const { host, port, database: dbname, user, password } = database
  const { target } = await poolOf(database, {
    mode: 'transaction',
    settings: { auth_type: 'any' },
    databases: [`app = host=${host} port=${port} dbname=${dbname} user=${user} password=${password}`],
  })
  const url = `postgres://${user}:${encodeURIComponent(password)}@${target.host}:${target.port}/app`
  const args = words.slice(1).map((word) =>
    word
      .replace('$DATABASE_URL', url)
      .replace(/^6432$|(?<=:)6432(?=\/)/, String(target.port))
      .replace(/^(--file=)?(?=examples\/)/, `$1${ROOT}`),
  )
  const { code, stderr } = await run('psql', ['-X', ...args], target, { env: variables })
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
})

test.each(SCRAPED)('$place is a valid configuration of Prometheus', ({ text }) => {
  promtool(['check', 'config', '--syntax-only'], text)
})

test.each(QUERIES)('$place is a valid query of Prometheus', ({ text }) => {
  promtool(['check', 'rules'], stringify({ groups: [{ name: 'docs', rules: [{ record: 'asked', expr: text }] }] }))
})

test('log lines in the documents look like those that pgweir writes', async () => {
  const shown = BLOCKS.filter(({ kind }) => kind === 'text').flatMap(({ text }) => text.trim().split('\n'))
  const lines = shown.filter((line) => /process up: .* epoll \(|slow query: /.test(line))
  expect(lines.length).toBeGreaterThan(1)
  const { program, raw } = await runProgram({
    database: await createDatabase({ method: 'trust' }),
    settings: { workers: 1, transport: 'auto', log_min_duration: '1ms' },
  })
  const client = await raw()
  client.send(serialize.query("select 'a value' from pg_sleep(0.01)"))
  await program.says(/slow query: .*\n/)
  // Whether there is io_uring depends on the machine.
  const bare = (line: string) => line.replace(/, with(out)? io_uring.*/, '').replace(/0x\w+: \S+/, '')
  const neutral = (line: string) => shapeOf(bare(line).replace(/(ms: ).*/, '$1'))
  const printed = program.stderr.split('\n').map(neutral)
  for (const line of lines)
    expect(
      printed.filter((each) => each.endsWith(neutral(line))),
      line,
    ).toHaveLength(1)
})

function promtool(args: readonly string[], content: string): void {
  const folder = mkdtempSync(join(tmpdir(), 'pgweir-docs-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const file = join(folder, 'it.yml')
  writeFileSync(file, content)
  const { status, stderr } = spawnSync('promtool', [...args, file], { encoding: 'utf8' })
  expect(status, stderr).toBe(0)
}
