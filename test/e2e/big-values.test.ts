import { once } from 'node:events'
import { serialize } from 'pg-protocol'
import { expect, test } from 'vitest'
import { runProgram } from '../support/e2e/program.ts'
import { message, type RawClient } from '../support/e2e/raw-client.ts'
import { activity, untilNotRunning } from '../support/e2e/server-side.ts'
import { until } from '../support/e2e/until.ts'
import { adminClient, createDatabase } from '../support/postgres.ts'

const database = await createDatabase()
const admin = await adminClient()

const MIB = 1024 * 1024
const BYTES = 128 * MIB
/** Room for buffers as large as the kernel's and for garbage that is not collected yet, but much less than the value of 128 MiB. */
const MOST_GROWTH_MIB = 64

async function start(pool_mode: string) {
  const running = await runProgram({ database, settings: { pool_mode, default_pool_size: 2 } })
  const client = await running.raw()
  // Warm up: code that is loaded and compiled on first use must not count.
  for (let round = 0; round < 20; round++) await client.ask(serialize.query(`select repeat('x', 100000)`))
  return { ...running, client, before: running.program.peakMemoryMiB() }
}

/** Sends only as fast as the pooler takes it. */
async function sendSlowly({ socket }: RawClient, bytes: number): Promise<void> {
  const chunk = Buffer.alloc(64 * 1024, 'x')
  for (let left = bytes; left > 0; left -= chunk.length)
    if (!socket.write(chunk.subarray(0, left))) await once(socket, 'drain')
}

test('a field of 128 MiB streams through in bounded memory', { timeout: 60_000 }, async () => {
  const { program, client, before } = await start('transaction')
  const lines = await client.ask(serialize.query(`select repeat('x', ${BYTES}) as big`))
  expect(lines).toEqual([
    'RowDescription big:25',
    `DataRow of ${1 + 4 + 2 + 4 + BYTES} bytes`,
    'CommandComplete SELECT 1',
    'ReadyForQuery I',
  ])
  expect(program.peakMemoryMiB() - before).toBeLessThan(MOST_GROWTH_MIB)
})

test('a parameter of 128 MiB streams through in bounded memory', { timeout: 60_000 }, async () => {
  const { program, client, before } = await start('transaction')
  const text = 'select length($1::bytea) as length'
  await client.ask(serialize.parse({ name: 'big', text }), serialize.sync())
  const [bind, length] = [serialize.bind({ statement: 'big', values: [Buffer.alloc(4)] }), Buffer.alloc(4)]
  length.writeInt32BE(BYTES)
  // Replace the value of 4 bytes by a large one. The result formats follow it.
  const at = bind.indexOf(Buffer.from([0, 0, 0, 4, 0, 0, 0, 0]))
  const head = Buffer.concat([bind.subarray(0, at), length])
  const tail = bind.subarray(at + 8)
  head.writeInt32BE(head.length - 1 + BYTES + tail.length, 1)
  client.socket.write(head)
  await sendSlowly(client, BYTES)
  client.send(tail, serialize.execute(), serialize.sync())
  expect(await client.lines()).toEqual([
    'BindComplete',
    `DataRow ${BYTES}`,
    'CommandComplete SELECT 1',
    'ReadyForQuery I',
  ])
  expect(program.peakMemoryMiB() - before).toBeLessThan(MOST_GROWTH_MIB)
})

test('a query of 64 MiB streams through in bounded memory, in session mode', { timeout: 60_000 }, async () => {
  const { program, client, before } = await start('session')
  const [head, tail] = [Buffer.from("select length('"), Buffer.from("') as length\0")]
  const query = message('Q', head)
  query.writeInt32BE(4 + head.length + 64 * MIB + tail.length, 1)
  client.socket.write(query)
  await sendSlowly(client, 64 * MIB)
  client.socket.write(tail)
  expect(await client.lines()).toContain(`DataRow ${64 * MIB}`)
  expect(program.peakMemoryMiB() - before).toBeLessThan(MOST_GROWTH_MIB)
})

test('a client that never reads costs little memory, and does not delay other clients', async () => {
  const { program, raw, client: other, before } = await start('transaction')
  const deaf = await raw()
  deaf.socket.pause()
  deaf.send(serialize.query(`select repeat('never read', 1000) from generate_series(1, 1000000)`))
  await untilStuck('never read')
  for (let n = 0; n < 50; n++) expect(await other.ask(serialize.query(`select ${n} as n`))).toContain(`DataRow ${n}`)
  expect(program.peakMemoryMiB() - before).toBeLessThan(32)
  deaf.vanish()
  await untilNotRunning(database, 'never read')
})

test('a client that sends queries and never reads costs little memory, and does not delay other clients', async () => {
  const { program, raw, client: other, before } = await start('transaction')
  const deaf = await raw()
  deaf.socket.pause()
  const question = serialize.query(`select repeat('asked on and on', 1000)`)
  const questions = Buffer.concat(Array.from({ length: 1_000 }, () => question))
  // 60 MB of queries cause a gigabyte of answers.
  for (let round = 0; round < 1_000; round++) deaf.socket.write(questions)
  await until('the pooler reads no more from the client', async () => {
    const before = deaf.socket.writableLength
    for (let n = 0; n < 50; n++) expect(await other.ask(serialize.query(`select ${n} as n`))).toContain(`DataRow ${n}`)
    return before === deaf.socket.writableLength && before > 0
  })
  expect(program.peakMemoryMiB() - before).toBeLessThan(32)
  deaf.vanish()
  await untilNotRunning(database, 'asked on and on')
})

/** Waits until PostgreSQL is blocked because its output is not read. */
async function untilStuck(text: string): Promise<void> {
  await until('PostgreSQL is stuck', async () => {
    const [stuck] = (await activity(database)).filter(({ state, query }) => state === 'active' && query.includes(text))
    if (!stuck) return false
    const { rows } = await admin.query('select wait_event from pg_stat_activity where pid = $1', [stuck.pid])
    return rows[0]?.wait_event === 'ClientWrite'
  })
}
