/** deploy/restart.sh: under load, a new pgweir takes over the port of the old one, and no client sees an error. */

import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import pg from 'pg'
import { serialize } from 'pg-protocol'
import { expect, onTestFinished, test } from 'vitest'
import { temporaryFolder } from '../support/datagrams.ts'
import { writeFilesInto } from '../support/e2e/files.ts'
import { keyOf } from '../support/e2e/keys.ts'
import { WORKERS } from '../support/e2e/pgweir.ts'
import { PROGRAM_FILE } from '../support/e2e/program.ts'
import { RawClient } from '../support/e2e/raw-client.ts'
import { activity, untilRunning } from '../support/e2e/server-side.ts'
import { failureOf, until } from '../support/e2e/until.ts'
import { freePort } from '../support/free-port.ts'
import { createDatabase } from '../support/postgres.ts'

const database = await createDatabase({ method: 'trust' })
const SCRIPT = fileURLToPath(new URL('../../deploy/restart.sh', import.meta.url))
/** With the portable transport, SO_REUSEPORT needs Node 23.1. */
const canShare = process.env['PGWEIR_TEST_TRANSPORT'] !== 'node' || isNodeAtLeast(23, 1)

function isNodeAtLeast(major: number, minor: number): boolean {
  const [ofMajor = 0, ofMinor = 0] = process.versions.node.split('.').map(Number)
  return ofMajor > major || (ofMajor === major && ofMinor >= minor)
}

/** The environment of an operator: one ini file for both poolers, and the script. */
async function prepare() {
  const [port, httpPort] = [await freePort(), await freePort()]
  const directory = temporaryFolder()
  const { iniFile } = await writeFilesInto(directory, {
    database,
    peers: [1, 2].map((id) => `${id} = host=${join(directory, `${id}`)} port=${port}`),
    settings: {
      listen_port: port,
      workers: WORKERS,
      logfile: join(directory, 'log'),
      http_listen: `127.0.0.1:${httpPort}`,
      default_pool_size: 3,
    },
  })
  const pidOf = (id: number) => {
    try {
      return Number(readFileSync(join(directory, `${id}`, 'pgweir.pid'), 'utf8')) || null
    } catch {
      return null
    }
  }
  onTestFinished(() => {
    for (const id of [1, 2]) if (pidOf(id) !== null) process.kill(pidOf(id) ?? 0, 'SIGKILL')
  })
  const env = { ...process.env, PGWEIR: `${process.execPath} ${PROGRAM_FILE}`, PGWEIR_ALLOW_ROOT: '1' }
  return {
    port,
    pidOf,
    /** Whether /readyz reports ready. A pooler that waits for its clients to leave does not. */
    isReady: () =>
      fetch(`http://127.0.0.1:${httpPort}/readyz`).then(
        ({ status }) => status === 200,
        () => false,
      ),
    /** Starts the first pooler, or replaces the running one. */
    restart: (more: Readonly<Record<string, string>> = {}) =>
      promisify(execFile)(SCRIPT, [iniFile, directory], { env: { ...env, ...more } }),
    connect: async () => {
      const client = new pg.Client({ host: '127.0.0.1', port, user: database.user, database: database.database })
      await client.connect()
      return client
    },
  }
}

async function cancel(port: number, { pid, secret }: ReturnType<typeof keyOf>): Promise<void> {
  const canceller = await RawClient.connect({ host: '127.0.0.1', port })
  canceller.send(serialize.cancel(pid, secret))
  await until('the request is over', () => canceller.hasEnded)
}

async function replacesUnderLoad(): Promise<void> {
  const { port, pidOf, restart, connect, isReady } = await prepare()
  await restart()
  const first = pidOf(1)
  expect(await failureOf(restart({ PGWEIR_POOL_MODE: 'nonsense' }))).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('PGWEIR_POOL_MODE cannot be "nonsense"'),
  })
  expect([pidOf(1), pidOf(2)], 'a pooler that cannot start changes nothing').toEqual([first, null])
  const stays = await connect()
  await stays.query('begin')

  let isOver = false
  let connects = 0
  /** Connects, runs some transactions, disconnects, and starts over. */
  const comesAndGoes = async () => {
    while (!isOver) {
      const client = await connect()
      connects++
      for (let count = 0; count < 5; count++)
        expect((await client.query('select $1::int as count', [count])).rows).toEqual([{ count }])
      await client.end()
    }
  }
  const crowd = Promise.all(Array.from({ length: 6 }, comesAndGoes))
  const goesOn = async () => {
    const wanted = connects + 20
    await until('clients connect again', () => connects >= wanted)
  }
  await goesOn()
  const { stdout } = await restart()
  const second = pidOf(2)
  expect(stdout).toBe(
    `pgweir 2 serves clients, process ${second}\npgweir 1 ends when its clients have left, process ${first}\n`,
  )
  await goesOn()
  await until('the new one answers by HTTP, too', isReady)
  expect((await stays.query('select 1 as one')).rows, 'connected clients stay').toEqual([{ one: 1 }])

  // Cancel requests now reach the new pooler.
  for (const client of [stays, await connect()]) {
    const query = failureOf(client.query(`select pg_sleep(60), ${client === stays ? 1 : 2} as id`))
    await untilRunning(database, 'as id')
    await cancel(port, keyOf(client))
    expect(await query).toMatchObject({ code: '57014' })
    if (client !== stays) await client.end()
  }
  const third = await failureOf<Error & { stderr: string }>(restart())
  expect(third.stderr).toContain('1 and 2 both run')

  await goesOn()
  isOver = true
  await crowd
  await stays.query('rollback')
  await stays.end()
  await until('the first has ended', () => pidOf(1) === null)
  process.kill(second ?? 0, 'SIGTERM')
  await until('the second has ended', () => pidOf(2) === null)
  await until('no server is left', async () => (await activity(database)).length === 0)
}

async function refusesToStart(): Promise<void> {
  const { pidOf, restart } = await prepare()
  expect(await failureOf(restart())).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('so_reuseport on the transport node needs Node 23.1 or later'),
  })
  expect([pidOf(1), pidOf(2)]).toEqual([null, null])
}

if (canShare)
  test(
    'deploy/restart.sh replaces pgweir without clients noticing, and cancel requests arrive while both poolers run',
    replacesUnderLoad,
  )
else test('deploy/restart.sh fails with an explanation if the transport cannot share a port', refusesToStart)
