/** Whatever clients send, however it is cut into chunks, and in whatever order: each client receives what Postgres itself would have sent. */

import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Cut } from '../../../src/net/memory-transport.ts'
import type { FlowClient } from '../../support/flow/client.ts'
import { Cutter, quiet } from '../../support/flow/inbox.ts'
import { DEFAULTS, type FlowServer, POSTGRES } from '../../support/flow/postgres.ts'
import { type Reply, type Request, RequestReader, readReply } from '../../support/flow/reading.ts'
import { LAST_TURN, parsingScript, type Script, script, type Turn } from '../../support/flow/scripts.ts'
import { DEFAULT_ZONE, SessionModel, Tables } from '../../support/flow/session-model.ts'
import { Flow } from '../../support/flow/start.ts'

/** What happens next, who does it, and how much. */
type Step =
  | { readonly does: 'send'; readonly client: number }
  | { readonly does: 'work'; readonly server: number; readonly requests: number }
  | { readonly does: 'rest' }
  | { readonly does: 'vanish'; readonly client: number }
  | { readonly does: 'die'; readonly server: number }
  | { readonly does: 'order'; readonly order: Order }
  | { readonly does: 'migrate' }

/** What an operator may do. */
type Order = 'pause' | 'resume' | 'reconnect' | Reload

/** The settings after a reload. */
interface Reload {
  readonly dbname: string
  readonly mode: string
  readonly poolSize: number
  readonly maxPreparedStatements: number
  readonly autoPrepare: number
}

interface World {
  readonly scripts: readonly Script[]
  readonly steps: readonly Step[]
  readonly poolSize: number
  readonly maxPreparedStatements: number
  readonly autoPrepare: number
  readonly mode: string
  readonly cut: Cut
  readonly windowBytes: number
  /** Whether clients wait for the answer to a batch before they send another one, which may depend on it. */
  readonly manners: 'polite' | 'patient' | 'hasty' | 'reckless'
}

const MAX_CLIENTS = 4
const MAX_ROUNDS = 30

const smoothStep: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.nat(MAX_CLIENTS - 1).map((client): Step => ({ does: 'send', client })) },
  {
    weight: 5,
    arbitrary: fc
      .tuple(fc.nat(2), fc.integer({ min: 1, max: 6 }))
      .map(([server, requests]): Step => ({ does: 'work', server, requests })),
  },
  { weight: 2, arbitrary: fc.constant<Step>({ does: 'rest' }) },
)

const roughStep: fc.Arbitrary<Step> = fc.oneof(
  { weight: 20, arbitrary: smoothStep },
  { weight: 1, arbitrary: fc.nat(MAX_CLIENTS - 1).map((client): Step => ({ does: 'vanish', client })) },
  { weight: 1, arbitrary: fc.nat(2).map((server): Step => ({ does: 'die', server })) },
)

const order: fc.Arbitrary<Order> = fc.oneof(
  fc.constantFrom<Order>('pause', 'resume', 'reconnect'),
  fc.record({
    dbname: fc.constantFrom('app', 'moved'),
    mode: fc.constantFrom('transaction', 'session'),
    poolSize: fc.integer({ min: 1, max: 3 }),
    maxPreparedStatements: fc.constantFrom(0, 1, 2, 100),
    autoPrepare: fc.constantFrom(0, 1),
  }),
)

const orderedStep: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: smoothStep },
  { weight: 1, arbitrary: order.map((each): Step => ({ does: 'order', order: each })) },
)

/** Steps that may also include a change of tables, on a separate connection. */
const migratingStep: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: smoothStep },
  { weight: 1, arbitrary: fc.constant<Step>({ does: 'migrate' }) },
)

