/** `pgweir check config.ini`: tells every problem at once, for editors and CI. */

import { loadHba } from '../../daemon/hba.ts'
import { resolvConfProblems } from '../../daemon/names.ts'
import { userProblems } from '../../daemon/privileges.ts'
import { loadTls } from '../../daemon/tls.ts'
import { loadUsers } from '../../daemon/users.ts'
import { differencesOf } from '../../settings/differences.ts'
import { type LoadOptions, loadSettings, type Settings } from '../../settings/load.ts'
import { formatProblem, hasErrors } from '../../settings/problem.ts'

export interface CheckOptions extends LoadOptions {
  readonly iniFile: string
  /** Also tells what is not wrong, and yet not as it is in PgBouncer. */
  readonly comparesWithPgBouncer?: boolean
}

/** Returns the exit code: 1 if there is an error; warnings alone are no failure. */
export function check(options: CheckOptions, write: (text: string) => void): number {
  const { settings, problems: inSettings } = loadSettings(options)
  const problems = [
    ...inSettings,
    ...loadUsers(settings).problems,
    ...loadTls(settings).problems,
    ...loadHba(settings).problems,
    ...resolvConfProblems(settings),
    ...userProblems(settings),
  ]
  for (const problem of problems) write(`${formatProblem(problem)}\n`)

  const errors = problems.filter(({ severity }) => severity === 'error').length
  const warnings = problems.length - errors
  const counts = [errors > 0 && plural(errors, 'error'), warnings > 0 && plural(warnings, 'warning')]
    .filter(Boolean)
    .join(', ')
  const isUsable = !hasErrors(problems)
  if (isUsable && options.comparesWithPgBouncer)
    for (const sentence of differencesOf(settings)) write(`${options.iniFile}: note: ${sentence}\n`)
  if (!isUsable) write(`${options.iniFile}: ${counts}\n`)
  else write(`${options.iniFile}: ${summary(settings)}${counts === '' ? ' are fine' : ` are usable, with ${counts}`}\n`)
  return errors > 0 ? 1 : 0
}

function summary({ origins, databases, fallback, users, peers }: Settings): string {
  const given = Object.values(origins).filter(({ from }) => from !== 'default').length
  const databaseCount = databases.size + (fallback === null ? 0 : 1)
  const counts = [plural(given, 'setting'), plural(databaseCount, 'database'), plural(users.size, 'user')]
  if (peers.size > 0) counts.push(plural(peers.size, 'peer'))
  return counts.join(', ').replace(/, ([^,]*)$/, ' and $1')
}

function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`
}
