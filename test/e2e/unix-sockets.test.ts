/** Clients and servers on unix sockets. */

import { existsSync, linkSync, mkdtempSync, renameSync, rmSync, statSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { keyOf } from '../support/e2e/keys.ts'
import { type Pgweir, startPgweir } from '../support/e2e/pgweir.ts'
import { untilRunning } from '../support/e2e/server-side.ts'
import { failureOf, until } from '../support/e2e/until.ts'
import { createDatabase } from '../support/postgres.ts'

const database = await createDatabase()

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'pgweir-unix-'))
  onTestFinished(() => rmSync(path, { recursive: true, force: true }))
  return path
}

function isRefused(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ path }, () => {
      socket.destroy()
      resolve(false)
    })
    socket.on('error', () => resolve(true))
  })
}

function socketOf({ addresses }: Pgweir): string {
  const [path] = addresses.map(({ host }) => host).filter((host) => host.startsWith('/'))
  if (path === undefined) throw new Error('it has no unix socket')
  return path
}

/** A client that connects through the unix socket. */
function local(pgweir: Pgweir, directory: string, config = {}) {
  return pgweir.client({ host: directory, port: pgweir.address.port, ...config })
}

test('clients may connect by a unix socket, are shown as such, and the socket file is removed with the pooler', async () => {
  const directory = folder()
  const pgweir = await startPgweir({ database, settings: { unix_socket_dir: directory, admin_users: database.user } })
  const { port } = pgweir.address
  expect(socketOf(pgweir)).toBe(`${directory}/.s.PGSQL.${port}`)
  const client = await local(pgweir, directory)
  expect((await client.query('select 1 as one')).rows).toEqual([{ one: 1 }])
  const root = await local(pgweir, directory, { database: 'pgbouncer' })
  const { rows } = await root.query('show clients')
  for (const row of rows)
    expect(row).toMatchObject({ addr: 'unix', port, local_addr: 'unix', local_port: port, remote_pid: process.pid })
  expect(pgweir.log.some((line) => line.includes(`@unix(${process.pid}):${port} login attempt`))).toBe(true)
  await client.end()
  await root.end()
  const path = socketOf(pgweir)
  expect(existsSync(path)).toBe(true)
  await pgweir.stop()
  expect(existsSync(path)).toBe(false)
})

test('pgweir may listen on a unix socket alone', async () => {
  const directory = folder()
  const settings = { unix_socket_dir: directory, listen_addr: '', listen_port: 7001 }
  const pgweir = await startPgweir({ database, settings })
  expect(pgweir.addresses.map(({ host }) => host)).toEqual([`${directory}/.s.PGSQL.7001`])
  const client = await local(pgweir, directory)
  expect((await client.query('select 1 as one')).rows).toEqual([{ one: 1 }])
})

test('during SHUTDOWN WAIT_FOR_CLIENTS, the unix socket accepts console clients only', async () => {
  const directory = folder()
  const pgweir = await startPgweir({ database, settings: { unix_socket_dir: directory, admin_users: database.user } })
  const stays = await local(pgweir, directory)
  const console = { database: 'pgbouncer' }
  await (await local(pgweir, directory, console)).query('shutdown wait_for_clients')
  const answerTo = (client: ReturnType<Pgweir['client']>) =>
    client.then(
      (early) => early.end(),
      ({ code }: NodeJS.ErrnoException) => code,
    )
  // Several processes receive the command one after the other, and those without clients end first.
  await until('new clients are refused on TCP', async () => (await answerTo(pgweir.client())) === 'ECONNREFUSED')
  await until(
    'new clients are refused on the socket',
    async () => (await answerTo(local(pgweir, directory))) === '57P01',
  )
  let other = stays
  const lookFrom = async (client: ReturnType<Pgweir['client']>) => {
    other = await client
    return (await other.query('show clients')).rows
  }
  let rows: Awaited<ReturnType<typeof lookFrom>> = []
  await until('a process that stays answers on the console', async () => {
    rows = await lookFrom(local(pgweir, directory, console)).catch(() => [])
    return rows.length > 0
  })
  expect(rows.map((row) => row['database'])).toContain(database.database)
  expect((await stays.query('select 1 as one')).rows).toEqual([{ one: 1 }])
  const ended = failureOf(new Promise((_, reject) => other.once('error', reject)))
  await stays.end()
  expect(await ended).toMatchObject({ code: '57P01' })
})

