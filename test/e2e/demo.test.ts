import { readdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import pg from 'pg'
import { expect, test } from 'vitest'
import { blocksOf } from '../support/docs/documents.ts'
import { expectShown } from '../support/docs/shape.ts'
import { Program } from '../support/e2e/program.ts'
import { until } from '../support/e2e/until.ts'

interface Demo {
  readonly program: Program
  readonly url: string
  /** The data directory of its PostgreSQL. */
  readonly directory: string
}

async function startDemo(): Promise<Demo> {
  const program = new Program(['demo', '--listen-port', '0', '--http-listen', '127.0.0.1:0'])
  const directory = await program.says(/initializing PostgreSQL \S+ in (\S+)\/data/)
  const url = await program.says(/DATABASE_URL="(.*)"/)
  return { program, url, directory }
}

async function isLeft(directory: string): Promise<boolean> {
  return (await readdir(tmpdir())).some((name) => directory.endsWith(`/${name}`))
}

test('pgweir demo reports its progress, can be used, and leaves nothing behind', { timeout: 60_000 }, async () => {
  const { program, url, directory } = await startDemo()
  const [shown] = blocksOf('README.md').filter(({ text }) => text.startsWith('pgweir demo'))
  expect(shown?.text).toMatch(/a session +psql "postgres:/)
  await until('it has printed everything that the README shows', () => program.stdout.includes('/metrics'))
  expectShown(shown?.text ?? '', program.stdout)
  expect(await isLeft(directory)).toBe(true)
  const client = new pg.Client(url)
  await client.connect()
  await client.query('create table things (n int)')
  expect((await client.query('select current_user as name, count(*)::int as n from things')).rows).toEqual([
    { name: 'demo', n: 0 },
  ])
  await client.end()
  program.kill('SIGINT')
  expect(await program.ended()).toBe(0)
  expect(await isLeft(directory)).toBe(false)
})

test('after SIGKILL of pgweir demo, its PostgreSQL stops too, and its data is removed', {
  timeout: 60_000,
}, async () => {
  const { program, url, directory } = await startDemo()
  const client = new pg.Client(url)
  client.on('error', () => {})
  await client.connect()
  const [row] = (await client.query<{ pid: number }>('select pg_backend_pid() as pid')).rows
  const pid = row?.pid ?? 0
  expect(isAlive(pid)).toBe(true)
  program.kill('SIGKILL')
  expect(await program.ended()).toBe('SIGKILL')
  await until('PostgreSQL is gone', () => !isAlive(pid))
  await until('the data is gone', async () => !(await isLeft(directory)))
})

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (problem) {
    // EPERM: the process runs, but belongs to another user.
    return (problem as NodeJS.ErrnoException).code === 'EPERM'
  }
}
