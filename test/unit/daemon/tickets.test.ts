/** Resumption of TLS sessions; the client is Node’s own TLS. */

import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import tls from 'node:tls'
import { expect, onTestFinished, test } from 'vitest'
import type { ClientEncryption } from '../../../src/client/context.ts'
import { PERIOD_MS, Tickets } from '../../../src/daemon/tickets.ts'
import type { Channel } from '../../../src/net/channel.ts'
import { createPair } from '../../../src/net/memory-transport.ts'
import { offeredTls } from '../../../src/net/secured.ts'
import { createTlsContext } from '../../../src/net/tls.ts'
import { duplexOf } from '../../support/duplex.ts'
import { certificate } from '../../support/e2e/certificates.ts'

const SECRET = Buffer.alloc(32, 1)
let nowMs = Date.UTC(2030, 0, 1)

function offer(name = 'server', verifiesPeer = false): ClientEncryption {
  const [key, cert, ca] = [`${name}.key`, `${name}.crt`, 'authority.crt'].map((file) => readFileSync(certificate(file)))
  const context = createTlsContext({ key, cert, ...(verifiesPeer ? { ca } : {}) } as object, true)
  return { context, certificate: new X509Certificate(cert as Buffer).raw, verifiesPeer, isRequired: true }
}

/** One process with what it currently offers to clients. */
const processOf = (offered: ClientEncryption, secret = SECRET) => ({
  offered,
  tickets: new Tickets(secret, () => nowMs),
})

async function connect(
  { offered, tickets }: ReturnType<typeof processOf>,
  session?: Buffer,
  maxVersion: 'TLSv1.2' | 'TLSv1.3' = 'TLSv1.3',
) {
  const [near, far] = createPair({})
  const channel = offeredTls(near, tickets.renew(offered) as ClientEncryption, { isDirect: false }) as Channel
  channel.listener = { onRead() {}, onDrained() {}, onClosed() {} }
  const pair = { key: readFileSync(certificate('client.key')), cert: readFileSync(certificate('client.crt')) }
  const socket = tls.connect({ socket: duplexOf(far), rejectUnauthorized: false, session, maxVersion, ...pair })
  onTestFinished(() => void socket.destroy())
  let given: Buffer | null = null
  socket.on('session', (each) => {
    given = each
  })
  await once(socket, 'secureConnect')
  // The ticket comes before any data.
  channel.write(Buffer.from('x'), 0, 1)
  await once(socket, 'data')
  return { isResumed: socket.isSessionReused(), session: given as Buffer | null }
}

test.each(['TLSv1.2', 'TLSv1.3'] as const)(
  'a %s session can be resumed in any process of the fleet, for a limited time',
  async (version) => {
    const [one, other] = [processOf(offer()), processOf(offer())]
    const { session, isResumed } = await connect(one, undefined, version)
    expect([isResumed, session]).toEqual([false, expect.any(Buffer)])
    if (session === null) return
    for (const each of [other, one]) expect((await connect(each, session, version)).isResumed).toBe(true)
    expect(
      (await connect(processOf(offer(), Buffer.alloc(32, 2)), session, version)).isResumed,
      'in another fleet',
    ).toBe(false)
    nowMs += PERIOD_MS
    for (const each of [one, other]) expect((await connect(each, session, version)).isResumed).toBe(false)
    const { session: next } = await connect(one, undefined, version)
    expect((await connect(other, next ?? undefined, version)).isResumed).toBe(true)
  },
)

test('a session that was begun with another certificate is not resumed', async () => {
  const { session } = await connect(processOf(offer('elsewhere')))
  expect((await connect(processOf(offer('elsewhere')), session ?? undefined)).isResumed).toBe(true)
  expect((await connect(processOf(offer()), session ?? undefined)).isResumed).toBe(false)
})

test('a session whose client must present a certificate is not resumed', async () => {
  const one = processOf(offer('server', true))
  const { session } = await connect(one)
  if (session !== null) expect((await connect(one, session)).isResumed).toBe(false)
})
