/** `pgweir check config.ini`: reports every problem at once, for editors and CI. */

import type { HbaRule } from '../../auth/hba.ts'
import { loadHba } from '../../daemon/hba.ts'
import { resolvConfProblems } from '../../daemon/names.ts'
import { userProblems } from '../../daemon/privileges.ts'
import { takenPlaces } from '../../daemon/taken-places.ts'
import { loadTls } from '../../daemon/tls.ts'
import { loadUsers } from '../../daemon/users.ts'
import { canRunEpoll } from '../../net/choose-transport.ts'
import { notesOf } from '../../settings/differences.ts'
import { type LoadOptions, loadSettings, type Settings, type Written } from '../../settings/load.ts'
import { formatProblem, hasErrors, type Problem } from '../../settings/problem.ts'

export interface CheckOptions extends LoadOptions {
  readonly iniFile: string
}

/** The guide that describes the differences from PgBouncer. */
const GUIDE = 'docs/migrating-from-pgbouncer.md'

/** Returns the exit code: 1 if there is an error. Warnings alone are no failure. */
export function check(options: CheckOptions, write: (text: string) => void): number {
  const found = examine(options)
  return conclude(found, options, write, [])
}

/** Like `check`. If the file is one of PgBouncer's, also reports differences from PgBouncer that are not errors. */
export async function checkForMove(options: CheckOptions, write: (text: string) => void): Promise<number> {
  const found = examine(options)
  const { settings, written, rules, problems } = found
  // An error may be the reason why something is different.
  if (!written.isPgbouncers || hasErrors(problems)) return conclude(found, options, write, [])
  const knowsOwners = canRunEpoll()
  const hasEpoll = knowsOwners && settings.general.transport !== 'node'
  const notes = notesOf({ settings, written, rules, hasEpoll, knowsOwners })
  for (const { key, sentence } of await takenPlaces(settings)) {
    const { file, line } = settings.origins[key]
    const place = file === null || line === null ? options.iniFile : `${file}:${line}`
    notes.push(`${place}: note: ${sentence}: pgweir cannot start until that changes, see ${GUIDE}#in-five-steps`)
  }
  const code = conclude(found, options, write, notes)
  write(
    `${options.iniFile}: note: for all differences from PgBouncer, and the sections (#…) that the notes refer to, see ${GUIDE}#what-is-different\n`,
  )
  return code
}

interface Found {
  readonly settings: Settings
  readonly written: Written
  readonly rules: readonly HbaRule[]
  /** How many users auth_file and [users] contain. */
  readonly userCount: number
  readonly problems: readonly Problem[]
}

function examine(options: CheckOptions): Found {
  const { settings, written, problems } = loadSettings(options)
  const hba = loadHba(settings)
  const userFile = loadUsers(settings)
  return {
    settings,
    written,
    rules: hba.setup?.rules ?? [],
    userCount: new Set([...userFile.secrets.keys(), ...settings.users.keys()]).size,
    problems: [
      ...problems,
      ...userFile.problems,
      ...loadTls(settings).problems,
      ...hba.problems,
      ...resolvConfProblems(settings),
      ...userProblems(settings),
    ],
  }
}

function conclude(
  { settings, userCount, problems }: Found,
  { iniFile }: CheckOptions,
  write: (text: string) => void,
  notes: readonly string[],
): number {
  for (const problem of problems) write(`${formatProblem(problem)}\n`)
  for (const note of notes) write(`${note}\n`)
  const errors = problems.filter(({ severity }) => severity === 'error').length
  const warnings = problems.length - errors
  const counts = [errors > 0 && plural(errors, 'error'), warnings > 0 && plural(warnings, 'warning')]
    .filter(Boolean)
    .join(', ')
  if (errors > 0) write(`${iniFile}: ${counts}\n`)
  else
    write(`${iniFile}: ${summary(settings, userCount)}${counts === '' ? ' are fine' : ` are usable, with ${counts}`}\n`)
  return errors > 0 ? 1 : 0
}

function summary({ origins, databases, fallback, peers }: Settings, userCount: number): string {
  const given = Object.values(origins).filter(({ from }) => from !== 'default').length
  const databaseCount = databases.size + (fallback === null ? 0 : 1)
  const counts = [plural(given, 'setting'), plural(databaseCount, 'database'), plural(userCount, 'user')]
  if (peers.size > 0) counts.push(plural(peers.size, 'peer'))
  return counts.join(', ').replace(/, ([^,]*)$/, ' and $1')
}

function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`
}
