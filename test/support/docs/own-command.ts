/** Prepares a command of pgweir that a document shows, to run it up to the point where it would start something. */

import { fakeWorld } from '../../unit/cli/world.ts'

/** The ways in which documents start pgweir; the words after them are its arguments. */
const STARTS = [['pgweir'], ['node', 'bin/pgweir.js'], ['npm', 'start', '--']]

export interface OwnCommand extends ReturnType<typeof fakeWorld> {
  readonly args: string[]
}

export function isOwnCommand(words: readonly string[]): boolean {
  return STARTS.some((start) => start.every((word, index) => words[index] === word))
}

/** @param iniFile replaces each ini file that the command names */
export function ownCommand(words: readonly string[], iniFile = 'deploy/container.ini'): OwnCommand {
  const start = STARTS.find((each) => each.every((word, index) => words[index] === word))
  if (start === undefined) throw new Error(`'${words.join(' ')}' is no command of pgweir`)
  const args = words.slice(start.length).map((word) => (word.endsWith('.ini') ? iniFile : word))
  const fake = fakeWorld()
  // The pooler that the command would start counts as ended, so that the command ends, too.
  fake.pooler.end()
  return { ...fake, args }
}
