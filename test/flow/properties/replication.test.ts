/** Whatever a replication client and its walsender send, however it is cut into chunks and whichever side is slow: each receives the other's exact bytes. */

import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Cut } from '../../../src/net/memory-transport.ts'
import type { FlowClient } from '../../support/flow/client.ts'
import { quiet, until } from '../../support/flow/inbox.ts'
import type { FlowServer } from '../../support/flow/postgres.ts'
import * as replies from '../../support/flow/replies.ts'
import { copyDone, copyFail, flush, parse, query, sync } from '../../support/flow/requests.ts'
import { Flow } from '../../support/flow/start.ts'

const { complete, copyBoth, copyData, copyIn, copyOut, error, notice, parameterStatus, ready, rows } = replies

/** What one side sends next. It may first wait for what the other side has sent. */
interface Line {
  readonly by: 'client' | 'server'
  readonly bytes: Buffer
  /** It is sent only when everything before it has arrived. If false, both sides send at the same time. */
  readonly waits: boolean
}

type Scene = readonly Line[]

function client(bytes: Buffer, waits = false): Line {
  return { by: 'client', bytes, waits }
}

/** By default the server waits: it does not answer before it was asked. */
function server(bytes: Buffer, waits = true): Line {
  return { by: 'server', bytes, waits }
}

const status = fc.constantFrom('I', 'T', 'E' as const)
const data = fc.string({ maxLength: 300 }).map((text) => copyData(text))
const aside = fc.constantFrom(Buffer.alloc(0), notice('a word'), parameterStatus('TimeZone', 'Asia/Tokyo'))

const command: fc.Arbitrary<Scene> = fc
  .tuple(fc.nat(3), status, aside)
  .map(([count, after, before]) => [
    client(query('IDENTIFY_SYSTEM')),
    server(Buffer.concat([before, rows(...Array<string>(count).fill('x')), ready(after)])),
  ])

const failure: fc.Arbitrary<Scene> = fc.constantFrom<Scene>(
  [client(query('WHAT')), server(Buffer.concat([error('42601', 'syntax error'), ready()]))],
  [client(Buffer.concat([parse('', 'select 1'), flush, sync])), server(Buffer.concat([error('08P01', 'no'), ready()]))],
)

const pipeline: fc.Arbitrary<Scene> = fc
  .integer({ min: 2, max: 5 })
  .map((count) => [
    client(Buffer.concat(Array.from({ length: count }, (_, index) => query(`select ${index}`)))),
    ...Array.from({ length: count }, (_, index) =>
      server(Buffer.concat([rows(`${index}`), ready(index % 2 === 0 ? 'I' : 'T')]), index === 0),
    ),
  ])

const backup: fc.Arbitrary<Scene> = fc
  .array(data, { maxLength: 5 })
  .map((files) => [
    client(query('BASE_BACKUP')),
    server(rows('0/1')),
    ...files.flatMap((file) => [server(Buffer.concat([copyOut(), file, replies.copyDone]), false)]),
    server(Buffer.concat([rows('0/2'), complete('BASE_BACKUP'), ready()]), false),
  ])

const copyInput: fc.Arbitrary<Scene> = fc
  .tuple(fc.array(data, { maxLength: 4 }), fc.boolean())
  .map(([lines, givesUp]) => [
    client(query('copy t from stdin')),
    server(copyIn()),
    ...lines.map((line) => client(line)),
    client(givesUp ? copyFail('no') : copyDone),
    server(Buffer.concat([givesUp ? error('57014', 'no') : complete('COPY 1'), ready()])),
  ])

