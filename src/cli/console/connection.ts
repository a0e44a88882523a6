/** Finds the console of a pooler that runs, and who to be there. */

import { userInfo } from 'node:os'
import { createInterface } from 'node:readline/promises'
import pg from 'pg'
import { connectingStream } from '../../net/path-sockets.ts'
import { isAbstract, isThere, socketPath, withPort } from '../../net/unix-sockets.ts'
import { type LoadedText, loadSettings } from '../../settings/load.ts'
import { formatProblem, type Problem } from '../../settings/problem.ts'
import type { formatNotice } from './output.ts'
import { isPlaceGiven, type Target, targetOf } from './target.ts'

export interface PlaceFlags {
  readonly host?: string
  readonly port?: string
  readonly username?: string
  /** The file of the pooler, for where it listens. */
  readonly config?: string
  /** Settings that stood before the command: `pgweir --listen-port 7000 console`. */
  readonly settings?: Readonly<Record<string, string>>
}

export interface ConsoleStreams {
  readonly input: NodeJS.ReadStream
  readonly output: NodeJS.WriteStream
  readonly errors: NodeJS.WriteStream
  readonly env: Readonly<Record<string, string | undefined>>
}

/** The exit code where there is nobody to talk to, as psql's. */
export const NO_CONNECTION = 2

export interface ConsoleConnection {
  readonly client: pg.Client
  /** Resolves with the reason once it has ended. */
  readonly lost: Promise<string>
  /** Says what is wrong with this console. */
  complain(sentence: string): void
}

/** Whoever reads us may have seen enough: `pgweir console 'show clients' | head -3`. */
export function endWithReader(output: NodeJS.WriteStream): void {
  output.on('error', (problem: NodeJS.ErrnoException) => process.exit(problem.code === 'EPIPE' ? 0 : 1))
}

/** null where there is nobody to talk to, which is told then. */
export async function connectToConsole(
  flags: PlaceFlags,
  streams: ConsoleStreams,
  onNotice: (notice: Parameters<typeof formatNotice>[0]) => void = () => {},
): Promise<ConsoleConnection | null> {
  const target = findTarget(flags, streams)
  if (target === null) return null
  const client = clientFor(target, streams)
  const complain = (sentence: string) => streams.errors.write(`pgweir: ${describe(target)}: ${sentence}\n`)
  client.on('notice', onNotice)
  const lost = new Promise<string>((resolve) => {
    client.on('error', (problem) => resolve(messageOf(problem)))
    client.on('end', () => resolve('the console has gone'))
  })
  try {
    await client.connect()
  } catch (problem) {
    complain(isPasswordMissing(client, problem) ? PASSWORD_IS_NEEDED : messageOf(problem))
    // Where it gave up by itself the connection is there, and would keep the process alive.
    client.end().catch(() => {})
    return null
  }
  return { client, lost, complain }
}

/** Told if there is none. */
function findTarget({ config, settings: flags = {}, ...given }: PlaceFlags, streams: ConsoleStreams): Target | null {
  const { env, errors } = streams
  const loaded = loadSettings({ iniFile: config ?? null, env, flags })
  const isNeeded = config !== undefined || !isPlaceGiven({ ...given, env })
  const inTheWay = isNeeded ? loaded.problems.filter((problem) => misleads(problem, loaded)) : []
  for (const problem of inTheWay) errors.write(`${formatProblem(problem)}\n`)
  if (inTheWay.length > 0) return null
  const { general } = loaded.settings
  const target = targetOf({ ...given, env, general, systemUser, isThere })
  if (!('problem' in target)) return target
  errors.write(`pgweir: error: ${target.problem}\n`)
  return null
}

/** They say where the console is. */
const PLACES: readonly string[] = ['listen_addr', 'listen_port', 'unix_socket_dir']

/**
 * Whether it could lead to another console than the one that is meant: also what is not understood, which may have been to say where that is.
 * Other slips are for the pooler to tell.
 */
function misleads({ severity, setting, file, line }: Problem, { written }: LoadedText): boolean {
  if (severity !== 'error') return false
  if (setting !== undefined) return PLACES.includes(setting)
  return file !== null && ![...written.places.values()].some((place) => place.file === file && place.line === line)
}

/** In a container there may be nobody of that number. */
function systemUser(): string | null {
  try {
    return userInfo().username
  } catch {
    return null
  }
}

/** Not connected yet. Asks for the password where there is a terminal, and one is needed. */
function clientFor({ host, port, user }: Target, { input, errors, env }: ConsoleStreams): pg.Client {
  const password =
    env['PGPASSWORD'] ?? (input.isTTY ? () => ask(`Password for user ${user}: `, input, errors) : undefined)
  return new pg.Client({
    ...{ host, port, user, database: 'pgweir' },
    ...(password !== undefined && { password }),
    ...(isAbstract(host) && { stream: () => connectingStream(socketPath(host, port)) }),
  })
}

const PASSWORD_IS_NEEDED = 'a password is needed: set PGPASSWORD, write it to ~/.pgpass, or call this from a terminal'

/** `pg` says it in the words of SCRAM; with other methods it sends something all the same, and is refused. */
function isPasswordMissing({ password }: pg.Client, problem: unknown): boolean {
  const isAskedFor = problem instanceof pg.DatabaseError ? problem.code === '28P01' : /^SASL:/.test(messageOf(problem))
  return isAskedFor && (typeof password !== 'string' || password === '')
}

/** Nothing of the answer is shown. */
async function ask(question: string, input: NodeJS.ReadStream, output: NodeJS.WriteStream): Promise<string> {
  output.write(question)
  const lines = createInterface({ input, terminal: true })
  try {
    return await lines.question('')
  } finally {
    lines.close()
    output.write('\n')
  }
}

function describe({ host, port, user }: Target): string {
  return `the console of ${withPort(host, port)}, as ${user}`
}

export function messageOf(problem: unknown): string {
  if (problem instanceof AggregateError) return problem.errors.map(messageOf).join(', ')
  return problem instanceof Error ? problem.message : String(problem)
}
