/** Runs the same files under Debian's PgBouncer and then under pgweir, and asks both the same, so that tests can compare their answers. */

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { accessSync, chmodSync, chownSync, constants, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PROGRAM_FILE } from '../../support/e2e/program.ts'
import { errorFields, RawClient, type Reply, startup } from '../../support/e2e/raw-client.ts'
import { LONG_PATIENCE_MS, until } from '../../support/e2e/until.ts'
import { freePort } from '../../support/free-port.ts'

const PGBOUNCER = '/usr/sbin/pgbouncer'

/** The user `nobody` of every Debian, under which PgBouncer runs if the tests run as root, because it refuses to run as root. */
const NOBODY = 65_534

/** Texts by file name; one file must be pgbouncer.ini. `{directory}` stands for the files' directory and `{port}` for the port to listen on. */
export type Files = Readonly<Record<string, string>>

/** Runs `talk` with PgBouncer and then with pgweir, on the same port, and returns both results. */
export async function underBoth<Said>(files: Files, talk: (pooler: Pooler) => Promise<Said>): Promise<[Said, Said]> {
  try {
    accessSync(PGBOUNCER, constants.X_OK)
  } catch (cause) {
    throw new Error(`there is no ${PGBOUNCER} here; .ci/run installs it with Debian's package pgbouncer`, { cause })
  }
  const directory = mkdtempSync(join(tmpdir(), 'pgweir-pgbouncer-'))
  try {
    const port = await freePort()
    for (const [name, text] of Object.entries(files))
      writeFileSync(join(directory, name), text.replaceAll('{directory}', directory).replaceAll('{port}', String(port)))
    const iniFile = join(directory, 'pgbouncer.ini')
    const theirs = await under(() => startPgbouncer(directory, iniFile), port, talk)
    const ours = await under(() => startPgweir(iniFile), port, talk)
    return [theirs, ours]
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

function startPgbouncer(directory: string, iniFile: string): ChildProcess {
  const isRoot = process.getuid?.() === 0
  if (isRoot) {
    chmodSync(directory, 0o755)
    for (const each of [directory, ...readdirSync(directory).map((name) => join(directory, name))])
      chownSync(each, NOBODY, NOBODY)
  }
  return spawn(PGBOUNCER, [iniFile], {
    cwd: directory,
    env: { PATH: process.env['PATH'], TZ: 'UTC' },
    stdio: ['ignore', 'ignore', 'pipe'],
    ...(isRoot && { uid: NOBODY, gid: NOBODY }),
  })
}

function startPgweir(iniFile: string): ChildProcess {
  return spawn(process.execPath, [PROGRAM_FILE, iniFile], {
    // The tests may run as root, and cause many failed logins.
    env: { PATH: process.env['PATH'], TZ: 'UTC', PGWEIR_ALLOW_ROOT: '1', PGWEIR_AUTH_FAILURE_DELAY: '0' },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
}

async function under<Said>(start: () => ChildProcess, port: number, talk: (pooler: Pooler) => Promise<Said>) {
  const child = start()
  let logged = ''
  child.stderr?.on('data', (chunk) => {
    logged += chunk
  })
  const ended = once(child, 'close')
  const pooler = new Pooler(port)
  let timer: NodeJS.Timeout | undefined
  // Outside tests, where a file may call this, vitest has no time limit.
  const tooLong = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('it has not said all in time')), LONG_PATIENCE_MS)
  })
  try {
    const listens = async () => {
      if (child.exitCode !== null) throw new Error('it has ended')
      const client = await RawClient.connect({ host: '127.0.0.1', port }).catch(() => null)
      client?.vanish()
      return client !== null
    }
    await until('it listens', listens, LONG_PATIENCE_MS)
    return await Promise.race([talk(pooler), tooLong])
  } catch (cause) {
    throw new Error(`it has logged last: ${logged.slice(-2000)}`, { cause })
  } finally {
    clearTimeout(timer)
    pooler.hangUp()
    child.kill('SIGQUIT')
    await ended
  }
}

/** One of the two poolers. */
export class Pooler {
  readonly #port: number
  readonly #clients: RawClient[] = []

  constructor(port: number) {
    this.#port = port
  }

  /** Opens a connection on which nothing has been sent yet. */
  async stranger(): Promise<RawClient> {
    const client = await RawClient.connect({ host: '127.0.0.1', port: this.#port })
    this.#clients.push(client)
    return client
  }

  /** Connects a client that logs in without a password. */
  async client(user: string, database: string): Promise<RawClient> {
    const client = await this.stranger()
    await client.logIn({ user, database })
    return client
  }

  /** Sends a startup packet and returns the replies up to an authentication request, ReadyForQuery or the end of the connection. */
  async login(parameters: Readonly<Record<string, string>>): Promise<string[]> {
    return this.hello(startup(parameters))
  }

  async hello(...messages: readonly Uint8Array[]): Promise<string[]> {
    const client = await this.stranger()
    client.send(...messages)
    return firstWords(client)
  }

  hangUp(): void {
    for (const client of this.#clients) client.vanish()
  }
}

/** Returns the replies up to an authentication request, ReadyForQuery or the end of the connection. */
export async function firstWords(client: RawClient): Promise<string[]> {
  const said: string[] = []
  for (let reply = await client.next(); reply !== null; reply = await client.next()) {
    // The key differs each time.
    said.push(reply.type === 'K' ? 'BackendKeyData' : toldAlike(reply))
    if (reply.type === 'Z' || (reply.type === 'R' && reply.body.readInt32BE(0) !== 0)) break
  }
  return said
}

/** Returns all replies to a query. */
export async function ask(client: RawClient, ...messages: readonly Uint8Array[]): Promise<Reply[]> {
  client.send(...messages)
  return client.repliesUntil('Z')
}

/** Shows a reply without what PgBouncer does not have: hints, and different SQLSTATEs for different problems. */
export function toldAlike({ type, body, line }: Reply): string {
  if (type !== 'E' && type !== 'N') return type === 'T' ? `columns ${columnsIn(body).join(', ')}` : line
  const { S, M } = errorFields(body)
  return `${S}: ${M}`
}

/** Returns the columns of a result with everything that drivers look at: the type, its size, its modifier and the format. */
export function columns(replies: readonly Reply[]): string[] {
  const description = replies.find(({ type }) => type === 'T')
  if (!description) throw new Error(`there are no columns in ${replies.map(({ line }) => line)}`)
  return columnsIn(description.body)
}

function columnsIn(body: Buffer): string[] {
  const found: string[] = []
  let at = 2
  for (let left = body.readInt16BE(0); left > 0; left--) {
    const end = body.indexOf(0, at)
    const { type, size, modifier, format } = {
      ...{ type: body.readInt32BE(end + 7), size: body.readInt16BE(end + 11) },
      ...{ modifier: body.readInt32BE(end + 13), format: body.readInt16BE(end + 17) },
    }
    found.push(`${body.toString('utf8', at, end)} ${type}/${size}/${modifier}/${format}`)
    at = end + 19
  }
  return found
}

/** Returns the rows of a SHOW, each by column name; NULL becomes null. */
export function table(replies: readonly Reply[]): Record<string, string | null>[] {
  const names = columns(replies).map((column) => column.split(' ')[0] as string)
  return replies
    .filter(({ type }) => type === 'D')
    .map(({ body }) => {
      let at = 2
      return Object.fromEntries(
        names.map((name) => {
          const length = body.readInt32BE(at)
          const value = length < 0 ? null : body.toString('utf8', at + 4, at + 4 + length)
          at += 4 + Math.max(length, 0)
          return [name, value]
        }),
      )
    })
}
