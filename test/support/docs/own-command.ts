/** A command of pgweir as the documents write it, to be run up to the point where it would start something. */

import { fakeWorld } from '../../unit/cli/world.ts'

/** How a pgweir is started in documents; what follows are its arguments. */
const STARTS = [['pgweir'], ['node', 'bin/pgweir.js'], ['npm', 'start', '--']]

export interface OwnCommand extends ReturnType<typeof fakeWorld> {
  readonly args: string[]
}

export function isOwnCommand(words: readonly string[]): boolean {
  return STARTS.some((start) => start.every((word, index) => words[index] === word))
}

/** @param iniFile in place of each that is named */
export function ownCommand(words: readonly string[], iniFile = 'deploy/container.ini'): OwnCommand {
  const start = STARTS.find((each) => each.every((word, index) => words[index] === word))
  if (start === undefined) throw new Error(`'${words.join(' ')}' is no command of pgweir`)
  const args = words.slice(start.length).map((word) => (word.endsWith('.ini') ? iniFile : word))
  const fake = fakeWorld()
  // What is started has ended, and so has the command.
  fake.pooler.end()
  return { ...fake, args }
}
