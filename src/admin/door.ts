/** Lets users of the console in. */

import type { Destination } from '../client/context.ts'
import { PoolerError } from '../problems.ts'
import { consoleAccess } from './access.ts'
import { Console, type ConsoleOptions } from './console.ts'
import { REPORTED } from './variables.ts'

/** Throws if the user has no business there. Whoever runs the pooler may do anything. */
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
