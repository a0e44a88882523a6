import { mkdtemp, rm } from 'node:fs/promises'
import { type AddressInfo, connect, createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { serialize } from 'pg-protocol'
import postgres from 'postgres'
import { expect, onTestFinished, test } from 'vitest'
import { workerIn } from '../../src/wire/cancel-key.ts'
import { keyOf } from '../support/e2e/keys.ts'
import { type Pgweir, startPgweir } from '../support/e2e/pgweir.ts'
import { runProgram } from '../support/e2e/program.ts'
import { RawClient } from '../support/e2e/raw-client.ts'
import { activity, untilRunning } from '../support/e2e/server-side.ts'
import { failureOf, until } from '../support/e2e/until.ts'
import { createDatabase } from '../support/postgres.ts'

const database = await createDatabase({ method: 'trust' })

const CANCELLED = { code: '57014', message: 'canceling statement due to user request' }

/** Starts a pooler with this `peer_id` that has `others` as its peers. */
function startPeer(peerId: number, others: Readonly<Record<number, Pgweir | string>> = {}): Promise<Pgweir> {
  const peers = Object.entries(others).map(([id, other]) => {
    return `${id} = ${typeof other === 'string' ? other : `host=${other.address.host} port=${other.address.port}`}`
  })
  return startPgweir({ database, peers, settings: { peer_id: peerId } })
}

/** A TCP server that passes connections on to the ports in turn, as a load balancer does. */
async function balance(ports: readonly number[], where: string | number = 0): Promise<Server> {
  let next = 0
  const server = createServer((near) => {
    const far = connect(ports[next++ % ports.length] as number, '127.0.0.1')
    near.pipe(far).pipe(near)
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      one.on('error', () => other.destroy())
      one.on('close', () => other.destroy())
    }
  })
  await new Promise<void>((resolve) => server.listen(where, resolve))
  onTestFinished(() => void server.close())
  return server
}

test('a cancel request that arrives at a peer ends the query of its client, and no other', async () => {
  const home = await startPeer(1)
  const other = await startPeer(2, { 1: home })
  const [client, bystander] = [await home.client(), await other.client()]
  const answer = failureOf(client.query('select pg_sleep(60), 1 as id'))
  const unharmed = failureOf(bystander.query('select pg_sleep(60), 2 as id'))
  await untilRunning(database, '1 as id')
  await untilRunning(database, '2 as id')
  await other.cancel(keyOf(client))
  expect(await answer).toMatchObject(CANCELLED)
  expect((await client.query('select 1 as one')).rows).toEqual([{ one: 1 }])
  const running = (await activity(database)).filter(({ state }) => state === 'active').map(({ query }) => query)
  expect(running).toEqual(['select pg_sleep(60), 2 as id'])
  await other.cancel(keyOf(bystander))
  expect(await unharmed).toMatchObject(CANCELLED)
})

test('once the connection of a cancel request ends, it cannot hit the client’s next query', async () => {
  const home = await startPeer(1)
  const other = await startPeer(2, { 1: home })
  const client = await home.client()
  for (let round = 0; round < 20; round++) {
    const answer = failureOf(client.query('select pg_sleep(60)'))
    await untilRunning(database, 'pg_sleep(60)')
    await other.cancel(keyOf(client))
    expect((await client.query(`select ${round} as round`).catch((error) => error)).rows).toEqual([{ round }])
    expect(await answer).toMatchObject(CANCELLED)
  }
})

test('a driver behind a load balancer can cancel, whichever pooler receives its request', async () => {
  const home = await startPeer(1)
  const other = await startPeer(2, { 1: home })
  const server = await balance([home.address.port, other.address.port])
  const { user, password } = database
  const { port } = server.address() as AddressInfo
  const sql = postgres({ host: '127.0.0.1', port, user, password, database: database.database, max: 1 })
  onTestFinished(() => sql.end({ timeout: 5 }))
  const query = sql`select pg_sleep(60)`
  const answer = failureOf(query)
  await untilRunning(database, 'pg_sleep(60)')
  query.cancel()
  expect(await answer).toMatchObject({ code: '57014' })
  await until('the request was passed on', () =>
    [home, other].every(({ log }) => log.some((line) => line.includes('closing because: cancel request'))),
  )
  await sql.end({ timeout: 5 })
})