function world(step: fc.Arbitrary<Step>, ...manners: World['manners'][]): fc.Arbitrary<World> {
  return fc.record({
    scripts: fc.array(script, { minLength: 1, maxLength: MAX_CLIENTS }),
    steps: fc.array(step, { maxLength: 40, size: 'max' }),
    poolSize: fc.integer({ min: 1, max: 3 }),
    maxPreparedStatements: fc.constantFrom(1, 2, 100),
    autoPrepare: fc.constantFrom(0, 1, 1),
    mode: fc.constantFrom('transaction', 'transaction', 'transaction', 'session'),
    cut: fc.oneof(
      fc.constant<Cut>('glued'),
      fc.integer({ min: 1, max: 9 }),
      fc.record({ seed: fc.nat(), most: fc.constant(30) }),
    ),
    windowBytes: fc.constantFrom(65_536, 65_536, 50, 7),
    manners: fc.constantFrom(...manners),
  })
}

const ENDS_BATCH = ['Sync', 'Query', 'Terminate']

/** A server that answers when the steps of the world say so. */
class Backend {
  readonly #server: FlowServer
  readonly #model: SessionModel
  readonly waiting: Request[] = []
  /** It is in the middle of a batch and locks the tables of that batch: a change of these tables has to wait. */
  locksTables = false

  constructor(server: FlowServer, tables: Tables) {
    this.#server = server
    this.#model = new SessionModel(DEFAULT_ZONE, tables)
  }

  work(requests: number): void {
    for (const request of this.waiting.splice(0, requests)) {
      if (request.name === 'Terminate') this.#server.close()
      const answer = this.#model.answer(request)
      if (answer.length > 0) this.#server.send(...answer)
      this.locksTables = !ENDS_BATCH.includes(request.name)
    }
  }

  die(): void {
    this.waiting.length = 0
    this.locksTables = false
    this.#server.reset()
  }
}

/** One client, and what it would receive without a pooler. */
class Player {
  readonly client: FlowClient
  readonly zone: string
  readonly expected: Reply[] = []
  readonly #turns: Turn[]
  readonly #number: number
  readonly #reference: SessionModel
  readonly #reader = new RequestReader()
  #sent = 0
  #hasConsequences = false

  constructor(client: FlowClient, { zone, turns }: Script, number: number) {
    this.client = client
    this.zone = zone ?? DEFAULT_ZONE
    this.#turns = [...turns, LAST_TURN]
    this.#number = number
    this.#reference = new SessionModel(this.zone)
  }

  get hasMore(): boolean {
    return this.#turns.length > 0 && this.client.channel.isOpen
  }

  /** All that was sent has been answered. */
  get isAnswered(): boolean {
    const hasHeard = withoutRepetitions(this.client.inbox.all, this.zone).length
    return hasHeard >= withoutRepetitions(this.expected, this.zone).length
  }

