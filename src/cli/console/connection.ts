/** Finds the console of a running pooler and the user to log in as, and connects to it. */

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
  /** The pooler's file, which says where it listens. */
  readonly config?: string
  /** Settings given before the command: `pgweir --listen-port 7000 console`. */
  readonly settings?: Readonly<Record<string, string>>
}

export interface ConsoleStreams {
  readonly input: NodeJS.ReadStream
  readonly output: NodeJS.WriteStream
  readonly errors: NodeJS.WriteStream
  readonly env: Readonly<Record<string, string | undefined>>
}

/** The exit code if there is no connection, as psql has it. */
export const NO_CONNECTION = 2

export interface ConsoleConnection {
  readonly client: pg.Client
  /** Resolves with the reason once the connection has ended. */
  readonly lost: Promise<string>
  /** Reports what is wrong with this console. */
  complain(sentence: string): void
}

/** Ends the process when the reader of our output has seen enough: `pgweir console 'show clients' | head -3`. */
export function endWithReader(output: NodeJS.WriteStream): void {
  output.on('error', (problem: NodeJS.ErrnoException) => process.exit(problem.code === 'EPIPE' ? 0 : 1))
}

/** Resolves to null, after reporting the reason, if there is no connection. */
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
    client.on('end', () => resolve('the connection to the console was closed'))
  })
  try {
    await client.connect()
  } catch (problem) {
    complain(isPasswordMissing(client, problem) ? PASSWORD_IS_NEEDED : messageOf(problem))
    // If the client gave up by itself, the connection is still open, and would keep the process alive.
    client.end().catch(() => {})
    return null
  }
  return { client, lost, complain }
}

/** Returns null, after reporting the reason, if there is no target. */
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

/** The settings that say where the console is. */
const PLACES: readonly string[] = ['listen_addr', 'listen_port', 'unix_socket_dir']

/**
 * Whether the problem could lead to another console than the one that is meant. A line that is not understood counts too, since it may have
 * been meant to say where the console is. Other mistakes are left for the pooler to report.
 */
function misleads({ severity, setting, file, line }: Problem, { written }: LoadedText): boolean {
  if (severity !== 'error') return false
  if (setting !== undefined) return PLACES.includes(setting)
  return file !== null && ![...written.places.values()].some((place) => place.file === file && place.line === line)
}

/** In a container, our user id may have no name. */
function systemUser(): string | null {
  try {
    return userInfo().username
  } catch {
    return null
  }
}

/** Returns a client that is not connected yet. It asks for the password if there is a terminal and a password is needed. */
function clientFor({ host, port, user }: Target, { input, errors, env }: ConsoleStreams): pg.Client {
  const password =
    env['PGPASSWORD'] ?? (input.isTTY ? () => ask(`Password for user ${user}: `, input, errors) : undefined)
  return new pg.Client({
    ...{ host, port, user, database: 'pgweir' },
    ...(password !== undefined && { password }),
    ...(isAbstract(host) && { stream: () => connectingStream(socketPath(host, port)) }),
  })
}

const PASSWORD_IS_NEEDED = 'a password is needed: set PGPASSWORD, write it to ~/.pgpass, or run this in a terminal'

/** Whether a password is missing. With SCRAM, `pg` reports that itself; with other methods it sends something anyway, and is refused. */
function isPasswordMissing({ password }: pg.Client, problem: unknown): boolean {
  const isAskedFor = problem instanceof pg.DatabaseError ? problem.code === '28P01' : /^SASL:/.test(messageOf(problem))
  return isAskedFor && (typeof password !== 'string' || password === '')
}

/** Asks the user a question, and shows nothing of the answer. */
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
