/**
 * `npm run bench:scraping`: what a scrape of /metrics costs pgweir with 10,000 clients and 500 pools, in CPU time. `-- 3 200` measures only
 * three workers and `metrics_max_pools = 200`.
 */

import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { findFreePort, startOnPort } from './child.ts'
import { cpuTimeOf, familyOf } from './process-figures.ts'
import { median } from './statistics.ts'
import { inParallel, WireClient } from './wire-client.ts'

const CLIENTS = 10_000
const POOLS = 500
const AT_A_TIME = 32
/** The kernel counts CPU time in hundredths of a second. This many scrapes together take long enough for that. */
const SCRAPES = 40
/** By then, V8 has compiled what runs often. */
const WARM_UP_SCRAPES = 20
const REST_MS = 3_000
const GOAL_MS = 50

const SSL_REQUEST = 80_877_103
const QUERY = 0x51
const NO_TLS = Buffer.from('N')

/** AuthenticationOk, ParameterStatus, BackendKeyData, ReadyForQuery. */
const WELCOME = Buffer.concat([
  message('R', Buffer.from([0, 0, 0, 0])),
  ...['server_version=15.0', 'client_encoding=UTF8', 'standard_conforming_strings=on'].map((setting) =>
    message('S', Buffer.from(`${setting.replace('=', '\0')}\0`)),
  ),
  message('K', Buffer.from([0, 0, 0, 1, 0, 0, 0, 2])),
  message('Z', Buffer.from('I')),
])
const ANSWER = Buffer.concat([message('C', Buffer.from('SELECT 0\0')), message('Z', Buffer.from('I'))])

function message(type: string, body: Buffer): Buffer {
  const head = Buffer.alloc(5)
  head.write(type)
  head.writeInt32BE(body.length + 4, 1)
  return Buffer.concat([head, body])
}

/** Plays a PostgreSQL server for clients that log in and send trivial queries. 500 real backends would only use memory. */
async function startServer(): Promise<{ readonly port: number; readonly server: Server }> {
  const server = createServer((socket) => {
    let isIn = false
    socket.on('error', () => {})
    socket.on('data', (chunk) => {
      if (isIn) {
        if (chunk[0] === QUERY) socket.write(ANSWER)
      } else if (chunk.readInt32BE(4) === SSL_REQUEST) socket.write(NO_TLS)
      else {
        isIn = true
        socket.write(WELCOME)
      }
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', 1_024, resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('it listens nowhere')
  return { port: address.port, server }
}

/** Returns the CPU time of each of a pooler's processes, the first process first. */
function cpuMsOfEach(pid: number): number[] {
  const [all = Number.NaN, ...others] = familyOf(pid).map((member) => {
    const { userMs, systemMs } = cpuTimeOf(member)
    return userMs + systemMs
  })
  return [all - sum(others), ...others]
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}

interface Round {
  readonly workers: number
  /** `metrics_max_pools`. */
  readonly named: number
}

const DEFAULT_MAX_POOLS = 200

const ROUNDS: readonly Round[] = [
  { workers: 1, named: DEFAULT_MAX_POOLS },
  { workers: 3, named: DEFAULT_MAX_POOLS },
]

async function measure({ workers, named }: Round, serverPort: number): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), 'pgweir-scraping-'))
  const [port, httpPort] = [await findFreePort(), await findFreePort()]
  const iniFile = join(folder, 'pgweir.ini')
  await writeFile(
    iniFile,
    `[databases]
* = host=127.0.0.1 port=${serverPort}
[pgweir]
listen_port = ${port}
listen_backlog = 1024
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 1
server_tls_sslmode = disable
max_client_conn = ${CLIENTS + 100}
http_listen = 127.0.0.1:${httpPort}
metrics_max_pools = ${named}
workers = ${workers}
log_connections = 0
log_disconnections = 0
log_stats = 0
`,
  )
  // `auth_type = any` requires a forced user if the server asks for a password, but this server does not.
  const pgweir = await startOnPort(process.execPath, [join(process.cwd(), 'bin', 'pgweir.js'), iniFile], port)
  try {
    const place = { host: '127.0.0.1', port, user: 'ada', encryption: 'none' as const }
    const clients: WireClient[] = []
    await inParallel(CLIENTS, AT_A_TIME, async (index) => {
      const client = await WireClient.login({ ...place, database: `d${index % POOLS}` })
      await client.query('select 1')
      clients.push(client)
    })
    const scrape = async () => (await fetch(`http://127.0.0.1:${httpPort}/metrics`)).text()
    let text = ''
    for (let count = 0; count < WARM_UP_SCRAPES; count++) text = await scrape()

    const restMs = cpuMsOfEach(pgweir.pid)
    const restedMs = performance.now()
    await delay(REST_MS)
    const before = cpuMsOfEach(pgweir.pid)
    const restPerMs = before.map((ms, place) => (ms - (restMs[place] ?? 0)) / (performance.now() - restedMs))
    const times: number[] = []
    const beganMs = performance.now()
    for (let count = 0; count < SCRAPES; count++) {
      const askedMs = performance.now()
      await scrape()
      times.push(performance.now() - askedMs)
    }
    const elapsedMs = performance.now() - beganMs
    const costs = cpuMsOfEach(pgweir.pid).map(
      (ms, place) => (ms - (before[place] ?? 0) - (restPerMs[place] ?? 0) * elapsedMs) / SCRAPES,
    )
    const each = costs.length === 1 ? '' : ` (${costs.map((ms) => ms.toFixed(0)).join(' + ')}, the primary first)`
    const lines = text.split('\n').length
    const pools = new Set(text.match(/pgweir_pool_permits\{[^}]*\}/g)).size
    console.log(
      `${clients.length} clients, ${POOLS} pools (${pools} told apart), workers = ${workers}: ${lines} lines, ${(text.length / 1e6).toFixed(1)} MB: ` +
        `${sum(costs).toFixed(0)} ms of CPU for a scrape${each}, ${median(times).toFixed(0)} ms until it was there (median of ${SCRAPES})`,
    )
    for (const client of clients) client.hangUp()
    return Math.max(...costs)
  } finally {
    await pgweir.stop()
    await rm(folder, { recursive: true, force: true })
  }
}

const { port, server } = await startServer()
const costs: number[] = []
const [workers, named] = process.argv.slice(2).map(Number)
const rounds: readonly Round[] = workers === undefined ? ROUNDS : [{ workers, named: named ?? DEFAULT_MAX_POOLS }]
for (const round of rounds) costs.push(await measure(round, port))
server.close()
console.log(`no process should need more than ${GOAL_MS} ms`)
process.exit(costs.every((cost) => cost <= GOAL_MS) ? 0 : 1)
