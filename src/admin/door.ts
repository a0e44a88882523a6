/** Lets users into the console. */

import type { Destination } from '../client/context.ts'
import { PoolerError } from '../problems.ts'
import { consoleAccess } from './access.ts'
import { Console, type ConsoleOptions } from './console.ts'
import { REPORTED } from './variables.ts'

/** Opens the console for a user. The owner, who runs the pooler, is always an admin. Throws if the user may not use the console. */
export function openConsole(options: ConsoleOptions, user: string, isOwner: boolean): Destination {
  const access = isOwner ? 'admin' : consoleAccess(options.settings().general, user)
  if (access === null) throw new PoolerError('console-not-allowed')
  return {
    kind: 'console',
    parameters: REPORTED,
    open(session) {
      options.counters.clientLogins++
      return new Console(session, access, options)
    },
  }
}
