/** The messages of streaming replication: https://www.postgresql.org/docs/current/protocol-replication.html */

import { message, type RawClient, type Reply } from './raw-client.ts'

/** Builds a standby status update. The server may discard the log up to `flushed`, the last position received. */
export function standbyStatus(flushed: bigint, wantsAnswer = false): Buffer {
  const body = Buffer.alloc(34)
  body.write('r')
  for (const at of [1, 9, 17]) body.writeBigInt64BE(flushed, at)
  body.writeInt8(wantsAnswer ? 1 : 0, 33)
  return message('d', body)
}

/** Converts a log position from the server's text to the number in its messages. */
export function positionOf(text: string): bigint {
  const [high = '0', low = '0'] = text.split('/')
  return (BigInt(`0x${high}`) << 32n) | BigInt(`0x${low}`)
}

/** XLogData (`w`) or a keepalive (`k`): its kind, its data, and the end position that it reports. */
export interface Streamed {
  readonly kind: 'w' | 'k'
  readonly data: Buffer
  readonly end: bigint
}

export function readStreamed({ type, body }: Reply): Streamed | null {
  if (type !== 'd') return null
  const kind = String.fromCharCode(body[0] as number)
  if (kind === 'k') return { kind, data: Buffer.alloc(0), end: body.readBigInt64BE(1) }
  if (kind === 'w') return { kind, data: body.subarray(25), end: body.readBigInt64BE(9) }
  throw new Error(`a streamed message of the kind ${kind}`)
}

/** Reads the stream up to an XLogData that `isWanted`, and returns the XLogData messages. */
export async function streamedUntil(
  client: RawClient,
  isWanted: (data: Buffer) => boolean,
): Promise<readonly Streamed[]> {
  const all: Streamed[] = []
  for (let reply = await client.next(); reply !== null; reply = await client.next()) {
    const streamed = readStreamed(reply)
    if (streamed === null) throw new Error(`in the midst of a stream: ${reply.line}`)
    if (streamed.kind !== 'w') continue
    all.push(streamed)
    if (isWanted(streamed.data)) return all
  }
  throw new Error('the stream has ended')
}