test('unix_socket_mode and unix_socket_group apply to the socket file', async () => {
  const directory = folder()
  // Root can give the socket to any group; other users only to one of their own groups, if they have a second one.
  const own = process.getgid?.() ?? 0
  const group = process.getuid?.() === 0 ? own + 1 : (process.getgroups?.().find((each) => each !== own) ?? own)
  const settings = { unix_socket_dir: directory, unix_socket_mode: '0620', unix_socket_group: group }
  const pgweir = await startPgweir({ database, settings })
  const { mode, gid } = statSync(socketOf(pgweir))
  expect(mode & 0o777).toBe(0o620)
  expect(gid).toBe(group)
})

test('a stale socket file is replaced, and a socket in use is an error', async () => {
  const directory = folder()
  const path = `${directory}/.s.PGSQL.7002`
  const settings = { unix_socket_dir: directory, listen_addr: '', listen_port: 7002 }
  const holder = createServer()
  await new Promise<void>((resolve) => holder.listen(path, resolve))
  // On close, libuv removes the path it has created. It does not know this second link, so that stays.
  const left = `${path}.left`
  linkSync(path, left)
  expect(await failureOf(startPgweir({ database, settings }))).toMatchObject({
    message: `unix socket is in use, cannot continue: ${path}`,
  })
  await new Promise((resolve) => holder.close(resolve))
  // If another test is just starting a process, that process holds a copy of the socket until its program begins.
  await until('the socket no longer listens', () => isRefused(left))
  renameSync(left, path)
  const pgweir = await startPgweir({ database, settings })
  expect(await (await local(pgweir, directory)).query('select 1')).toMatchObject({ rowCount: 1 })
})

test('a unix_socket_dir that does not exist is an error that names the setting', async () => {
  const settings = { unix_socket_dir: '/nowhere/at/all' }
  const { message } = await failureOf(startPgweir({ database, settings }))
  expect(message).toBe('unix_socket_dir: there is no folder /nowhere/at/all')
})

test('servers are reached by unix sockets, in a given or the default folder, for cancel requests too', async () => {
  const directory = folder()
  const far = await startPgweir({ database, settings: { unix_socket_dir: directory, default_pool_size: 2 } })
  const { port } = far.address
  const near = await startPgweir({
    database,
    databases: [
      `by_folder = host=${directory} port=${port} dbname=${database.database}`,
      `by_default = port=${port} dbname=${database.database}`,
    ],
    settings: {
      unix_socket_dir: directory,
      listen_port: port + 1 === 65_536 ? port - 1 : 0,
      admin_users: database.user,
    },
  })
  for (const name of ['by_folder', 'by_default']) {
    const client = await near.client({ database: name })
    expect((await client.query('select 1 as one')).rows).toEqual([{ one: 1 }])
    const sleeping = failureOf(client.query('select pg_sleep(600)'))
    await untilRunning(database, 'pg_sleep(600)')
    await near.cancel(keyOf(client))
    expect(await sleeping).toMatchObject({ code: '57014' })
  }
  const root = await near.client({ database: 'pgbouncer' })
  for (const row of (await root.query('show servers')).rows) expect(row).toMatchObject({ addr: 'unix', port })
})

test('an abstract unix socket works for clients and servers', async () => {
  const name = `@pgweir-test-${process.pid}`
  const far = await startPgweir({ database, settings: { unix_socket_dir: name } })
  const { port } = far.address
  const databases = [`far = host=${name} port=${port} dbname=${database.database}`]
  const near = await startPgweir({ database, databases })
  const client = await near.client({ database: 'far' })
  expect((await client.query('select 1 as one')).rows).toEqual([{ one: 1 }])
})

test('the system user that runs the pooler may log in to the console as pgbouncer without a password, by the unix socket only', async () => {
  const directory = folder()
  const pgweir = await startPgweir({ database, settings: { unix_socket_dir: directory, auth_type: 'scram-sha-256' } })
  const owner = { user: 'pgbouncer', password: 'wrong', database: 'pgbouncer' }
  const root = await local(pgweir, directory, owner)
  expect((await root.query('show version')).rows).toHaveLength(1)
  await root.query('pause')
  await root.query('resume')
  expect(await failureOf(pgweir.client(owner))).toMatchObject({ code: '28P01' })
  expect(await failureOf(local(pgweir, directory, { ...owner, user: 'postgres' }))).toMatchObject({ code: '28P01' })
  expect(await failureOf(local(pgweir, directory, { ...owner, database: database.database }))).toMatchObject({
    code: '28P01',
  })
})