const stream: fc.Arbitrary<Scene> = fc
  .tuple(
    fc.array(fc.tuple(fc.boolean(), fc.boolean(), data), { maxLength: 12, size: 'max' }),
    fc.constantFrom('client', 'server', 'error', 'at once' as const),
    data,
  )
  .map(([lines, ends, last]) => {
    const begin = [client(query('START_REPLICATION')), server(copyBoth())]
    const middle = lines.map(([isClient, waits, bytes]) => (isClient ? client(bytes, waits) : server(bytes, waits)))
    // Once the client knows that the stream is open, either side may send.
    const [first, ...others] = middle
    const spoken = first ? [{ ...first, waits: true }, ...others] : []
    const end = Buffer.concat([complete('COPY 0'), complete('START_REPLICATION'), ready()])
    switch (ends) {
      case 'client':
        return [
          ...begin,
          ...spoken,
          client(copyDone, true),
          server(last),
          server(Buffer.concat([replies.copyDone, end])),
        ]
      case 'server':
        return [
          ...begin,
          ...spoken,
          server(replies.copyDone),
          client(Buffer.concat([last, copyDone]), true),
          server(end),
        ]
      case 'at once':
        return [...begin, ...spoken, client(copyDone, true), server(replies.copyDone, false), server(end)]
      default:
        // Postgres has answered already, and drops what the client still sends.
        return [
          ...begin,
          ...spoken,
          server(Buffer.concat([error('XX000', 'lost'), ready()])),
          client(Buffer.concat([last, copyDone]), false),
        ]
    }
  })

const scene = fc.oneof(
  ...[command, failure, pipeline, backup, copyInput].map((arbitrary) => ({ weight: 1, arbitrary })),
  { weight: 4, arbitrary: stream },
)

const world = fc.record({
  scenes: fc.array(scene, { minLength: 1, maxLength: 6 }),
  cut: fc.oneof(
    fc.constant<Cut>('glued'),
    fc.integer({ min: 1, max: 9 }),
    fc.record({ seed: fc.nat(), most: fc.constant(30) }),
  ),
  windowBytes: fc.constantFrom(65_536, 50, 7),
  ending: fc.constantFrom('client', 'server' as const),
})

/** Number of runs. For a longer search: `FLOW_RUNS=5000 npx vitest run test/flow/properties`. */
const RUNS = Number(process.env['FLOW_RUNS'] ?? 150)

test(
  'a replication client and its walsender receive each other’s bytes unchanged',
  async () => {
    await fc.assert(
      fc.asyncProperty(world, async ({ scenes, cut, windowBytes, ending }) => {
        const flow = await new Flow({ cut, windowBytes }).start()
        try {
          const follower = await flow.connect({ parameters: { replication: 'database' } })
          const walsender = await flow.postgres.next()
          await play(scenes, follower, walsender)
          if (ending === 'client') follower.leave()
          else walsender.close()
          await until(
            () => (ending === 'client' ? walsender.isClosed : follower.isClosed),
            () => `the ${ending} has left, and the other has not heard of it`,
          )
          follower.inbox.take()
          walsender.inbox.take()
        } catch (problem) {
          await flow.finish().catch(() => {})
          throw problem
        }
        await flow.finish()
      }),
      { numRuns: RUNS, verbose: 0 },
    )
  },
  120_000 * Math.max(1, RUNS / 150),
)

async function play(scenes: readonly Scene[], follower: FlowClient, walsender: FlowServer): Promise<void> {
  const heard = { client: follower.inbox, server: walsender.inbox }
  const before = { client: bytesOf(heard.client.all).length, server: bytesOf(heard.server.all).length }
  const said = { client: Buffer.alloc(0), server: Buffer.alloc(0) }
  const hasArrived = (by: Line['by']) => {
    const other = by === 'client' ? 'server' : 'client'
    return bytesOf(heard[other].all).length - before[other] === said[by].length
  }
  const arrive = async () => {
    for (const by of ['client', 'server'] as const)
      await until(
        () => hasArrived(by),
        () => `what the ${by} has said has not arrived`,
      )
  }
  for (const scene of scenes) {
    for (const { by, bytes, waits } of scene) {
      if (waits) await arrive()
      const speaker = by === 'client' ? follower : walsender
      speaker.send(bytes)
      said[by] = Buffer.concat([said[by], bytes])
      if (bytes.length % 3 === 0) await quiet(1)
    }
    await arrive()
  }
  expect(bytesOf(heard.server.all).subarray(before.server)).toEqual(said.client)
  expect(bytesOf(heard.client.all).subarray(before.client)).toEqual(said.server)
}

function bytesOf(messages: readonly { readonly bytes: Buffer }[]): Buffer {
  return Buffer.concat(messages.map(({ bytes }) => bytes))
}
