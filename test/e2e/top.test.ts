import { expect, test } from 'vitest'
import { startPgweir } from '../support/e2e/pgweir.ts'
import { Program } from '../support/e2e/program.ts'
import { Terminal } from '../support/e2e/terminal.ts'
import { isInstalled } from '../support/installed.ts'
import { createDatabase } from '../support/postgres.ts'

const database = await createDatabase()

test('pgweir top --once prints the pools of a running pooler', async () => {
  const pgweir = await startPgweir({
    database,
    secrets: { [database.user]: database.password },
    settings: { admin_users: database.user },
  })
  const client = await pgweir.client()
  await client.query('begin')
  const { host, port } = pgweir.address
  const program = new Program(['top', '--once', '--host', host, '--port', String(port), '-U', database.user], {
    PGPASSWORD: database.password,
  })
  expect(await program.ended()).toBe(0)
  expect(program.stdout).toMatch(/^pgweir \S+ {3}active/)
  const line = program.stdout.split('\n').find((each) => each.startsWith(database.database.slice(0, 10)))
  expect(line).toMatch(/ \w+ +1 +0 +- +1 +0 +0 /)
  await client.query('commit')
  const unread = new Program(['top', '--once', '--host', host, '--port', String(port), '-U', database.user], {
    PGPASSWORD: database.password,
  })
  unread.stopReading()
  expect(await unread.ended()).toBe(0)
  expect(unread.stderr).toBe('')
})

test.runIf(isInstalled('script'))('pgweir top restores the terminal, whether a key or a signal ends it', async () => {
  const pgweir = await startPgweir({ database, settings: { auth_type: 'any' } })
  const { host, port } = pgweir.address
  for (const end of ['q', 'SIGTERM', 'SIGHUP'] as const) {
    const terminal = new Terminal(['top', '--host', host, '--port', String(port), '-U', 'ada'])
    await terminal.shows('\u001b[?1049h')
    await terminal.shows('DATABASE')
    // Types a filter, holds the display, and quits, all in one write.
    if (end === 'q') terminal.type('/app\r q')
    else process.kill(await terminal.pid(), end)
    expect(await terminal.ended()).toBe(0)
    expect(terminal.shown).toContain('\u001b[?25h\u001b[?1049l')
  }
})

test('pgweir top fails with an error if it cannot connect', async () => {
  const program = new Program(['top', '--host', '127.0.0.1', '--port', '1', '-U', 'ada'])
  expect(await program.ended()).toBe(2)
  expect(program.stderr).toContain('the console of 127.0.0.1:1')
})

test.each(['scram-sha-256', 'plain'])(
  'pgweir top and pgweir console explain how to give a missing password (%s)',
  async (method) => {
    const pgweir = await startPgweir({
      database,
      secrets: { [database.user]: database.password },
      settings: { admin_users: database.user, auth_type: method },
    })
    const { host, port } = pgweir.address
    const place = ['--host', host, '--port', String(port), '-U', database.user]
    for (const command of [
      ['top', '--once', ...place],
      ['console', ...place, 'show version'],
    ]) {
      const program = new Program(command)
      expect(await program.ended()).toBe(2)
      expect(program.stderr).toBe(
        `pgweir: the console of ${host}:${port}, as ${database.user}: a password is needed: set PGPASSWORD, write it to ~/.pgpass, or run this in a terminal\n`,
      )
    }
  },
)
