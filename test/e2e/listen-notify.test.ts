import type { Client, Notification } from 'pg'
import { serialize } from 'pg-protocol'
import { expect, test } from 'vitest'
import { sharedPgweir, startPgweir } from '../support/e2e/pgweir.ts'
import { until } from '../support/e2e/until.ts'
import { createDatabase } from '../support/postgres.ts'

const database = await createDatabase()

function notesOf(client: Client): string[] {
  const notes: string[] = []
  client.on('notification', ({ channel, payload }: Notification) => notes.push(`${channel}: ${payload}`))
  return notes
}

const SESSION = { pool_mode: 'session', default_pool_size: 3 }

test('in session mode, notifications reach an idle client in order', async () => {
  const pgweir = await sharedPgweir({ database, settings: SESSION })
  const [listener, sender] = [await pgweir.client(), await pgweir.client()]
  const notes = notesOf(listener)
  await listener.query('listen news')
  for (let n = 0; n < 20; n++) await sender.query(`select pg_notify('news', $1)`, [`${n}`])
  await until('all have come', () => notes.length === 20)
  expect(notes).toEqual(Array.from({ length: 20 }, (_, n) => `news: ${n}`))
  await listener.query('unlisten news')
  await sender.query(`notify news, 'too late'`)
  await listener.query('select 1')
  expect(notes).toHaveLength(20)
})

test('in session mode, notifications that are sent during a transaction arrive at its end', async () => {
  const pgweir = await sharedPgweir({ database, settings: SESSION })
  const [listener, sender] = [await pgweir.raw(), await pgweir.client()]
  await listener.ask(serialize.query('listen news'))
  await listener.ask(serialize.query('begin'))
  await sender.query(`notify news, 'while you were busy'`)
  await listener.ask(serialize.query('select 1'))
  expect(await listener.ask(serialize.query('commit'))).toEqual([
    'CommandComplete COMMIT',
    'NotificationResponse news while you were busy',
    'ReadyForQuery I',
  ])
  // Its own notification arrives, too.
  expect(await listener.ask(serialize.query(`notify news, 'to myself'`))).toEqual([
    'CommandComplete NOTIFY',
    'NotificationResponse news to myself',
    'ReadyForQuery I',
  ])
})

test('in session mode, listen and notify of postgres.js work', async () => {
  const pgweir = await sharedPgweir({ database, settings: SESSION })
  const sql = pgweir.sql()
  const heard: string[] = []
  await sql.listen('news', (payload) => heard.push(payload))
  await sql.notify('news', 'extra, extra')
  await until('it was heard', () => heard.length === 1)
  expect(heard).toEqual(['extra, extra'])
})

test('in transaction mode, NOTIFY reaches listeners on other connections', async () => {
  const pgweir = await startPgweir({ database })
  const direct = await pgweir.client({ port: database.port })
  const notes = notesOf(direct)
  await direct.query('listen news')
  const sender = await pgweir.client()
  await sender.query('begin')
  await sender.query(`notify news, 'committed'`)
  await sender.query('commit')
  await until('it was heard', () => notes.length === 1)
  expect(notes).toEqual(['news: committed'])
})

test('a notification for a client that has disconnected reaches no other client', async () => {
  const pgweir = await startPgweir({ database, settings: { pool_mode: 'session' } })
  const first = await pgweir.client()
  await first.query('listen news')
  await first.end()
  const second = await pgweir.client()
  const notes = notesOf(second)
  await second.query('select 1')
  const direct = await pgweir.client({ port: database.port })
  await direct.query(`notify news, 'for the first'`)
  await second.query('select 1')
  expect(notes).toEqual([])
})
