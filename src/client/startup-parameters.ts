/** What a client asks for in its startup packet. */

import { PoolerError } from '../problems.ts'
import type { Tracked } from '../server/profile.ts'
import { parseOptions } from '../wire/options.ts'
import { type Replication, readReplication } from '../wire/replication.ts'
import type { StartupPacket } from '../wire/startup.ts'

export interface Wishes {
  readonly user: string
  readonly database: string
  /** Settings as the client spells them: name in lower case → value. */
  readonly settings: ReadonlyMap<string, string>
  readonly replication: Replication
  /** The startup parameters, as they came, that the client's own server is opened with. Empty unless the client asks for replication. */
  readonly forwarded: ReadonlyMap<string, string>
  /** Names of parameters of the protocol itself (`_pq_.…`), none of which we know. */
  readonly unknownProtocolParameters: readonly string[]
}

/** Parameters that are not settings: they say who connects, and how. */
const NOT_SETTINGS = new Set(['user', 'database', 'replication', 'options'])

/**
 * @param ignored the setting `ignore_startup_parameters`: names to drop; if `options` is one, untracked settings within `options` are dropped
 */
export function readWishes(packet: StartupPacket, ignored: ReadonlySet<string>, tracked: Tracked): Wishes {
  const { parameters } = packet
  const user = parameters.get('user') ?? ''
  if (user === '') throw new PoolerError('startup-without-user')
  const replication = replicationIn(parameters, ignored)
  const settings = new Map<string, string>()
  const unknownProtocolParameters: string[] = []
  if (replication === 'none')
    for (const [name, value] of readOptions(parameters.get('options'), ignored, tracked))
      settings.set(name.toLowerCase(), value)
  for (const [name, value] of parameters) {
    if (name.startsWith('_pq_.')) unknownProtocolParameters.push(name)
    else if (!NOT_SETTINGS.has(name)) settings.set(name.toLowerCase(), value)
  }
  for (const name of ignored) settings.delete(name.toLowerCase())
  const forwarded = replication === 'none' ? NOTHING : forwardedOf(parameters, ignored)
  return {
    ...{ user, database: parameters.get('database') || user },
    ...{ settings, replication, forwarded, unknownProtocolParameters },
  }
}

const NOTHING: ReadonlyMap<string, string> = new Map()

function replicationIn(parameters: ReadonlyMap<string, string>, ignored: ReadonlySet<string>): Replication {
  const text = parameters.get('replication')
  if (text === undefined || ignored.has('replication')) return 'none'
  const replication = readReplication(text)
  if (replication === null) throw new PoolerError('bad-replication', { value: text })
  return replication
}

/** `options` is forwarded as it is, even if `ignored` names it: with it, replication clients make both sides read values alike. */
function forwardedOf(
  parameters: ReadonlyMap<string, string>,
  ignored: ReadonlySet<string>,
): ReadonlyMap<string, string> {
  const dropped = new Set([...ignored].map((name) => name.toLowerCase()))
  const isForwarded = (name: string) =>
    name === 'options' ||
    !(name === 'user' || name === 'database' || name.startsWith('_pq_.') || dropped.has(name.toLowerCase()))
  return new Map([...parameters].filter(([name]) => isForwarded(name)))
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
