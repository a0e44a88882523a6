/** The oracle of this suite: through pgweir, a program must print the same as when it talks to PostgreSQL itself. */

import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import type { Pgweir } from '../../support/e2e/pgweir.ts'
import { createDatabase } from '../../support/postgres.ts'
import { type PoolOptions, poolOf } from './pgweir.ts'
import { type Outcome, type ProgramName, type RunOptions, run, type Target } from './program.ts'

export interface Scenario extends RunOptions, Pick<PoolOptions, 'size' | 'settings'> {
  readonly program: ProgramName
  /** The script, relative to `test/clients`, and its arguments. */
  readonly args: readonly string[]
  /** The pool modes to compare; session and transaction mode by default. */
  readonly modes?: readonly PoolOptions['mode'][]
  /** The expected exit code; 0 by default. */
  readonly exitCode?: number
}

/** Declares one test for each promise and mode. */
export function promise(promises: Readonly<Record<string, Scenario>>): void {
  for (const [sentence, scenario] of Object.entries(promises))
    test.for([...(scenario.modes ?? USUAL_MODES)])(`${sentence} (%s mode)`, async (mode) => {
      await compare(scenario, mode)
    })
}

const USUAL_MODES = ['session', 'transaction'] as const

/** Runs a scenario directly on PostgreSQL and through pgweir. Returns the pooler, which has no clients by then. */
export async function compare(scenario: Scenario, mode: PoolOptions['mode']): Promise<Pgweir> {
  const wanted = await direct(scenario)
  const pooled = await createDatabase()
  const { size, settings } = scenario
  const { pgweir, target } = await poolOf(pooled, { mode, ...(size && { size }), ...(settings && { settings }) })
  const seen = await runIn(scenario, target, pooled)
  expect(seen).toEqual(wanted)
  return pgweir
}

const directOutcomes = new Map<string, Promise<Outcome>>()

/** Returns the outcome of a scenario on PostgreSQL itself, in a new database. It runs only once, however many modes there are. */
function direct(scenario: Scenario): Promise<Outcome> {
  const { program, args, stdin, env } = scenario
  const key = JSON.stringify([program, args, stdin, env])
  const known = directOutcomes.get(key)
  if (known) return known
  const outcome = runDirect(scenario)
  directOutcomes.set(key, outcome)
  return outcome
}

async function runDirect(scenario: Scenario): Promise<Outcome> {
  const database = await createDatabase()
  const outcome = await runIn(scenario, database, database)
  const { code, stdout, stderr } = outcome
  if (code !== (scenario.exitCode ?? 0))
    throw new Error(`straight at PostgreSQL it ends with ${code}:\n${stdout}${stderr}`)
  // A script that prints nothing proves nothing.
  expect(stdout).not.toBe('')
  return outcome
}

/** Runs a scenario and replaces names that differ from run to run, since they appear in messages. */
async function runIn(
  { program, args, ...options }: Scenario,
  target: Target,
  { database, user }: Pick<Target, 'database' | 'user'>,
): Promise<Outcome> {
  const { code, stdout, stderr } = await run(program, args, target, options)
  const neutral = (text: string) =>
    shown(
      text.replaceAll(database, 'the_database').replaceAll(user, 'the_user').replaceAll(`"${target.port}"`, '"port"'),
    )
  return { code, stdout: neutral(stdout), stderr: neutral(stderr) }
}

/** Replaces a long text by its length and digest: the difference of two long texts would fill the screen and say no more. */
function shown(text: string): string {
  if (text.length <= MAX_SHOWN_LENGTH) return text
  const digest = createHash('sha256').update(text).digest('hex')
  return `${text.length} characters with the digest ${digest}`
}

const MAX_SHOWN_LENGTH = 100_000
