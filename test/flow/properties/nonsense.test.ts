/** Whatever bytes a client or a server sends, at any moment: at worst its own connection ends, and no other client is affected. */

import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Cut } from '../../../src/net/memory-transport.ts'
import { quiet } from '../../support/flow/inbox.ts'
import { complete, ready, rows } from '../../support/flow/replies.ts'
import { query, startup } from '../../support/flow/requests.ts'
import { Flow } from '../../support/flow/start.ts'
import { backendFrame, frontendFrame, rawFrame } from '../../support/random-frames.ts'

const someByte = fc.integer({ min: 0, max: 255 })

/** Random bytes, well-formed messages out of turn, and messages with a wrong length or type. */
function anything(frames: fc.Arbitrary<{ readonly bytes: Buffer }>): fc.Arbitrary<Buffer> {
  const part = fc.oneof(
    { weight: 1, arbitrary: fc.uint8Array({ minLength: 1, maxLength: 40 }).map((bytes) => Buffer.from(bytes)) },
    { weight: 4, arbitrary: frames.map(({ bytes }) => bytes) },
    {
      weight: 1,
      arbitrary: fc
        .tuple(someByte, fc.uint8Array({ maxLength: 20 }), fc.integer({ min: -5, max: 300 }))
        .map(([type, body, claimed]) => rawFrame(type, Buffer.from(body), claimed)),
    },
    { weight: 1, arbitrary: fc.tuple(frames, fc.nat(30)).map(([{ bytes }, length]) => bytes.subarray(0, length)) },
  )
  return fc.array(part, { minLength: 1, maxLength: 8 }).map((parts) => Buffer.concat(parts))
}

const fromClient = anything(frontendFrame())
const fromServer = anything(backendFrame())
const someCut: fc.Arbitrary<Cut> = fc.oneof(fc.constant<Cut>('glued'), fc.integer({ min: 1, max: 20 }))

/** Number of runs. For a longer search: `FLOW_RUNS=5000 npx vitest run test/flow/properties`. */
const RUNS = Number(process.env['FLOW_RUNS'] ?? 150)

const TIMEOUT_MS = 120_000 * Math.max(1, RUNS / 150)

/** Expects that another client can log in and gets an answer, from any server. */
async function expectUndisturbed(flow: Flow): Promise<void> {
  // A client that misbehaves may hold a server, even one that is not ready yet.
  for (const client of flow.clients) client.vanish()
  flow.postgres.onRequest = (server, request) => {
    if (request.shown === 'Query(undisturbed)') server.send(rows('yes'), ready())
    else if (request.name === 'Query') server.send(complete('SELECT 0'), ready())
  }
  await flow.advance(60_000)
  const client = await flow.connect({ user: 'other' })
  client.send(query('undisturbed'))
  expect(await client.answer()).toContain('DataRow(yes)')
}

async function withFlow(cut: Cut, play: (flow: Flow) => Promise<void>): Promise<void> {
  const flow = await new Flow({ cut, settings: { cancel_wait_timeout: 10, query_timeout: 30 } }).start()
  try {
    await play(flow)
    await expectUndisturbed(flow)
    for (const client of flow.clients) client.inbox.take()
  } catch (problem) {
    await flow.finish().catch(() => {})
    throw problem
  }
  await flow.finish()
}

test(
  'a client that has not logged in may send anything without affecting other clients',
  async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(fromClient, fc.constant(startup({ user: 'ada' }))),
        fromClient,
        someCut,
        async (...given) => {
          const [first, second, cut] = given
          await withFlow(cut, async (flow) => {
            const client = await flow.dial()
            client.isDeaf = true
            client.send(first)
            await quiet(1)
            client.send(second)
            await quiet()
          })
        },
      ),
      { numRuns: RUNS },
    )
  },
  TIMEOUT_MS,
)

test(
  'a client that has logged in may send anything, whatever the server answers, without affecting other clients',
  async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fromClient, { maxLength: 3 }), fromServer, someCut, async (parts, answer, cut) => {
        await withFlow(cut, async (flow) => {
          const client = await flow.connect()
          const server = await flow.postgres.next()
          client.isDeaf = true
          server.isDeaf = true
          for (const part of parts) {
            client.send(part)
            await quiet(1)
            server.send(answer)
            await quiet(1)
          }
        })
      }),
      { numRuns: RUNS },
    )
  },
  TIMEOUT_MS,
)

test(
  'a server may send anything, during its login, while idle or in use, without affecting other clients',
  async () => {
    const moments = fc.constantFrom('login', 'idle', 'query', 'transaction')
    await fc.assert(
      fc.asyncProperty(moments, fromServer, someCut, async (moment, bytes, cut) => {
        await withFlow(cut, async (flow) => {
          if (moment === 'login') {
            flow.postgres.login = (server) => {
              server.isDeaf = true
              server.send(bytes)
            }
            const client = await flow.dial()
            client.isDeaf = true
            client.send(startup({ user: 'ada', database: 'app' }))
            await quiet()
            flow.postgres.login = (server) => server.welcome()
            return
          }
          const client = await flow.connect()
          const server = await flow.postgres.next()
          if (moment !== 'idle') client.send(query('begin'))
          await quiet()
          if (moment === 'transaction') server.send(complete('BEGIN'), ready('T'))
          await quiet()
          client.isDeaf = true
          server.isDeaf = true
          server.send(bytes)
          await quiet()
          client.send(query('select 1'))
          await quiet()
        })
      }),
      { numRuns: RUNS },
    )
  },
  TIMEOUT_MS,
)
