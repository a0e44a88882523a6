/** Finds the console of a pooler that runs, and who to be there. */

import { existsSync } from 'node:fs'
import { userInfo } from 'node:os'
import { createInterface } from 'node:readline/promises'
import pg from 'pg'
import { loadSettings } from '../../settings/load.ts'
import { type Target, targetOf } from './target.ts'

export interface PlaceFlags {
  readonly host?: string
  readonly port?: string
  readonly username?: string
  /** The file of the pooler, for where it listens. */
  readonly config?: string
}

export interface ConsoleStreams {
  readonly input: NodeJS.ReadStream
  readonly output: NodeJS.WriteStream
  readonly errors: NodeJS.WriteStream
  readonly env: Readonly<Record<string, string | undefined>>
}

/** The exit code where there is nobody to talk to, as psql's. */
export const NO_CONNECTION = 2

export function findTarget({ config, host, port, username }: PlaceFlags, { env }: ConsoleStreams): Target {
  const { general } = loadSettings({ iniFile: config ?? null, env }).settings
  const systemUser = userInfo().username
  return targetOf({ host, port, username, env, general, systemUser, isThere: existsSync })
}

/** Not connected yet. Asks for the password where there is a terminal, and one is needed. */
export function clientFor({ host, port, user }: Target, { input, errors, env }: ConsoleStreams): pg.Client {
  const password =
    env['PGPASSWORD'] ?? (input.isTTY ? () => ask(`Password for user ${user}: `, input, errors) : undefined)
  return new pg.Client({ host, port, user, database: 'pgweir', ...(password !== undefined && { password }) })
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

export function describe({ host, port, user }: Target): string {
  return `the console of ${host}:${port}, as ${user}`
}

export function messageOf(problem: unknown): string {
  if (problem instanceof AggregateError) return problem.errors.map(messageOf).join(', ')
  return problem instanceof Error ? problem.message : String(problem)
}