  /** Sends the next turn, unless its manners require that everything it has sent is answered first. */
  send(manners: World['manners']): void {
    const [turn] = this.#turns
    if (!turn) return
    const mustWait =
      manners === 'polite' ||
      (this.#hasConsequences && manners !== 'reckless') ||
      (!turn.standsAlone && manners === 'patient')
    if (mustWait && !this.isAnswered) return
    this.#turns.shift()
    this.#hasConsequences = turn.hasConsequences
    const bytes = Buffer.concat(turn.messages(`c${this.#number}t${this.#sent++}`))
    new Cutter((frame) => {
      const answer = Buffer.concat(this.#reference.answer(this.#reader.read(frame)))
      new Cutter((reply) => this.expected.push(readReply(reply))).add(answer)
    }).add(bytes)
    this.client.send(bytes)
  }
}

/**
 * What a client has received, without reports of settings that have not changed, or that change again right afterwards: these do no
 * harm.
 */
function withoutRepetitions(replies: readonly Reply[], zone: string): string[] {
  let known = `ParameterStatus(TimeZone=${zone})`
  return replies
    .map((reply) => reply.shown)
    .filter(
      (shown, index, all) => !shown.startsWith('ParameterStatus') || !all[index + 1]?.startsWith('ParameterStatus'),
    )
    .filter((shown) => {
      if (!shown.startsWith('ParameterStatus')) return true
      const isNew = shown !== known
      known = shown
      return isNew
    })
}

/** If several things are wrong with a statement (its text, its name, the transaction), we may report another one than Postgres does. */
const ABOUT_A_STATEMENT = /^ErrorResponse\(ERROR (42P05|42601|26000|25P02)/

function expectSame(heard: readonly string[], expected: readonly string[]): void {
  const tolerant = expected.map((shown, index) => {
    const isBoth = ABOUT_A_STATEMENT.test(shown) && ABOUT_A_STATEMENT.test(heard[index] ?? '')
    return isBoth ? heard[index] : shown
  })
  expect(heard).toEqual(tolerant)
}

interface Outcome {
  readonly players: readonly Player[]
  readonly flow: Flow
}

/** Plays a world to its end: every script is sent, every request is answered. */
async function play(
  { scripts, steps, ...options }: World,
  check: (outcome: Outcome) => void,
  tables = new Tables(),
): Promise<void> {
  const backends = new Map<FlowServer, Backend>()
  const flow = await new Flow({
    cut: options.cut,
    windowBytes: options.windowBytes,
    settings: {
      pool_mode: options.mode,
      default_pool_size: options.mode === 'session' ? MAX_CLIENTS : options.poolSize,
      max_prepared_statements: options.maxPreparedStatements,
      auto_prepare: options.autoPrepare,
      query_wait_notify: 0,
    },
  }).start()
  flow.postgres.onRequest = (server, request) => backends.get(server)?.waiting.push(request)
  flow.postgres.login = (server) => {
    backends.set(server, new Backend(server, tables))
    server.welcome(DEFAULTS)
  }

  const obey = (given: Order) => {
    const { control } = flow.pooler
    // The test does not wait until the pause is complete, and there may be nothing to resume.
    if (given === 'pause') control.pause(null).catch(() => {})
    else if (given === 'resume') control.resume(null).catch(() => {})
    else if (given === 'reconnect') control.reconnect(null)
    else {
      // In session mode clients do not leave to make room for those that wait.
      const poolSize = options.mode === 'session' ? MAX_CLIENTS : given.poolSize
      flow.change({
        databases: [`app=host=${POSTGRES.host} dbname=${given.dbname}`],
        settings: {
          pool_mode: given.mode,
          default_pool_size: poolSize,
          max_prepared_statements: given.maxPreparedStatements,
          auto_prepare: given.autoPrepare,
          query_wait_notify: 0,
        },
      })
      control.reload()
    }
  }

  const migrate = () => {
    if (![...backends.values()].some(({ locksTables }) => locksTables)) tables.version++
  }

  const everybodyWorks = async () => {
    for (let idle = 0; idle < 2; ) {
      await quiet(2)
      const busy = [...backends.values()].filter((backend) => backend.waiting.length > 0)
      for (const backend of busy) backend.work(100)
      idle = busy.length > 0 ? 0 : idle + 1
    }
  }

  try {
    const players: Player[] = []
    for (const [number, each] of scripts.entries()) {
      // In session mode, DISCARD ALL restores the server's settings, not those of the client's login.
      const zone = options.mode === 'session' ? null : each.zone
      const login = flow.connect(zone === null ? {} : { parameters: { TimeZone: zone } })
      await everybodyWorks()
      const client = await login
      client.inbox.clear()
      players.push(new Player(client, { ...each, zone }, number))
    }
    for (const step of steps) {
      if (step.does === 'send') players[step.client]?.send(options.manners)
      else if (step.does === 'work')
        [...backends.values()][step.server % Math.max(backends.size, 1)]?.work(step.requests)
      else if (step.does === 'order') obey(step.order)
      else if (step.does === 'migrate') migrate()
      else if (step.does === 'vanish') players[step.client]?.client.vanish()
      else if (step.does === 'die') [...backends.values()][step.server % Math.max(backends.size, 1)]?.die()
      await quiet(step.does === 'rest' ? 3 : 1)
    }
    obey('resume')
    // In each round every patient client gets one turn further, unless it waits in vain.
    for (let rounds = MAX_ROUNDS; rounds > 0 && players.some((player) => player.hasMore); rounds--) {
      if (options.manners === 'polite') migrate()
      for (const player of players) if (player.hasMore) player.send(options.manners)
      await everybodyWorks()
    }
    await everybodyWorks()
    check({ players, flow })
    for (const player of players) player.client.inbox.take()
  } catch (problem) {
    // Report the first problem, not those that follow from it.
    await flow.finish().catch(() => {})
    throw problem
  }
  await flow.finish()
}

/** Says which client and turn a row or a description belongs to: see the tags in `Turn`. */
const TAG = /c(\d+)t\d+/

/** Number of runs. For a longer search: `FLOW_RUNS=5000 npx vitest run test/flow/properties`. */
const RUNS = Number(process.env['FLOW_RUNS'] ?? 150)

const TIMEOUT_MS = 120_000 * Math.max(1, RUNS / 150)

test(
  'each client receives exactly what Postgres itself would have sent',
  async () => {
    await fc.assert(
      fc.asyncProperty(world(smoothStep, 'patient', 'hasty'), async (given) => {
        await play(given, ({ players }) => {
          for (const { client, expected, zone } of players) {
            const heard = withoutRepetitions(client.inbox.unread, zone)
            expectSame(heard, withoutRepetitions(expected, zone))
          }
        })
      }),
      { numRuns: RUNS, verbose: 0 },
    )
  },
  TIMEOUT_MS,
)

test(
  'no client notices a reload, a RECONNECT, a moved database or a PAUSE',
  async () => {
    await fc.assert(
      fc.asyncProperty(world(orderedStep, 'patient', 'hasty'), async (given) => {
        await play(given, ({ players }) => {
          for (const { client, expected, zone } of players) {
            const heard = withoutRepetitions(client.inbox.unread, zone)
            expectSame(heard, withoutRepetitions(expected, zone))
          }
        })
      }),
      { numRuns: RUNS, verbose: 0 },
    )
  },
  TIMEOUT_MS,
)

test(
  'no client that parses its statements anew each time notices that tables are changed',
  async () => {
    const tables = new Tables()
    const given = world(migratingStep, 'polite').chain((each) =>
      fc.record({
        scripts: fc.array(parsingScript, { minLength: 1, maxLength: MAX_CLIENTS }),
        rest: fc.constant(each),
      }),
    )
    await fc.assert(
      fc.asyncProperty(given, async ({ scripts, rest }) => {
        const check = ({ players }: Outcome) => {
          for (const { client, expected, zone } of players)
            expectSame(withoutRepetitions(client.inbox.unread, zone), withoutRepetitions(expected, zone))
        }
        await play({ ...rest, scripts, autoPrepare: 1 }, check, tables)
      }),
      { numRuns: RUNS, verbose: 0 },
    )
    // The test is meaningful only if servers have refused statements.
    expect(tables.refusals).toBeGreaterThan(0)
  },
  TIMEOUT_MS,
)

test(
  'clients that vanish and servers that die never give a client a reply that is not its own',
  async () => {
    await fc.assert(
      fc.asyncProperty(world(roughStep, 'patient', 'hasty'), async (given) => {
        await play(given, ({ players }) => {
          for (const { client, expected, zone } of players) {
            const heard = withoutRepetitions(client.inbox.unread, zone)
            // The last message may be the pooler's own error that the server has gone.
            if (heard.at(-1)?.startsWith('ErrorResponse(FATAL')) heard.pop()
            // A setting that was reported last may have been about to change again.
            if (heard.at(-1)?.startsWith('ParameterStatus')) heard.pop()
            expectSame(heard, withoutRepetitions(expected, zone).slice(0, heard.length))
          }
        })
      }),
      { numRuns: RUNS, verbose: 0 },
    )
  },
  TIMEOUT_MS,
)

test(
  'clients that send requests while a batch is still open never get a reply that is not their own',
  async () => {
    await fc.assert(
      fc.asyncProperty(world(roughStep, 'reckless'), async (given) => {
        await play(given, ({ players }) => {
          for (const [number, { client }] of players.entries()) {
            const owners = client.inbox.unread.flatMap((reply) => TAG.exec(reply.shown)?.[1] ?? [])
            expect(owners.filter((owner) => owner !== String(number))).toEqual([])
          }
        })
      }),
      { numRuns: RUNS, verbose: 0 },
    )
  },
  TIMEOUT_MS,
)
