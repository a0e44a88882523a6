/** Turns statements into plans: first what drivers send on their own, then the commands of the table. */

import { PoolerError } from '../problems.ts'
import { nearest } from '../settings/nearest.ts'
import type { Plan } from './answer.ts'
import { accessTo, COMMANDS, type Command, usageOf } from './commands.ts'
import { hasParameters, nameIn, type Statement, splitStatements, type Word } from './grammar.ts'
import { planNoise } from './noise.ts'
import { type Argument, TAKES } from './takes.ts'

/** Plans all statements of a simple query. Throws if one of them is invalid, so that none of them runs. */
export function planScript(script: string): Plan[] {
  return splitStatements(script).map(planOf)
}

/** Plans the single statement of a Parse message; throws if there are several. */
export function planStatement(text: string): Plan {
  const [first, second] = splitStatements(text)
  if (second) throw new PoolerError('console-several-commands')
  return first ? planOf(first) : EMPTY
}

const EMPTY: Plan = { access: 'stats', columns: null, run: () => ({ tag: null }) }

function planOf(statement: Statement): Plan {
  const { words } = statement
  if (hasParameters(words)) throw new PoolerError('console-parameters')
  const noise = planNoise(statement)
  if (noise) return noise
  const [verb, ...rest] = words
  const name = nameIn(verb) ?? ''
  const command = COMMANDS.get(name)
  if (!command) throw invalid(statement, guessCommand(name))
  const argument: Argument = TAKES[command.takes]
  const args = argument.read(rest)
  if (args === null) throw invalid(statement, guessArgument(name, command, argument, rest))
  return {
    access: accessTo(command, args),
    columns: command.columns?.(args) ?? null,
    run: (context) => command.run(args, context, name),
  }
}

function guessCommand(name: string): string {
  const guess = nearest(name, COMMANDS.keys())
  return guess === null ? 'SHOW HELP lists the commands.' : `Did you mean ${guess.toUpperCase()}?`
}

function guessArgument(name: string, command: Command, argument: Argument, words: readonly Word[]): string {
  const guess = argument.guess?.(words) ?? null
  if (guess !== null) return `Did you mean ${name.toUpperCase()} ${guess.toUpperCase()}?`
  return command.takes === 'topic' ? 'SHOW HELP lists the topics.' : `It is written ${usageOf(name, command)}.`
}

/** How many characters of an invalid statement the error message and the log repeat. */
const MAX_SHOWN = 200

function invalid({ text }: Statement, hint: string): PoolerError {
  const command = text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}…` : text
  return new PoolerError('console-command', { command, hint })
}
