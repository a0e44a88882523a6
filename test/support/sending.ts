/** What it takes to send to a server that does not exist: its books, an outbox, and the statements that clients share. */

import type { Sending } from '../../src/client/preparing.ts'
import { Counters } from '../../src/pool/counters.ts'
import { ErrorCounts } from '../../src/pool/error-counts.ts'
import type { PoolSettings } from '../../src/pool/settings.ts'
import { InFlight } from '../../src/server/in-flight.ts'
import { DEBT, Ledger } from '../../src/server/ledger.ts'
import { Profile, Tracked } from '../../src/server/profile.ts'
import { Recording } from '../../src/server/recording.ts'
import { SchemaVersion } from '../../src/server/schema-version.ts'
import type { ServerContext } from '../../src/server/server.ts'
import { type Statement, StatementRegistry } from '../../src/server/statement-registry.ts'
import { ServerStatements } from '../../src/server/statements.ts'
import { UnseenSettings } from '../../src/server/unseen-settings.ts'
import { STATUS_IDLE } from '../../src/wire/backend.ts'
import { Outbox } from '../../src/wire/outbox.ts'
import { BACKEND, FRONTEND } from '../../src/wire/types.ts'

const NAMES = new Map([
  [FRONTEND.parse, 'Parse'],
  [FRONTEND.close, 'Close'],
  [FRONTEND.describe, 'Describe'],
])

/** A server with these limits of statements. */
export function startSending({ maxPreparedStatements = 100, autoPrepareMaxBytes = 0 } = {}) {
  const registry = new StatementRegistry()
  const ledger = new Ledger()
  const statements = new ServerStatements(registry, new SchemaVersion())
  const toServer = new Outbox()
  const counters = new Counters()
  const settings = { maxPreparedStatements, autoPrepareMaxBytes } as PoolSettings
  const sending: Sending = { pool: { settings, counters }, leased: { ledger, statements }, toServer }

  const texts = new Map<string, string>()

  /** Returns the statement that clients share for this text. */
  function statement(text: string): Statement {
    const body = Buffer.from(`${text}\0\0\0`)
    const made = registry.intern(body, 0, body.length, '', statements.version)
    texts.set(made.name.toString(), text)
    return made
  }

  /** Returns what is sent, with texts for shared statements: `Parse select 1`, `Close select 1`, `Parse unnamed select 1`, `Flush`. */
  function sentBy(send: () => void): string[] {
    const chunks: Buffer[] = []
    toServer.open({
      write(buffer, start, end) {
        chunks.push(Buffer.from(buffer.subarray(start, end)))
        return end - start
      },
    })
    send()
    toServer.close()
    return messagesIn(Buffer.concat(chunks), texts)
  }

  /** Ends what was sent with a Sync, and settles all replies that are owed. */
  function answer(): void {
    ledger.owe(DEBT.sync)
    const replies = [BACKEND.parseComplete, BACKEND.closeComplete, BACKEND.noData, BACKEND.readyForQuery]
    while (!ledger.isEmpty)
      if (replies.every((reply) => ledger.settle(reply) === 'nonsense')) throw new Error('something else is owed')
  }

  return { sending, registry, ledger, statements, counters, settings, statement, sentBy, answer }
}

/** The same with all that is known of the server during a lease. */
export function startLease({
  status = STATUS_IDLE,
  ...limits
}: Parameters<typeof startSending>[0] & { status?: number } = {}) {
  const started = startSending(limits)
  const { sending, registry, ledger, statements, counters, settings } = started
  const tracked = new Tracked([])
  const inFlight = new InFlight()
  const unseen = new UnseenSettings()
  const recording = new Recording()
  const profile = Profile.of(tracked.names.map(() => null))
  const errors = new ErrorCounts()
  const lease = {
    ...sending,
    pool: { settings, counters, statements: registry, errors },
    leased: {
      ledger,
      inFlight,
      unseen,
      recording,
      statements,
      status,
      profile,
      context: { tracked } as ServerContext,
    },
  }
  return { ...started, lease, inFlight, unseen, recording, errors }
}

function messagesIn(sent: Buffer, texts: ReadonlyMap<string, string>): string[] {
  const messages: string[] = []
  for (let at = 0, end = 0; at < sent.length; at = end) {
    end = at + 1 + sent.readInt32BE(at + 1)
    const type = sent[at] as number
    const strings = sent.toString('latin1', at + 5, end).split('\0')
    const name = (type === FRONTEND.parse ? strings[0] : strings[0]?.slice(1)) as string
    const what = name === '' ? 'unnamed' : (texts.get(name) ?? name)
    if (type === FRONTEND.flush) messages.push('Flush')
    else if (type === FRONTEND.parse && name === '') messages.push(`Parse unnamed ${strings[1]}`)
    else messages.push(`${NAMES.get(type)} ${what}`)
  }
  return messages
}
