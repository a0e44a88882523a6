/** One line of [peers]: another pooler behind the same address, to which cancel requests for its clients are passed on. */

import { MAX_PEER_ID } from '../wire/cancel-key.ts'
import type { Pairs } from './connection-string.ts'
import { type EntryTable, type Reading, readEntry } from './entry.ts'
import { error, quote } from './problem.ts'
import type { ValuesOf } from './schema.ts'
import { host, integer, orNull, override, type ValueType } from './values.ts'

/**
 * One host, as for a database, and it must be given: PgBouncer peers on the same machine are told apart only by the directories of their unix
 * sockets.
 */
const peerHost: ValueType<string> = {
  ...host,
  parse: (value) => (value === '' || value.includes(',') ? { problem: 'it must be one host' } : host.parse(value)),
}

export const PEER_ROWS = {
  host: {
    type: orNull(peerHost),
    default: null,
    meaning: 'Host of the pooler, in the same format as for a database, but only one host. Required.',
  },
  port: { type: integer({ min: 1, max: 65_535 }), default: 6432, meaning: 'Port of the pooler.' },
  pool_size: {
    type: override(integer(), 'zero is a value'),
    default: null,
    meaning:
      'Maximum number of cancel requests that each worker sends to this pooler at the same time, instead of default_pool_size; 0 is no limit.',
  },
} as const

export interface PeerSettings extends Omit<ValuesOf<typeof PEER_ROWS>, 'host'> {
  /** The peer's `peer_id`. */
  readonly id: number
  readonly host: string
}

const PEER_TABLE: EntryTable<typeof PEER_ROWS> = { rows: PEER_ROWS, aliases: {} }

const peerId = integer({ min: 1, max: MAX_PEER_ID })

/** Returns null if the line cannot be used; the reason is added to `problems`. */
export function readPeer(name: string, pairs: Pairs, reading: Reading): PeerSettings | null {
  const { place, problems } = reading
  const id = peerId.parse(name)
  if ('problem' in id)
    problems.push(error(place, `a peer cannot be named ${quote(name)}: it must be ${peerId.accepts}`))
  const subject = `peer ${quote(name)}`
  const values = readEntry(PEER_TABLE, subject, pairs, reading)
  const wasGiven = pairs.problem !== null || pairs.pairs.some(({ key }) => key === 'host')
  if (!wasGiven) problems.push(error(place, `${subject}: host is required`))
  return 'value' in id && values.host !== null ? { ...values, id: id.value, host: values.host } : null
}