test('a cancel request may be passed on from peer to peer', async () => {
  const home = await startPeer(1)
  const second = await startPeer(2, { 1: home })
  const third = await startPeer(3, { 1: second })
  const client = await home.client()
  const answer = failureOf(client.query('select pg_sleep(60)'))
  await untilRunning(database, 'pg_sleep(60)')
  await third.cancel(keyOf(client))
  expect(await answer).toMatchObject(CANCELLED)
})

test('a peer may be reached through a unix socket', async () => {
  const home = await startPeer(1)
  const folder = await mkdtemp(join(tmpdir(), 'pgweir-peer-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  await balance([home.address.port], join(folder, '.s.PGSQL.7000'))
  const other = await startPeer(2, { 1: `host=${folder} port=7000` })
  const client = await home.client()
  const answer = failureOf(client.query('select pg_sleep(60)'))
  await untilRunning(database, 'pg_sleep(60)')
  await other.cancel(keyOf(client))
  expect(await answer).toMatchObject(CANCELLED)
})

test('a cancel request for a peer that is down is dropped at once', async () => {
  const gone = await startPeer(1)
  await gone.stop()
  const other = await startPeer(2, { 1: gone })
  await other.cancel({ pid: 0x7f01_0000, secret: 3 })
  expect(other.log).toContainEqual(expect.stringContaining('could not be passed on to peer 1: connect ECONNREFUSED'))
})

test('among poolers with several processes each, a cancel request reaches the process of its client', async () => {
  const home = await runProgram({ database, settings: { peer_id: 1, workers: 2 } })
  const other = await runProgram({
    database,
    settings: { peer_id: 2, workers: 2 },
    peers: [`1 = host=127.0.0.1 port=${home.port}`],
  })
  const workers = new Set<number>()
  for (let id = 0; id < 4; id++) {
    const client = await home.raw()
    workers.add(workerIn(client.cancelKey.pid))
    client.send(serialize.query(`select pg_sleep(60), ${id} as id`))
    await untilRunning(database, `${id} as id`)
    const canceller = await RawClient.connect({ host: '127.0.0.1', port: (id < 2 ? home : other).port })
    canceller.send(serialize.cancel(client.cancelKey.pid, client.cancelKey.secret))
    expect(await client.lines()).toContainEqual(expect.stringContaining('ErrorResponse 57014'))
    await until('the request is over', () => canceller.hasEnded)
  }
  expect([...workers].sort()).toEqual([1, 2])
  const taken = () => home.program.stderr.split('closing because: cancel request').length - 1
  await until('each request is logged where it was taken', () => taken() === 4)
})

test('peer_id may be set by the environment', async () => {
  const { raw, port } = await runProgram({ database, settings: { peer_id: 258 } })
  const other = await runProgram({ database, peers: [`258 = host=127.0.0.1 port=${port}`] }, { PGWEIR_PEER_ID: '2' })
  const client = await raw()
  expect((client.cancelKey.pid >> 8) & 0xffff).toBe(0x02_01)
  client.send(serialize.query('select pg_sleep(60)'))
  await untilRunning(database, 'pg_sleep(60)')
  const canceller = await RawClient.connect({ host: '127.0.0.1', port: other.port })
  canceller.send(serialize.cancel(client.cancelKey.pid, client.cancelKey.secret))
  expect(await client.lines()).toContainEqual(expect.stringContaining('ErrorResponse 57014'))
  await until('the request is over', () => canceller.hasEnded)
})
