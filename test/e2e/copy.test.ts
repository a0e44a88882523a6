import { Readable, Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { Client } from 'pg'
import { from as copyFrom, to as copyTo } from 'pg-copy-streams'
import { serialize } from 'pg-protocol'
import { beforeEach, describe, expect, test } from 'vitest'
import { type Step, sameAsDirect } from '../support/e2e/conversation.ts'
import { sharedPgweir } from '../support/e2e/pgweir.ts'
import { untilNotRunning } from '../support/e2e/server-side.ts'
import { failureOf, until } from '../support/e2e/until.ts'
import { adminClient, createDatabase } from '../support/postgres.ts'

const database = await createDatabase({ method: 'trust' })
const admin = await adminClient(database.database)

const { parse, bind, execute, sync, query, copyData, copyDone, copyFail } = serialize

beforeEach(async () => {
  await admin.query(`
    drop table if exists rows;
    drop function if exists no;
    create table rows (id int unique deferrable initially deferred, text text check (text <> 'bad'));
    alter table rows owner to ${database.user}`)
})

async function copyIn(client: Client, lines: Iterable<string> | AsyncIterable<string>): Promise<void> {
  await pipeline(Readable.from(lines), client.query(copyFrom('copy rows from stdin')))
}

async function count(client: Client): Promise<number> {
  return (await client.query<{ n: number }>('select count(*)::int as n from rows')).rows[0]?.n ?? -1
}

describe('COPY', () => {
  test('copies rows in and out, and other clients use the server in between', async () => {
    const pgweir = await sharedPgweir({ database })
    const [client, other] = [await pgweir.client(), await pgweir.client()]
    await copyIn(client, ['1\tgrüße 🐘\n', '2\t\\N\n', '3\t', 'in three', ' parts\n'])
    expect((await other.query('select * from rows order by id')).rows).toEqual([
      { id: 1, text: 'grüße 🐘' },
      { id: 2, text: null },
      { id: 3, text: 'in three parts' },
    ])
    let text = ''
    for await (const chunk of client.query(copyTo('copy (select * from rows order by id) to stdout'))) text += chunk
    expect(text).toBe('1\tgrüße 🐘\n2\t\\N\n3\tin three parts\n')
    expect(await count(other)).toBe(3)
  })

  test('keeps its server until it is complete', async () => {
    const pgweir = await sharedPgweir({ database })
    const [client, other] = [await pgweir.client(), await pgweir.client()]
    const stream = client.query(copyFrom('copy rows from stdin'))
    stream.write('1\tone\n')
    await until('the COPY is open', async () => (await pgweir.counts()).leased === 1)
    const answer = count(other)
    await until('the other one waits', async () => (await pgweir.counts()).waiting === 1)
    const done = new Promise((resolve, reject) => stream.on('finish', resolve).on('error', reject))
    stream.end('2\ttwo\n')
    await done
    expect(await answer).toBe(2)
  })

  test('copies 50 MB in and 50 MB out', async () => {
    const pgweir = await sharedPgweir({ database })
    const client = await pgweir.client()
    const bytes = 50_000_000
    const line = `1\t${'x'.repeat(9_997)}\n`
    await client.query('alter table rows drop constraint rows_id_key; alter table rows alter text set storage external')
    await copyIn(
      client,
      (function* () {
        for (let sent = 0; sent < bytes; sent += 10 * line.length) yield line.repeat(10)
      })(),
    )
    expect(await count(client)).toBe(5_000)
    let received = 0
    const counting = new Transform({
      transform(chunk: Buffer, _encoding, done) {
        received += chunk.length
        done()
      },
    })
    await pipeline(client.query(copyTo('copy rows to stdout')), counting.resume())
    expect(received).toBe(bytes)
    expect(await count(client)).toBe(5_000)
  })

  test('reports a bad row with PostgreSQL’s own error while the client is still sending', async () => {
    const pgweir = await sharedPgweir({ database })
    const [client, other] = [await pgweir.client(), await pgweir.client()]
    function* lines() {
      yield '1\tone\n'
      yield 'not a number\ttwo\n'
      for (let n = 3; n < 20_000; n++) yield `${n}\t${'x'.repeat(100)}\n`
    }
    expect(await failureOf(copyIn(client, lines()))).toMatchObject({
      code: '22P02',
      where: 'COPY rows, line 2, column id: "not a number"',
    })
    expect([await count(client), await count(other)]).toEqual([0, 0])
    expect((await pgweir.counts()).servers).toBe(1)
  })

  test('reports an error that occurs only after the last row', async () => {
    const pgweir = await sharedPgweir({ database })
    const client = await pgweir.client()
    expect(await failureOf(copyIn(client, ['1\tone\n', '1\tagain\n']))).toMatchObject({ code: '23505' })
    expect(await count(client)).toBe(0)
  })

  test('leaves no rows behind if the client aborts it', async () => {
    const pgweir = await sharedPgweir({ database })
    const client = await pgweir.client()
    async function* lines() {
      yield '1\tone\n'
      throw new Error('the disk is gone')
    }
    await failureOf(copyIn(client, lines()))
    expect(await count(client)).toBe(0)
    expect((await pgweir.counts()).servers).toBe(1)
  })

  test('costs the server if the client vanishes while it sends rows', async () => {
    const pgweir = await sharedPgweir({ database })
    const [client, other] = [await pgweir.raw(), await pgweir.client()]
    client.send(query('copy rows from stdin'), copyData(Buffer.from('1\tone\n')))
    await client.repliesUntil('G')
    const [before] = await pgweir.serverPids()
    client.vanish()
    expect(await count(other)).toBe(0)
    expect(await pgweir.serverPids()).not.toContain(before)
  })

  test('costs the server if the client vanishes while it receives rows', async () => {
    const pgweir = await sharedPgweir({ database })
    const [client, other] = [await pgweir.raw(), await pgweir.client()]
    const sql = `copy (select repeat('x', 1000) from generate_series(1, 1000000)) to stdout`
    client.send(query(sql))
    await client.repliesUntil('d')
    client.vanish()
    expect(await count(other)).toBe(0)
    await untilNotRunning(database, 'generate_series(1, 1000000)')
    expect((await pgweir.counts()).servers).toBe(1)
  })

  test('works within a transaction', async () => {
    const pgweir = await sharedPgweir({ database })
    const client = await pgweir.client()
    await client.query('begin')
    await copyIn(client, ['1\tone\n'])
    await client.query('savepoint before')
    await failureOf(copyIn(client, ['2\tbad\n']))
    await client.query('rollback to before')
    await copyIn(client, ['3\tthree\n'])
    expect(await count(client)).toBe(2)
    await client.query('commit')
    expect(await count(client)).toBe(2)
  })

  test('works with postgres.js, in both directions', async () => {
    const pgweir = await sharedPgweir({ database })
    const sql = pgweir.sql()
    await pipeline(Readable.from(['1\tone\n', '2\ttwo\n']), await sql`copy rows from stdin`.writable())
    let text = ''
    for await (const chunk of await sql`copy (select * from rows order by id) to stdout`.readable()) text += chunk
    expect(text).toBe('1\tone\n2\ttwo\n')
    expect(await sql`select count(*)::int as n from rows`).toEqual([{ n: 2 }])
  })
})

function step(...send: Uint8Array[]): Step {
  return { send }
}

const COPY = 'copy rows from stdin'
const ROW = copyData(Buffer.from('1\tone\n'))
const BROKEN = copyData(Buffer.from('x\tone\n'))
const PREPARED = Buffer.concat([parse({ text: COPY }), bind(), execute()])
const COUNT = query('select count(*) from rows')
const CLEAN = query('truncate rows')

const CONVERSATIONS: Readonly<Record<string, readonly Step[]>> = {
  'the data right after the command, without waiting': [
    step(query(COPY), ROW, copyDone(), COUNT),
    step(CLEAN, query(COPY), ROW, copyDone(), query(COPY), copyData(Buffer.from('2\ttwo\n')), copyDone(), COUNT),
    step(CLEAN),
  ],
  'the extended protocol, with Sync after the data': [
    { send: [PREPARED, serialize.flush()], upTo: 'G' },
    step(ROW, copyDone(), sync()),
    step(COUNT, CLEAN),
  ],
  'the extended protocol as libpq speaks it, with another Sync before the data': [
    { send: [PREPARED, sync()], upTo: 'G' },
    step(ROW, copyDone(), sync()),
    step(COUNT, CLEAN),
  ],
  'all of that in one packet': [
    { send: [PREPARED, sync(), ROW, copyDone(), sync(), COUNT], ready: 2 },
    { send: [CLEAN, PREPARED, ROW, copyDone(), sync(), COUNT, CLEAN], ready: 4 },
  ],
  'Syncs among the data': [
    { send: [query(COPY)], upTo: 'G' },
    { send: [sync(), ROW, sync(), serialize.flush(), copyDone(), COUNT], ready: 2 },
    { send: [query(COPY)], upTo: 'G' },
    { send: [sync(), BROKEN, sync(), copyDone()], ready: 1 },
    step(COUNT, CLEAN),
  ],
  'a COPY that the client aborts': [
    step(query(COPY), ROW, copyFail('changed my mind'), COUNT),
    { send: [PREPARED, sync()], upTo: 'G' },
    step(ROW, copyFail('changed my mind'), sync()),
    step(COUNT),
  ],
  'a broken row, and more data after the error': [
    { send: [query(COPY), BROKEN, ROW], ready: 1 },
    { send: [ROW, ROW, copyDone(), COUNT], ready: 1 },
    { send: [query(COPY), BROKEN, ROW], ready: 1 },
    { send: [ROW, copyFail('late'), COUNT], ready: 1 },
  ],
  'a broken row in the extended protocol': [
    { send: [PREPARED, serialize.flush()], upTo: 'G' },
    step(BROKEN, ROW, copyDone(), sync()),
    step(COUNT),
    { send: [PREPARED, sync(), BROKEN, ROW, copyDone(), sync(), COUNT], ready: 2 },
  ],
  'an error before the server has read the Sync after the command': [
    step(query(`create function no() returns trigger language plpgsql as $$ begin raise 'no'; end $$`)),
    step(query('create trigger no before insert on rows execute function no()')),
    { send: [PREPARED, sync(), ROW, copyDone(), sync(), COUNT], ready: 3 },
    { send: [query(COPY), sync(), sync(), ROW, copyDone(), COUNT], ready: 4 },
    step(query('drop function no cascade')),
  ],
  'an error at the end of the COPY': [
    step(query(COPY), ROW, ROW, copyDone(), COUNT),
    { send: [PREPARED, sync(), ROW, ROW, copyDone(), sync(), COUNT], ready: 2 },
  ],
  'a command that fails at once, and its data': [
    { send: [query('copy nowhere from stdin'), ROW, copyDone(), COUNT], ready: 2 },
    {
      send: [parse({ text: 'copy nowhere from stdin' }), bind(), execute(), sync(), ROW, copyDone(), sync(), COUNT],
      ready: 3,
    },
  ],
  'COPY TO STDOUT, in both protocols': [
    step(query(COPY), ROW, copyDone(), query('copy rows to stdout')),
    step(parse({ text: 'copy rows to stdout' }), bind(), execute(), sync(), COUNT),
    step(query('copy (select 1/(2-n) from generate_series(1, 3) n) to stdout'), COUNT),
    step(
      parse({ text: 'copy (select 1/(2-n) from generate_series(1, 3) n) to stdout' }),
      bind(),
      execute(),
      sync(),
      COUNT,
    ),
    step(CLEAN),
  ],
  'COPY among other statements of one query': [
    { send: [query(`select 1; ${COPY}; select 2`), ROW, copyDone()], ready: 1 },
    {
      send: [
        query(`${COPY}; ${COPY}; copy rows to stdout`),
        copyData(Buffer.from('2\ttwo\n')),
        copyDone(),
        copyData(Buffer.from('3\tthree\n')),
        copyDone(),
      ],
      ready: 1,
    },
    step(COUNT, CLEAN),
  ],
  'messages that are not allowed during COPY': [
    { send: [query(COPY), ROW, query('select 1')], ready: 1 },
    { send: [sync(), COUNT], ready: 2 },
  ],
}

test('a COPY with Syncs among its data that fails does not cost its server', async () => {
  const pgweir = await sharedPgweir({ database })
  const [client, other] = [await pgweir.raw(), await pgweir.client()]
  for (let round = 0; round < 20; round++) {
    client.send(PREPARED, sync(), BROKEN, ROW, copyDone(), sync())
    await client.repliesUntil('Z')
    expect(await count(other)).toBe(0)
  }
  expect(pgweir.closings).toEqual([])
})

describe('a conversation is the same as with PostgreSQL itself:', () => {
  for (const pool_mode of ['transaction', 'session'])
    for (const [name, steps] of Object.entries(CONVERSATIONS))
      test(`${name}, in ${pool_mode} mode`, async () => {
        const settings = { pool_mode, default_pool_size: pool_mode === 'session' ? 2 : 1 }
        const pgweir = await sharedPgweir({ database, settings })
        await sameAsDirect(pgweir, steps)
      })
})
