/** What a client asks for in its startup packet. */

import { PoolerError } from '../problems.ts'
import type { Tracked } from '../server/profile.ts'
import { parseOptions } from '../wire/options.ts'
import type { StartupPacket } from '../wire/startup.ts'

export interface Wishes {
  readonly user: string
  readonly database: string
  /** Settings as the client spells them: name in lower case → value. */
  readonly settings: ReadonlyMap<string, string>
  /** Parameters of the protocol itself that we do not know. */
  readonly unknownProtocolParameters: readonly string[]
}

/** Not settings: they say who and how. */
const NOT_SETTINGS = new Set(['user', 'database', 'replication', 'options'])

/**
 * @param ignored the setting `ignore_startup_parameters`: names to drop; `options` drops what is not tracked within `options`
 */
export function readWishes(packet: StartupPacket, ignored: ReadonlySet<string>, tracked: Tracked): Wishes {
  const { parameters } = packet
  const user = parameters.get('user') ?? ''
  if (user === '') throw new PoolerError('startup-without-user')
  const replication = parameters.get('replication')
  if (replication !== undefined && !isFalse(replication) && !ignored.has('replication'))
    throw new PoolerError('replication-unsupported')

  const settings = new Map<string, string>()
  const unknownProtocolParameters: string[] = []
  for (const [name, value] of readOptions(parameters.get('options'), ignored, tracked))
    settings.set(name.toLowerCase(), value)
  for (const [name, value] of parameters) {
    if (name.startsWith('_pq_.')) unknownProtocolParameters.push(name)
    else if (!NOT_SETTINGS.has(name)) settings.set(name.toLowerCase(), value)
  }
  for (const name of ignored) settings.delete(name.toLowerCase())
  return { user, database: parameters.get('database') || user, settings, unknownProtocolParameters }
}

function readOptions(text: string | undefined, ignored: ReadonlySet<string>, tracked: Tracked): Map<string, string> {
  if (text === undefined || text === '') return new Map()
  if (!ignored.has('options')) return parseOptions(text)
  try {
    return new Map([...parseOptions(text)].filter(([name]) => tracked.place(name) >= 0))
  } catch (problem) {
    if (problem instanceof PoolerError) return new Map()
    throw problem
  }
}

/** As Postgres reads booleans. */
function isFalse(text: string): boolean {
  return ['false', 'off', 'no', '0', 'f', 'n', 'of'].includes(text.toLowerCase())
}
