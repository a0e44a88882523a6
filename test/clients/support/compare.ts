/** The oracle of this suite: what a program prints when it talks to PostgreSQL itself, it prints through pgweir too. */

import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import type { Pgweir } from '../../support/e2e/pgweir.ts'
import { createDatabase } from '../../support/postgres.ts'
import { type PoolOptions, poolOf } from './pgweir.ts'
import { type Outcome, type ProgramName, type RunOptions, run, type Target } from './program.ts'

export interface Scenario extends RunOptions, Pick<PoolOptions, 'size' | 'settings'> {
  readonly program: ProgramName
  /** The script and its arguments, below `test/clients`. */
  readonly args: readonly string[]
  /** It has to be the same in each of these modes. */
  readonly modes?: readonly PoolOptions['mode'][]
  /** Scripts end with 0 when all went well. */
  readonly exitCode?: number
}

/** Declares one test per promise. */
export function promise(promises: Readonly<Record<string, Scenario>>): void {
  for (const [sentence, scenario] of Object.entries(promises))
    test.for([...(scenario.modes ?? USUAL_MODES)])(`${sentence} (%s mode)`, async (mode) => {
      await compare(scenario, mode)
    })
}

const USUAL_MODES = ['session', 'transaction'] as const

/** Runs a scenario straight at PostgreSQL and through pgweir. Returns the pooler, which has served it and is empty now. */
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

/** What PostgreSQL itself makes of a scenario, in a fresh database. It is asked once, whatever the modes are. */
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
  // A script that says nothing proves nothing.
  expect(stdout).not.toBe('')
  return outcome
}

/** Names that differ from run to run are made equal, since they appear in messages. */
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

/** The difference of two long texts would fill the screen and tell no more than this. */
function shown(text: string): string {
  if (text.length <= MAX_SHOWN_LENGTH) return text
  const digest = createHash('sha256').update(text).digest('hex')
  return `${text.length} characters with the digest ${digest}`
}

const MAX_SHOWN_LENGTH = 100_000
